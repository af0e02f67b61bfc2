"""Remove: `(key, bytes)` -> `(key, Cutout)`.

In: pairs of any key and a picture's encoded bytes, or a `Stored` with rembg arguments of its own.
Out: the key with its `Cutout`. A picture that can't be decoded, or that the model or the encoder
refuses, comes out as `(key, Failure)` on the tag `FAILURES`; its neighbours don't notice.

`setup()` fails, and with it the pipeline, when no session can be made: no onnxruntime, no model
file, or a provider that is not in use.
"""

import json
import threading
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Tuple, TypeVar, Union

import apache_beam as beam
from apache_beam.pvalue import TaggedOutput

from .elements import Cutout, Facts, Failure, Part, Stored, merged, size_of
from .models import catalogue, matting, runs, sessions
from .models.config import SessionConfig
from .models.opening import Loaded, open_session
from .models.providers import CPU
from .pictures import foreground
from .pictures.cutout import cut_out, masks_of
from .pictures.decode import MAX_PIXELS, decode, open_picture
from .pictures.encode import Encoding, encode
from .pictures.masks import EmptyMask, check_mask, foreground_share
from .pictures.options import RemoveOptions
from .pictures.picture import Picture
from .runtime import memory, metrics, slow
from .runtime.concurrency import ConcurrentDoFn
from .runtime.failures import attempt
from .setting import Setting
from .store import uris

STEP = "remove"
FAILURES = "failures"

# In place of a provider's name, for a model that is a service.
REMOTE = "remote"

K = TypeVar("K")


class Removed(NamedTuple):
    """A cutout, and the lease of the memory it takes."""

    cutout: Cutout
    lease: memory.Lease


