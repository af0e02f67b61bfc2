"""Remove: `(key, bytes)` -> `(key, Cutout)`.

In: pairs of any key and a picture's encoded bytes, or a `Stored` with rembg arguments of its own.
Out: the key with its `Cutout`. A picture that can't be decoded, or that the model or the encoder
refuses, comes out as `(key, Failure)` on the tag `FAILURES`; its neighbours don't notice.

`setup()` fails, and with it the pipeline, when no session can be made: no onnxruntime, no model
file, or a provider that is not in use.
"""

from typing import Any, Iterator, Optional, Tuple, TypeVar, Union

import apache_beam as beam
from apache_beam.pvalue import TaggedOutput

from . import metrics
from .concurrency import ConcurrentDoFn
from .elements import Cutout, Failure, Part, Stored
from .failures import attempt
from .models import sessions
from .models.sessions import SessionConfig
from .pictures.cutout import RemoveOptions, cut_out
from .pictures.decode import decode
from .pictures.encode import Encoding, encode

STEP = "remove"
FAILURES = "failures"

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
        opener: sessions.Opener = sessions.open_session,
    ) -> None:
        super().__init__(STEP, threads or 0)
        self.session = session
        self.options = options or RemoveOptions()
        self.encoding = encoding or Encoding()
        self.opener = opener
        check_encoding(self.options, self.encoding)

    def setup(self) -> None:
        self.threads = self.threads or self.session.default_threads()
        self._session = sessions.acquire(self.session, self.opener)
        self._provider = sessions.provider_in_use(self._session)

    def teardown(self) -> None:
        if hasattr(self, "_session"):
            del self._session
            sessions.release(self.session, self.opener)

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
            yield element[0], result

    def _remove(self, stored: Union[bytes, Stored]) -> Cutout:
        data, extras = (stored, "{}") if isinstance(stored, bytes) else stored
        image = decode(data)
        width, height = image.size
        result = cut_out(image, self._session, self.options, extras)
        parts = [Part("", encode(result, self.encoding))]
        return Cutout(parts, width, height, self.session.model, self._provider)


def check_encoding(options: RemoveOptions, encoding: Encoding) -> None:
    """Raises `ValueError` for an output format that can't hold what the options make."""
    if encoding.format == "jpeg" and not options.is_opaque():
        raise ValueError(
            "format='jpeg' has no transparency: use png or webp, only_mask, or a bgcolor with "
            "alpha 255"
        )
