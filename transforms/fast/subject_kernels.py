"""The loops of `subject`, under the same names, compiled by numba; they hold no lock of Python's.
Imported when needed.

Their indices are unsigned and their sums are of one kind in a row, with which LLVM makes vector
instructions of them.
"""

from typing import Any, Tuple

import numpy as np
from numba import njit, types

from .subject import FOREGROUND, HASH_COLUMNS, HASH_ROWS

_PLANE = types.Array(types.uint8, 2, "C", readonly=True)
_PIXELS = types.Array(types.uint8, 3, "C", readonly=True)
_ONE = np.uint64(1)
_NONE: Any = 0


@njit(types.UniTuple(types.int64, 7)(_PLANE), nogil=True, cache=True)
def extent(mask: Any) -> Tuple[int, ...]:
    """As `subject.extent`."""
    height, width = mask.shape
    columns = np.zeros(width, np.uint32)
    left, top, right, bottom, area, sum_x, sum_y = width, 0, 0, 0, _NONE, _NONE, _NONE
    for y in range(height):
        row, here = mask[y], np.uint64(0)
        for x in range(np.uint64(width)):
            found = np.uint32(row[x] >= FOREGROUND)
            here += found
            columns[x] += found
        if here:
            top = y if area == 0 else top
            bottom, area, sum_y = y + 1, area + here, sum_y + y * here
    for x in range(width):
        if columns[x]:
            left, right, sum_x = min(left, x), x + 1, sum_x + x * columns[x]
    return left if area else 0, top, right, bottom, area, sum_x, sum_y


@njit(types.UniTuple(types.int64, 4)(_PIXELS, _PLANE), nogil=True, cache=True)
def colour_sums(pixels: Any, mask: Any) -> Tuple[int, int, int, int]:
    """As `subject.colour_sums`."""
    reds, greens, blues, levels = _NONE, _NONE, _NONE, _NONE
    for y in range(mask.shape[0]):
        line, row = pixels[y].reshape(-1), mask[y]
        red, green, blue, level = np.uint64(0), np.uint64(0), np.uint64(0), np.uint64(0)
        for x in range(np.uint64(row.size)):
            first, weight = np.uint64(3) * x, np.uint32(row[x])
            red += np.uint32(line[first]) * weight
            green += np.uint32(line[first + _ONE]) * weight
            blue += np.uint32(line[first + np.uint64(2)]) * weight
            level += weight
        reds, greens, blues, levels = reds + red, greens + green, blues + blue, levels + level
    return reds, greens, blues, levels


@njit(types.uint8[:, ::1](_PIXELS), nogil=True, cache=True)
def grey(pixels: Any) -> Any:
    """As `subject.grey`: `L24` of Pillow's `Convert.c`."""
    levels = np.empty(pixels.shape[:2], np.uint8)
    for y in range(levels.shape[0]):
        line, row = pixels[y].reshape(-1), levels[y]
        for x in range(np.uint64(row.size)):
            first = np.uint64(3) * x
            red = np.uint32(line[first]) * np.uint32(19595)
            green = np.uint32(line[first + _ONE]) * np.uint32(38470)
            blue = np.uint32(line[first + np.uint64(2)]) * np.uint32(7471)
            row[x] = (red + green + blue + np.uint32(0x8000)) >> np.uint32(16)
    return levels


@njit(types.UniTuple(types.int64, 3)(_PLANE, _PLANE), nogil=True, cache=True)
def laplacian_sums(grey: Any, mask: Any) -> Tuple[int, int, int]:
    """As `subject.laplacian_sums`."""
    number, total, squares = _NONE, _NONE, _NONE
    if mask.shape[1] < 3:
        return number, total, squares
    for y in range(1, mask.shape[0] - 1):
        above, here, below = grey[y - 1], grey[y], grey[y + 1]
        over, row, under = mask[y - 1], mask[y], mask[y + 1]
        for x in range(_ONE, np.uint64(row.size - 1)):
            least = min(row[x - _ONE], row[x], row[x + _ONE], over[x], under[x])
            around = np.int32(here[x - _ONE]) + np.int32(here[x + _ONE])
            around += np.int32(above[x]) + np.int32(below[x])
            found = np.int32(least >= FOREGROUND)
            value = found * (around - np.int32(4) * np.int32(here[x]))
            number, total, squares = number + found, total + value, squares + value * value
    return number, total, squares


@njit(types.int64[:, :, ::1](_PLANE, _PLANE), nogil=True, cache=True)
def cells(grey: Any, mask: Any) -> Any:
    """As `subject.cells`."""
    height, width = grey.shape
    found = np.empty((2, HASH_ROWS, HASH_COLUMNS), np.int64)
    for row in range(HASH_ROWS):
        top, bottom = row * height // HASH_ROWS, -(-(row + 1) * height // HASH_ROWS)
        for column in range(HASH_COLUMNS):
            left = column * width // HASH_COLUMNS
            right = -(-(column + 1) * width // HASH_COLUMNS)
            whole, taken = _NONE, _NONE
            for y in range(top, bottom):
                levels, weights = grey[y, left:right], mask[y, left:right]
                level, dark = np.int64(0), np.int64(0)
                for x in range(np.uint64(levels.size)):
                    level += np.int32(levels[x])
                    dark += (np.int32(255) - np.int32(levels[x])) * np.int32(weights[x])
                whole, taken = whole + level, taken + dark
            number = (bottom - top) * (right - left)
            found[0, row, column] = (2 * whole + number) // (2 * number)
            number *= 255
            found[1, row, column] = (2 * (255 * number - taken) + number) // (2 * number)
    return found
