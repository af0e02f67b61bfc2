"""The composite: URIs in, cutouts under a folder, one `Outcome` per element out.

    URIs -> reshuffle -> read -> remove -> write -> outcomes
                            \\       \\        \\
                             `-------`--------`--> the failed ones' outcomes

Only URIs cross the shuffle; the three steps are fused behind it. Everything a worker could refuse
because of a setting is refused here, while the pipeline is built, with `ValueError`.
"""

from dataclasses import dataclass, field, fields
from typing import Any, Dict, Optional, Tuple, Union

import apache_beam as beam

from . import read, write
from .elements import RunColumns, Source, as_source, to_json
from .engine import check_count, check_encoding, check_seconds
from .models import sessions
from .models.config import SessionConfig
from .models.opening import open_session
from .outcomes import FailedOutcomes, count_outcome
from .pictures.decode import MAX_PIXELS
from .pictures.encode import Encoding
from .pictures.options import RemoveOptions
from .read import ReadPictures
from .rembg_dofn import RemBGDoFn
from .runtime import slow
from .runtime.failures import FAILURES
from .store import uris
from .store.web import WebOptions
from .write import WriteCutouts

_COUNTS = (
    *("read_threads", "remove_threads", "write_threads"),
    *("max_memory", "max_bytes", "max_pixels"),
)


@dataclass(kw_only=True, eq=False)
class RemoveBackground(beam.PTransform):
    """Removes the backgrounds of a PCollection of URIs.

    The input's elements are URIs (str) or `Source` records, bounded or not; window, timestamp and
    pane of each are those of its outcome. (An element in several sliding windows is processed once
    for each: window the outcomes instead.)

    Attributes:
      output: the output folder, a local path or a URI of Beam's FileSystems.
      session: which model runs on which provider: a `SessionConfig`, or a model's name for the CPU.
      options: arguments of `rembg.remove` for every picture.
      encoding: of the outputs.
      relative_to: the folder that outputs are named relative to; None for the whole path. A
        `Source` with a name goes by that.
      read_threads, write_threads: files in flight at once in a process; raise them for storage
        with a long latency, at the cost of memory for that many compressed pictures.
      remove_threads: pictures in work at once in a process; see `RemBGDoFn`.
      max_memory: bytes of pictures in flight in a process, compressed and decoded, the model's own
        memory left out; None for half of what the process may use. A picture that needs more than
        that is worked on alone. Raise it if threads wait for memory that is there; lower it where
        several processes share a machine.
      max_bytes, max_pixels: a larger file or picture is a failure; seen before it is read whole, or
        decoded.
      max_picture_seconds: a picture in work for longer is named in the log meanwhile; it goes on.
      web_options: how pictures are fetched from http(s), and from which hosts they may be.
      overwrite: replace files of the outputs' names; if False, other bytes there are a failure.
      opener: makes a session of a configuration; a test may give its own.
    """

    output: str
    session: Union[SessionConfig, str]
    options: RemoveOptions = field(default_factory=RemoveOptions)
    encoding: Encoding = field(default_factory=Encoding)
    relative_to: Optional[str] = None
    read_threads: int = read.THREADS
    remove_threads: Optional[int] = None
    write_threads: int = write.THREADS
    max_memory: Optional[int] = None
    max_bytes: int = read.MAX_BYTES
    max_pixels: int = MAX_PIXELS
    max_picture_seconds: float = slow.SECONDS
    web_options: WebOptions = field(default_factory=WebOptions)
    overwrite: bool = True
    opener: sessions.Opener = open_session

    def __post_init__(self) -> None:
        super().__init__()
        if isinstance(self.session, str):
            self.session = SessionConfig(self.session)
        if not self.output:
            raise ValueError("output is empty; name the folder for the cutouts")
        if uris.is_web(self.output):
            raise ValueError(
                f"output={uris.without_secrets(self.output)!r}: http and https can't be written "
                "to; name a folder, local or of a file system such as gs://"
            )
        check_encoding(self.options, self.encoding)
        check_seconds(self.max_picture_seconds)
        for name in _COUNTS:
            check_count(name, getattr(self, name))

    def columns(self) -> RunColumns:
        """What all its rows have in common."""
        assert isinstance(self.session, SessionConfig)
        return RunColumns(self.session.model, to_json(changed(self.options, self.encoding)))

    def expand(self, pictures: beam.PCollection) -> beam.PCollection:
        columns = self.columns()
        read_pictures, remove_backgrounds, write_cutouts = self._steps(columns)
        stored, unread = (
            pictures
            | "Take URIs and sources" >> beam.Map(as_source).with_output_types(Source)
            | "Spread them over the workers" >> beam.Reshuffle()
            | "Read pictures" >> beam.ParDo(read_pictures).with_outputs(FAILURES, main="stored")
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
            | "Make rows of failures" >> FailedOutcomes(columns)
        )
        counted = outcomes | "Count the written" >> beam.Map(count_outcome)
        return (counted, failures) | "Gather outcomes" >> beam.Flatten()

    def _steps(self, columns: RunColumns) -> Tuple[ReadPictures, RemBGDoFn, WriteCutouts]:
        assert isinstance(self.session, SessionConfig)
        read_pictures = ReadPictures(
            threads=self.read_threads,
            max_memory=self.max_memory,
            max_bytes=self.max_bytes,
            web_options=self.web_options,
        )
        remove_backgrounds = RemBGDoFn(
            self.session,
            options=self.options,
            encoding=self.encoding,
            threads=self.remove_threads,
            max_memory=self.max_memory,
            max_pixels=self.max_pixels,
            max_picture_seconds=self.max_picture_seconds,
            opener=self.opener,
        )
        write_cutouts = WriteCutouts(
            output=self.output,
            encoding=self.encoding,
            relative_to=self.relative_to,
            threads=self.write_threads,
            max_memory=self.max_memory,
            overwrite=self.overwrite,
            columns=columns,
        )
        return read_pictures, remove_backgrounds, write_cutouts


def changed(*settings: Any) -> Dict[str, Any]:
    """The fields of dataclasses that differ from their defaults, as JSON has them.

    >>> changed(RemoveOptions(putalpha=True), Encoding(format="webp"))
    {'putalpha': True, 'format': 'webp'}
    """
    found: Dict[str, Any] = {}
    for each in settings:
        own = {field.name: getattr(each, field.name) for field in fields(each)}
        default = type(each)()
        found |= {name: value for name, value in own.items() if value != getattr(default, name)}
    return found
