"""A whole job: pictures in, cutouts and their rows under a folder, what is done left out.

    inputs, lists, or a PCollection -> one source per output -> not yet done -> RemoveBackground
        -> outcomes -> Parquet rows, counts

In: files, folders, globs, URIs and lists by name, or a bounded PCollection of URIs or sources. Out:
one `Outcome` for every picture, which is written as a row of the manifest, and counted in the
summary. Bad lines, folders that can't be listed, and pictures that would share an output are
outcomes as well. An input that matches nothing, or a list that can't be opened, fails the pipeline.
"""

import contextlib
from dataclasses import dataclass, replace
from typing import Any, List, NamedTuple, Optional, Sequence, Tuple, Union

import apache_beam as beam
from apache_beam.transforms.window import GlobalWindows

from .elements import Source, as_source
from .folder import record
from .folder.earlier import FailedSources
from .folder.existing import DONE, SkipExisting
from .folder.local_join import Folder, JoinLocally
from .folder.manifest import TakeMany, WritePacked, new_run_id, pack
from .folder.resume import ON_EXISTING
from .folder.summary import WriteSummary, summarize
from .remove_background import RemoveBackground, RemoveInPlace
from .runtime.failures import FAILURES, failed_outcome
from .setting import REQUIRED, check, documented, setting
from .sources.distinct import DistinctSources
from .sources.find import FindPictures, ReadLists
from .sources.lists import InputList
from .store import uris


class Judged(NamedTuple):
    """What becomes of all pictures, each in a list of PCollections.

    Attributes:
      removed: outcomes of what was to be done.
      failed: outcomes of what failed or was refused.
      done: lists of outcomes of what was done before.
    """

    removed: List[beam.PCollection]
    failed: List[beam.PCollection]
    done: List[beam.PCollection]


