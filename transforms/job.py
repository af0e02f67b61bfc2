"""A whole job: pictures in, cutouts and their rows under a folder, what is done left out.

    inputs, lists, or a PCollection -> one source per output -> not yet done -> RemoveBackground
        -> outcomes -> Parquet rows, counts

In: files, folders, globs, URIs and lists by name, or a bounded PCollection of URIs or sources. Out:
one `Outcome` for every picture, which `WriteManifest` and `WriteSummary` have written too. Bad
lines, folders that can't be listed, and pictures that would share an output are outcomes as well.
An input that matches nothing, or a list that can't be opened, fails the pipeline.
"""

import contextlib
from dataclasses import dataclass, replace
from typing import Any, List, Optional, Sequence, Tuple, Union

import apache_beam as beam
from apache_beam.transforms.window import GlobalWindows

from .elements import Source, as_source
from .folder import record
from .folder.earlier import FailedSources
from .folder.existing import SkipExisting
from .folder.manifest import WriteManifest, new_run_id
from .folder.resume import ON_EXISTING
from .folder.summary import WriteSummary
from .remove_background import RemoveBackground
from .runtime.failures import FAILURES, failed_outcome
from .setting import REQUIRED, check, documented, setting
from .sources.distinct import DistinctSources
from .sources.find import FindPictures, ReadLists
from .sources.lists import InputList
from .store import uris


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
        sources, nameless = self._sources(start)
        to_do, clashing = sources | "One source per output" >> DistinctSources(
            relative_to=self.remove.relative_to
        )
        done, refused, since = [], [*nameless, clashing], self._since(sources.pipeline)
        if self.on_existing != "overwrite":
            to_do, skipped, there = to_do | "Leave what is done" >> SkipExisting(
                remove=self.remove, on_existing=self.on_existing, since=since
            )
            done, refused = [skipped], [*refused, there]
        elif self.compare_settings:
            to_do = to_do | "Once the settings are there" >> beam.Map(_after, since)
        removed = to_do | "Remove backgrounds" >> self.remove
        failed = (
            refused
            | "All refused" >> beam.Flatten()
            | "Rows of the refused" >> beam.Map(failed_outcome, self.remove.columns())
        )
        outcomes = (removed, failed, *done) | "All outcomes" >> beam.Flatten()
        output, run_id = self.remove.output, self.run_id
        _ = outcomes | "Write the manifest" >> WriteManifest(output=output, run=run_id)
        _ = outcomes | "Write the summary" >> WriteSummary(output=output, run=run_id)
        return outcomes

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
        named = bool(self.input or self.input_list or self.retry_failed)
        if named == isinstance(start, beam.PCollection):
            raise ValueError(
                "apply RemoveBackgrounds to a PCollection of pictures, or to a pipeline with "
                "input, input_list or retry_failed"
            )
        if not named:
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
        lists = [InputList(uri, uri) if isinstance(uri, str) else uri for uri in self.input_list]
        return (
            start
            | "Lists" >> beam.Create(lists).with_output_types(InputList)
            | "Read lists" >> beam.ParDo(ReadLists()).with_outputs(FAILURES, main="listed")
        )


def _remember(
    on_existing: str, remove: RemoveBackground, since: Optional[float]
) -> Optional[float]:
    found = record.remember(remove, on_existing).since
    return max((each for each in (since, found) if each is not None), default=None)


def _after(source: Source, _: Any) -> Source:
    return source
