"""Encoded bytes -> an upright picture.

In: the bytes of a file. Out: its first frame, fully read, turned as its EXIF orientation says
(one that can't be read is ignored), in a mode that rembg takes (`modes`), with the ICC profile of
its colours if they are RGB. Fails with a
`DecodeError` whose class says what the bytes are: `EmptyFile`, `NotAPicture`, `TruncatedPicture`
or, for anything else a decoder stumbles over, `BrokenPicture`.
"""

import functools
import io
import struct
import zlib
from typing import Optional, Tuple

from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from .jpeg import decode_jpeg
from .modes import as_rembg_takes_it, rgb_profile
from .picture import Picture

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


def open_picture(data: bytes) -> Image.Image:
    """A file's first frame, its header read and its pixels not; they come from the same bytes.

    >>> open_picture(b"")
    Traceback (most recent call last):
    ...
    rembg_beam.transforms.pictures.decode.EmptyFile: the file is empty (0 bytes)
    """
    if not data:
        raise EmptyFile("the file is empty (0 bytes)")
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


def decode(data: bytes, opened: Optional[Image.Image] = None) -> Picture:
    """The picture of a file's bytes; see the module's docstring.

    Args:
      data: the bytes.
      opened: what `open_picture` made of them, if it has been asked.
    """
    image = opened or open_picture(data)
    if image.format == "JPEG" and image.mode == "RGB" and _orientation(image) == 1:
        pixels = decode_jpeg(data)
        if pixels is not None:
            return Picture(pixels=pixels, icc_profile=rgb_profile(image))
    size = f"{image.format} of {image.width}x{image.height} in {len(data)} bytes"
    try:
        image.load()
    except _DECODER_ERRORS as error:
        raise _explained(error, size) from error
    upright = as_rembg_takes_it(_upright(image))
    animated = _is_animated(image)
    return Picture(upright, animated=animated, icc_profile=rgb_profile(upright))


def _orientation(image: Image.Image) -> int:
    """What EXIF says; 1, upright, where it can't be read."""
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except _DECODER_ERRORS:
        return 1


def _upright(image: Image.Image) -> Image.Image:
    try:
        ImageOps.exif_transpose(image, in_place=True)
        return image
    except _DECODER_ERRORS:
        # rembg would stumble over it again.
        without = image.copy()
        without.info = {key: value for key, value in image.info.items() if key != "exif"}
        return without


def _is_animated(image: Image.Image) -> bool:
    try:
        return bool(getattr(image, "is_animated", False))
    except _DECODER_ERRORS:
        return False


@functools.cache
def _formats() -> Tuple[str, ...]:
    """Those of `FORMATS` that this build of Pillow reads; it refuses names it has not loaded."""
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


def _explained(error: Exception, size: str) -> DecodeError:
    text = str(error) or type(error).__name__
    if "truncated" in text.lower() or isinstance(error, EOFError):
        return TruncatedPicture(f"the picture ends early ({text}): {size}")
    return BrokenPicture(f"the picture can't be decoded ({text}): {size}")
