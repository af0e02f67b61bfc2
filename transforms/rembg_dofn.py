"""Remove: `(key, bytes)` -> `(key, Cutout)`.

In: pairs of any key and a picture's encoded bytes, or a `Stored` with rembg arguments of its own.
Out: the key with its `Cutout`. A picture that can't be decoded, or that the model or the encoder
refuses, comes out as `(key, Failure)` on the tag `FAILURES`; its neighbours don't notice.

`setup()` fails, and with it the pipeline, when no session can be made: no onnxruntime, no model
file, or a provider that is not in use.
"""

from typing import Any, Optional, Tuple, TypeVar, Union

import apache_beam as beam

from . import coders as coders
from .elements import Cutout, Facts, Failure, Stored, merged, size_of
from .engine import Engine, Removed
from .models import sessions
from .models.batching import AT_ONCE
from .models.config import SessionConfig
from .models.opening import Loaded, open_session
from .models.providers import BATCHING, CPU
from .pictures.decode import MAX_PIXELS
from .pictures.encode import Encoding
from .pictures.options import RemoveOptions
from .runtime import memory, metrics, slow
from .runtime.failures import failure
from .runtime.step import Step
from .setting import Setting
from .store import uris

STEP = "remove"

K = TypeVar("K")


@beam.typehints.with_input_types(Tuple[K, Union[bytes, Stored]])
@beam.typehints.with_output_types(Tuple[K, Cutout])
class RemBGDoFn(Step[Tuple[Any, Union[bytes, Stored]], Removed]):
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
        Setting("", kind="integer", minimum=1, name="threads").check(threads)
        self.engine = Engine(
            session,
            options=options,
            encoding=encoding,
            max_memory=max_memory,
            max_pixels=max_pixels,
            max_picture_seconds=max_picture_seconds,
            opener=opener,
        )

    def setup(self) -> None:
        loaded = self.engine.open()
        self.threads = self.threads or default_threads(loaded)

    def teardown(self) -> None:
        self.engine.close()

    def lease(self, element: Tuple[Any, Union[bytes, Stored]]) -> memory.Lease:
        return memory.budget().hold(memory.READ, len(_data(element[1])), wait=False)

    def work(self, element: Tuple[Any, Union[bytes, Stored]]) -> Union[Removed, Failure]:
        key, stored = element
        extras = "{}" if isinstance(stored, bytes) else stored.extras
        result = self.engine.attempt(_data(stored), extras, _name(key))
        return result if isinstance(result, Removed) else failure(STEP, *result)

    def known(self, element: Tuple[Any, Union[bytes, Stored]]) -> Tuple[Any, Facts]:
        key, stored = element
        return key, Facts() if isinstance(stored, bytes) else stored.facts

    def made(self, key: Any, element: Any, result: Removed, facts: Facts) -> Tuple[int, Any]:
        cutout, lease = result
        cutout = cutout._replace(facts=merged(facts, cutout.facts))
        metrics.count(f"remove_on_{cutout.facts.provider}")
        metrics.count("remove_animated", int(bool(cutout.facts.animated)))
        metrics.count("remove_empty", int(not cutout.parts))
        # Whoever takes it accounts for it from here.
        lease.release()
        return size_of(cutout), (key, cutout)


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
