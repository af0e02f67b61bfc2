"""Engine: a picture's bytes -> its `Cutout`, without Beam.

In: the encoded bytes of a picture, and rembg arguments of its own. Out: its cutout, encoded, with
the facts that were learnt on the way. `remove` raises what decoding (`DecodeError`), rembg, the
model or encoding (`EncodeError`) raise for that picture; `attempt` returns it instead, with the
facts known by then. `open` raises when no session can be made: no onnxruntime, no model file, or a
provider that is not in use.
"""

import json
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Tuple, Union

from .elements import Cutout, Facts, Part, size_of
from .models import catalogue, sessions
from .models.config import SessionConfig
from .models.opening import Loaded, open_session
from .models.predicting import peak, predict
from .pictures import foreground
from .pictures.cutout import cut_out
from .pictures.decode import MAX_PIXELS, decode, open_picture
from .pictures.encode import FORMATS, Encoding, encode
from .pictures.masks import EmptyMask, check_mask, foreground_share
from .pictures.options import RemoveOptions
from .pictures.picture import Picture
from .runtime import memory, slow
from .setting import check, setting

# In place of a provider's name, for a model that is a service.
REMOTE = "remote"


class Removed(NamedTuple):
    """A cutout, and the lease of the memory it takes."""

    cutout: Cutout
    lease: memory.Lease


class Refused(NamedTuple):
    """Why a picture has no cutout, and the facts that were known by then."""

    error: Exception
    facts: Facts


@dataclass(frozen=True)
class PictureLimits:
    """Of what is done for a picture at most."""

    max_memory: Optional[int] = setting(
        None,
        "bytes of pictures in flight in a process, such as 2GB, the model's own left out; default: "
        "half of what the process may use; a picture that needs more is worked on alone",
        more="compressed and decoded; raise it if threads wait for memory that is there, lower it "
        "where several processes share a machine",
        kind="bytes",
        minimum=1,
    )
    max_pixels: int = setting(
        MAX_PIXELS, "a larger picture is a failure, before it is decoded", minimum=1
    )
    max_picture_seconds: float = setting(
        slow.SECONDS,
        "a picture in work for longer than these seconds is named in the log while it is; it goes "
        "on",
        above=0,
    )

    def __post_init__(self) -> None:
        check(self)


