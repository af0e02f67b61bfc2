"""Pixels and a mask -> the plain cutout, bit for bit as `rembg.bg.naive_cutout` makes it.

rembg composites the picture with nothing by Pillow: every channel, opacity included, is multiplied
by the mask and divided by 255 as Pillow rounds (`DIV255` of its `ImagingUtils.h`). For an RGB
picture that is one multiplication a level and the mask itself as alpha; one loop compiled by numba
does it without Pillow's copies. It compares itself with rembg once in a process (`is_rembgs`).
`ValueError` for a mask of another size than the picture.
"""

import functools
import logging
from typing import Any

import numpy as np
from PIL import Image

_log = logging.getLogger(__name__)


def plain_cutout(pixels: Any, mask: Any) -> Any:
    """uint8 [height, width, 4] of uint8 [height, width, 3] and [height, width]."""
    from . import plain_kernels

    if pixels.shape[:2] != mask.shape:
        raise ValueError(f"a mask of {mask.shape} is not one of a picture of {pixels.shape[:2]}")
    cutout = np.empty((*mask.shape, 4), np.uint8)
    plain_kernels.composite(pixels, mask, cutout)
    return cutout


@functools.cache
def is_rembgs() -> bool:
    """Whether the bits are those of the rembg and the Pillow that are installed."""
    import rembg.bg

    level, mask = np.meshgrid(np.arange(256, dtype=np.uint8), np.arange(256, dtype=np.uint8))
    pixels = np.stack([level, 255 - level, level // 2], -1)
    theirs = rembg.bg.naive_cutout(Image.fromarray(pixels), Image.fromarray(mask))
    equal = np.array_equal(plain_cutout(pixels, mask), np.asarray(theirs))
    if not equal:
        _log.warning("plain cutouts are made by rembg alone: it makes them in another way")
    return bool(equal)