@documented
@dataclass(kw_only=True, eq=False)
class RemoveBackgrounds(beam.PTransform):
    """Removes the backgrounds of all pictures of a job, as the command does.

    Apply it to a pipeline, with `input`, `input_list` or `retry_failed`:

        pipeline | RemoveBackgrounds(
            remove=RemoveBackground(output="cutouts", session="u2net"), input=["photos"])

    or, without these, to a bounded PCollection of URIs (str) or `Source` records.
    """

    input: Sequence[str] = setting(
        (),
        "a picture, a folder (walked recursively), a glob ('**/' also matches no folder), a URI "
        "that Beam's FileSystems read, or an http(s) URL; repeats",
        kind="texts",
        metavar="URI",
    )
    input_list: Sequence[Union[str, InputList]] = setting(
        (),
        "a file with one URI or one JSON object (uri, name, extras, and columns of your own) per "
        "line, or - for standard input; repeats",
        kind="texts",
        metavar="FILE",
    )
    remove: RemoveBackground = setting(
        REQUIRED,
        "how a picture's background is removed, and where its cutout goes; an output is named "
        "relative to `remove.relative_to`, else to its input up to the first wildcard",
        kind=RemoveBackground,
    )
    on_existing: str = setting(
        "skip",
        "what is done about pictures whose output is there: skip (the default), overwrite or fail",
        choices=ON_EXISTING,
    )
    retry_failed: bool = setting(
        False, "take the pictures from the output folder's manifests: those that failed last"
    )
    compare_settings: bool = setting(
        True,
        "refuse a folder that was made with other settings, as the command does",
        more="when it is applied, if the folder is a local one, and when it runs, before the "
        "settings are written down for the next",
        flag=False,
    )
    since: Optional[float] = setting(
        None,
        "outputs written before are not done; in seconds since 1970 by the store's clock",
        more="None for what the comparison says, or if all in the folder were made with these "
        "settings",
        flag=False,
    )
    local_join: bool = setting(
        False,
        "compare the names of `input`, `input_list` or `retry_failed` with one another and with "
        "what is done in one process, whose disk holds them",
        more="less memory and time than Beam's shuffle takes where all runs in one process anyway",
        flag=False,
    )
    run_id: str = setting(
        "",
        "of the rows: letters, digits, `_`, `.` and `-`",
        more="that of a later run sorts later; a new one unless told",
        flag=False,
    )

    def __post_init__(self) -> None:
        super().__init__()
        for name in ("input", "input_list"):
            if isinstance(getattr(self, name), str):
                raise ValueError(f"{name}={getattr(self, name)!r} must be a list of them")
        check(self)
        self.run_id = self.run_id or new_run_id()
        if self.retry_failed and (self.input or self.input_list):
            raise ValueError("retry_failed takes its pictures from the rows, not from any input")
        if self.on_existing == "fail" and self.remove.overwrite:
            self.remove = replace(self.remove, overwrite=False)

    def expand(self, start: Any) -> beam.PCollection:
        outcomes, done = self.write(start)
        several = [each | "Rows of what is done" >> beam.FlatMap(iter) for each in done]
        return [*outcomes, *several] | "All outcomes" >> beam.Flatten()

    def write(self, start: Any) -> Tuple[List[beam.PCollection], List[beam.PCollection]]:
        """Writes files and rows; gives the outcomes, and lists of those of what was done before."""
        named = bool(self.input or self.input_list or self.retry_failed)
        if named == isinstance(start, beam.PCollection):
            raise ValueError(
                "apply RemoveBackgrounds to a PCollection of pictures, or to a pipeline with "
                "input, input_list or retry_failed"
            )
        since = self._since(start.pipeline)
        here = named and self.local_join
        removed, failed, done = (self._locally if here else self._by_shuffle)(start, since)
        outcomes = [*removed, failed | "All failed" >> beam.Flatten()]
        self._write_rows(outcomes, done)
        return outcomes, done

    def _locally(self, start: beam.Pipeline, since: Any) -> Judged:
        join = JoinLocally(
            folder=Folder.of(self.remove, self.on_existing),
            relative_to=self.remove.relative_to,
            input=self.input,
            input_list=self._lists(),
            retry_failed=self.retry_failed,
        )
        to_do, done, refused = (
            start
            | "Start" >> beam.Create([None], reshuffle=False)
            | "Find what is to be done"
            >> beam.ParDo(join, since).with_outputs(DONE, FAILURES, main="to do")
        )
        removed, failed = to_do | "Remove backgrounds" >> RemoveInPlace(self.remove)
        return Judged([removed], [failed, self._rows_of([refused])], [done])

    def _by_shuffle(self, start: Any, since: Any) -> Judged:
        sources, nameless = self._sources(start)
        to_do, clashing = sources | "One source per output" >> DistinctSources(
            relative_to=self.remove.relative_to
        )
        refused, done = [*nameless, clashing], []
        if self.on_existing != "overwrite":
            to_do, skipped, there = to_do | "Leave what is done" >> SkipExisting(
                remove=self.remove, on_existing=self.on_existing, since=since
            )
            done = [skipped | "Take many of what is done" >> TakeMany()]
            refused = [*refused, there]
        elif self.compare_settings:
            to_do = to_do | "Once the settings are there" >> beam.Map(_after, since)
        removed = to_do | "Remove backgrounds" >> self.remove
        return Judged([removed], [self._rows_of(refused)], done)

    def _rows_of(self, refused: List[beam.PCollection]) -> beam.PCollection:
        return (
            refused
            | "All refused" >> beam.Flatten()
            | "Rows of the refused" >> beam.Map(failed_outcome, self.remove.columns())
        )

    def _write_rows(self, outcomes: List[beam.PCollection], done: List[beam.PCollection]) -> None:
        """Each is packed and counted for itself: Beam's in-process runner writes down what it
        flattens."""
        packed, counted = [], []
        many = [each | f"Take many rows {i}" >> TakeMany() for i, each in enumerate(outcomes)]
        for number, batches in enumerate([*done, *many]):
            packed.append(batches | f"Pack rows {number}" >> beam.Map(pack))
            counted.append(batches | f"Count rows {number}" >> beam.Map(summarize))
        output, run = self.remove.output, self.run_id
        all_packed = packed | "All packed rows" >> beam.Flatten()
        _ = all_packed | "Write the manifest" >> WritePacked(output=output, run=run)
        all_counted = counted | "All counts" >> beam.Flatten()
        _ = all_counted | "Write the summary" >> WriteSummary(output=output, run=run)

    def _since(self, pipeline: beam.Pipeline) -> Any:
        """Since when outputs count, as workers get it; refuses a folder of other settings."""
        if not self.compare_settings:
            return self.since
        if uris.is_local(self.remove.output):  # building needs no network, and no credentials
            with contextlib.suppress(OSError):  # of a folder that workers alone can read
                record.compare(self.remove, self.on_existing)
        since = (
            pipeline
            | "The job" >> beam.Create([self.on_existing], reshuffle=False)
            | "Compare the settings" >> beam.Map(_remember, replace(self.remove), self.since)
        )
        return beam.pvalue.AsSingleton(since)

    def _sources(self, start: Any) -> Tuple[beam.PCollection, List[beam.PCollection]]:
        """The sources, and what names none: bad lines, folders that can't be listed."""
        if isinstance(start, beam.PCollection):
            taken = (
                start
                | "Of all windows" >> beam.WindowInto(GlobalWindows())
                | "Take URIs and sources" >> beam.Map(as_source).with_output_types(Source)
            )
            return taken, []
        if self.retry_failed:
            return start | "Those that failed" >> FailedSources(self.remove.output), []
        pairs = [
            *([self._found(start)] if self.input else []),
            *([self._listed(start)] if self.input_list else []),
        ]
        sources = [found for found, _ in pairs] | "All sources" >> beam.Flatten()
        return sources, [nameless for _, nameless in pairs]

    def _found(self, start: Any) -> Any:
        """The sources of the inputs, and the folders that can't be listed."""
        find = FindPictures(names=self.remove.relative_to is None, exclude=self.remove.output)
        return (
            start
            | "Inputs" >> beam.Create(self.input).with_output_types(str)
            | "Find pictures" >> beam.ParDo(find).with_outputs(FAILURES, main="found")
        )

    def _listed(self, start: Any) -> Any:
        """The sources of the lists, and the lines that name none."""
        return (
            start
            | "Lists" >> beam.Create(self._lists()).with_output_types(InputList)
            | "Read lists" >> beam.ParDo(ReadLists()).with_outputs(FAILURES, main="listed")
        )

    def _lists(self) -> List[InputList]:
        return [InputList(uri, uri) if isinstance(uri, str) else uri for uri in self.input_list]


@dataclass(kw_only=True, eq=False)
class WriteFilesAndRows(beam.PTransform):
    """The same, for whoever wants the files and the rows alone.

    No outcomes come out, which Beam's in-process runner would keep, whether or not a step takes
    them.
    """

    job: RemoveBackgrounds

    def __post_init__(self) -> None:
        super().__init__()

    def expand(self, start: Any) -> beam.pvalue.PDone:
        self.job.write(start)
        return beam.pvalue.PDone(start.pipeline)


def _remember(
    on_existing: str, remove: RemoveBackground, since: Optional[float]
) -> Optional[float]:
    found = record.remember(remove, on_existing).since
    return max((each for each in (since, found) if each is not None), default=None)


def _after(source: Source, _: Any) -> Source:
    return source
