"""The composite: URIs in, cutouts under a folder, one `Outcome` per element out.

    URIs -> reshuffle -> read -> remove -> write -> outcomes
                            \\       \\        \\
                             `-------`--------`--> the failed ones' outcomes

Only URIs cross the shuffle; the three steps are fused behind it. Everything a worker could refuse
because of a setting is refused here, while the pipeline is built, with `ValueError`.
"""

from dataclasses import dataclass
from typing import Any, Dict, Optional, Tuple, Union

import apache_beam as beam

from . import read, write
from .cascade import Cascade
from .elements import Source, as_source, to_json
from .engine import PictureLimits
from .models import sessions
from .models.config import SessionConfig
from .outcomes import RunColumns
from .pictures.encode import Encoding
from .pictures.options import RemoveOptions
from .pictures.postprocessing import PostProcessing
from .pictures.suspect import Suspicion
from .read import ReadPictures
from .rembg_dofn import RemBGDoFn, RemoveSettings, step_of
from .runtime.failures import FAILURES, failed_outcome
from .runtime.metrics import count_outcome
from .setting import REQUIRED, changed, check, documented, same_setting, setting
from .sources.spread import Spread
from .store import uris
from .store.web import WebOptions
from .write import WriteCutouts


@documented
@dataclass(kw_only=True, eq=False)
class RemoveBackground(beam.PTransform):
    """Removes the backgrounds of a PCollection of URIs.

    The input's elements are URIs (str) or `Source` records, bounded or not; window, timestamp and
    pane of each are those of its outcome. (An element in several sliding windows is processed once
    for each: window the outcomes instead.)
    """

    output: str = setting(
        REQUIRED,
        "the folder for the cutouts and their manifest",
        more="a local path or a URI of Beam's FileSystems",
        metavar="URI",
    )
    relative_to: Optional[str] = setting(
        None,
        "the folder that outputs are named relative to; default: the part of each --input before "
        "its first wildcard, and the whole path for --input_list",
        more="in Python by default the whole path; a `Source` with a name goes by that",
        metavar="URI",
    )
    session: Union[SessionConfig, str] = same_setting(RemoveSettings, "session")
    options: RemoveOptions = same_setting(RemoveSettings, "options")
    encoding: Encoding = same_setting(RemoveSettings, "encoding")
    read_threads: int = setting(
        read.THREADS,
        f"files read at once in a process, default {read.THREADS}; raise it for slow storage, each "
        "holds one compressed picture",
        minimum=1,
    )
    remove_threads: Optional[int] = same_setting(RemoveSettings, "remove_threads")
    write_threads: int = setting(
        write.THREADS,
        f"files written at once in a process, default {write.THREADS}; raise it for slow storage, "
        "each holds one compressed cutout",
        minimum=1,
    )
    max_memory: Optional[int] = same_setting(PictureLimits, "max_memory")
    max_bytes: int = setting(
        read.MAX_BYTES,
        "a larger file is a failure; default 100MB",
        more="seen before it is read whole",
        kind="bytes",
        minimum=1,
    )
    max_pixels: int = same_setting(PictureLimits, "max_pixels")
    max_picture_seconds: float = same_setting(PictureLimits, "max_picture_seconds")
    suspicion: Suspicion = same_setting(RemoveSettings, "suspicion")
    postprocessing: PostProcessing = same_setting(RemoveSettings, "postprocessing")
    facts: Optional[Tuple[str, ...]] = same_setting(RemoveSettings, "facts")
    cascade: Cascade = same_setting(RemoveSettings, "cascade")
    web_options: WebOptions = setting(
        WebOptions(),
        "how pictures are fetched from http(s), and from which hosts they may be",
        kind=WebOptions,
    )
    overwrite: bool = setting(
        True,
        "replace files of the outputs' names; if False, other bytes there are a failure",
        flag=False,
    )
    opener: sessions.Opener = same_setting(RemoveSettings, "opener")

    def __post_init__(self) -> None:
        super().__init__()
        if isinstance(self.session, str):
            self.session = SessionConfig(self.session)
        check(self)
        if not self.output:
            raise ValueError("output is empty; name the folder for the cutouts")
        if uris.is_web(self.output):
            raise ValueError(
                f"output={uris.without_secrets(self.output)!r}: http and https can't be written "
                "to; name a folder, local or of a file system such as gs://"
            )
        step_of(self)  # which refuses what makes no sense together, before any worker does

    @property
    def config(self) -> SessionConfig:
        """Its session's, a model's name made into one."""
        assert isinstance(self.session, SessionConfig)
        return self.session

    def columns(self) -> RunColumns:
        """What all its rows have in common."""
        return RunColumns(self.config.model, to_json(self.changed()))

    def changed(self) -> Dict[str, Any]:
        """The settings on which its pixels depend that differ from their defaults, but for the
        model's."""
        doubts = (self.suspicion,) if self.cascade.cascade else ()
        own = changed(self.options, self.encoding, self.cascade, *doubts)
        return {**own, **self.postprocessing.changed()}

    def expand(self, pictures: beam.PCollection) -> beam.PCollection:
        sources = (
            pictures
            | "Take URIs and sources" >> beam.Map(as_source).with_output_types(Source)
            | "Spread them over the workers" >> Spread()
        )
        return self.outcomes(sources) | "Gather outcomes" >> beam.Flatten()

    def outcomes(self, sources: beam.PCollection) -> Tuple[beam.PCollection, beam.PCollection]:
        """The outcomes of sources that are spread, and those of their failures."""
        columns = self.columns()
        read_pictures, remove_backgrounds, write_cutouts = self.steps(columns)
        stored, unread = sources | "Read pictures" >> beam.ParDo(read_pictures).with_outputs(
            FAILURES, main="stored"
        )
        cutouts, unremoved = stored | "Remove backgrounds" >> beam.ParDo(
            remove_backgrounds
        ).with_outputs(FAILURES, main="cutouts")
        outcomes, unwritten = cutouts | "Write cutouts" >> beam.ParDo(write_cutouts).with_outputs(
            FAILURES, main="outcomes"
        )
        failures = (
            (unread, unremoved, unwritten)
            | "Gather failures" >> beam.Flatten()
            | "Make rows of failures" >> beam.Map(failed_outcome, columns)
        )
        counted = outcomes | "Count the written" >> beam.Map(count_outcome)
        return counted, failures

    def steps(self, columns: RunColumns) -> Tuple[ReadPictures, RemBGDoFn, WriteCutouts]:
        """What is done with a source, one after the other; all rows have these columns."""
        read_pictures = ReadPictures(
            threads=self.read_threads,
            max_memory=self.max_memory,
            max_bytes=self.max_bytes,
            web_options=self.web_options,
        )
        write_cutouts = WriteCutouts(
            output=self.output,
            relative_to=self.relative_to,
            threads=self.write_threads,
            max_memory=self.max_memory,
            overwrite=self.overwrite,
            columns=columns,
        )
        return read_pictures, step_of(self, self.web_options), write_cutouts


class RemoveInPlace(beam.PTransform):
    """The same without a shuffle, where one process finds the sources and does all of them.

    Args:
      remove: how it is done.

    Returns:
      A pair of PCollections: outcomes, and those of failures.
    """

    def __init__(self, remove: RemoveBackground) -> None:
        super().__init__()
        self.remove = remove

    def expand(self, sources: beam.PCollection) -> Any:
        return self.remove.outcomes(sources)
