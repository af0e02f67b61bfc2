"""Stream: pictures without an end in, cutouts and their rows under a folder.

    URIs -> named, each for itself -> spread -> not yet done -> read, remove, write
        -> outcomes -> Parquet rows and counts of each window

In: an unbounded PCollection of URIs or sources. Out: one `Outcome` for each element, in its window.
Nothing is joined, and nothing kept of a picture that is done: the same element twice is looked up
twice, and its output written again or skipped. Two pictures of one name are not told apart; the
later one's output stays. No table of metadata is written. `RemoveBackgrounds` does this with what
has no end.
"""

import os
from dataclasses import dataclass, replace
from typing import Any, Optional, Tuple

import apache_beam as beam

from . import coders as coders
from .elements import Source, as_source
from .folder.existing import DONE
from .folder.lookup import LookUp
from .folder.manifest import WriteWindows
from .folder.summary import WriteCounts
from .outputs.options import DataSet
from .remove_background import RemoveBackground, RemoveInPlace
from .runtime.failures import FAILURES, failed_outcome
from .sources.distinct import KeyByName
from .sources.spread import Spread


@dataclass(kw_only=True, eq=False)
class RemoveStream(beam.PTransform):
    """See the module's docstring; its fields are those of `RemoveBackgrounds`, and of the run's id
    what `run_of` gives."""

    remove: RemoveBackground
    dataset: DataSet
    on_existing: str
    compare_settings: bool
    since: Optional[float]
    window: float
    run_id: Any

    def __post_init__(self) -> None:
        super().__init__()
        check_data_set(self.dataset)

    def expand(self, pictures: beam.PCollection) -> beam.PCollection:
        columns = self.remove.columns()
        keying = beam.ParDo(KeyByName(self.remove.relative_to, os.getcwd()))
        keyed, nameless = (
            pictures
            | "Take URIs and sources" >> beam.Map(as_source).with_output_types(Source)
            | "Name outputs" >> keying.with_outputs(FAILURES, main="keyed")
        )
        looking = LookUp(
            remove=replace(self.remove),
            on_existing=self.on_existing,
            compares=self.compare_settings,
            since=self.since,
        )
        to_do, done, refused = (
            keyed
            | "Take names" >> beam.Map(_named).with_output_types(Source)
            | "Spread them over the workers" >> Spread()
            | "Leave what is done" >> beam.ParDo(looking).with_outputs(DONE, FAILURES, main="to do")
        )
        removed, failed = to_do | "Remove backgrounds" >> RemoveInPlace(self.remove)
        rows = (
            (nameless, refused)
            | "All refused" >> beam.Flatten()
            | "Rows of the refused" >> beam.Map(failed_outcome, columns)
        )
        outcomes = (removed, failed, done, rows) | "All outcomes" >> beam.Flatten()
        output, run, window = self.remove.output, self.run_id, self.window
        manifest = WriteWindows(output=output, run=run, window=window)
        _ = outcomes | "Write the manifest" >> manifest
        counts = WriteCounts(output=output, run=run, window=window)
        _ = outcomes | "Write the counts" >> counts
        return outcomes


def check_data_set(dataset: DataSet) -> None:
    """Raises `ValueError` for one that needs all names."""
    if dataset.is_sharded:
        raise ValueError(
            f"output_format={dataset.output_format!r}: pictures without an end can't be "
            "put into shards, which are planned from all names; write files, and make shards "
            "of the pictures that are there by a run over them"
        )
    if dataset.metadata == "csv":
        raise ValueError(
            "metadata='csv': pictures without an end have no table, which is written of all names; "
            "leave it out, and make the table of the pictures that are there by a run over them"
        )


def _named(keyed: Tuple[str, Source]) -> Source:
    name, source = keyed
    return source._replace(output_name=name)
