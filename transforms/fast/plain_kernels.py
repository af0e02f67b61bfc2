"""The loop of `plain`, compiled by numba; it holds no lock of Python's. Imported when needed."""

from typing import Any

import numpy as np
from numba import njit, types

_MASK = types.Array(types.uint8, 2, "C", readonly=True)
_PIXELS = types.Array(types.uint8, 3, "C", readonly=True)


@njit(types.uint8(types.uint8, types.uint32), nogil=True, cache=True)
def _times(level: Any, alpha: Any) -> Any:
    product = level * alpha + np.uint32(128)
    return (product + (product >> np.uint32(8))) >> np.uint32(8)


@njit(types.void(_PIXELS, _MASK, types.uint8[:, :, ::1]), nogil=True, cache=True)
def composite(pixels: Any, mask: Any, cutout: Any) -> None:
    """uint8 [height, width, 3], [height, width] -> cutout, uint8 [height, width, 4]."""
    for y in range(mask.shape[0]):
        for x in range(mask.shape[1]):
            alpha = np.uint32(mask[y, x])
            if alpha == 0:
                cutout[y, x, 0] = cutout[y, x, 1] = cutout[y, x, 2] = 0
            else:
                cutout[y, x, 0] = _times(pixels[y, x, 0], alpha)
                cutout[y, x, 1] = _times(pixels[y, x, 1], alpha)
                cutout[y, x, 2] = _times(pixels[y, x, 2], alpha)
            cutout[y, x, 3] = alpha