@beam.typehints.with_input_types(Tuple[K, Union[bytes, Stored]])
@beam.typehints.with_output_types(Tuple[K, Cutout])
class RemBGDoFn(ConcurrentDoFn[Tuple[Any, Union[bytes, Stored]], Union[Removed, Failure]]):
    """Removes backgrounds with one rembg session per process.

    Use it with its failures:

        cutouts, failures = pairs | beam.ParDo(RemBGDoFn(SessionConfig("u2net"))).with_outputs(
            RemBGDoFn.FAILURES, main="cutouts")

    Args:
      session: which model runs on which provider.
      options: arguments of `rembg.remove` for every picture.
      encoding: of the cutouts.
      threads: pictures in work at once in a process; None for `default_threads`. Each costs the
        memory of a decoded picture and an inference.
      max_memory: bytes of pictures in flight in a process, compressed and decoded; None for half
        of what the process may use. A picture that needs more is worked on alone.
      max_pixels: a larger picture is a failure, seen before it is decoded.
      max_picture_seconds: a picture in work for longer is named in the log meanwhile; it goes on.
      opener: makes a session of a configuration; a test may give its own.
    """

    FAILURES = FAILURES

    def __init__(
        self,
        session: SessionConfig,
        *,
        options: Optional[RemoveOptions] = None,
        encoding: Optional[Encoding] = None,
        threads: Optional[int] = None,
        max_memory: Optional[int] = None,
        max_pixels: int = MAX_PIXELS,
        max_picture_seconds: float = slow.SECONDS,
        opener: sessions.Opener = open_session,
    ) -> None:
        super().__init__(STEP, threads or 0)
        self.session = session
        self.options = options or RemoveOptions()
        self.encoding = encoding or Encoding()
        self.max_memory = max_memory
        self.max_pixels = max_pixels
        self.max_picture_seconds = max_picture_seconds
        self.opener = opener
        check_encoding(self.options, self.encoding)
        for name, value in (("threads", threads), ("max_memory", max_memory)):
            Setting("", kind="integer", minimum=1, name=name).check(value)
        Setting("", kind="number", above=0, name="max_picture_seconds", default=slow.SECONDS).check(
            max_picture_seconds
        )
        self._model = catalogue.find(session.model)
        if self._model.is_matting:
            raise ValueError(f"{session.model} only refines the masks of another model")
        self._held: Dict[SessionConfig, Loaded] = {}
        self._holding: Optional[threading.Lock] = None

    def setup(self) -> None:
        memory.budget(self.max_memory)
        self._holding = threading.Lock()
        loaded = self._hold(self.session)
        self.threads = self.threads or default_threads(loaded)
        if self.options.uses_pymatting():
            foreground.prepare()
        if self.options.vitmatte:
            self._hold(self.session.matting(self.options.vitmatte_model))

    def teardown(self) -> None:
        for config in self._held:
            sessions.release(config, self.opener)
        self._held = {}

    def _hold(self, config: SessionConfig) -> Loaded:
        """The session of a configuration, held until `teardown`."""
        assert self._holding is not None
        with self._holding:
            if config not in self._held:
                self._held[config] = sessions.acquire(config, self.opener)
            return self._held[config]

    def lease(self, element: Tuple[Any, Union[bytes, Stored]]) -> memory.Lease:
        return memory.budget().hold(memory.READ, len(_data(element[1])), wait=False)

    def work(self, element: Tuple[Any, Union[bytes, Stored]]) -> Union[Removed, Failure]:
        return attempt(STEP, self._remove, *element)

    def emit(
        self,
        element: Tuple[Any, Union[bytes, Stored]],
        result: Union[Removed, Failure],
        seconds: float,
    ) -> Iterator[Any]:
        before = Facts() if isinstance(element[1], bytes) else element[1].facts
        msecs = Facts(remove_msecs=round(seconds * 1000))
        if isinstance(result, Failure):
            metrics.count_failure(STEP, seconds=seconds)
            facts = merged(before, result.facts, msecs)
            yield TaggedOutput(FAILURES, (element[0], result._replace(facts=facts)))
            return
        cutout, lease = result
        cutout = cutout._replace(facts=merged(before, cutout.facts, msecs))
        metrics.count_step(STEP, size=size_of(cutout), seconds=seconds)
        metrics.count(f"remove_on_{cutout.facts.provider}")
        metrics.count("remove_animated", int(bool(cutout.facts.animated)))
        metrics.count("remove_empty", int(not cutout.parts))
        # Whoever takes it accounts for it from here.
        lease.release()
        yield element[0], cutout

    def _remove(self, key: Any, stored: Union[bytes, Stored]) -> Removed:
        extras = "{}" if isinstance(stored, bytes) else stored.extras
        options = self.options.with_extras(json.loads(extras))
        name = _name(key, len(_data(stored)))
        with slow.watch(name, self.max_picture_seconds):
            opened = open_picture(_data(stored), self.max_pixels)
        name = f"{name}, {opened.format} of {opened.width}x{opened.height},"
        size = self._bytes(opened.size, options)
        with (
            memory.budget().hold(memory.WORK, size),
            slow.watch(name, self.max_picture_seconds),
        ):
            picture = decode(_data(stored), opened, to_srgb=options.to_srgb)
            cutout = self._cutout(picture, options)
            return Removed(cutout, memory.budget().hold(memory.RESULT, size_of(cutout), wait=False))

    def _bytes(self, size: Tuple[int, int], options: RemoveOptions) -> int:
        """About what a picture of (width, height) takes in work."""
        per_pixel = options.bounded(size).bytes_per_pixel() + self._model.bytes_per_pixel
        return size[0] * size[1] * per_pixel

    def _cutout(self, picture: Picture, options: RemoveOptions) -> Cutout:
        loaded = self._held[self.session]
        with runs.watching() as seen:
            masks = masks_of(picture, loaded.session, options)
        facts = self._facts(picture, masks, seen)
        try:
            return self._finished(picture, masks, facts, options)
        except Exception as error:
            error.facts = facts  # type: ignore[attr-defined]
            raise

    def _finished(
        self, picture: Picture, masks: List[Any], facts: Facts, options: RemoveOptions
    ) -> Cutout:
        try:
            check_mask(masks, facts.peak, options)
        except EmptyMask:
            if options.empty_mask == "fail":
                raise
            return Cutout([], self._model.name, facts)
        with matting.using(lambda variant: self._hold(self.session.matting(variant)).session):
            result = cut_out(picture, masks, options, mask_names=self._model.masks)
        profile = None if options.only_mask else picture.icc_profile
        parts = [
            Part(suffix, encode(image, self.encoding, profile))
            for suffix, image in result.pictures.items()
        ]
        return Cutout(parts, self._model.name, facts._replace(matting=result.matting))

    def _facts(self, picture: Picture, masks: Any, seen: List[runs.Run]) -> Facts:
        width, height = picture.size
        has_map = bool(seen) and self._model.has_map
        return Facts(
            width=width,
            height=height,
            animated=picture.animated,
            model_checksum=self._held[self.session].checksum,
            provider=self._held[self.session].provider or REMOTE,
            batched=not all(run.exact for run in seen),
            peak=runs.peak(seen[-1], logits=self._model.gives_logits) if has_map else None,
            foreground=foreground_share(masks),
        )


def _data(stored: Union[bytes, Stored]) -> bytes:
    return stored if isinstance(stored, bytes) else stored.data


def _name(key: Any, size: int) -> str:
    """Of a picture, in the log: its URI, or what stands for it in somebody's pipeline."""
    uri = getattr(key, "uri", None)
    shown = uris.without_secrets(uri) if uri else uris.without_secrets_in(str(key))[:200]
    return f"{shown} ({size} bytes)"


def default_threads(loaded: Loaded) -> int:
    """How many pictures one process works on at once.

    One for each core it may use; elsewhere than on the CPU, or with batches, as many more as are
    in the batch that runs and in the one that gathers meanwhile.
    """
    from loky import cpu_count

    cores = int(cpu_count())
    alone = loaded.provider == CPU.name and loaded.batch == 1
    return cores if alone else cores + 2 * loaded.batch


def check_encoding(options: RemoveOptions, encoding: Encoding) -> None:
    """Raises `ValueError` for an output format that can't hold what the options make."""
    if encoding.format == "jpeg" and not options.is_opaque():
        raise ValueError(
            "format='jpeg' has no transparency: use png or webp, only_mask, or a bgcolor with "
            "alpha 255"
        )
