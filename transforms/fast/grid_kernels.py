"""The loops of `grid`, compiled by numba; they hold no lock of Python's. Imported when needed."""

from typing import Any, Tuple

import numpy as np
from numba import njit, types

from .grid import BAND, FLAT, FULL, HALF, HIGH, LOW, PART, SOME, TOUCHED

# Levels; more than twice what points may differ by: no edge is there.
_NO_EDGE = 512

_PARENTS = types.int32[::1]
_FOUND = types.uint8[:, ::1]
# Points of a picture and a mask may be taken where they lie, some pixels apart.
_MASK = types.Array(types.uint8, 2, "A", readonly=True)
_COLOURS = types.Array(types.uint8, 3, "A", readonly=True)
_GATHERED = types.uint8[:, :, ::1]
_INTEGER = types.int64


@njit(_INTEGER(_FOUND), nogil=True, cache=True)
def _borders(found: Any) -> int:
    height, width = found.shape
    top, bottom, left, right = 0, 0, 0, 0
    for x in range(width):
        top, bottom = top + found[0, x], bottom + found[height - 1, x]
    for y in range(height):
        left, right = left + found[y, 0], right + found[y, width - 1]
    across, along = TOUCHED * width, TOUCHED * height
    return (top > across) + (bottom > across) + (left > along) + (right > along)


@njit(types.int32(_PARENTS, types.int32), nogil=True, cache=True)
def _root(parents: Any, point: int) -> int:
    while parents[point] != point:
        parents[point] = parents[parents[point]]
        point = parents[point]
    return point


@njit(types.void(_PARENTS, types.int32, types.int32), nogil=True, cache=True)
def _join(parents: Any, one: int, other: int) -> None:
    one, other = _root(parents, one), _root(parents, other)
    parents[max(one, other)] = min(one, other)


@njit(types.UniTuple(_INTEGER, 2)(_FOUND, _INTEGER), nogil=True, cache=True)
def _pieces(found: Any, area: int) -> Tuple[int, int]:
    """As `grid._pieces`, by union and find: a piece's root is its first point."""
    height, width = found.shape
    parents = np.empty(height * width, np.int32)
    for point in range(height * width):
        parents[point] = point
    for y in range(height):
        for x in range(width):
            here, point = found[y, x], y * width + x
            if x and found[y, x - 1] == here:
                _join(parents, point, point - 1)
            if y and found[y - 1, x] == here:
                _join(parents, point, point - width)
            if y and x and here and found[y - 1, x - 1]:
                _join(parents, point, point - width - 1)
            if y and x + 1 < width and here and found[y - 1, x + 1]:
                _join(parents, point, point - width + 1)
    sizes, outside = np.zeros(height * width, np.int32), np.zeros(height * width, np.bool_)
    for y in range(height):
        for x in range(width):
            root = _root(parents, y * width + x)
            sizes[root] += 1
            if y == 0 or x == 0 or y == height - 1 or x == width - 1:
                outside[root] = True
    parts, holes = 0, 0
    for point in range(height * width):
        if found[point // width, point % width]:
            parts += sizes[point] > PART * area and sizes[point] > 0
        elif not outside[point]:
            holes += sizes[point]
    return parts, holes


@njit(types.int32[:, ::1](_FOUND), nogil=True, cache=True)
def _sums(found: Any) -> Any:
    """int32 [height + 1, width + 1]: how many points were found above and to the left."""
    height, width = found.shape
    sums = np.zeros((height + 1, width + 1), np.int32)
    for y in range(height):
        row = 0
        for x in range(width):
            row += found[y, x]
            sums[y + 1, x + 1] = sums[y, x + 1] + row
    return sums


@njit(types.boolean(types.int32[:, ::1], _INTEGER, _INTEGER), nogil=True, cache=True)
def _near(sums: Any, y: int, x: int) -> bool:
    """Whether some was found at most `BAND` points away, and some was not."""
    top, left = max(y - BAND, 0), max(x - BAND, 0)
    bottom, right = min(y + BAND + 1, sums.shape[0] - 1), min(x + BAND + 1, sums.shape[1] - 1)
    found = sums[bottom, right] - sums[top, right] - sums[bottom, left] + sums[top, left]
    return 0 < found < (bottom - top) * (right - left)


@njit(_INTEGER(_GATHERED, *(_INTEGER,) * 4), nogil=True, cache=True)
def _change(colours: Any, y: int, x: int, y2: int, x2: int) -> Any:
    """By how much two points differ: Pillow's grey (`L24` of its `Convert.c`) of the difference."""
    red = abs(np.int64(colours[y, x, 0]) - np.int64(colours[y2, x2, 0]))
    green = abs(np.int64(colours[y, x, 1]) - np.int64(colours[y2, x2, 1]))
    blue = abs(np.int64(colours[y, x, 2]) - np.int64(colours[y2, x2, 2]))
    return (red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16


@njit(types.UniTuple(_INTEGER, 5)(_GATHERED, _FOUND), nogil=True, cache=True)
def _contrast(colours: Any, found: Any) -> Tuple[int, int, int, int, int]:
    """As `grid._contrast`."""
    height, width = found.shape
    sums = _sums(found)
    changes = np.empty((2, height, width), np.int16)
    across, edges, beside, others = 0, 0, 0, 0
    for y in range(height):
        for x in range(width):
            for axis in range(2):
                y2, x2 = y - 1 + axis, x - axis
                changes[axis, y, x] = _NO_EDGE
                if y2 < 0 or x2 < 0:
                    continue
                if found[y, x] != found[y2, x2]:
                    change = _change(colours, y, x, y2, x2)
                    changes[axis, y, x] = change
                    across, edges = across + change, edges + 1
                elif _near(sums, y, x):
                    beside, others = beside + _change(colours, y, x, y2, x2), others + 1
    limit = max(2 * (beside / max(others, 1)), float(FLAT))
    flat, columns = 0, np.zeros(width, np.int64)
    for y in range(height):
        row = 0
        for x in range(width):
            row += changes[0, y, x] < limit
            columns[x] += changes[1, y, x] < limit
            flat = max(flat, row, columns[x])
    return across, edges, beside, others, flat


@njit(types.UniTuple(_INTEGER, 13)(_COLOURS, _MASK), nogil=True, cache=True)
def count(colours: Any, mask: Any) -> Tuple[int, ...]:
    """uint8 [height, width, 3], [height, width] -> the fields of `grid.Counts`."""
    found = np.empty(mask.shape, np.uint8)
    some, low, half, high, full = 0, 0, 0, 0, 0
    for y in range(mask.shape[0]):
        for x in range(mask.shape[1]):
            level = mask[y, x]
            some, low, half = some + (level >= SOME), low + (level >= LOW), half + (level >= HALF)
            high, full = high + (level >= HIGH), full + (level >= FULL)
            found[y, x] = level >= HALF
    parts, holes = _pieces(found, half)
    contrast = _contrast(colours.copy(), found)
    return (some, low, half, high, full, parts, holes, _borders(found), *contrast)