class Engine:
    """Removes backgrounds with one rembg session per process; any number of threads may use it.

        with Engine(SessionConfig("u2net")) as engine:
            cutout = engine.remove(data)

    Args:
      session: which model runs on which provider.
      options: arguments of `rembg.remove` for every picture.
      encoding: of the cutouts.
      max_memory: bytes of pictures in flight in a process, compressed and decoded; None for half
        of what the process may use. A picture that needs more is worked on alone.
      max_pixels: a larger picture is refused before it is decoded.
      max_picture_seconds: a picture in work for longer is named in the log meanwhile; it goes on.
      opener: makes a session of a configuration; a test may give its own.
    """

    def __init__(
        self,
        session: SessionConfig,
        *,
        options: Optional[RemoveOptions] = None,
        encoding: Optional[Encoding] = None,
        max_memory: Optional[int] = None,
        max_pixels: int = MAX_PIXELS,
        max_picture_seconds: float = slow.SECONDS,
        opener: sessions.Opener = open_session,
    ) -> None:
        self.session = session
        self.options = options or RemoveOptions()
        self.encoding = encoding or Encoding()
        self.limits = PictureLimits(max_memory, max_pixels, max_picture_seconds)
        self.opener = opener
        check_encoding(self.options, self.encoding)
        self._model = catalogue.find(session.model)
        if self._model.is_matting:
            raise ValueError(f"{session.model} only refines the masks of another model")
        self._held: Dict[SessionConfig, Loaded] = {}
        self._holding: Optional[threading.Lock] = None

    def open(self) -> Loaded:
        """Makes the process's session, or takes the one that is there, until `close`."""
        memory.budget(self.limits.max_memory)
        self._holding = threading.Lock()
        loaded = self._hold(self.session)
        if self.options.uses_pymatting():
            foreground.prepare()
        if self.options.vitmatte:
            self._hold(self.session.matting(self.options.vitmatte_model))
        return loaded

    def close(self) -> None:
        """Gives the sessions back."""
        for config in self._held:
            sessions.release(config, self.opener)
        self._held = {}

    def __enter__(self) -> "Engine":
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def remove(self, data: bytes, extras: str = "{}", name: str = "a picture") -> Cutout:
        """The cutout of a picture.

        Args:
          data: the bytes of its file.
          extras: a JSON object, keyword arguments for `rembg.remove` of this picture alone.
          name: what the log calls it.
        """
        result = self.attempt(data, extras, name)
        if isinstance(result, Refused):
            raise result.error
        result.lease.release()
        return result.cutout

    def attempt(self, data: bytes, extras: str, name: str) -> Union[Removed, Refused]:
        """The same, or why there is none."""
        facts = Facts()
        try:
            options = self.options
            if extras != "{}":
                options = options.with_extras(json.loads(extras))
            with self._decoded(data, options, f"{name} ({len(data)} bytes)") as picture:
                masks, facts = self._predicted(picture, options)
                cutout = self._cutout(picture, masks, facts, options)
                size = size_of(cutout)
                return Removed(cutout, memory.budget().hold(memory.RESULT, size, wait=False))
        except Exception as error:
            return Refused(error, facts)

    def _hold(self, config: SessionConfig) -> Loaded:
        """The session of a configuration, held until `close`."""
        assert self._holding is not None
        with self._holding:
            if config not in self._held:
                self._held[config] = sessions.acquire(config, self.opener)
            return self._held[config]

    @contextmanager
    def _decoded(self, data: bytes, options: RemoveOptions, name: str) -> Iterator[Picture]:
        """The picture, and room for it, as long as it is in work."""
        with slow.watch(name, self.limits.max_picture_seconds):
            opened = open_picture(data, self.limits.max_pixels)
        name = f"{name}, {opened.format} of {opened.width}x{opened.height},"
        size = self._bytes(opened.size, options)
        with (
            memory.budget().hold(memory.WORK, size),
            slow.watch(name, self.limits.max_picture_seconds),
        ):
            yield decode(data, opened, to_srgb=options.to_srgb)

    def _bytes(self, size: Tuple[int, int], options: RemoveOptions) -> int:
        """About what a picture of (width, height) takes in work."""
        per_pixel = options.bounded(size).bytes_per_pixel() + self._model.bytes_per_pixel
        return size[0] * size[1] * per_pixel

    def _cutout(
        self, picture: Picture, masks: List[Any], facts: Facts, options: RemoveOptions
    ) -> Cutout:
        try:
            check_mask(masks, facts.peak, options)
        except EmptyMask:
            if options.empty_mask == "fail":
                raise
            return Cutout([], self._model.name, facts)
        result = cut_out(
            picture,
            masks,
            options,
            mask_names=self._model.masks,
            vitmatte=lambda variant: self._hold(self.session.matting(variant)).session,
        )
        profile = None if options.only_mask else picture.icc_profile
        parts = [
            Part(suffix, encode(image, self.encoding, profile))
            for suffix, image in result.pictures.items()
        ]
        return Cutout(parts, self._model.name, facts._replace(matting=result.matting))

    def _predicted(self, picture: Picture, options: RemoveOptions) -> Tuple[List[Any], Facts]:
        """The masks of a picture, and what is known of it by then."""
        loaded = self._held[self.session]
        masks, runs = predict(loaded.session, picture, options.extras)
        width, height = picture.size
        has_map = bool(runs) and self._model.has_map
        return masks, Facts(
            width=width,
            height=height,
            animated=picture.animated,
            model_checksum=loaded.checksum,
            provider=loaded.provider or REMOTE,
            batched=not all(run.exact for run in runs),
            level_shift=loaded.level_shift,
            batch_shift=loaded.batch_shift,
            peak=peak(runs[-1], self._model) if has_map else None,
            foreground=foreground_share(masks),
        )


def check_encoding(options: RemoveOptions, encoding: Encoding) -> None:
    """Raises `ValueError` for an output format that can't hold what the options make."""
    if not FORMATS[encoding.format].has_alpha and not options.is_opaque():
        raise ValueError(
            f"format={encoding.format!r} has no transparency: use png or webp, only_mask, or a "
            "bgcolor with alpha 255"
        )
