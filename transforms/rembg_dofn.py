"""Remove: `(key, bytes)` -> `(key, Cutout)`.

In: pairs of any key and a picture's encoded bytes, or a `Stored` with rembg arguments of its own.
Out: the key with its `Cutout`. A picture that can't be decoded, or that the model or the encoder
refuses, comes out as `(key, Failure)` on the tag `FAILURES`; its neighbours don't notice.

`setup()` fails, and with it the pipeline, when no session can be made: no onnxruntime, no model
file, or a provider that is not in use. Where a device is lost, so that no later picture could be
done, a worker process of Beam's ends; in any other the bundle fails.

This step is the core of `RemoveBackground`, between reading and writing, and of `CutOut`. What
these and `RemBGModelHandler` can be told of it is declared once, in `RemoveSettings`.
"""

from dataclasses import dataclass
from typing import Any, Optional, Sequence, Tuple, TypeVar, Union

import apache_beam as beam

from . import coders as coders
from .cascade import Cascade
from .elements import Cutout, Facts, Failure, Stored, merged, size_of
from .engine import Engine, PictureLimits, Removed
from .models import sessions
from .models.batching import AT_ONCE
from .models.config import SessionConfig
from .models.device_lost import DeviceLost
from .models.opening import Loaded, open_session
from .models.providers import BATCHING, CPU
from .pictures import subject
from .pictures.decode import MAX_PIXELS
from .pictures.encode import Encoding
from .pictures.options import RemoveOptions
from .pictures.postprocessing import PostProcessing
from .pictures.suspect import Suspicion
from .runtime import harness, memory, metrics, slow
from .runtime.failures import failure
from .runtime.step import Step
from .setting import REQUIRED, Setting, check, same_setting, setting
from .store import uris
from .store.web import WebOptions

STEP = "remove"

K = TypeVar("K")


