"""Engine: a picture's bytes -> its `Cutout`, without Beam.

In: a picture, the encoded bytes of its file or decoded, and rembg arguments of its own. Out: its
cutout, encoded or as arrays, with the facts that were learnt on the way. `remove` raises what
decoding (`DecodeError`), rembg, the model or encoding (`EncodeError`) raise for that picture;
`attempt` returns it instead, with the facts known by then. Both raise `DeviceLost` where no later
picture could be done either. `open` raises when no session can be made: no onnxruntime, no model
file, or a provider that is not in use.
"""

import json
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from typing import (
    TYPE_CHECKING,
    Any,
    Dict,
    Iterator,
    List,
    NamedTuple,
    Optional,
    Sequence,
    Tuple,
    Union,
)

from .cascade import Cascade
from .elements import Cutout, CutoutArrays, Facts, Part, size_of
from .masking import Masking, Model, Predicted, spent
from .models import catalogue, device_lost, sessions
from .models.config import SessionConfig
from .models.opening import Loaded, open_session
from .models.predicting import Recording
from .models.stand_in import Run
from .pictures import foreground, shadow, subject
from .pictures.background import Background, background
from .pictures.cleanup import cleaning_bytes
from .pictures.decode import MAX_PIXELS
from .pictures.encode import FORMATS, EncodeError, Encoding, encode
from .pictures.frames import bytes_of, moved
from .pictures.given import given
from .pictures.keep import kept
from .pictures.masks import EmptyMask, check_mask
from .pictures.options import RemoveOptions
from .pictures.picture import Picture
from .pictures.postprocessing import PostProcessing, check_outputs
from .pictures.resampling import as_pixels
from .pictures.shown import Result, cut_out
from .pictures.suspect import Suspicion
from .runtime import memory, slow
from .setting import Setting, check, setting

if TYPE_CHECKING:
    from .store.web import WebOptions  # whose package needs Beam

# What an engine is told by objects.
_RECORDS = {
    "session": SessionConfig,
    "options": RemoveOptions,
    "encoding": Encoding,
    "suspicion": Suspicion,
    "postprocessing": PostProcessing,
    "cascade": Cascade,
}


