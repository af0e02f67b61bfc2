"""Earlier: an output folder -> what the manifests of earlier runs say of its pictures.

In: the URI of an output folder. Out: what was said of each picture last, by the name of its output,
or the sources that failed last. Rows of versions without a column have None for it. A manifest that
can't be read is passed over with a warning where rows are only a help, and raises `BadManifest`
where they say what is to be done.
"""

import io
import logging
from typing import Any, Dict, Iterable, Iterator, NamedTuple, Optional, Tuple

import apache_beam as beam

from . import uris
from .elements import FAILED, Facts, Source
from .storage import files, naming
from .storage.sources import BadLine

_log = logging.getLogger(__name__)


class BadManifest(OSError):
    """A file among the manifests is none."""


class Told(NamedTuple):
    """What a run said of a picture.

    Attributes:
      run: its id, which sorts by time.
      uri, extras: of the picture.
      failed: the error it failed with, None if it didn't.
      facts: of its outputs, None if it had none.
    """

    run: str
    uri: str
    extras: str
    failed: Optional[str]
    facts: Optional[Facts]


def manifests(output: str) -> Iterator[Tuple[str, str]]:
    """The run's id and the URI of each manifest file under an output folder."""
    folder = naming.join(output, naming.MANIFEST)
    for file in files.listing(folder):
        run, _, name = file.name.partition("/")
        if run.startswith("run=") and name.endswith(".parquet"):
            yield run.removeprefix("run="), file.uri


def rows(manifest: Tuple[str, str], needed: bool) -> Iterator[Dict[str, Any]]:
    """The rows of a manifest file, with the run's id."""
    import pyarrow

    run, uri = manifest
    try:
        table = pyarrow.parquet.ParquetFile(io.BytesIO(files.read(uri).data))
        for batch in table.iter_batches():
            for row in batch.to_pylist():
                yield {**row, "run": run}
    except (pyarrow.ArrowException, OSError) as error:
        shown = uris.without_secrets(uri)
        if needed:
            raise BadManifest(
                f"the manifest {shown!r} can't be read ({error}): which of its pictures failed is "
                "not known; remove it, and run over the inputs again in place of --retry_failed"
            ) from error
        _log.warning("the manifest %r can't be read, and is passed over: %s", shown, error)


class EarlierRows(beam.PTransform):
    """The rows of all earlier runs, from the start of a pipeline.

    Args:
      output: the output folder.
      needed: fail where a manifest can't be read.
    """

    def __init__(self, output: str, needed: bool = False) -> None:
        super().__init__()
        self.output = output
        self.needed = needed

    def expand(self, begin: Any) -> beam.PCollection:
        return (
            begin
            | "Output folder" >> beam.Create([self.output], reshuffle=False)
            | "Find manifests" >> beam.FlatMap(manifests)
            | "Spread manifests" >> beam.Reshuffle()
            | "Read rows" >> beam.FlatMap(rows, self.needed).with_output_types(Dict[str, Any])
        )


def keyed_told(row: Dict[str, Any]) -> Iterator[Tuple[str, Told]]:
    """The name of a picture's output, and what the row says of it."""
    if not row.get("name"):
        return
    facts = None
    if row["outputs"]:
        facts = Facts(**{name: row.get(name) for name in Facts._fields})
    failed = row.get("error") or FAILED if row["status"] == FAILED else None
    told = Told(row["run"], row["uri"], row.get("extras") or "{}", failed, facts)
    yield naming.output_name(row["name"], ""), told


# Failures that a run makes again with the same pictures and no change of theirs.
_NO_RETRY = (naming.NameClash.__name__, BadLine.__name__)


def _keyed_by_picture(row: Dict[str, Any]) -> Tuple[Tuple[str, str], Tuple[str, Any]]:
    """The picture, the run, and of a failure what it takes to try it again."""
    again = None
    if row["status"] == FAILED and row.get("error") not in _NO_RETRY:
        again = row.get("extras") or "{}", row["metadata"]
    return (row["uri"], row.get("name") or ""), (row["run"], again)


def _latest(said: Iterable[Tuple[str, Any]]) -> Tuple[str, Any]:
    return max(said, key=lambda each: each[0])


def _failed_last(picture: Tuple[Tuple[str, str], Tuple[str, Any]]) -> Iterator[Source]:
    (uri, name), (_, again) = picture
    if again is not None:
        yield Source(uri, name or None, *again)


class FailedSources(beam.PTransform):
    """The pictures that the last run which met them failed at.

    Two that were refused for sharing a name are left out, as are lines that named no picture.

    Args:
      output: the output folder.
    """

    def __init__(self, output: str) -> None:
        super().__init__()
        self.output = output

    def expand(self, begin: Any) -> beam.PCollection:
        return (
            begin
            | "Earlier rows" >> EarlierRows(self.output, needed=True)
            | "Key by picture" >> beam.Map(_keyed_by_picture)
            | "Latest of each" >> beam.CombinePerKey(_latest)
            | "Failed last" >> beam.FlatMap(_failed_last).with_output_types(Source)
        )
