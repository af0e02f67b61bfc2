"""A whole job: pictures in, cutouts and their rows under a folder, what is done left out.

    inputs, lists, or a PCollection -> one source per output -> not yet done -> RemoveBackground
        -> outcomes -> Parquet rows, counts

In: files, folders, globs, URIs and lists by name, or a PCollection of URIs or sources. Out: one
`Outcome` per picture, which is written as a row of the manifest and counted in the summary. Bad
lines, folders that can't be listed, and pictures that would share an output are outcomes, too. An
input that matches nothing, or a list that can't be opened, fails the pipeline. A PCollection
without an end is done as `stream` says.
"""

import contextlib
from dataclasses import dataclass, fields, replace
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple, Union

import apache_beam as beam
from apache_beam.transforms.window import GlobalWindows

from .elements import Source, as_source
from .folder import record
from .folder.earlier import FailedSources
from .folder.existing import DONE, Choice, SkipExisting
from .folder.local_join import Folder, JoinLocally
from .folder.manifest import TakeMany, WriteManifest, WritePacked, new_run_id, pack, run_of
from .folder.resume import ON_EXISTING
from .folder.summary import WriteSummary, summarize
from .make_shards import Job, WriteShards
from .outputs.metadata import WriteMetadata
from .outputs.options import DataSet
from .outputs.parts import of_samples
from .outputs.plan import ORPHANS, PlanLocally, PlanShards, Rules
from .remove_background import RemoveBackground, RemoveInPlace
from .runtime.failures import FAILURES, failed_outcome
from .setting import REQUIRED, check, documented, same_setting, setting
from .sources.columns import Columns
from .sources.distinct import DistinctSources
from .sources.find import Named
from .sources.lists import InputList
from .sources.read_sources import ReadSources
from .sources.watch import Watch
from .store import uris
from .stream import RemoveStream, check_data_set


class Judged(NamedTuple):
    """What becomes of all pictures, each in a list of PCollections.

    Attributes:
      removed: outcomes of what was to be done.
      failed: outcomes of what failed or was refused.
      done: lists of outcomes of what was done before.
      in_shards: outcomes whose rows are written already.
    """

    removed: List[beam.PCollection]
    failed: List[beam.PCollection]
    done: List[beam.PCollection]
    in_shards: Sequence[beam.PCollection] = ()


