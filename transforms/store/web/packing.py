"""What a server packed, though nobody asked it to -> the bytes that it stands for.

In: the chunks of an answer and its `Content-Encoding`. Out: chunks of what they stand for. gzip and
deflate are undone, several in a row too; what comes out of each is capped by itself, for few bytes
that are packed twice may stand for many that stand for few again. Labels that name no coding are
passed over, as browsers do. Fails with urllib3's `DecodeError` for what can't be undone and with
`limits.TooLarge`.
"""

import zlib
from typing import Iterator, Optional

from urllib3.exceptions import DecodeError

from .. import limits

# Of what packed bytes stand for, at once.
_PIECE_BYTES = 1 << 16

# As urllib3 and curl have it.
MOST_CODINGS = 5

# How their formats begin.
_GZIP = b"\x1f"
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
        chunks = _inflated(uri, chunks, each == "deflate", max_bytes)
    return chunks


def _inflated(
    uri: str, chunks: Iterator[bytes], is_deflate: bool, max_bytes: Optional[int]
) -> Iterator[bytes]:
    """What chunks of gzip, of several streams in a row too, or of deflate stand for."""
    held = 0
    data = next(chunks, b"")
    while data:
        stream = zlib.decompressobj(_window_bits(data, is_deflate))
        while not stream.eof:
            try:
                piece = stream.decompress(data, limits.room(_PIECE_BYTES, held, max_bytes))
            except zlib.error as error:
                raise DecodeError(str(error)) from None
            data = stream.unconsumed_tail
            if piece:
                held += len(piece)
                limits.check(uri, held, max_bytes)
                yield piece
            elif not (stream.eof or data):
                data = next(chunks, b"")
                if not data:
                    raise DecodeError("it ends early")
        data = stream.unused_data or next(chunks, b"")
        if is_deflate or not data.startswith(_GZIP):
            break
    for _ in chunks:  # what stands behind is passed over
        pass


def _window_bits(data: bytes, is_deflate: bool) -> int:
    if not is_deflate:
        return 16 + zlib.MAX_WBITS
    # Deflate is meant to stand in zlib's format, and often does not.
    return zlib.MAX_WBITS if data[0] & 0x8F == _ZLIB else -zlib.MAX_WBITS
