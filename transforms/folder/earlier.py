"""Earlier: an output folder -> what the manifests of earlier runs say of its pictures.

In: the URI of an output folder. Out: rows, by the name of the picture's output, or the sources that
failed last. Rows of versions without a column have None for it. Fails as `stores.read` does, and
with `BadManifest` for a file that holds no rows, since they decide what is to be done.
"""

import io
import itertools
from typing import Any, Dict, Iterable, Iterator, NamedTuple, Optional, Tuple

import apache_beam as beam

from .. import coders as coders
from .. import naming
from ..elements import FAILED, SKIPPED, WRITTEN, Facts, Source
from ..sources.lists import BadLine
from ..store import stores, uris
from ..store.listed import Listed
from . import layout
from .manifest import SCHEMA
from .resume import EarlierRow

# The columns that are looked at.
_ASKED = {
    *("uri", "name", "status", "outputs", "options", "extras", "error", "metadata"),
    *Facts._fields,
}
_WHY = {"step", "message"}
_TYPES = {field.name: field.type for field in SCHEMA if field.name in _ASKED | _WHY}

# Read at once.
_BATCH_ROWS = 4_096

# Without these a table says nothing of pictures.
_NEEDED = {"uri", "status", "outputs", "metadata"}


class BadManifest(OSError):
    """A file among the manifests that holds no rows."""


class Manifest(NamedTuple):
    """A file of rows: its run's id, its URI, and when it was written, by the store's clock."""

    run_id: str
    uri: str
    at: Optional[float]


def manifests(output: str) -> Iterator[Manifest]:
    """The manifest files under an output folder."""
    for file in stores.listing(uris.join(output, layout.MANIFEST)):
        if found := as_manifest(file, file.name):
            yield found


def as_manifest(file: Listed, name: str) -> Optional[Manifest]:
    """A file of this name below the folder of manifests; None if it is none of rows."""
    partition, _, rest = name.partition("/")
    if not partition.startswith("run=") or not rest.endswith(".parquet"):
        return None
    return Manifest(partition.removeprefix("run="), file.uri, file.modified)


def rows(manifest: Manifest, *, why: bool = False) -> Iterator[Dict[str, Any]]:
    """The rows of a manifest file, with the run's id and the file's time; with `why`, the step that
    gave up and its message too."""
    return rows_of(manifest, stores.read(manifest.uri).data, why=why)


def rows_of(manifest: Manifest, data: bytes, *, why: bool = False) -> Iterator[Dict[str, Any]]:
    """The same of a file that was read."""
    import pyarrow.parquet

    try:
        table = pyarrow.parquet.ParquetFile(io.BytesIO(data))
        if absent := _NEEDED - set(table.schema_arrow.names):
            raise ValueError(f"it has no column {', '.join(sorted(absent))}")
        asked = _ASKED | _WHY if why else _ASKED
        names = [name for name in table.schema_arrow.names if name in asked]
        for batch in table.iter_batches(_BATCH_ROWS, columns=names):
            columns = [_values(column) for column in _typed(batch).columns]
            for values in zip(*columns):
                yield {**dict(zip(names, values)), "run": manifest.run_id, "at": manifest.at}
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        raise BadManifest(
            f"the manifest {uris.without_secrets(manifest.uri)!r} can't be read ({error}): which "
            "of its pictures failed is not known; remove it to go on without, and pictures whose "
            "outputs are there are done, or write all again with --on_existing overwrite"
        ) from error


def every_row(output: str) -> Iterator[Dict[str, Any]]:
    """The rows of all earlier runs, as `rows` has them."""
    for manifest in manifests(output):
        yield from rows(manifest)


def _typed(batch: Any) -> Any:
    """The rows with the types that `SCHEMA` has; fails where that can't be."""
    import pyarrow

    table = pyarrow.Table.from_batches([batch])
    for name in sorted(_NEEDED):
        if table[name].null_count:
            raise ValueError(f"a row has no {name}")
    return table.cast(pyarrow.schema([(name, _TYPES[name]) for name in table.column_names]))