class Removed(NamedTuple):
    """A `Cutout`, or `CutoutArrays`, and the lease of the memory it takes."""

    cutout: Any
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
      suspicion: from where on a mask is suspect.
      postprocessing: what becomes of masks and cutouts beyond what rembg does.
      facts: those asked for of each subject, of `subject.CHOICES`; they cost up to a millisecond.
      cascade: models that are asked where a mask is suspect.
      web_options: how a background is fetched from http(s); None for their defaults.
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
        suspicion: Optional[Suspicion] = None,
        postprocessing: Optional[PostProcessing] = None,
        facts: Optional[Sequence[str]] = None,
        cascade: Optional[Cascade] = None,
        web_options: Optional["WebOptions"] = None,
        opener: sessions.Opener = open_session,
    ) -> None:
        self.session, self.opener, self.web_options = session, opener, web_options
        self.suspicion = suspicion or Suspicion()
        self.postprocessing = postprocessing or PostProcessing()
        self.cascade = cascade or Cascade()
        self.options = options or RemoveOptions()
        self.encoding = encoding or Encoding()
        for name, kind in _RECORDS.items():
            Setting("", kind=kind, name=name).check(getattr(self, name))
        Setting("", kind="choices", choices=subject.CHOICES, name="facts").check(facts)
        self.facts = facts or ()
        self.limits = PictureLimits(max_memory, max_pixels, max_picture_seconds)
        check_outputs(self.options, self.encoding, self.postprocessing)
        self._model = _first_model(session)
        self.cascade.check(self._model, self.suspicion)
        self._masking = Masking(
            self.suspicion, self.postprocessing.cleanup, self.facts, self.cascade
        )
        self._held: Dict[SessionConfig, Loaded] = {}
        self._loaded: Optional[Loaded] = None
        self._holding: Optional[threading.Lock] = None
        self._background: Optional[Background] = None

    def open(self) -> Loaded:
        """Makes the process's session, or takes the one that is there, until `close`."""
        memory.budget(self.limits.max_memory)
        if behind := self.postprocessing.framing.background:
            self._background = background(behind, self.limits.max_pixels, self.web_options)
        self._holding = threading.Lock()
        loaded = self._loaded = self._hold(self.session)
        if self.options.uses_pymatting():
            foreground.prepare()
        if self.options.vitmatte:
            self._hold(self.session.matting(self.options.vitmatte_model))
        for name in self.cascade.cascade or ():
            self._hold(self.session.other(name))
        return loaded

    def close(self) -> None:
        """Gives the sessions back."""
        for config in self._held:
            sessions.release(config, self.opener)
        self._held, self._loaded = {}, None

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

    def attempt(
        self, picture: Any, extras: str, name: str, *, as_arrays: bool = False
    ) -> Union[Removed, Refused]:
        """The same, or why there is none.

        Args:
          picture: the bytes of its file, an image of Pillow's, or an array; see `given`.
          extras: as `remove` has them.
          name: as `remove` has it.
          as_arrays: give `CutoutArrays`.
        """
        facts = Facts()
        try:
            options = self.options
            if extras != "{}":
                options = options.with_extras(json.loads(extras))
            with self._decoded(picture, options, name) as (decoded, waited):
                predicted = self._predicted(decoded, options)
                facts = predicted.facts._replace(memory_waited_msecs=round(waited * 1000))
                result, runs = self._result(decoded, predicted, options)
                facts = spent(facts, runs)
                facts = facts._replace(matting=result.matting, transform=result.transform)
                finish = self._arrays if as_arrays else self._encoded
                cutout = finish(decoded, result, predicted.model.name, facts)
                size = size_of(cutout)
                return Removed(cutout, memory.budget().hold(memory.RESULT, size, wait=False))
        except Exception as error:
            device_lost.check(error, name)
            return Refused(error, facts)

    def _hold(self, config: SessionConfig) -> Loaded:
        """The session of a configuration, held until `close`."""
        assert self._holding is not None
        with self._holding:
            if config not in self._held:
                self._held[config] = sessions.acquire(config, self.opener)
            return self._held[config]

    @contextmanager
    def _decoded(
        self, picture: Any, options: RemoveOptions, name: str
    ) -> Iterator[Tuple[Picture, float]]:
        """The picture, with room for it while it is in work, and the seconds until there was."""
        told = f"{name} ({len(picture)} bytes)" if isinstance(picture, bytes) else name
        with slow.watch(told, self.limits.max_picture_seconds):
            found = given(picture, self.limits.max_pixels)
        told = f"{told}, {found.kind} of {found.size[0]}x{found.size[1]},"
        size = self._bytes(found.size, options)
        with (
            memory.budget().hold(memory.WORK, size) as lease,
            slow.watch(told, self.limits.max_picture_seconds),
        ):
            yield found.picture(to_srgb=options.to_srgb), lease.waited

    def _bytes(self, size: Tuple[int, int], options: RemoveOptions) -> int:
        """About what a picture of (width, height) takes in work."""
        per_pixel = options.bounded(size).bytes_per_pixel()
        if self.postprocessing.shadow.shadow:
            per_pixel = max(per_pixel, shadow.BYTES_PER_PIXEL)
        per_pixel += (subject.BYTES_PER_PIXEL if self.facts else 0) + max(
            FORMATS[output.encoding(self.encoding).format].bytes_per_pixel
            for output in options.requested()
        )
        pixels = size[0] * size[1]
        cleaning = cleaning_bytes(size, self.postprocessing.cleanup, self._model.size)
        most = max(pixels * per_pixel, cleaning) + pixels * self._model.bytes_per_pixel
        framing = self.postprocessing.framing
        if self.postprocessing.shadow.shadow and moved(options, framing):
            most += shadow.bytes_beyond(size, self.postprocessing.shadow)
        return most + bytes_of(size, options, framing)

    def _predicted(self, picture: Picture, options: RemoveOptions) -> Predicted:
        assert self._loaded is not None
        first = Model(self._model, self._loaded)
        return self._masking.predicted(picture, options, first, self._other)

    def _other(self, name: str) -> Model:
        return Model(catalogue.find(name), self._hold(self.session.other(name)))

    def _result(
        self, picture: Picture, predicted: Predicted, options: RemoveOptions
    ) -> Tuple[Result, List[Run]]:
        """What is made of a picture, and the runs that made its edges soft."""
        matting: List[Recording] = []

        def vitmatte(variant: str) -> Recording:
            matting.append(Recording(self._hold(self.session.matting(variant)).session))
            return matting[-1]

        try:
            check_mask(predicted.masks, predicted.facts.peak, options)
        except EmptyMask:
            if options.empty_mask == "fail":
                raise
            return Result((), None), []
        result = cut_out(
            picture,
            predicted.masks,
            options,
            mask_names=predicted.model.masks,
            vitmatte=vitmatte,
            postprocessing=self.postprocessing,
            background=self._background,
        )
        return result, [run for each in matting for run in each.runs]

    def _encoded(self, picture: Picture, result: Result, model: str, facts: Facts) -> Cutout:
        parts = []
        for suffix, image, output, _ in result.made:
            encoding = output.encoding(self.encoding)
            metadata = kept(picture.metadata, encoding.kept())
            if output.is_grey:  # its levels are no colours
                metadata = metadata._replace(icc_profile=None)
            try:
                data = encode(image, encoding, metadata)
            except EncodeError as error:
                if not suffix:
                    raise
                raise EncodeError(f"the output {suffix[1:]!r}: {error}") from error
            parts.append(Part(suffix, data, encoding.format))
        return Cutout(parts, model, facts)

    def _arrays(self, picture: Picture, result: Result, model: str, facts: Facts) -> CutoutArrays:
        arrays = {suffix: as_pixels(image) for suffix, image in result.pictures.items()}
        return CutoutArrays(arrays, model, facts)


def _first_model(session: SessionConfig) -> catalogue.Model:
    """The model of a session, which makes masks of a picture alone."""
    model = catalogue.find(session.model)
    if model.is_matting:
        raise ValueError(f"{session.model} only refines the masks of another model")
    return model
