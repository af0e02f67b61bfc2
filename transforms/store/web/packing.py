"""What a server packed, though nobody asked it to -> the bytes that it stands for.

In: the chunks of an answer and its `Content-Encoding`. Out: chunks of what they stand for. gzip and
deflate are undone, several in a row too; what comes out of each is capped by itself, for few bytes
that are packed twice may stand for many that stand for few again. Labels that name no coding are
passed over, as browsers do. Fails with urllib3's `DecodeError` for what can't be undone and with
`limits.TooLarge`.
"""

import zlib
from typing import Any, Callable, Iterator, Optional

from urllib3.exceptions import DecodeError

from .. import limits

CHUNK_BYTES = 1 << 16

# As urllib3 and curl have it.
MOST_CODINGS = 5

# How their formats begin.
_GZIP = 0x1F
_ZLIB = 0x08

_OURS = frozenset(["gzip", "x-gzip", "deflate"])
_NOT_OURS = frozenset(["br", "zstd", "compress", "x-compress", "dcb", "dcz"])


def unpacked(
    uri: str, chunks: Iterator[bytes], encoding: str, max_bytes: Optional[int]
) -> Iterator[bytes]:
    """The chunks of what `chunks` stand for by a `Content-Encoding`.

    >>> packed = zlib.compress(b"picture")
    >>> b"".join(unpacked("http://host/a.jpg", iter([packed]), "deflate", None))
    b'picture'
    """
    codings = [each.strip().lower() for each in encoding.split(",")]
    for each in codings:
        if each in _NOT_OURS:
            raise DecodeError(f"{each} was not asked for; gzip and deflate could be")
    ours = [each for each in codings if each in _OURS]
    if len(ours) > MOST_CODINGS:
        raise DecodeError(f"there are {len(ours)} in a row, and {MOST_CODINGS} at most are undone")
    for each in reversed(ours):
        chunks = capped(uri, _Inflating(chunks, each == "deflate").read, max_bytes)
    return chunks


def capped(uri: str, reading: Callable[[int], bytes], max_bytes: Optional[int]) -> Iterator[bytes]:
    """What `reading` gives for a size, chunk by chunk, until that is nothing.

    No more is asked for than the cap and one byte.
    """
    size = 0
    while True:
        asked = CHUNK_BYTES if max_bytes is None else min(CHUNK_BYTES, max_bytes + 1 - size)
        chunk = reading(asked)
        if not chunk:
            return
        size += len(chunk)
        limits.check(uri, size, max_bytes)
        yield chunk


class _Inflating:
    """Reads what chunks of gzip or deflate stand for."""

    def __init__(self, chunks: Iterator[bytes], is_deflate: bool) -> None:
        self._chunks = chunks
        self._is_deflate = is_deflate
        self._stream: Any = None
        self._data = b""

    def read(self, size: int) -> bytes:
        """At most so many bytes; none at the end."""
        while True:
            if (self._stream is None or self._stream.eof) and not self._begin():
                return b""
            part = self._inflate(size)
            if part:
                return part
            if not (self._stream.eof or self._data):
                self._data = next(self._chunks, b"")
                if not self._data:
                    raise DecodeError("it ends early")

    def _begin(self) -> bool:
        """Begins the first stream, or gzip's next; what else stands behind one is passed over."""
        is_first = self._stream is None
        self._data = (b"" if is_first else self._stream.unused_data) or next(self._chunks, b"")
        if not self._data:
            return False
        if not is_first and (self._is_deflate or self._data[0] != _GZIP):
            for _ in self._chunks:
                pass
            return False
        self._stream = zlib.decompressobj(self._window_bits())
        return True

    def _window_bits(self) -> int:
        if not self._is_deflate:
            return 16 + zlib.MAX_WBITS
        # Deflate is meant to stand in zlib's format, and often does not.
        return zlib.MAX_WBITS if self._data[0] & 0x8F == _ZLIB else -zlib.MAX_WBITS

    def _inflate(self, size: int) -> bytes:
        try:
            part: bytes = self._stream.decompress(self._data, size)
        except zlib.error as error:
            raise DecodeError(str(error)) from None
        self._data = self._stream.unconsumed_tail
        return part
