"""Encoded bytes -> an upright picture.

In: the bytes of a file. Out: its first frame, fully read, turned as its EXIF orientation says
(one that can't be read is ignored), in a mode that rembg takes (`modes`), with what else the file
tells, such as the ICC profile of its colours if they are RGB or grey. Fails with a
`DecodeError` whose class says what the bytes are: `EmptyFile`, `NotAPicture`, `TooManyPixels` and
`TooManyParts` (both seen before anything is decoded), `TruncatedPicture` or, for anything else a
decoder stumbles over, `BrokenPicture`.
"""

import contextlib
import functools
import importlib
import importlib.util
import io
import struct
import zlib
from typing import Iterator, Optional, Tuple

from PIL import ExifTags, Image, ImageOps

from ..fast.jpeg import decode_jpeg
from . import bounds
from .boxes import largest_ispe
from .errors import (
    BrokenPicture,
    DecodeError,
    EmptyFile,
    NotAPicture,
    TooManyPixels,
    TruncatedPicture,
)
from .keep import metadata_of
from .modes import as_rembg_takes_it, cutouts_profile
from .not_pictures import what_it_is
from .picture import Picture
from .srgb import in_srgb

# Raster formats of picture data sets, HEIF with `pillow-heif` installed. Others stay closed: EPS,
# say, starts another program.
FORMATS = ("JPEG", "MPO", "PNG", "WEBP", "AVIF", "GIF", "BMP", "DIB", "TIFF", "JPEG2000", "HEIF")

# As many as Pillow opens without being told to. In decoded form they take a gigabyte and more.
MAX_PIXELS = 178_956_970

# Of what libjpeg-turbo and libavif read.
LARGEST_SIDES = {"JPEG": 65_500, "AVIF": 32_768}

# What Pillow's decoders raise for a header that only looks like theirs.
_NOT_OF_THIS_FORMAT = (SyntaxError, IndexError, TypeError, struct.error)

# Orientations of EXIF's whose width is the upright picture's height.
_ON_A_SIDE = (5, 6, 7, 8)

# Pillow's words for a size of 0, among others.
_SAYS_NOTHING = ("not identified by this driver",)

# What Pillow's decoders raise on bad data.
_DECODER_ERRORS = (
    *(OSError, EOFError, SyntaxError, ValueError, IndexError, KeyError, TypeError),
    *(OverflowError, ZeroDivisionError, MemoryError, RuntimeError, struct.error, zlib.error),
    Image.DecompressionBombError,  # of a frame that claims to be larger than its file
)


