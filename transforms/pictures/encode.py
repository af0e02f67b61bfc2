"""rembg's result -> the bytes of a picture file.

In: uint8 [height, width, 4] or [height, width], a `PlainCutout`, or an image of Pillow's. Out: PNG,
WebP or JPEG bytes. `Encoding` refuses, with `ValueError`, settings a format doesn't have; `encode`
raises `EncodeError` for a picture the format can't hold.
"""

import io
from dataclasses import dataclass
from typing import Any, Dict, Optional

import numpy as np
from PIL import Image

from ..fast.png import can_encode, encode_png
from ..setting import check, documented, setting
from .modes import GREY, RGB, colour_space

MIME_TYPES = {"png": "image/png", "webp": "image/webp", "jpeg": "image/jpeg"}
SUFFIXES = {"png": ".png", "webp": ".webp", "jpeg": ".jpg"}


# Pixels a side, of WebP and of libjpeg-turbo; PNG has room for two thousand millions.
LARGEST_SIDES = {"webp": 16_383, "jpeg": 65_500}


class EncodeError(ValueError):
    """The format can't hold the picture."""


@documented
@dataclass(frozen=True, kw_only=True)
class Encoding:
    """How outputs are encoded."""

    format: str = setting(
        "png",
        "of the outputs",
        more="png is lossless, webp either, jpeg has no transparency",
        choices=tuple(SUFFIXES),
    )
    quality: Optional[int] = setting(
        None,
        "of jpeg (default 90) or lossy webp (default 80); higher is larger",
        more="the most for jpeg is 95",
        minimum=0,
        maximum=100,
    )
    lossless: Optional[bool] = setting(
        None,
        "webp without loss, the default, or with --no_lossless at a quality",
        more="a quality says lossy too; without loss every pixel is kept exactly, under "
        "transparency too",
    )
    png_compression: Optional[int] = setting(
        None,
        "0 to 9: smaller files by Pillow's encoder, which takes many times longer; default: a fast "
        "encoder",
        more="zlib's levels; 9 makes files 10 to 25 % smaller",
        minimum=0,
        maximum=9,
    )

    def __post_init__(self) -> None:
        if self.format == "jpg":
            object.__setattr__(self, "format", "jpeg")
        check(self)
        for name, format in (("lossless", "webp"), ("png_compression", "png")):
            if getattr(self, name) is not None and self.format != format:
                label = {"webp": "WebP", "png": "PNG"}[format]
                raise ValueError(f"{name} is {label}'s choice; {self.format} has none")
        if self.quality is not None and (self.format == "png" or self.lossless):
            raise ValueError("quality belongs to jpeg and lossy webp; this output is lossless")
        if self.format == "jpeg" and (self.quality or 0) > 95:
            raise ValueError(f"quality={self.quality!r} must be an integer from 0 to 95")

    @property
    def suffix(self) -> str:
        """Of the file's name, with its dot."""
        return SUFFIXES[self.format]

    @property
    def mime_type(self) -> str:
        return MIME_TYPES[self.format]

    def arguments(self) -> Dict[str, Any]:
        """The keyword arguments for Pillow's `Image.save`."""
        if self.format == "jpeg":
            return {"format": "JPEG", "quality": 90 if self.quality is None else self.quality}
        if self.format == "png":
            level = 6 if self.png_compression is None else self.png_compression
            return {"format": "PNG", "compress_level": level}
        if self.quality is not None or self.lossless is False:
            return {"format": "WEBP", "quality": 80 if self.quality is None else self.quality}
        return {"format": "WEBP", "lossless": True, "exact": True}


def encode(picture: Any, encoding: Encoding, icc_profile: Optional[bytes] = None) -> bytes:
    """The bytes of one picture file.

    Args:
      picture: see the module's docstring.
      encoding: how it is encoded.
      icc_profile: of its colours; left out where they are other ones by now, grey in place of RGB.

    >>> encode(Image.new("RGBA", (1, 1)), Encoding())[:4]
    b'\\x89PNG'
    """
    profile = _fitting(icc_profile, picture, encoding)
    if encoding.format == "png" and encoding.png_compression is None and can_encode(picture):
        return encode_png(picture, profile)
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(np.asarray(picture))
    _check_sides(image, encoding.format)
    if encoding.format == "jpeg" and image.mode == "RGBA":
        if image.getchannel("A").getextrema() != (255, 255):
            raise EncodeError("jpeg has no transparency, and the picture has transparent pixels")
        image = image.convert("RGB")
    buffer = io.BytesIO()
    try:
        image.save(buffer, icc_profile=profile, **encoding.arguments())
    except (OSError, ValueError) as error:
        raise EncodeError(
            f"{image.width}x{image.height} can't be written as {encoding.format} ({error}); "
            "png holds any size"
        ) from error
    return buffer.getvalue()


def _fitting(profile: Optional[bytes], picture: Any, encoding: Encoding) -> Optional[bytes]:
    """The profile, if it is one of the colours that the file has: PNG forbids another."""
    if isinstance(picture, Image.Image):
        is_grey = picture.mode in ("1", "L", "LA")
    else:
        is_grey = len(picture.shape) == 2
    # WebP has no grey: Pillow makes RGB of it.
    is_grey = is_grey and encoding.format != "webp"
    wanted = GREY if is_grey else RGB
    return profile if profile and colour_space(profile) == wanted else None


def _check_sides(image: Image.Image, format: str) -> None:
    largest = LARGEST_SIDES.get(format)
    if largest is not None and max(image.size) > largest:
        side = "width" if image.width > largest else "height"
        raise EncodeError(
            f"{image.width}x{image.height} can't be written as {format}: its {side} is above the "
            f"{largest} pixels a side that the format holds; png holds any size"
        )
