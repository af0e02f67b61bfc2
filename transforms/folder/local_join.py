"""Local join: inputs and an output folder -> what is to be done, and what is done, in one process.

In: inputs, lists, or those that failed last. Out: sources; on the tag `DONE` lists of the skipped
outcomes of those that are done; on `FAILURES` pairs of what names no picture, and of what is
refused. The functions that judge are those of `DistinctSources`, `SkipExisting` and
`FailedSources`: in place of Beam's shuffle `Groups` brings names, files and rows together, at less
memory and time where all runs in one process. Fails as reading the inputs, the folder and the
manifests does, and where there is no room for the names.
"""

import os
from dataclasses import dataclass
from typing import (
    TYPE_CHECKING,
    Any,
    Dict,
    Iterable,
    Iterator,
    List,
    NamedTuple,
    Optional,
    Tuple,
)

import apache_beam as beam
from apache_beam.pvalue import TaggedOutput

from .. import coders as coders
from ..elements import Facts, Outcome, Source
from ..runtime.grouping import Groups
from ..sources.columns import Columns
from ..sources.distinct import KeyByName, MergeOrRefuse
from ..sources.find import Named, found_here
from ..sources.sizes import Sizes
from ..store import members
from ..store.web import WebOptions
from . import earlier, existing
from .existing import DONE
from .manifest import BATCH_ROWS
from .resume import EarlierRow, OutputFile

if TYPE_CHECKING:
    from ..remove_background import RemoveBackground

Values = Dict[str, List[Tuple[Any, ...]]]


class Folder(NamedTuple):
    """What of a run says which files are a picture's, and what is done with it.

    Attributes:
      output: the output folder.
      ends: see `existing.outputs`.
      choice: see `existing.choose`.
    """

    output: str
    ends: existing.Ends
    choice: existing.Choice

    @classmethod
    def of(cls, remove: "RemoveBackground", on_existing: str) -> "Folder":
        choice = existing.Choice.of(remove, on_existing)
        return cls(remove.output, existing.Ends.of(remove), choice)


@beam.typehints.with_output_types(Source)
@dataclass(kw_only=True)
class JoinLocally(beam.DoFn):
    """See the module's docstring; takes one element, whatever it is, and since when outputs count.

    Attributes:
      folder: the output folder, and what is done there.
      named: what the job's inputs and lists name.
      columns, relative_to, retry_failed, web_options: of the job, as `RemoveBackgrounds` has them.
      sizes: where to add those that a listing says; None for nowhere.
    """

    folder: Folder
    named: Named
    columns: Columns
    relative_to: Optional[str]
    retry_failed: bool
    web_options: WebOptions
    sizes: Optional[Sizes] = None

    def __post_init__(self) -> None:
        # Of the process that builds the pipeline.
        self._keying = KeyByName(self.relative_to, os.getcwd())

    def process(self, _: Any, since: Optional[float]) -> Iterator[Any]:
        with Groups() as to_do:
            with Groups() as groups:
                yield from self._add_sources(groups)
                self._add_what_is_there(groups)
                yield from self._add_to_do(to_do, self._judged(groups, since))
            # All are found by now, and those that are done told, before work begins.
            for _, values in to_do:
                yield from map(Source._make, values["sources"])

    def _add_to_do(self, to_do: Groups, judged: Iterable[Any]) -> Iterator[TaggedOutput]:
        """Adds what is to be done; gives what is refused, and what is done in batches."""
        done: List[Outcome] = []
        for found in judged:
            if not isinstance(found, TaggedOutput):
                # Pictures of a shard as they lie there.
                key = members.order(found.uri) or found.output_name
                to_do.add("sources", key, tuple(found))
            elif found.tag != DONE:
                yield found
            elif len(done) < BATCH_ROWS - 1:
                done.append(found.value)
            else:
                yield TaggedOutput(DONE, [*done, found.value])
                done = []
        if done:
            yield TaggedOutput(DONE, done)

    def _add_sources(self, groups: Groups) -> Iterator[TaggedOutput]:
        """Adds the sources; gives what can't be one."""
        for found in self._found():
            for keyed in [found] if _is_failure(found) else self._keying.process(found):
                if _is_failure(keyed):
                    yield keyed
                else:
                    groups.add("sources", keyed[0], tuple(keyed[1]))

    def _found(self) -> Iterator[Any]:
        if self.retry_failed:
            yield from _failed_last(self.folder.output)
        yield from found_here(
            self.named,
            columns=self.columns,
            relative_to=self.relative_to,
            exclude=self.folder.output,
            sizes=self.sizes,
            web_options=self.web_options,
        )

    def _add_what_is_there(self, groups: Groups) -> None:
        output, ends, choice = self.folder
        if choice.on_existing == "overwrite":
            return
        for name, file in existing.outputs(output, ends):
            groups.add("files", name, tuple(file))
        if choice.on_existing == "fail":
            return
        for row in earlier.every_row(output):
            for name, (each,) in earlier.keyed_row(row):
                groups.add("rows", name, (*each[:-1], each.facts and tuple(each.facts)))

    def _judged(self, groups: Groups, since: Optional[float]) -> Iterator[Any]:
        merging, choice = MergeOrRefuse(), self.folder.choice
        for name, values in groups:
            sources = map(Source._make, values.get("sources", ()))
            for found in merging.process((name, sources)) if "sources" in values else ():
                if _is_failure(found) or choice.on_existing == "overwrite":
                    yield found
                else:
                    there = _what_is_there(values)
                    yield from existing.choose((name, {"sources": [found], **there}), choice, since)


def _what_is_there(values: Values) -> Dict[str, Iterable[Any]]:
    rows = [
        (EarlierRow._make((*value[:-1], value[-1] and Facts(*value[-1]))),)
        for value in values.get("rows", ())
    ]
    files = [OutputFile(*value) for value in values.get("files", ())]
    return {"files": files, "rows": [existing.last_of_each_kind(rows)]}


def _failed_last(output: str) -> Iterator[Source]:
    """As `FailedSources`."""
    with Groups() as groups:
        for row in earlier.every_row(output):
            for name, (when, again) in earlier.keyed_by_output(row):
                groups.add("rows", name, (when, again and tuple(again)))
        for name, values in groups:
            when, again = earlier.latest(values["rows"])
            yield from earlier.failed_last((name, (when, again and Source(*again))))


def _is_failure(found: Any) -> bool:
    return isinstance(found, TaggedOutput)
