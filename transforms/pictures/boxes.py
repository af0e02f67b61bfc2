"""The boxes of ISO's media files, of which AVIF, HEIC and JP2 are made.

In: bytes, and where boxes lie in them. Out: of each its kind and where its body lies, cut where
the bytes end. Nothing here fails: a box that can't be is the last.
"""

import struct
from typing import Iterator, Optional, Tuple

Box = Tuple[bytes, int, int]


def boxes(data: bytes, at: int, end: int) -> Iterator[Box]:
    """Kind, start and end of the body of each box between two places.

    >>> list(boxes(b"\\0\\0\\0\\x0bfree123", 0, 11))
    [(b'free', 8, 11)]
    """
    end = min(end, len(data))
    while at + 8 <= end:
        size, kind = struct.unpack_from(">I4s", data, at)
        start = at + 8
        if size == 1 and start + 8 <= end:
            (size,) = struct.unpack_from(">Q", data, start)
            start += 8
        last = min(at + size, end) if size else end
        if last < start:
            return
        yield kind, start, last
        at = last


def largest_ispe(data: bytes) -> Optional[Tuple[int, int]]:
    """The largest width and height that an AVIF or HEIC says one of its items has."""
    found = []
    for kind, start, end in _nested(data, 0, len(data)):
        if kind == b"ispe" and end - start >= 12:
            found.append(struct.unpack_from(">II", data, start + 4))
    return max(found, key=lambda size: size[0] * size[1], default=None)


def _nested(data: bytes, at: int, end: int) -> Iterator[Box]:
    for kind, start, last in boxes(data, at, end):
        yield kind, start, last
        if kind in (b"meta", b"iprp", b"ipco"):
            yield from _nested(data, start + (4 if kind == b"meta" else 0), last)
