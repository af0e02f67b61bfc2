"""Manifest: outcomes -> Parquet files under the output folder, one partition per run.

In: `Outcome` rows. Out: the URIs of the files `OUTPUT/_manifest/run=ID/part-*.parquet`,
`ROWS_PER_FILE` rows in each but the last. All runs together read as one data set:

    pyarrow.dataset.dataset("OUTPUT/_manifest", partitioning="hive")

Rows are packed where they come up, so only some bytes of each cross a shuffle. One worker makes the
files of all, each written whole by `store.stores`: nothing half-finished lies in the data set,
nothing is renamed, and a repeated bundle writes as many files under the same names. Unbounded rows
are written window by window, see `panes`. Fails as `stores.write` does, and with it the pipeline.
"""

import datetime
import io
import itertools
import re
import uuid
from dataclasses import dataclass
from typing import (
    Any,
    Iterable,
    Iterator,
    List,
    Optional,
    Sequence,
    Tuple,
    get_args,
    get_type_hints,
)

import apache_beam as beam
import pyarrow as pa
import pyarrow.parquet
from apache_beam.options.pipeline_options import GoogleCloudOptions
from apache_beam.transforms.window import GlobalWindows

from .. import coders as coders
from ..elements import Outcome
from ..setting import REQUIRED, check, documented, setting
from ..store import stores
from . import layout, panes

# Raise it for fewer files; the rows of one are in memory while it is made.
ROWS_PER_FILE = 100_000

MIME_TYPE = "application/vnd.apache.parquet"

# Packed at once.
BATCH_ROWS = 1_000

_TYPES = {
    str: pa.string(),
    int: pa.int32(),
    float: pa.float64(),
    bool: pa.bool_(),
    Sequence[str]: pa.list_(pa.string()),
    Sequence[int]: pa.list_(pa.int32()),
    Sequence[float]: pa.list_(pa.float64()),
}

# Larger than 32 bits hold.
_LARGE = ("bytes_in", "bytes_out")


def _field(name: str, hint: Any) -> pa.Field:
    """The Parquet column of a field of `Outcome`."""
    is_nullable = type(None) in get_args(hint)
    kind = _TYPES[get_args(hint)[0] if is_nullable else hint]
    return pa.field(name, pa.int64() if name in _LARGE else kind, nullable=is_nullable)


SCHEMA = pa.schema([_field(*each) for each in get_type_hints(Outcome).items()])


def new_run_id() -> str:
    """A name for a run: its start in UTC, to the millisecond, and six random characters.

    >>> len(new_run_id())
    26
    """
    now = datetime.datetime.now(datetime.UTC)
    return f"{now:%Y%m%dT%H%M%S}{now.microsecond // 1000:03}Z-{uuid.uuid4().hex[:6]}"


def started(run_id: str) -> Optional[float]:
    """When a run began, in seconds since 1970, as the name that it was given says; else None.

    >>> started("20261128T144119868Z-8e64e5"), started("mine")
    (1795876879.868, None)
    """
    try:
        day, milliseconds = run_id[:15], int(run_id[15:18])
        began = datetime.datetime.strptime(f"{day}+0000", "%Y%m%dT%H%M%S%z")
    except ValueError:
        return None
    return began.timestamp() + milliseconds / 1000


def run_of(pipeline: beam.Pipeline, run_id: str, is_told: bool) -> Any:
    """A run's id, as its writers take it. Each launch of a template is a run: there, unless it is
    told, workers make it, as a side input."""
    if is_told or not pipeline.options.view_as(GoogleCloudOptions).template_location:
        return run_id
    started = pipeline | "The run" >> beam.Create([None], reshuffle=False)
    return beam.pvalue.AsSingleton(started | "Name the run" >> beam.Map(lambda _: new_run_id()))


@documented
@dataclass(kw_only=True, eq=False)
class WriteManifest(beam.PTransform):
    """Writes outcomes as Parquet, under the folder of their cutouts.

    In: a PCollection of outcomes, or of rows with their columns. Out: the URIs of the files.
    """

    output: str = setting(REQUIRED, "the output folder", metavar="URI")
    run: str = setting(
        "",
        "the run's id: letters, digits, `_`, `.` and `-`; a new one unless told",
        more="that of a later run sorts later",
    )
    rows_per_file: int = setting(
        ROWS_PER_FILE,
        f"rows of each file but the last, default {ROWS_PER_FILE}; those of one file are in memory "
        "while it is made",
        minimum=1,
    )
    window: float = setting(
        panes.SECONDS,
        "of unbounded outcomes, those of so many seconds are in files of their own, by their "
        "timestamps; default 5m",
        kind="seconds",
        minimum=1,
        metavar="TIME",
    )

    def __post_init__(self) -> None:
        super().__init__()
        check(self)
        if not self.output:
            raise ValueError("output is empty; name the folder of the cutouts")
        self._is_told = bool(self.run)
        self.run = self.run or new_run_id()
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", self.run):
            raise ValueError(f"run={self.run!r} must be letters, digits, '_', '.' and '-' only")

    def expand(self, outcomes: beam.PCollection) -> beam.PCollection:
        run = run_of(outcomes.pipeline, self.run, self._is_told)
        more = {"output": self.output, "run": run, "rows_per_file": self.rows_per_file}
        if not outcomes.is_bounded:
            return outcomes | "Write windows" >> WriteWindows(window=self.window, **more)
        packed = outcomes | "Take many rows" >> TakeMany() | "Pack the rows" >> beam.Map(pack)
        return packed | "Write the packed" >> WritePacked(**more)


