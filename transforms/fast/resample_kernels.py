"""The loops of `resample` and `normalize`, compiled by numba to machine code that holds no lock of
Python's.

Imported where they are first needed: importing numba takes a second, compiling them some more, once
per machine (numba keeps the code in `__pycache__` or in the user's cache).
"""

import math
from typing import Any, Tuple

import numpy as np
from numba import njit, types

# Pillow's Resample.c: PRECISION_BITS is 32 - 8 - 2.
PRECISION_BITS = 22

# Lanczos: the lobes on each side.
SUPPORT = 3.0

# Rows that are turned on their side at once, and pixels of each: both fit the nearest cache.
ROWS = 32
CACHE_LINE = 64

# Pixels may come in memory that is not to be written to, such as a Pillow image's.
_CELLS = types.Array(types.uint8, 2, "C", readonly=True)
_PIXELS = types.Array(types.uint8, 3, "C", readonly=True)
_TABLES = types.Array(types.float32, 2, "C", readonly=True)
_WEIGHTS = (types.int32[::1], types.int32[::1], types.int32[:, ::1])

_HALF = np.int32(1 << (PRECISION_BITS - 1))


@njit(types.float64(types.float64), nogil=True, cache=True)
def _lanczos(x: float) -> float:
    if not -SUPPORT <= x < SUPPORT:
        return 0.0
    if x == 0.0:
        return 1.0
    wide, narrow = x * math.pi, x / SUPPORT * math.pi
    return math.sin(wide) / wide * (math.sin(narrow) / narrow)


@njit(types.Tuple(_WEIGHTS)(types.int64, types.int64), nogil=True, cache=True)
def weights(before: int, after: int) -> Tuple[Any, Any, Any]:
    """`precompute_coeffs` and `normalize_coeffs_8bpc` of Resample.c.

    Returns:
      int32 [after] first pixel, int32 [after] number, int32 [after, most] weights.
    """
    scale = before / after
    filter_scale = max(scale, 1.0)
    support = SUPPORT * filter_scale
    most = math.ceil(support) * 2 + 1
    first = np.empty(after, np.int32)
    number = np.empty(after, np.int32)
    rounded = np.zeros((after, most), np.int32)
    exact = np.empty(most, np.float64)
    for new in range(after):
        center = (new + 0.5) * scale
        start = max(int(center - support + 0.5), 0)
        count = min(int(center + support + 0.5), before) - start
        total = 0.0
        for index in range(count):
            weight = _lanczos((index + start - center + 0.5) * (1.0 / filter_scale))
            exact[index] = weight
            total += weight
        for index in range(count):
            weight = exact[index] / total if total != 0.0 else exact[index]
            point = weight * (1 << PRECISION_BITS)
            rounded[new, index] = int(-0.5 + point) if weight < 0 else int(0.5 + point)
        first[new], number[new] = start, count
    return first, number, rounded


@njit(types.void(_CELLS, *_WEIGHTS, types.uint8[:, ::1]), nogil=True, cache=True)
def vertically(source: Any, first: Any, number: Any, weights: Any, target: Any) -> None:
    """uint8 [before, cells] -> target, uint8 [after, cells]."""
    cells = source.shape[1]
    sums = np.empty(cells, np.int32)
    for new in range(target.shape[0]):
        sums[:] = _HALF
        start, count = first[new], number[new]
        fours = count // 4 * 4
        # Four rows at once: the sums are loaded and stored a quarter as often.
        for index in range(0, fours, 4):
            a, b = weights[new, index], weights[new, index + 1]
            c, d = weights[new, index + 2], weights[new, index + 3]
            row = start + index
            for cell in range(cells):
                sums[cell] += (
                    np.int32(source[row, cell]) * a
                    + np.int32(source[row + 1, cell]) * b
                    + np.int32(source[row + 2, cell]) * c
                    + np.int32(source[row + 3, cell]) * d
                )
        for index in range(fours, count):
            weight = weights[new, index]
            for cell in range(cells):
                sums[cell] += np.int32(source[start + index, cell]) * weight
        for cell in range(cells):
            target[new, cell] = min(max(sums[cell] >> PRECISION_BITS, 0), 255)


@njit(types.void(_PIXELS, types.uint8[:, ::1]), nogil=True, cache=True)
def _turn(source: Any, columns: Any) -> None:
    """uint8 [rows, width, channels] -> columns, uint8 [width, channels * ROWS], by cache lines."""
    rows, width, channels = source.shape
    for left in range(0, width, CACHE_LINE):
        right = min(left + CACHE_LINE, width)
        for row in range(rows):
            line = source[row]
            if channels == 3:
                for x in range(left, right):
                    columns[x, row] = line[x, 0]
                    columns[x, ROWS + row] = line[x, 1]
                    columns[x, 2 * ROWS + row] = line[x, 2]
            else:
                for x in range(left, right):
                    for channel in range(channels):
                        columns[x, channel * ROWS + row] = line[x, channel]


@njit(types.void(_PIXELS, *_WEIGHTS, types.uint8[:, :, ::1]), nogil=True, cache=True)
def horizontally(source: Any, first: Any, number: Any, weights: Any, target: Any) -> None:
    """uint8 [height, before, channels] -> target, uint8 [height, after, channels].

    Some rows at a time are turned on their side, so that the sums run along memory.
    """
    height, before, channels = source.shape
    after = target.shape[1]
    columns = np.empty((before, channels * ROWS), np.uint8)
    summed = np.empty((after, channels * ROWS), np.uint8)
    for top in range(0, height, ROWS):
        here = min(ROWS, height - top)
        _turn(source[top : top + here], columns)
        vertically(columns, first, number, weights, summed)
        for row in range(here):
            for new in range(after):
                for channel in range(channels):
                    target[top + row, new, channel] = summed[new, channel * ROWS + row]


@njit(types.void(_TABLES, _PIXELS, types.float32[:, :, ::1]), nogil=True, cache=True)
def look_up(tables: Any, pixels: Any, tensor: Any) -> None:
    """float32 [3, 256], uint8 [height, width, 3] -> tensor, float32 [3, height, width]."""
    for y in range(pixels.shape[0]):
        for x in range(pixels.shape[1]):
            tensor[0, y, x] = tables[0, pixels[y, x, 0]]
            tensor[1, y, x] = tables[1, pixels[y, x, 1]]
            tensor[2, y, x] = tables[2, pixels[y, x, 2]]
