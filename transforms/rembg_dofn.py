"""Remove: `(key, bytes)` -> `(key, Cutout)`.

In: pairs of any key and a picture's encoded bytes, or a `Stored` with rembg arguments of its own.
Out: the key with its `Cutout`. A picture that can't be decoded, or that the model or the encoder
refuses, comes out as `(key, Failure)` on the tag `FAILURES`; its neighbours don't notice.

`setup()` fails, and with it the pipeline, when no session can be made: no onnxruntime, no model
file, or a provider that is not in use.
"""

import threading
from typing import Any, Dict, Iterator, Optional, Tuple, TypeVar, Union

import apache_beam as beam
from apache_beam.pvalue import TaggedOutput

from . import metrics
from .concurrency import ConcurrentDoFn
from .elements import Cutout, Failure, Part, Stored
from .failures import attempt
from .models import catalogue, matting, sessions
from .models.config import SessionConfig
from .models.opening import Loaded, open_session
from .pictures.cutout import RemoveOptions, cut_out
from .pictures.decode import decode
from .pictures.encode import Encoding, encode
from .pictures.modes import rgb_profile

STEP = "remove"
FAILURES = "failures"

# In place of a provider's name, for a model that is a service.
REMOTE = "remote"

K = TypeVar("K")


@beam.typehints.with_input_types(Tuple[K, Union[bytes, Stored]])
@beam.typehints.with_output_types(Tuple[K, Cutout])
class RemBGDoFn(ConcurrentDoFn[Tuple[Any, Union[bytes, Stored]], Union[Cutout, Failure]]):
    """Removes backgrounds with one rembg session per process.

    Use it with its failures:

        cutouts, failures = pairs | beam.ParDo(RemBGDoFn(SessionConfig("u2net"))).with_outputs(
            RemBGDoFn.FAILURES, main="cutouts")

    Args:
      session: which model runs on which provider.
      options: arguments of `rembg.remove` for every picture.
      encoding: of the cutouts.
      threads: pictures in work at once in a process; None for its cores on the CPU, and enough to
        keep a GPU fed otherwise. Each costs the memory of one decoded picture and one inference.
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
        opener: sessions.Opener = open_session,
    ) -> None:
        super().__init__(STEP, threads or 0)
        self.session = session
        self.options = options or RemoveOptions()
        self.encoding = encoding or Encoding()
        self.opener = opener
        check_encoding(self.options, self.encoding)
        self._model = catalogue.find(session.model)
        if self._model.is_matting:
            raise ValueError(f"{session.model} only refines the masks of another model")
        self._held: Dict[SessionConfig, Loaded] = {}
        self._holding: Optional[threading.Lock] = None

    def setup(self) -> None:
        self.threads = self.threads or self.session.default_threads()
        self._holding = threading.Lock()
        self._hold(self.session)
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

    def work(self, element: Tuple[Any, Union[bytes, Stored]]) -> Union[Cutout, Failure]:
        return attempt(STEP, self._remove, element[1])

    def emit(
        self,
        element: Tuple[Any, Union[bytes, Stored]],
        result: Union[Cutout, Failure],
        seconds: float,
    ) -> Iterator[Any]:
        if isinstance(result, Failure):
            metrics.count_failure(STEP, seconds=seconds)
            yield TaggedOutput(FAILURES, (element[0], result))
        else:
            size = sum(len(part.data) for part in result.parts)
            metrics.count_step(STEP, size=size, seconds=seconds)
            metrics.count(f"remove_on_{result.provider}")
            yield element[0], result

    def _remove(self, stored: Union[bytes, Stored]) -> Cutout:
        data, extras = (stored, "{}") if isinstance(stored, bytes) else stored
        image = decode(data)
        width, height = image.size
        loaded = self._held[self.session]
        with matting.using(lambda variant: self._hold(self.session.matting(variant)).session):
            results = cut_out(
                image, loaded.session, self.options, extras, mask_names=self._model.masks
            )
        profile = rgb_profile(image)
        parts = [
            Part(suffix, encode(result, self.encoding, None if result.mode == "L" else profile))
            for suffix, result in results.items()
        ]
        return Cutout(parts, width, height, self._model.name, loaded.provider or REMOTE)


def check_encoding(options: RemoveOptions, encoding: Encoding) -> None:
    """Raises `ValueError` for an output format that can't hold what the options make."""
    if encoding.format == "jpeg" and not options.is_opaque():
        raise ValueError(
            "format='jpeg' has no transparency: use png or webp, only_mask, or a bgcolor with "
            "alpha 255"
        )
