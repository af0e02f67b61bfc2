"""The loops of `plain`, compiled by numba; it holds no lock of Python's. Imported when needed."""

from typing import Any

import numpy as np
from numba import njit, types

# The type of PNG's filter Up.
UP = 2

_BYTES = types.Array(types.uint8, 1, "C", readonly=True)
_MASK = types.Array(types.uint8, 2, "C", readonly=True)
_PIXELS = types.Array(types.uint8, 3, "C", readonly=True)


@njit(types.uint32(types.uint32, types.uint32), nogil=True, cache=True)
def _times(level: Any, alpha: Any) -> Any:
    product = level * alpha + np.uint32(128)
    return (product + (product >> np.uint32(8))) >> np.uint32(8)


@njit(types.void(_BYTES, _BYTES, types.uint32[::1]), nogil=True, cache=True)
def _row(pixels: Any, mask: Any, cutout: Any) -> None:
    """uint8 [width * 3], [width] -> cutout, uint32 [width], R in the lowest byte.

    Whole words and unsigned indices, with which LLVM makes vector instructions of it.
    """
    for x in range(np.uint64(mask.shape[0])):
        alpha = np.uint32(mask[x])
        first = np.uint64(3) * x
        red = _times(np.uint32(pixels[first]), alpha)
        green = _times(np.uint32(pixels[first + np.uint64(1)]), alpha)
        blue = _times(np.uint32(pixels[first + np.uint64(2)]), alpha)
        cutout[x] = red | green << np.uint32(8) | blue << np.uint32(16) | alpha << np.uint32(24)


@njit(types.void(_PIXELS, _MASK, types.uint32[:, ::1]), nogil=True, cache=True)
def composite(pixels: Any, mask: Any, cutout: Any) -> None:
    """uint8 [height, width, 3], [height, width] -> cutout, uint32 [height, width]."""
    for y in range(mask.shape[0]):
        _row(pixels[y].reshape(-1), mask[y], cutout[y])


@njit(types.void(_PIXELS, _MASK, types.uint8[:, ::1]), nogil=True, cache=True)
def up_filtered(pixels: Any, mask: Any, rows: Any) -> None:
    """The same -> rows, uint8 [height, 1 + 4 * width]: the type of the filter, then the cutout's
    row less the one above it (PNG specification, section 9.2)."""
    width = mask.shape[1]
    above, here = np.zeros(width, np.uint32), np.empty(width, np.uint32)
    for y in range(mask.shape[0]):
        _row(pixels[y].reshape(-1), mask[y], here)
        rows[y, 0] = UP
        filtered, ours, theirs = rows[y, 1:], here.view(np.uint8), above.view(np.uint8)
        for index in range(np.uint64(4 * width)):
            filtered[index] = ours[index] - theirs[index]
        above, here = here, above
