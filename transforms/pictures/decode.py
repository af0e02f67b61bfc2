"""Encoded bytes -> an upright Pillow image.

In: the bytes of a file. Out: the first frame, fully read, turned as its EXIF orientation says
(one that can't be read is ignored), in a mode that rembg takes (`modes`). Fails with a
`DecodeError` whose class says what the bytes are: `EmptyFile`, `NotAPicture`, `TruncatedPicture`
or, for anything else a decoder stumbles over, `BrokenPicture`.
"""

import functools
import io
import struct
import zlib
from typing import Tuple

from PIL import Image, ImageOps, UnidentifiedImageError

from .modes import as_rembg_takes_it

# Raster formats of picture data sets. Others stay closed: EPS, say, starts another program.
FORMATS = ("JPEG", "MPO", "PNG", "WEBP", "AVIF", "GIF", "BMP", "DIB", "TIFF", "JPEG2000")

# What Pillow's decoders raise on bad data.
_DECODER_ERRORS = (
    *(OSError, EOFError, SyntaxError, ValueError, IndexError, KeyError, TypeError),
    *(OverflowError, ZeroDivisionError, MemoryError, struct.error, zlib.error),
)


class DecodeError(ValueError):
    """The bytes are no picture that can be read."""


class EmptyFile(DecodeError):
    """The file has no bytes."""


class NotAPicture(DecodeError):
    """The bytes are in none of the known picture formats."""


class TruncatedPicture(DecodeError):
    """The picture ends before its last pixel."""


class BrokenPicture(DecodeError):
    """The picture's data contradicts itself."""


def decode(data: bytes) -> Image.Image:
    """The picture of a file's bytes; see the module's docstring.

    >>> decode(b"")
    Traceback (most recent call last):
    ...
    rembg_beam.transforms.pictures.decode.EmptyFile: the file is empty (0 bytes)
    """
    if not data:
        raise EmptyFile("the file is empty (0 bytes)")
    image = _opened(data)
    size = f"{image.format} of {image.width}x{image.height} in {len(data)} bytes"
    try:
        image.load()
    except _DECODER_ERRORS as error:
        raise _explained(error, size) from error
    return as_rembg_takes_it(_upright(image))


def _upright(image: Image.Image) -> Image.Image:
    try:
        ImageOps.exif_transpose(image, in_place=True)
        return image
    except _DECODER_ERRORS:
        # rembg would stumble over it again.
        without = image.copy()
        without.info = {key: value for key, value in image.info.items() if key != "exif"}
        return without


@functools.cache
def _formats() -> Tuple[str, ...]:
    """Those of `FORMATS` that this build of Pillow reads; it refuses names it has not loaded."""
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


def _opened(data: bytes) -> Image.Image:
    try:
        return Image.open(io.BytesIO(data), formats=_formats())
    except UnidentifiedImageError as error:
        start = data[:16].decode("ascii", "backslashreplace")
        raise NotAPicture(
            f"its {len(data)} bytes are in no known picture format ({', '.join(_formats())}); they "
            f"start with {start!r}"
        ) from error
    except _DECODER_ERRORS as error:
        raise _explained(error, f"a header in {len(data)} bytes") from error


def _explained(error: Exception, size: str) -> DecodeError:
    text = str(error) or type(error).__name__
    if "truncated" in text.lower() or isinstance(error, EOFError):
        return TruncatedPicture(f"the picture ends early ({text}): {size}")
    return BrokenPicture(f"the picture can't be decoded ({text}): {size}")