def _values(column: Any) -> Iterable[Any]:
    """The values of a column; most facts of a run are null in all rows, or never."""
    return (
        itertools.repeat(None, len(column))
        if column.null_count == len(column)
        else column.to_pylist()
    )


class EarlierRows(beam.PTransform):
    """The rows of all earlier runs on an output folder, from the start of a pipeline."""

    def __init__(self, output: str) -> None:
        super().__init__()
        self.output = output

    def expand(self, begin: Any) -> beam.PCollection:
        return (
            begin
            | "Output folder" >> beam.Create([self.output], reshuffle=False)
            | "Find manifests" >> beam.FlatMap(manifests)
            | "Spread manifests" >> beam.Reshuffle()
            | "Read rows" >> beam.FlatMap(rows).with_output_types(Dict[str, Any])
        )


# Failures that leave what was there as it was.
UNTOUCHED = (naming.OutputExists.__name__, FileExistsError.__name__, naming.NameClash.__name__)

# Failures that say nothing of the picture itself, and come again without a change of the inputs.
_NO_RETRY = (naming.NameClash.__name__, naming.OutputExists.__name__, BadLine.__name__)


def keyed_row(row: Dict[str, Any]) -> Iterator[Tuple[str, Tuple[EarlierRow]]]:
    """The row alone, by the name of its picture's output; none of what has no name, or did nothing
    to what was there."""
    if not row.get("name") or row.get("error") in UNTOUCHED:
        return
    facts = None
    if row["outputs"]:
        facts = Facts._make(map(row.get, Facts._fields))
    earlier = EarlierRow(
        run_id=row["run"],
        at=row["at"],
        uri=row["uri"],
        extras=row.get("extras") or "{}",
        error=row.get("error") or FAILED if row["status"] == FAILED else None,
        written=row["status"] == WRITTEN,
        empty=row["status"] == SKIPPED and not row["outputs"],
        facts=facts,
    )
    yield naming.output_name(row["name"], ""), (earlier,)


# Sorts rows of one output: the run's id, the time of the file, and, where that holds several of a
# picture that came again and again, those of success last.
When = Tuple[str, float, bool]


def keyed_by_output(row: Dict[str, Any]) -> Iterator[Tuple[str, Tuple[When, Optional[Source]]]]:
    """The name of its output -> when the row was written, and the picture if it failed."""
    if not row.get("name") or row.get("error") in _NO_RETRY:
        return
    again = None
    if row["status"] == FAILED:
        again = Source(row["uri"], row["name"], row.get("extras") or "{}", row["metadata"])
    when = row["run"], row["at"] or 0.0, again is None
    yield naming.output_name(row["name"], ""), (when, again)


def latest(rows: Iterable[Tuple[When, Optional[Source]]]) -> Tuple[When, Optional[Source]]:
    return max(rows, key=lambda each: each[0])


def failed_last(output: Tuple[str, Tuple[When, Optional[Source]]]) -> Iterator[Source]:
    _, (_, again) = output
    if again is not None:
        yield again


class FailedSources(beam.PTransform):
    """The pictures of an output folder whose last row is a failure.

    Rows of pictures that were refused for sharing a name, or for an output that was there, don't
    count, nor do those of lines that named no picture, and of pictures without a name: they need a
    change of the inputs.
    """

    def __init__(self, output: str) -> None:
        super().__init__()
        self.output = output

    def expand(self, begin: Any) -> beam.PCollection:
        return (
            begin
            | "Earlier rows" >> EarlierRows(self.output)
            | "Key by output" >> beam.FlatMap(keyed_by_output)
            | "Latest of each" >> beam.CombinePerKey(latest)
            | "Failed last" >> beam.FlatMap(failed_last).with_output_types(Source)
        )
