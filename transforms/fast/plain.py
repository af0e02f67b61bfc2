"""Pixels and a mask -> the plain cutout, bit for bit as `rembg.bg.naive_cutout` makes it.

rembg composites the picture with nothing by Pillow: every channel, opacity included, is multiplied
by the mask and divided by 255 as Pillow rounds (`DIV255` of its `ImagingUtils.h`). For an RGB
picture that is one multiplication a level and the mask itself as alpha; one loop compiled by numba
does it without Pillow's copies. Until it is loaded, and where it gives other bits, `twin.fast()` is
None and the cutout is rembg's to make. `ValueError` for a mask of another size than the picture.
"""

from typing import Any, Callable, Optional

import numpy as np
from PIL import Image

from .twin import Twin


def plain_cutout(pixels: Any, mask: Any) -> Any:
    """uint8 [height, width, 4] of uint8 [height, width, 3] and [height, width]."""
    from . import plain_kernels

    if pixels.shape[:2] != mask.shape:
        raise ValueError(f"a mask of {mask.shape} is not one of a picture of {pixels.shape[:2]}")
    cutout = np.empty((*mask.shape, 4), np.uint8)
    plain_kernels.composite(pixels, mask, cutout)
    return cutout


def _load() -> Optional[Callable[..., Any]]:
    """`plain_cutout`, if its bits are those of the rembg and the Pillow that are installed."""
    import rembg.bg

    level, mask = np.meshgrid(np.arange(256, dtype=np.uint8), np.arange(256, dtype=np.uint8))
    pixels = np.stack([level, 255 - level, level // 2], -1)
    theirs = rembg.bg.naive_cutout(Image.fromarray(pixels), Image.fromarray(mask))
    return plain_cutout if np.array_equal(plain_cutout(pixels, mask), np.asarray(theirs)) else None


twin = Twin("plain cutouts are made", _load)