@documented
@dataclass(kw_only=True, eq=False)
class RemoveBackgrounds(beam.PTransform):
    """Removes the backgrounds of all pictures of a job, as the command does.

    Apply it to a pipeline, with `input`, `input_list` or `retry_failed`:

        pipeline | RemoveBackgrounds(
            remove=RemoveBackground(output="cutouts", session="u2net"), input=["photos"])

    or, without these, to a PCollection of URIs (str) or `Source` records, bounded or not.
    """

    input: Sequence[str] = same_setting(ReadSources, "input")
    input_list: Sequence[Union[str, InputList]] = same_setting(ReadSources, "input_list")
    columns: Columns = same_setting(ReadSources, "columns")
    remove: RemoveBackground = setting(
        REQUIRED,
        "how a picture's background is removed, and where its cutout goes; an output is named "
        "relative to `remove.relative_to`, else to its input up to the first wildcard",
        kind=RemoveBackground,
    )
    dataset: DataSet = setting(DataSet(), "how outputs lie in the output folder", kind=DataSet)
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
    watch: Optional[float] = setting(
        None,
        "look at the inputs again and again, after so much time (30s), for pictures that are new "
        "or changed, until the run is stopped; needs an engine for streams, such as PrismRunner",
        kind="seconds",
        minimum=1,
        metavar="TIME",
    )
    window: float = same_setting(WriteManifest, "window")
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
        more="that of a later run sorts later; a new one unless told, of each launch of a template",
        flag=False,
    )

    def __post_init__(self) -> None:
        super().__init__()
        check(self)
        self._named = Named.of(self.input, self.input_list)
        self._is_told, self.run_id = bool(self.run_id), self.run_id or new_run_id()
        if self.retry_failed and (self.input or self.input_list):
            raise ValueError("retry_failed takes its pictures from the rows, not from any input")
        if self.watch and (self.input_list or not self.input or any(self._named.queries)):
            raise ValueError(
                "watch looks at folders and globs again and again: name them by input alone, "
                "without lists and queries, which are read once"
            )
        if self.watch:
            check_data_set(self.dataset)
        if self.on_existing == "fail" and self.remove.overwrite:
            self.remove = replace(self.remove, overwrite=False)
        if self.dataset.is_sharded:
            self.remove = replace(self.remove, options=of_samples(self.remove.options))

    def expand(self, start: Any) -> beam.PCollection:
        outcomes, done = self.write(start)
        outcomes += [each | "Rows of what is done" >> beam.FlatMap(iter) for each in done]
        return outcomes | "All outcomes" >> beam.Flatten()

    def write(self, start: Any) -> Tuple[List[beam.PCollection], List[beam.PCollection]]:
        """Writes files and rows; gives the outcomes, and lists of those of what was done before."""
        named = bool(self.input or self.input_list or self.retry_failed)
        if named == isinstance(start, beam.PCollection):
            raise ValueError(
                "apply RemoveBackgrounds to a PCollection of pictures, or to a pipeline with "
                "input, input_list or retry_failed"
            )
        run = run_of(start.pipeline, self.run_id, self._is_told)
        if self.watch or not (named or start.is_bounded):
            return [self._without_end(start, run)], []
        since = self._since(start.pipeline)
        here = named and self.local_join and not self._named.queries
        if self.dataset.is_sharded:
            judged = self._in_shards(start, since, here, run)
        else:
            judged = (self._locally if here else self._by_shuffle)(start, since)
        removed, failed, done, in_shards = judged
        outcomes = [*removed, failed | "All failed" >> beam.Flatten()]
        self._write_rows(outcomes, done, in_shards, run)
        return [*outcomes, *in_shards], done

    def _without_end(self, start: Any, run: Any) -> beam.PCollection:
        self._compare_here()
        said = {each.name: getattr(self, each.name) for each in fields(RemoveStream)}
        stream = RemoveStream(**{**said, "run_id": run})
        if self.watch:
            about = {"relative_to": self.remove.relative_to, "exclude": self.remove.output}
            start = start | "Watch" >> Watch(self.input, self.watch, **about)
        return start | "Stream" >> stream

    def _locally(self, start: beam.Pipeline, since: Any) -> Judged:
        finding = beam.ParDo(self.finding(), since)
        to_do, done, refused = (
            start
            | "Start" >> beam.Create([None], reshuffle=False)
            | "Find what is to be done" >> finding.with_outputs(DONE, FAILURES, main="to do")
        )
        removed, failed = to_do | "Remove backgrounds" >> RemoveInPlace(self.remove)
        return Judged([removed], [failed, self._rows_of([refused])], [done])

    def finding(self) -> Union[JoinLocally, PlanLocally]:
        """The step that finds in one process what is to be done; queries are left out."""
        sharded = self.dataset.is_sharded
        join = JoinLocally(
            folder=Folder.of(self.remove, "overwrite" if sharded else self.on_existing),
            named=self._named,
            columns=self.columns,
            relative_to=self.remove.relative_to,
            retry_failed=self.retry_failed,
            web_options=self.remove.web_options,
        )
        return PlanLocally(join=join, rules=self._rules()) if sharded else join

    def _rules(self) -> Rules:
        choice = Choice.of(self.remove, self.on_existing)
        return Rules.of(self.remove, self.dataset, choice, self.retry_failed)

    def _in_shards(self, start: Any, since: Any, here: bool, run: Any) -> Judged:
        refused: List[beam.PCollection] = []
        if here:
            planning = beam.ParDo(self.finding(), since)
            planned = (
                start
                | "Start" >> beam.Create([None], reshuffle=False)
                | "Plan shards" >> planning.with_outputs(DONE, FAILURES, ORPHANS, main="to do")
            )
        else:
            distinct, refused = self._distinct(start)
            planned = distinct | "Plan shards" >> PlanShards(rules=self._rules(), since=since)
        job = Job(replace(self.remove), self.dataset, self.remove.columns())
        made = (planned["to do"], planned[ORPHANS]) | "Make shards" >> WriteShards(job, run)
        failed = self._rows_of([*refused, planned[FAILURES]])
        return Judged([], [failed], [planned[DONE]], [made])

    def _distinct(self, start: Any) -> Tuple[beam.PCollection, List[beam.PCollection]]:
        """One source for each output, and what has none."""
        sources, nameless = self._sources(start)
        distinct, clashing = sources | "One source per output" >> DistinctSources(
            relative_to=self.remove.relative_to
        )
        return distinct, [*nameless, clashing]

    def _by_shuffle(self, start: Any, since: Any) -> Judged:
        to_do, refused = self._distinct(start)
        done = []
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

    def _write_rows(
        self,
        outcomes: List[beam.PCollection],
        done: List[beam.PCollection],
        in_shards: Sequence[beam.PCollection],
        run: Any,
    ) -> None:
        """Each is packed and counted for itself: Beam's in-process runner writes down what it
        flattens."""
        packed, counted = [], []
        many = [each | f"Take many rows {i}" >> TakeMany() for i, each in enumerate(outcomes)]
        for number, batches in enumerate([*done, *many]):
            packed.append(batches | f"Pack rows {number}" >> beam.Map(pack))
            counted.append(batches | f"Count rows {number}" >> beam.Map(summarize))
        for made in in_shards:
            batches = made | "Take many rows of shards" >> TakeMany()
            counted.append(batches | "Count rows of shards" >> beam.Map(summarize))
        output = self.remove.output
        all_packed = packed | "All packed rows" >> beam.Flatten()
        manifests = all_packed | "Write the manifest" >> WritePacked(output=output, run=run)
        if self.dataset.has_metadata:
            _ = manifests | "Write the metadata" >> WriteMetadata(output, self.dataset.metadata)
        all_counted = counted | "All counts" >> beam.Flatten()
        _ = all_counted | "Write the summary" >> WriteSummary(output=output, run=run)

    def _since(self, pipeline: beam.Pipeline) -> Any:
        """Since when outputs count, as workers get it; refuses a folder of other settings."""
        if not self.compare_settings:
            return self.since
        self._compare_here()
        since = (
            pipeline
            | "The job" >> beam.Create([self.on_existing], reshuffle=False)
            | "Compare the settings"
            >> beam.Map(_remember, replace(self.remove), self.dataset.recorded(), self.since)
        )
        return beam.pvalue.AsSingleton(since)

    def _compare_here(self) -> None:
        if self.compare_settings and uris.is_local(self.remove.output):  # else it needs credentials
            with contextlib.suppress(OSError):  # of a folder that workers alone can read
                record.compare(self.remove, self.on_existing, self.dataset.recorded())

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
        reading = ReadSources(
            input=self.input,
            input_list=self.input_list,
            columns=self.columns,
            relative_to=self.remove.relative_to,
            exclude=self.remove.output,
            web_options=self.remove.web_options,
        )
        sources, nameless = reading.read(start)
        return sources, [nameless]


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
    on_existing: str, remove: RemoveBackground, more: Dict[str, Any], since: Optional[float]
) -> Optional[float]:
    found = record.remember(remove, on_existing, more).since
    return max((each for each in (since, found) if each is not None), default=None)


def _after(source: Source, _: Any) -> Source:
    return source
