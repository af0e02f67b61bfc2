"""The cap on what is read: no file of more than `max_bytes` is ever held whole.

In: bytes as a store hands them out, and the cap, None for none. Out: the same bytes. `TooLarge`,
naming the URI, the cap and the way out, for a file that has more; of it no more than the cap and
one read of the store's is held. `copy` holds no more than a piece.
"""

import errno
import io
from typing import Any, BinaryIO, Callable, Iterator, Optional

from . import uris

# Of a file that is copied, at once.
_PIECE_BYTES = 1 << 20


class TooLarge(OSError):
    """A file has more bytes than may be read."""


class Capped(io.BytesIO):
    """Takes what is written to it, up to the cap; `uri` is for the error."""

    def __init__(self, uri: str, max_bytes: Optional[int]) -> None:
        super().__init__()
        self._uri = uri
        self._max_bytes = max_bytes

    def write(self, data: Any) -> int:
        check(self._uri, self.tell() + len(data), self._max_bytes)
        return super().write(data)


def room(piece_bytes: int, held: int, max_bytes: Optional[int]) -> int:
    """How many bytes to ask for next: a piece, or as many as show that there are too many.

    >>> room(1000, held=90, max_bytes=100), room(1000, held=90, max_bytes=None)
    (11, 1000)
    """
    return piece_bytes if max_bytes is None else min(piece_bytes, max_bytes + 1 - held)


def capped(
    uri: str, reading: Callable[[int], bytes], max_bytes: Optional[int], piece_bytes: int = 1 << 16
) -> Iterator[bytes]:
    """What `reading` gives for a number of bytes, piece by piece, until that is nothing."""
    held = 0
    while piece := reading(room(piece_bytes, held, max_bytes)):
        held += len(piece)
        check(uri, held, max_bytes)
        yield piece


def copy(uri: str, reading: BinaryIO, path: str, size: int) -> None:
    """Writes what `reading` gives to a file; `OSError` unless it is just `size` bytes."""
    left = size + 1
    with open(path, "wb") as writing:
        while chunk := reading.read(min(_PIECE_BYTES, left)):
            writing.write(chunk)
            left -= len(chunk)
    came = size + 1 - left
    if came != size:
        what = "was cut off" if came < size else "grows while it is copied"
        rule = f"it {what}: {came} of its {size} bytes came"
        raise OSError(errno.EIO, rule, uris.without_secrets(uri))


def check(uri: str, size: int, max_bytes: Optional[int]) -> None:
    """Raises `TooLarge` if a file of that size may not be read.

    >>> check("gs://b/a.jpg", 10, max_bytes=9)
    Traceback (most recent call last):
        ...
    rembg_beam.transforms.store.limits.TooLarge: [Errno 27] it has more than max_bytes=9: ...
    """
    if max_bytes is not None and size > max_bytes:
        rule = f"it has more than max_bytes={max_bytes}: raise that, or leave the file out"
        raise TooLarge(errno.EFBIG, rule, uris.without_secrets(uri))
