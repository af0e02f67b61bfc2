"""rembg's result -> the bytes of a picture file.

In: uint8 [height, width, 4] or [height, width], a `PlainCutout`, or an image of Pillow's. Out: PNG,
WebP or JPEG bytes. `Encoding` refuses, with `ValueError`, settings a format doesn't have; `encode`
raises `EncodeError` for a picture the format can't hold.
"""

import io
from dataclasses import dataclass
from typing import Any, Callable, Dict, NamedTuple, Optional

import numpy as np
from PIL import Image

from ..fast.png import can_encode, encode_png
from ..setting import check, documented, setting
from .modes import GREY, RGB, colour_space


class EncodeError(ValueError):
    """The format can't hold the picture."""


class Format(NamedTuple):
    """An output format: all there is to know of it.

    Attributes:
      suffix: of the file's name, with its dot.
      mime_type: of the file.
      arguments: an `Encoding` -> keyword arguments of Pillow's `Image.save`.
      max_quality: the highest quality; None if it is always lossless.
      largest_side: pixels that a picture may be wide or high; None if that is more than we decode.
      has_alpha: whether pixels may be transparent.
      has_grey: whether a grey picture stays one; if not, Pillow makes RGB of it.
    """

    suffix: str
    mime_type: str
    arguments: Callable[["Encoding"], Dict[str, Any]]
    max_quality: Optional[int] = None
    largest_side: Optional[int] = None
    has_alpha: bool = True
    has_grey: bool = True


def _png(encoding: "Encoding") -> Dict[str, Any]:
    level = 6 if encoding.png_compression is None else encoding.png_compression
    return {"format": "PNG", "compress_level": level}


def _webp(encoding: "Encoding") -> Dict[str, Any]:
    if encoding.quality is None and encoding.lossless is not False:
        return {"format": "WEBP", "lossless": True, "exact": True}
    return {"format": "WEBP", "quality": 80 if encoding.quality is None else encoding.quality}


def _jpeg(encoding: "Encoding") -> Dict[str, Any]:
    return {"format": "JPEG", "quality": 90 if encoding.quality is None else encoding.quality}


# The largest sides are those of WebP and of libjpeg-turbo.
FORMATS = {
    "png": Format(".png", "image/png", _png),
    "webp": Format(".webp", "image/webp", _webp, 100, 16_383, has_grey=False),
    "jpeg": Format(".jpg", "image/jpeg", _jpeg, 95, 65_500, has_alpha=False),
}

SUFFIXES = {name: format.suffix for name, format in FORMATS.items()}


@documented
@dataclass(frozen=True, kw_only=True)
class Encoding:
    """How outputs are encoded."""

    format: str = setting(
        "png",
        "of the outputs",
        more="png is lossless, webp either, jpeg has no transparency",
        choices=tuple(FORMATS),
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
        highest = FORMATS[self.format].max_quality
        if self.quality is None:
            return
        if highest is None or self.lossless:
            raise ValueError("quality belongs to jpeg and lossy webp; this output is lossless")
        if self.quality > highest:
            raise ValueError(f"quality={self.quality!r} must be an integer from 0 to {highest}")

    @property
    def suffix(self) -> str:
        """Of the file's name, with its dot."""
        return FORMATS[self.format].suffix

    @property
    def mime_type(self) -> str:
        return FORMATS[self.format].mime_type


def encode(picture: Any, encoding: Encoding, icc_profile: Optional[bytes] = None) -> bytes:
    """The bytes of one picture file.

    Args:
      picture: see the module's docstring.
      encoding: how it is encoded.
      icc_profile: of its colours; left out where they are other ones by now, grey in place of RGB.

    >>> encode(Image.new("RGBA", (1, 1)), Encoding())[:4]
    b'\\x89PNG'
    """
    format = FORMATS[encoding.format]
    profile = _fitting(icc_profile, picture, format)
    if encoding.format == "png" and encoding.png_compression is None and can_encode(picture):
        return encode_png(picture, profile)
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(np.asarray(picture))
    _check_sides(image, encoding.format)
    if not format.has_alpha and image.mode == "RGBA":
        if image.getchannel("A").getextrema() != (255, 255):
            raise EncodeError(
                f"{encoding.format} has no transparency, and the picture has transparent pixels"
            )
        image = image.convert("RGB")
    buffer = io.BytesIO()
    try:
        image.save(buffer, icc_profile=profile, **format.arguments(encoding))
    except (OSError, ValueError) as error:
        raise EncodeError(
            f"{image.width}x{image.height} can't be written as {encoding.format} ({error}); "
            "png holds any size"
        ) from error
    return buffer.getvalue()


def _fitting(profile: Optional[bytes], picture: Any, format: Format) -> Optional[bytes]:
    """The profile, if it is one of the colours that the file has: PNG forbids another."""
    if isinstance(picture, Image.Image):
        is_grey = picture.mode in ("1", "L", "LA")
    else:
        is_grey = len(picture.shape) == 2
    wanted = GREY if is_grey and format.has_grey else RGB
    return profile if profile and colour_space(profile) == wanted else None


def _check_sides(image: Image.Image, format: str) -> None:
    largest = FORMATS[format].largest_side
    if largest is not None and max(image.size) > largest:
        side = "width" if image.width > largest else "height"
        raise EncodeError(
            f"{image.width}x{image.height} can't be written as {format}: its {side} is above the "
            f"{largest} pixels a side that the format holds; png holds any size"
        )
