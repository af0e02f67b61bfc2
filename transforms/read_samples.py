"""Read samples: `(Source, URIs of other members)` -> `(Carrying, Stored)`.

In: pictures, and what else of their samples is carried through. Out: the bytes of both. A member
that can't be read is a failure of its picture, as the picture itself is.
"""

from typing import Any, NamedTuple, Sequence, Tuple, Union

from . import coders as coders
from .elements import Facts, Failure, Source, as_source
from .read import Read, ReadPictures
from .runtime.concurrency import Later
from .runtime.failures import failure
from .runtime.step import Step
from .store import stores

# Members, by extension: their URIs, or their bytes.
Named = Sequence[Tuple[str, str]]
Others = Sequence[Tuple[str, bytes]]


class Carrying(NamedTuple):
    """A picture, and the members that are carried through."""

    source: Source
    others: Others

    @property
    def uri(self) -> str:
        """Of the picture, for the log."""
        return self.source.uri


class _ReadSample(NamedTuple):
    picture: Read
    others: Others


class ReadSamples(Step[Tuple[Source, Named], Union[Read, _ReadSample]]):
    """Reads sources and the members to be carried; gives `(Carrying, Stored)`.

    Args:
      pictures: reads the sources.
    """

    def __init__(self, pictures: ReadPictures) -> None:
        super().__init__(pictures.step, pictures.threads)
        self._pictures = pictures

    def setup(self) -> None:
        self._pictures.setup()

    def work(self, element: Tuple[Source, Named]) -> Union[Read, _ReadSample, Failure, Later]:
        source, named = element
        picture = self._pictures.work(source)
        if not named or not isinstance(picture, Read):
            return picture
        try:
            read = [(name, stores.read(uri, self._pictures.max_bytes).data) for name, uri in named]
        except Exception as error:
            picture.lease.release()
            return failure(self.step, error, Facts(read_attempts=picture.attempts))
        return _ReadSample(picture, read)

    def known(self, element: Tuple[Source, Named]) -> Tuple[Source, Facts]:
        return as_source(element[0]), Facts()

    def made(
        self,
        key: Source,
        element: Tuple[Source, Named],
        result: Union[Read, _ReadSample],
        facts: Facts,
    ) -> Tuple[int, Any]:
        picture, others = result if isinstance(result, _ReadSample) else (result, ())
        size, (key, stored) = self._pictures.made(key, element[0], picture, facts)
        return size + sum(len(data) for _, data in others), (Carrying(key, others), stored)
