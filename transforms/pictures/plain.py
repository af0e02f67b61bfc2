"""Pixels and a mask -> the plain cutout, bit for bit as `rembg.bg.naive_cutout` makes it.

rembg composites the picture with nothing by Pillow: every channel, opacity included, is multiplied
by the mask and divided by 255 as Pillow rounds (`DIV255` of its `ImagingUtils.h`). For an RGB
picture that is one multiplication a level and the mask itself as alpha; one loop compiled by numba
does it without Pillow's copies. Nothing here fails.
"""

from typing import Any

import numpy as np


def plain_cutout(pixels: Any, mask: Any) -> Any:
    """uint8 [height, width, 4] of uint8 [height, width, 3] and [height, width]."""
    from . import plain_kernels

    cutout = np.empty((*mask.shape, 4), np.uint8)
    plain_kernels.composite(pixels, mask, cutout)
    return cutout
