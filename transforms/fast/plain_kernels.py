"""The loops of `plain`, compiled by numba; it holds no lock of Python's. Imported when needed."""

from typing import Any

import numpy as np
from numba import njit, types

# The type of PNG's filter Up.
UP = 2

_BYTES = types.Array(types.uint8, 1, "C", readonly=True)

# A picture, its mask, and the column from which on they are taken.
SOURCE = (
    types.Array(types.uint8, 3, "C", readonly=True),
    types.Array(types.uint8, 2, "C", readonly=True),
    types.int64,
)


@njit(types.uint32(types.uint32, types.uint32), nogil=True, cache=True)
def times(level: Any, alpha: Any) -> Any:
    """`MULDIV255` of Pillow's `ImagingUtils.h`."""
    product = level * alpha + np.uint32(128)
    return (product + (product >> np.uint32(8))) >> np.uint32(8)


@njit(types.void(_BYTES, _BYTES, types.uint32[::1]), nogil=True, cache=True)
def _composite(pixels: Any, mask: Any, cutout: Any) -> None:
    """uint8 [width * 3], [width] -> cutout, uint32 [width], R in the lowest byte.

    Whole words and unsigned indices, with which LLVM makes vector instructions of it.
    """
    for x in range(np.uint64(mask.shape[0])):
        alpha = np.uint32(mask[x])
        first = np.uint64(3) * x
        red = times(np.uint32(pixels[first]), alpha)
        green = times(np.uint32(pixels[first + np.uint64(1)]), alpha)
        blue = times(np.uint32(pixels[first + np.uint64(2)]), alpha)
        cutout[x] = red | green << np.uint32(8) | blue << np.uint32(16) | alpha << np.uint32(24)


@njit(types.void(*SOURCE, types.int64, types.uint32[::1]), nogil=True, cache=True)
def composite_row(pixels: Any, mask: Any, left: int, y: int, cutout: Any) -> None:
    """Of uint8 [height, wide, 3], [height, wide] the row y from a column on -> cutout, uint32
    [width]."""
    right = left + cutout.shape[0]
    _composite(pixels[y, left:right].reshape(-1), mask[y, left:right], cutout)


@njit(types.void(*SOURCE, types.uint32[:, ::1]), nogil=True, cache=True)
def composite(pixels: Any, mask: Any, left: int, cutout: Any) -> None:
    """The same -> cutout, uint32 [height, width]."""
    for y in range(mask.shape[0]):
        composite_row(pixels, mask, left, y, cutout[y])


@njit(types.void(*SOURCE, types.uint8[:, ::1]), nogil=True, cache=True)
def up_filtered(pixels: Any, mask: Any, left: int, rows: Any) -> None:
    """The same -> rows, uint8 [height, 1 + 4 * width]: the type of the filter, then the cutout's
    row less the one above it (PNG specification, section 9.2)."""
    width = rows.shape[1] // 4
    above, here = np.zeros(width, np.uint32), np.empty(width, np.uint32)
    for y in range(mask.shape[0]):
        composite_row(pixels, mask, left, y, here)
        rows[y, 0] = UP
        filtered, ours, theirs = rows[y, 1:], here.view(np.uint8), above.view(np.uint8)
        for index in range(np.uint64(4 * width)):
            filtered[index] = ours[index] - theirs[index]
        above, here = here, above
