"""Earlier: an output folder -> what the manifests of earlier runs say of its pictures.

In: the URI of an output folder. Out: facts about pictures that were written, by the name of their
output, or the sources that failed last. Rows of versions without a column have None for it. Fails
as `files.read` does, and with `pyarrow`'s errors for a manifest that is none.
"""

import io
from typing import Any, Dict, Iterable, Iterator, Tuple

import apache_beam as beam

from .elements import FAILED, Facts, Source
from .storage import files, naming


def manifests(output: str) -> Iterator[Tuple[str, str]]:
    """The run's id and the URI of each manifest file under an output folder."""
    folder = naming.join(output, naming.MANIFEST)
    for file in files.listing(folder):
        run, _, name = file.name.partition("/")
        if run.startswith("run=") and name.endswith(".parquet"):
            yield run.removeprefix("run="), file.uri


def rows(manifest: Tuple[str, str]) -> Iterator[Dict[str, Any]]:
    """The rows of a manifest file, with the run's id."""
    import pyarrow.parquet

    run, uri = manifest
    table = pyarrow.parquet.ParquetFile(io.BytesIO(files.read(uri).data))
    for batch in table.iter_batches():
        for row in batch.to_pylist():
            yield {**row, "run": run}


class EarlierRows(beam.PTransform):
    """The rows of all earlier runs, from the start of a pipeline.

    Args:
      output: the output folder.
    """

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


def keyed_facts(row: Dict[str, Any]) -> Iterator[Tuple[str, Tuple[str, Facts]]]:
    """The name of a written picture's output, the run that wrote it, and its facts."""
    if row.get("name") and row["outputs"] and row.get("provider"):
        known = {name: row.get(name) for name in Facts._fields}
        yield naming.output_name(row["name"], ""), (row["run"], Facts(**known))


def keyed_by_picture(row: Dict[str, Any]) -> Tuple[Tuple[str, str], Dict[str, Any]]:
    return (row["uri"], row.get("name") or ""), row


def failed_last(group: Tuple[Any, Iterable[Dict[str, Any]]]) -> Iterator[Source]:
    """The source of a picture whose last row is a failure; lines that named none are left out."""
    last = max(group[1], key=lambda row: row["run"])
    if last["status"] == FAILED and last.get("name"):
        yield Source(last["uri"], last["name"], last.get("extras") or "{}", last["metadata"])


class FailedSources(beam.PTransform):
    """The pictures that the last run which met them failed at.

    Args:
      output: the output folder.
    """

    def __init__(self, output: str) -> None:
        super().__init__()
        self.output = output

    def expand(self, begin: Any) -> beam.PCollection:
        return (
            begin
            | "Earlier rows" >> EarlierRows(self.output)
            | "Key by picture" >> beam.Map(keyed_by_picture)
            | "Group by picture" >> beam.GroupByKey()
            | "Failed last" >> beam.FlatMap(failed_last).with_output_types(Source)
        )