def open_picture(data: bytes, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """A file's first frame, its header read and its pixels not; they come from the same bytes.

    >>> open_picture(b"")
    Traceback (most recent call last):
    ...
    rembg_beam.transforms.pictures.errors.EmptyFile: the file is empty (0 bytes)
    """
    if not data:
        raise EmptyFile("the file is empty (0 bytes)")
    bounds.check(data)
    try:
        image = _opened(data, max_pixels)
    except DecodeError:
        raise
    except _DECODER_ERRORS as error:
        raise _explained(error, f"a header in {len(data)} bytes") from error
    check_size(str(image.format), image.size, max_pixels)
    return image


def check_size(format: str, size: Tuple[int, int], max_pixels: int) -> None:
    """Raises `TooManyPixels` for a picture, of a format and (width, height), that is too large."""
    width, height = size
    if width * height > max_pixels:
        raise TooManyPixels(
            f"{format} of {width}x{height} has {width * height} pixels, more than "
            f"max_pixels={max_pixels} allows"
        )
    side = LARGEST_SIDES.get(format)
    if side is not None and max(size) > side:
        raise TooManyPixels(
            f"{format} of {width}x{height} has a {'width' if width > side else 'height'} above "
            f"{side}, the most that its decoder reads: cut it up, or save it as PNG or TIFF"
        )


def decode(
    data: bytes,
    opened: Optional[Image.Image] = None,
    *,
    max_pixels: int = MAX_PIXELS,
    to_srgb: bool = False,
) -> Picture:
    """The picture of a file's bytes; see the module's docstring.

    Args:
      data: the bytes.
      opened: what `open_picture` made of them, if it has been asked.
      max_pixels: the most that are decoded.
      to_srgb: convert it by its ICC profile, if it has a usable one; it has none afterwards.
    """
    image = opened or open_picture(data, max_pixels)
    by_profile = to_srgb and "icc_profile" in image.info
    is_plain = image.format == "JPEG" and image.mode == "RGB" and _orientation(image) == 1
    if is_plain and not by_profile:
        pixels = decode_jpeg(data)
        if pixels is not None:
            return Picture(pixels=pixels, metadata=metadata_of(image, cutouts_profile(image)))
    size = f"{image.format} of {image.width}x{image.height} in {len(data)} bytes"
    return as_picture(image, size, to_srgb=to_srgb, data=data)


def as_picture(
    image: Image.Image, name: str, *, to_srgb: bool = False, data: Optional[bytes] = None
) -> Picture:
    """The picture of an image of Pillow's, which stays as it is but for being loaded.

    Args:
      image: of any mode, upright or not; its pixels may still lie in its file.
      name: what an error calls it.
      to_srgb: as in `decode`.
      data: the bytes of its file, if there is one.
    """
    try:
        image.load()
    except _DECODER_ERRORS as error:
        raise _explained(error, name) from error
    upright = as_rembg_takes_it(_upright(image))
    if to_srgb and "icc_profile" in image.info:
        upright = in_srgb(upright)
    is_turned = _orientation(image) in _ON_A_SIDE
    metadata = metadata_of(image, cutouts_profile(upright), data=data, turned=is_turned)
    return Picture(upright, animated=_is_animated(image), metadata=metadata)


def _orientation(image: Image.Image) -> int:
    """What EXIF says; 1, upright, where it can't be read."""
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except _DECODER_ERRORS:
        return 1


def _upright(image: Image.Image) -> Image.Image:
    try:
        is_turned = image.getexif().get(ExifTags.Base.Orientation, 1) != 1
        return ImageOps.exif_transpose(image) if is_turned else image
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


def _opened(data: bytes, max_pixels: int) -> Image.Image:
    """As `Image.open`, but for its warning of large pictures, which is an error of ours."""
    refused = {}
    for name in _formats_of(data):
        try:
            return Image.OPEN[name][0](io.BytesIO(data), "")
        except _NOT_OF_THIS_FORMAT as error:
            refused[name] = error
    for name, reason in refused.items():
        raise _unreadable(name, reason, data, max_pixels) from reason
    start = data[:16].decode("ascii", "backslashreplace")
    what = what_it_is(data)
    raise NotAPicture(
        f"its {len(data)} bytes are in no known picture format ({', '.join(_formats())}); they "
        f"start with {start!r}{f'. It is {what}' if what else ''}"
    )


def _formats_of(data: bytes) -> Iterator[str]:
    """Those that the bytes start as."""
    for name in _formats():
        _, accept = Image.OPEN[name]
        with contextlib.suppress(struct.error):  # of a few bytes
            if accept is None or accept(data[:16]) is True:
                yield name


def _unreadable(name: str, error: Exception, data: bytes, max_pixels: int) -> DecodeError:
    """What is wrong with a file that starts as a format and can't be opened as such."""
    header = f"{name}'s header in {len(data)} bytes"
    if isinstance(error.__cause__, struct.error):  # as Pillow's `ImageFile` raises it
        return _explained(error.__cause__, header)
    size = largest_ispe(data) if name in ("AVIF", "HEIF") else None
    if size is not None:
        try:
            check_size(name, size, max_pixels)
        except TooManyPixels as too_many:
            return too_many
    if str(error) in _SAYS_NOTHING:
        why = "it has no pixels, or pixels of an unknown kind"
    else:
        why = str(error) or type(error).__name__
    return _explained(ValueError(why), header)


@functools.cache
def _formats() -> Tuple[str, ...]:
    """Those of `FORMATS` that this machine reads."""
    Image.init()
    if importlib.util.find_spec("pillow_heif"):
        importlib.import_module("pillow_heif").register_heif_opener()
    return tuple(name for name in FORMATS if name in Image.OPEN)


def _explained(error: Exception, size: str) -> DecodeError:
    text = str(error) or type(error).__name__
    if isinstance(error, struct.error):
        return TruncatedPicture(f"the picture ends early: {size}")
    if "truncated" in text.lower() or isinstance(error, EOFError):
        return TruncatedPicture(f"the picture ends early ({text}): {size}")
    return BrokenPicture(f"the picture can't be decoded ({text}): {size}")
