"""PNG, fast: one filter, one compressor.

In: an image or array of 8 bits a channel. Out: the bytes of a PNG with the same pixels. Pillow
tries five filters on each row and compresses with zlib, which takes longer than everything else
done to a picture; here every row is filtered with Up (its difference to the row above, PNG
specification, section 9.2) by one NumPy subtraction and compressed by ISA-L (package `isal`),
several times faster for files 10 to 25 % larger on photos tried.
"""

import struct
import zlib
from typing import Any, Iterator, List, Optional, Tuple

import numpy as np

from .plain import PlainCutout

isal_zlib: Any
try:
    from isal import isal_zlib
except ImportError:  # no wheel for this platform
    isal_zlib = None

# Modes of Pillow's that PNG has with 8 bits, and its colour types by their number of channels.
MODES = ("L", "LA", "RGB", "RGBA")
COLOR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}

# ISA-L's levels are 0 to 3; beyond 1 files hardly shrink.
LEVEL = 1

# Before XMP in its chunk, iTXt, which is not compressed (ISO 16684-3, 1.1.5).
XMP = b"XML:com.adobe.xmp\0\0\0\0\0"

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_UP = 2
_METRE = 1

# Of rows compressed at once, and of a chunk, which may have twice as many.
_PIECE_BYTES = 1 << 30

# ISA-L (2.31 to 2.32) enters the third byte of a stream into its hash table by a hash of the
# stream's address (`.write_first_byte` of `igzip_icf_body_h1_gr_bt.asm`), so that in one of
# thousands of threads it finds other matches. A flush after so many bytes takes another way.
_FIRST_BYTES = 16


def can_encode(picture: Any) -> bool:
    """Whether `encode_png` takes an image or array, and whether `isal` is installed."""
    return isal_zlib is not None and getattr(picture, "mode", "L") in MODES


def encode_png(
    picture: Any,
    icc_profile: Optional[bytes] = None,
    exif: Optional[bytes] = None,
    dpi: Optional[Tuple[float, float]] = None,
    xmp: Optional[bytes] = None,
) -> bytes:
    """The PNG of uint8 [height, width] or [height, width, channels], or of an image of `MODES`.

    Args:
      picture: a `PlainCutout`'s rows come filtered.
      icc_profile: of its colours.
      exif: a TIFF structure (PNG specification, third edition, 11.3.4.5).
      dpi: dots an inch, across and down.
      xmp: a packet.

    >>> encode_png(np.zeros((2, 3), np.uint8))[:4]
    b'\\x89PNG'
    """
    return b"".join(_parts(picture, list(_ancillary(icc_profile, exif, dpi, xmp))))


def _ancillary(
    icc_profile: Optional[bytes],
    exif: Optional[bytes],
    dpi: Optional[Tuple[float, float]],
    xmp: Optional[bytes],
) -> Iterator[bytes]:
    if icc_profile:
        yield from _chunk(b"iCCP", b"ICC Profile\0\0" + zlib.compress(icc_profile))
    if dpi:
        a_metre = [int(each / 0.0254 + 0.5) for each in dpi]
        yield from _chunk(b"pHYs", struct.pack(">IIB", *a_metre, _METRE))
    if exif:
        yield from _chunk(b"eXIf", exif)
    if xmp:
        yield from _chunk(b"iTXt", XMP, xmp)


def _parts(picture: Any, ancillary: List[bytes]) -> Iterator[bytes]:
    lazy = isinstance(picture, PlainCutout)
    pixels: Any = picture if lazy else np.asarray(picture)
    height, width, *channels = pixels.shape
    color_type = COLOR_TYPES[channels[0] if channels else 1]
    yield _SIGNATURE
    yield from _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, color_type, 0, 0, 0))
    yield from ancillary
    pieces = _compressed(pixels.up_filtered() if lazy else _up_filtered(pixels))
    in_one = sum(map(len, pieces)) <= _PIECE_BYTES
    for chunk in [pieces] if in_one else [[piece] for piece in pieces]:
        yield from _chunk(b"IDAT", *chunk)
    yield from _chunk(b"IEND")


def _up_filtered(pixels: Any) -> Any:
    """uint8 [height, 1 + width * channels]: each row's filter and its difference to that above."""
    height = pixels.shape[0]
    rows = pixels.reshape(height, -1)
    filtered = np.empty((height, rows.shape[1] + 1), np.uint8)
    filtered[:, 0] = _UP
    filtered[0, 1:] = rows[0]
    np.subtract(rows[1:], rows[:-1], out=filtered[1:, 1:])
    return filtered


def _compressed(rows: Any) -> List[bytes]:
    """The pieces of a stream in zlib's format; always the same bytes for the same rows."""
    data, packer = memoryview(rows).cast("B"), isal_zlib.compressobj(LEVEL)
    pieces = [packer.compress(data[:_FIRST_BYTES]), packer.flush(isal_zlib.Z_SYNC_FLUSH)]
    for start in range(_FIRST_BYTES, len(data), _PIECE_BYTES):
        pieces.append(packer.compress(data[start : start + _PIECE_BYTES]))
    return [*pieces, packer.flush()]


def _chunk(kind: bytes, *data: bytes) -> Iterator[bytes]:
    """A chunk's parts, which are nowhere copied into one."""
    checksum = 0
    for part in (kind, *data):
        checksum = isal_zlib.crc32(part, checksum)
    yield struct.pack(">I", sum(map(len, data))) + kind
    yield from data
    yield struct.pack(">I", checksum)
