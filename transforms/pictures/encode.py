"""rembg's result -> the bytes of a picture file.

In: uint8 [height, width, 4] or [height, width], a `PlainCutout`, or an image of Pillow's, and what
else its file tells. Out: the bytes of a file in one of `FORMATS`. `encode` raises `EncodeError` for
a picture the format can't hold, or not in so few bytes.
"""

import io
from dataclasses import replace
from functools import partial
from typing import Any, Dict, Optional

import numpy as np
from PIL import Image

from ..fast.png import can_encode, encode_png
from . import palette
from .fit_bytes import DoesNotFit, fitted
from .formats import FORMATS as FORMATS
from .formats import SPELLINGS as SPELLINGS
from .formats import SUFFIXES as SUFFIXES
from .formats import Encoding as Encoding
from .formats import Format
from .keep import NOTHING, Metadata
from .modes import GREY, RGB, colour_space


class EncodeError(ValueError):
    """The format can't hold the picture."""


def encode(picture: Any, encoding: Encoding, metadata: Metadata = NOTHING) -> bytes:
    """The bytes of one picture file.

    Args:
      picture: see the module's docstring.
      encoding: how it is encoded.
      metadata: what else the file tells; a profile is left out where the colours are other ones by
        now, grey in place of RGB.

    >>> encode(Image.new("RGBA", (1, 1)), Encoding())[:4]
    b'\\x89PNG'
    """
    format = FORMATS[encoding.format]
    metadata = metadata._replace(icc_profile=_fitting(metadata.icc_profile, picture, format))
    if encoding.format == "png" and encoding.png_compression is None and can_encode(picture):
        return encode_png(picture, *metadata)
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(np.asarray(picture))
    _check_sides(image, encoding.format)
    if not format.has_alpha and image.mode == "RGBA":
        if image.getchannel("A").getextrema() != (255, 255):
            raise EncodeError(
                f"{encoding.format} has no transparency, and the picture has transparent pixels"
            )
        image = image.convert("RGB")
    if encoding.max_output_bytes is None:
        return _saved(image, encoding, metadata)
    return _fitted(image, encoding, metadata, encoding.max_output_bytes)


def _fitted(image: Image.Image, encoding: Encoding, metadata: Metadata, most: int) -> bytes:
    scale, lowest, highest = "quality", 0, FORMATS[encoding.format].max_quality
    if highest is None:
        scale, lowest, highest = "colors", 2, palette.MOST
    given = getattr(encoding, scale)
    at = partial(_at, image, encoding, metadata, scale)
    try:
        return fitted(at, lowest, highest if given is None else given, most)
    except DoesNotFit as error:
        raise EncodeError(
            f"{image.width}x{image.height} as {encoding.format} has {error.size} bytes at "
            f"{scale}={lowest}, the lowest, more than max_output_bytes={most}: raise it, make "
            "outputs smaller, or keep less"
        ) from error


def _at(
    image: Image.Image, encoding: Encoding, metadata: Metadata, scale: str, value: int
) -> bytes:
    lower: Dict[str, Any] = {scale: value}
    return _saved(image, replace(encoding, **lower), metadata)


def _saved(image: Image.Image, encoding: Encoding, metadata: Metadata) -> bytes:
    format, buffer = FORMATS[encoding.format], io.BytesIO()
    told = {name: each for name, each in format.metadata(metadata).items() if each is not None}
    if format.has_few_colors:
        image = palette.quantized(image, encoding.colors or palette.MOST)
    try:
        arguments = format.arguments(encoding)
        image.save(buffer, icc_profile=metadata.icc_profile, **arguments, **told)
    except (OSError, ValueError) as error:
        raise EncodeError(
            f"{image.width}x{image.height} can't be written as {encoding.format} ({error}); "
            "png holds any size"
        ) from error
    return format.finished(buffer.getvalue(), metadata)


def _fitting(profile: Optional[bytes], picture: Any, format: Format) -> Optional[bytes]:
    """The profile, if it is one of the colours that the file has: PNG forbids another."""
    if isinstance(picture, Image.Image):
        mode = picture.mode
    else:
        mode = "L" if len(picture.shape) == 2 else "RGBA"
    wanted = GREY if mode in format.greys else RGB
    return profile if profile and colour_space(profile) == wanted else None


def _check_sides(image: Image.Image, format: str) -> None:
    largest = FORMATS[format].largest_side
    if largest is not None and max(image.size) > largest:
        side = "width" if image.width > largest else "height"
        raise EncodeError(
            f"{image.width}x{image.height} can't be written as {format}: its {side} is above the "
            f"{largest} pixels a side that the format holds; png holds any size"
        )
