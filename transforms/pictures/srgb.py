"""An image with an ICC profile -> the image in sRGB, converted by its profile.

In: an image of a mode that `modes` gives. Out: the image in RGB or RGBA, in sRGB, or the image as
it is where it has no profile, one that is damaged, or one of other colours than it has. It carries
no profile then, as what has none is taken for sRGB. Transparency stays as it is. Nothing here
fails.
"""

import functools
import io
import logging
from typing import Any, Optional

from PIL import Image, ImageCms

from .modes import GREY, RGB, colour_space

# Modes that lcms takes, and the colour space that a profile of theirs has; others become one first.
_SPACES = {"L": GREY, "RGB": RGB, "CMYK": b"CMYK"}
_OPAQUE = {"LA": "L", "1": "L", "RGBA": "RGB"}

# Transforms kept: a data set has few profiles. One of four inks takes some megabytes.
_KEPT = 8

_log = logging.getLogger(__name__)


def in_srgb(image: Image.Image) -> Image.Image:
    """The image in sRGB.

    >>> in_srgb(Image.new("L", (1, 1))).mode
    'L'
    """
    profile = image.info.get("icc_profile")
    if not isinstance(profile, bytes):
        return image
    converted = _converted(image, profile)
    info = {key: value for key, value in image.info.items() if key != "icc_profile"}
    if converted is None:
        converted = image.copy()
    else:
        info.pop("transparency", None)
    converted.info = info
    return converted


def _converted(image: Image.Image, profile: bytes) -> Optional[Image.Image]:
    """None where the profile doesn't say how."""
    mode = _OPAQUE.get(image.mode, image.mode)
    transform = _transform(profile, mode) if _SPACES.get(mode) == colour_space(profile) else None
    if transform is None:
        return None
    alpha = image.convert("RGBA").getchannel("A") if image.has_transparency_data else None
    colours = image if image.mode == mode else image.convert(mode)
    converted = ImageCms.applyTransform(colours, transform)
    assert converted is not None
    if alpha is not None:
        converted.putalpha(alpha)
    return converted


@functools.lru_cache(maxsize=_KEPT)
def _transform(profile: bytes, mode: str) -> Any:
    """From a profile's colours to sRGB, by its own rendering intent; None if it is damaged."""
    try:
        given = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        intent = ImageCms.Intent(ImageCms.getDefaultIntent(given))
        return ImageCms.buildTransform(given, ImageCms.createProfile("sRGB"), mode, "RGB", intent)
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError) as error:
        _log.warning("an ICC profile that can't be used is left out: %s", error)
        return None