@beam.typehints.with_input_types(Tuple[K, Union[bytes, Stored]])
@beam.typehints.with_output_types(Tuple[K, Cutout])
class RemBGDoFn(Step[Tuple[Any, Union[bytes, Stored]], Removed]):
    """Removes backgrounds with one rembg session per process: the core of all transforms that do.

    Pairs come in of any key and a picture's bytes, or a `Stored` with rembg arguments of its own,
    and go out with the `Cutout`, or the `Failure`, in place of the picture. Use it with both:

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
      suspicion: from where on a mask is suspect.
      postprocessing: what becomes of masks and cutouts beyond what rembg does.
      facts: those asked for of each subject, such as `["box", "area"]`; `["all"]` for all.
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
        threads: Optional[int] = None,
        max_memory: Optional[int] = None,
        max_pixels: int = MAX_PIXELS,
        max_picture_seconds: float = slow.SECONDS,
        suspicion: Optional[Suspicion] = None,
        postprocessing: Optional[PostProcessing] = None,
        facts: Optional[Sequence[str]] = None,
        cascade: Optional[Cascade] = None,
        web_options: Optional[WebOptions] = None,
        opener: sessions.Opener = open_session,
    ) -> None:
        super().__init__(STEP, threads or 0)
        Setting("", kind="integer", minimum=1, name="threads").check(threads)
        self.engine = Engine(
            session,
            options=options,
            encoding=encoding,
            max_memory=max_memory,
            max_pixels=max_pixels,
            max_picture_seconds=max_picture_seconds,
            suspicion=suspicion,
            postprocessing=postprocessing,
            facts=facts,
            cascade=cascade,
            web_options=web_options,
            opener=opener,
        )

    def setup(self) -> None:
        super().setup()
        loaded = self.engine.open()
        self.threads = self.threads or default_threads(loaded)

    def teardown(self) -> None:
        self.engine.close()

    def lease(self, element: Tuple[Any, Union[bytes, Stored]]) -> memory.Lease:
        return memory.budget().hold(memory.READ, len(_data(element[1])), wait=False)

    def work(self, element: Tuple[Any, Union[bytes, Stored]]) -> Union[Removed, Failure]:
        key, stored = element
        extras = "{}" if isinstance(stored, bytes) else stored.extras
        try:
            result = self.engine.attempt(_data(stored), extras, _name(key))
        except DeviceLost as error:
            harness.end(error)
            raise
        return result if isinstance(result, Removed) else failure(STEP, *result)

    def known(self, element: Tuple[Any, Union[bytes, Stored]]) -> Tuple[Any, Facts]:
        key, stored = element
        return key, Facts() if isinstance(stored, bytes) else stored.facts

    def made(self, key: Any, element: Any, result: Removed, facts: Facts) -> Tuple[int, Any]:
        cutout, lease = result
        cutout = cutout._replace(facts=merged(facts, cutout.facts))
        count_cutout(cutout.facts, is_empty=not cutout.parts)
        # Whoever takes it accounts for it from here.
        lease.release()
        return size_of(cutout), (key, cutout)


@dataclass(kw_only=True, eq=False)
class RemoveSettings:
    """How backgrounds are removed: what the transforms that do it have in common.

    `ValueError` for what a worker would refuse.
    """

    session: Union[SessionConfig, str] = setting(
        REQUIRED,
        "which model runs on which provider: a `SessionConfig`, or a model's name for the CPU",
        kind=SessionConfig,
        rule="SessionConfig(model=...), or a model's name",
    )
    options: RemoveOptions = setting(
        RemoveOptions(), "arguments of `rembg.remove` for every picture", kind=RemoveOptions
    )
    encoding: Encoding = setting(Encoding(), "of the outputs", kind=Encoding)
    remove_threads: Optional[int] = setting(
        None,
        "pictures in work at once in a process; default: its cores, and on a GPU as many more as "
        "three batches have; each holds a decoded picture and an inference",
        minimum=1,
    )
    max_memory: Optional[int] = same_setting(PictureLimits, "max_memory")
    max_pixels: int = same_setting(PictureLimits, "max_pixels")
    max_picture_seconds: float = same_setting(PictureLimits, "max_picture_seconds")
    suspicion: Suspicion = setting(Suspicion(), "from where on a mask is suspect", kind=Suspicion)
    postprocessing: PostProcessing = setting(
        PostProcessing(),
        "what becomes of masks and cutouts beyond what rembg does",
        kind=PostProcessing,
    )
    facts: Optional[Tuple[str, ...]] = setting(
        None,
        "facts of the subject for the row: where it is, its size, mean colour and blur, hashes "
        "that find duplicates; up to a millisecond a picture; default: none",
        kind="choices",
        choices=subject.CHOICES,
    )
    cascade: Cascade = setting(
        Cascade(), "models that are asked where a mask is suspect", kind=Cascade
    )
    opener: sessions.Opener = setting(
        open_session,
        "makes a session of a configuration; a test may give its own",
        kind="function",
        flag=False,
    )

    def __post_init__(self) -> None:
        if isinstance(self.session, str):
            self.session = SessionConfig(self.session)
        check(self)
        self.step()

    @property
    def config(self) -> SessionConfig:
        """Its session's, a model's name made into one."""
        assert isinstance(self.session, SessionConfig)
        return self.session

    def step(self) -> RemBGDoFn:
        """The step that does it."""
        return step_of(self)


def step_of(settings: Any, web_options: Optional[WebOptions] = None) -> RemBGDoFn:
    """The step that does what `RemoveSettings` say, or a transform that has them among others."""
    return RemBGDoFn(
        settings.config,
        options=settings.options,
        encoding=settings.encoding,
        threads=settings.remove_threads,
        max_memory=settings.max_memory,
        max_pixels=settings.max_pixels,
        max_picture_seconds=settings.max_picture_seconds,
        suspicion=settings.suspicion,
        postprocessing=settings.postprocessing,
        facts=settings.facts,
        cascade=settings.cascade,
        web_options=web_options,
        opener=settings.opener,
    )


def count_cutout(facts: Facts, *, is_empty: bool) -> None:
    """Counts what is known of a cutout; on the bundle's thread only."""
    metrics.count(f"remove_on_{facts.provider}")
    metrics.count("remove_animated", int(bool(facts.animated)))
    metrics.count("remove_empty", int(is_empty))


def _data(stored: Union[bytes, Stored]) -> bytes:
    return stored if isinstance(stored, bytes) else stored.data


def _name(key: Any) -> str:
    """Of a picture, in the log: its URI, or what stands for it in somebody's pipeline."""
    uri = getattr(key, "uri", None)
    return uris.without_secrets(uri) if uri else uris.without_secrets_in(str(key))[:200]


def default_threads(loaded: Loaded) -> int:
    """How many pictures one process works on at once.

    One for each core it may use; elsewhere than on the CPU, or with batches, as many more as are in
    the batches that run, two on a GPU, and in the one that gathers meanwhile.
    """
    from loky import cpu_count

    cores = int(cpu_count())
    if loaded.provider == CPU.name and loaded.batch == 1:
        return cores
    running = AT_ONCE if loaded.provider in BATCHING else 1
    return cores + (running + 1) * loaded.batch
