"""An image of any mode -> one of a mode that every option of rembg takes.

In: an upright image. Out: the image itself where rembg handles its mode (L, LA, RGB, RGBA, 1,
CMYK, YCbCr, HSV), else a picture of the same size in L, RGB or RGBA:

- more than 8 bits (I;16, I, F) become L, scaled: 16 bits by 65535, 32-bit integers by 65535 or, if
  they go beyond, by their maximum, floating point by 1 or, if it goes beyond, by its greatest
  finite value; what is negative or no number is 0, what is infinite 255. rembg would clip them;
- palettes (P, PA) become RGB, or RGBA with their transparency, as they look; rembg's own result is
  the same where it has one, and with `putalpha` or `alpha_matting` it dies;
- LAB becomes RGB (sRGB) by its ICC definition; premultiplied RGBa and La become straight.

Nothing here fails.
"""

import functools
from typing import Any, Optional

import numpy as np
from PIL import Image, ImageCms

_SIXTEEN_BITS = 65535
_DEEP = ("I;16", "I;16L", "I;16B", "I;16N", "I", "F")
# Colour spaces of ICC profiles, and modes of a picture whose cutout has the same colours.
RGB, GREY = b"RGB ", b"GRAY"
_WITH_PROFILES = ("L", "LA", "1", "RGB", "RGBA")

_STRAIGHT = {"RGBa": "RGBA", "La": "LA", "RGBX": "RGB", "PA": "RGBA"}


def as_rembg_takes_it(image: Image.Image) -> Image.Image:
    """The image in such a mode.

    >>> as_rembg_takes_it(Image.new("I;16", (1, 1), 65535)).getpixel((0, 0))
    255
    """
    if image.mode in _DEEP:
        converted = Image.fromarray(_scaled(image))
    elif image.mode == "P":
        converted = image.convert("RGBA" if image.has_transparency_data else "RGB")
    elif image.mode == "LAB":
        converted = _from_lab(image)
    elif image.mode in _STRAIGHT:
        converted = image.convert(_STRAIGHT[image.mode])
    else:
        return image
    converted.info = {key: value for key, value in image.info.items() if key != "transparency"}
    return converted


def cutouts_profile(image: Image.Image) -> Optional[bytes]:
    """The ICC profile of a picture's colours, if they are RGB or grey, as those of a cutout are."""
    profile = image.info.get("icc_profile")
    if image.mode not in _WITH_PROFILES or not isinstance(profile, bytes):
        return None
    return profile if colour_space(profile) in (RGB, GREY) else None


def colour_space(profile: bytes) -> bytes:
    """Of an ICC profile: four characters of its header (ICC.1:2022, 7.2.6), such as `RGB`."""
    return profile[16:20]


def _scaled(image: Image.Image) -> Any:
    values = np.asarray(image, dtype=np.float64)
    usual = 1.0 if image.mode == "F" else float(_SIXTEEN_BITS)
    top = max(usual, float(values.max(initial=0.0, where=np.isfinite(values))))
    values = np.nan_to_num(values, nan=0.0, posinf=top, neginf=0.0).clip(min=0)
    return np.rint(values * (255.0 / top)).astype(np.uint8)


def _from_lab(image: Image.Image) -> Image.Image:
    converted = ImageCms.applyTransform(image, _lab_to_srgb())
    assert converted is not None
    return converted


@functools.cache
def _lab_to_srgb() -> Any:
    lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    return ImageCms.buildTransform(lab, srgb, "LAB", "RGB")
