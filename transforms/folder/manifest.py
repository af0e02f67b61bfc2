"""Manifest: outcomes -> Parquet files under the output folder, one partition per run.

In: `Outcome` rows, bounded. Out: the URIs of the files `OUTPUT/_manifest/run=ID/part-*.parquet`,
`ROWS_PER_FILE` rows in each but the last. All runs together read as one data set:

    pyarrow.dataset.dataset("OUTPUT/_manifest", partitioning="hive")

Rows are packed where they come up, so only some bytes of each cross a shuffle. One worker makes the
files of all, each written whole by `store.stores`: nothing half-finished lies in the data set,
nothing is renamed, and a repeated bundle writes as many files under the same names. Fails as
`stores.write` does, and with it the pipeline.
"""

import datetime
import io
import re
import uuid
from dataclasses import dataclass
from typing import Any, Iterable, Iterator, List, Sequence, Tuple, get_args, get_type_hints

import apache_beam as beam
import pyarrow as pa
import pyarrow.parquet
from apache_beam.transforms.window import GlobalWindows

from .. import coders as coders
from ..elements import Outcome
from ..store import stores
from . import layout

# Raise it for fewer files; the rows of one are in memory while it is made.
ROWS_PER_FILE = 100_000

# Packed at once.
BATCH_ROWS = 1_000

_TYPES = {
    str: pa.string(),
    int: pa.int32(),
    float: pa.float64(),
    bool: pa.bool_(),
    Sequence[str]: pa.list_(pa.string()),
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


@dataclass(kw_only=True, eq=False)
class WriteManifest(beam.PTransform):
    """Writes outcomes as Parquet; see the module's docstring.

    Attributes:
      output: the output folder.
      run: the run's id, letters, digits, `_`, `.` and `-`; `new_run_id()` makes one.
      rows_per_file: see `ROWS_PER_FILE`.
    """

    output: str
    run: str
    rows_per_file: int = ROWS_PER_FILE

    def __post_init__(self) -> None:
        super().__init__()
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", self.run):
            raise ValueError(f"run={self.run!r} must be letters, digits, '_', '.' and '-' only")

    def expand(self, outcomes: beam.PCollection) -> beam.PCollection:
        packed = outcomes | "Take many rows" >> TakeMany() | "Pack the rows" >> beam.Map(pack)
        write = WritePacked(output=self.output, run=self.run, rows_per_file=self.rows_per_file)
        return packed | "Write the packed" >> write


class TakeMany(beam.PTransform):
    """Outcomes, bounded -> lists of `BATCH_ROWS` of them."""

    def expand(self, outcomes: beam.PCollection) -> beam.PCollection:
        return (
            outcomes
            | "Of all windows" >> beam.WindowInto(GlobalWindows())
            | "Batch them" >> beam.BatchElements(BATCH_ROWS, BATCH_ROWS)
        )


@dataclass(kw_only=True, eq=False)
class WritePacked(beam.PTransform):
    """The same of rows that `pack` has packed."""

    output: str
    run: str
    rows_per_file: int = ROWS_PER_FILE

    def __post_init__(self) -> None:
        super().__init__()

    def expand(self, packed: beam.PCollection) -> beam.PCollection:
        return (
            packed
            | "Gather all rows" >> beam.GroupByKey()
            | "Write rows" >> beam.FlatMap(_write, self.output, self.run, self.rows_per_file)
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
    # By name: those from another process may be of a class that Beam made.
    columns = [[getattr(outcome, name) for outcome in outcomes] for name in SCHEMA.names]
    return "all", encode(pa.table(columns, schema=SCHEMA))


def _write(
    packed: Tuple[str, Iterable[bytes]], output: str, run_id: str, rows_per_file: int
) -> Iterator[str]:
    for number, table in enumerate(_split(map(decode, packed[1]), rows_per_file)):
        name = f"{layout.run_folder(run_id)}/part-{number:05d}.parquet"
        yield stores.write(
            output, name, encode(table), "application/vnd.apache.parquet", durable=True
        ).uri


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