class TakeMany(beam.PTransform):
    """Outcomes, bounded -> lists of `BATCH_ROWS` of them."""

    def expand(self, outcomes: beam.PCollection) -> beam.PCollection:
        return (
            outcomes
            | "Of all windows" >> beam.WindowInto(GlobalWindows())
            | "Batch them" >> beam.BatchElements(BATCH_ROWS, BATCH_ROWS)
        )


@dataclass(kw_only=True, eq=False)
class WriteWindows(beam.PTransform):
    """`WriteManifest` of unbounded outcomes; its run is what `run_of` gives."""

    output: str
    run: Any
    window: float
    rows_per_file: int = ROWS_PER_FILE

    def __post_init__(self) -> None:
        super().__init__()

    def expand(self, outcomes: beam.PCollection) -> beam.PCollection:
        return (
            outcomes
            | "In windows" >> panes.InWindows(self.window)
            | "One key" >> beam.Map(_keyed).with_output_types(Tuple[str, Outcome])
            | "Gather rows of a window" >> beam.GroupByKey()
            | "Write a window's rows"
            >> beam.ParDo(_WriteWindow(), self.output, self.run, self.rows_per_file)
        )


@dataclass(kw_only=True, eq=False)
class WritePacked(beam.PTransform):
    """The same of rows that `pack` has packed."""

    output: str
    run: Any
    rows_per_file: int = ROWS_PER_FILE

    def __post_init__(self) -> None:
        super().__init__()

    def expand(self, packed: beam.PCollection) -> beam.PCollection:
        return (
            packed
            | "Gather all rows" >> beam.GroupByKey()
            | "Write rows" >> beam.FlatMap(_write_packed, self.output, self.run, self.rows_per_file)
        )


def encode(table: pa.Table) -> bytes:
    """A Parquet file of these rows."""
    file = io.BytesIO()
    pa.parquet.write_table(table, file, compression="zstd")
    return file.getvalue()


def decode(data: bytes) -> pa.Table:
    """The rows of a Parquet file."""
    return pa.parquet.read_table(io.BytesIO(data), schema=SCHEMA)


def pack(outcomes: List[Outcome]) -> Tuple[str, bytes]:
    """Rows as a Parquet file, under the one key of all."""
    return "all", encode(table(outcomes))


def table(outcomes: Sequence[Outcome]) -> pa.Table:
    """Rows as a table."""
    # By name: those from another process may be of a class that Beam made.
    columns = [[getattr(outcome, name) for outcome in outcomes] for name in SCHEMA.names]
    return pa.table(columns, schema=SCHEMA)


def _write_packed(
    packed: Tuple[str, Iterable[bytes]], output: str, run_id: str, rows_per_file: int
) -> Iterator[str]:
    return _write(map(decode, packed[1]), output, run_id, rows_per_file)


def _write(
    tables: Iterable[pa.Table], output: str, run_id: str, rows_per_file: int, prefix: str = ""
) -> Iterator[str]:
    for number, table in enumerate(_split(tables, rows_per_file)):
        name = f"{layout.run_folder(run_id)}/part-{prefix}{number:05d}.parquet"
        yield stores.write(output, name, encode(table), MIME_TYPE, durable=True).uri


def _keyed(outcome: Outcome) -> Tuple[str, Outcome]:
    return "all", outcome


class _WriteWindow(beam.DoFn):
    """Writes the rows of one window that come together."""

    def process(
        self,
        rows: Tuple[str, Iterable[Outcome]],
        output: str,
        run_id: str,
        rows_per_file: int,
        window: Any = beam.DoFn.WindowParam,
        pane: Any = beam.DoFn.PaneInfoParam,
    ) -> Iterator[str]:
        each = iter(rows[1])
        tables = map(table, iter(lambda: list(itertools.islice(each, BATCH_ROWS)), []))
        name = panes.pane_name(window, pane)
        yield from _write(tables, output, run_id, rows_per_file, f"{name}-")


def _split(tables: Iterable[pa.Table], rows: int) -> Iterator[pa.Table]:
    """The same rows, so many in each table but the last, in whatever portions they come."""
    held = SCHEMA.empty_table()
    for table in tables:
        held = pa.concat_tables([held, table])
        while held.num_rows >= rows:
            yield held.slice(0, rows)
            held = held.slice(rows)
    if held.num_rows:
        yield held
