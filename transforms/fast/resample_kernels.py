"""The loops of `resample`, `normalize` and `stretch`, compiled by numba to machine code that holds
no lock of Python's.

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

# Rows that are turned on their side at once.
ROWS = 32

# Words of cells: their sizes in bits, and which are the even ones.
_EIGHT, _BYTES = np.uint64(8), np.uint64(0x00FF00FF00FF00FF)
_SIXTEEN, _PAIRS = np.uint64(16), np.uint64(0x0000FFFF0000FFFF)

# Pixels may come in memory that is not to be written to, such as a Pillow image's.
_CELLS = types.Array(types.uint8, 2, "C", readonly=True)
_PIXELS = types.Array(types.uint8, 3, "C", readonly=True)
_MAP = types.Array(types.float32, 2, "C", readonly=True)
_TABLES = types.Array(types.float32, 3, "C", readonly=True)
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


@njit(types.UniTuple(types.uint64, 2)(*(types.uint64,) * 4), nogil=True, cache=True)
def _paired(one: Any, other: Any, bits: Any, even: Any) -> Tuple[Any, Any]:
    """Of two words of cells of so many bits: the even cells, one behind the other, and the odd."""
    return one & even | (other & even) << bits, one >> bits & even | other & ~even


@njit(types.void(_CELLS, types.uint8[:, ::1]), nogil=True, cache=True)
def _turn(source: Any, columns: Any) -> None:
    """uint8 [rows, cells] -> columns, uint8 [cells, ROWS]; 8 cells of 4 rows at once, as words."""
    rows, cells = source.shape
    words, wide, high = columns.view(np.uint32), cells // 8 * 8, rows // 4 * 4
    for top in range(0, high, 4):
        a, b = source[top, :wide].view(np.uint64), source[top + 1, :wide].view(np.uint64)
        c, d = source[top + 2, :wide].view(np.uint64), source[top + 3, :wide].view(np.uint64)
        for left in range(wide // 8):
            # Of each two rows the even cells beside each other, and the odd ones; then of all four.
            even, odd = _paired(a[left], b[left], _EIGHT, _BYTES)
            even_below, odd_below = _paired(c[left], d[left], _EIGHT, _BYTES)
            first, third = _paired(even, even_below, _SIXTEEN, _PAIRS)
            second, fourth = _paired(odd, odd_below, _SIXTEEN, _PAIRS)
            for cell, four in enumerate((first, second, third, fourth)):
                words[8 * left + cell, top // 4] = np.uint32(four)
                words[8 * left + cell + 4, top // 4] = np.uint32(four >> np.uint64(32))
    for row in range(rows):
        for cell in range(wide if row < high else 0, cells):
            columns[cell, row] = source[row, cell]


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
        rows = source[top : top + here].reshape(here, before * channels)
        _turn(rows, columns.reshape(before * channels, ROWS))
        vertically(columns, first, number, weights, summed)
        for row in range(here):
            for new in range(after):
                for channel in range(channels):
                    target[top + row, new, channel] = summed[new, channel * ROWS + row]


@njit(
    types.void(_PIXELS, *_WEIGHTS, *_WEIGHTS, types.boolean, types.uint8[:, :, ::1]),
    nogil=True,
    cache=True,
)
def resize(
    source: Any,
    first_x: Any,
    number_x: Any,
    weights_x: Any,
    first_y: Any,
    number_y: Any,
    weights_y: Any,
    is_tall: bool,
    target: Any,
) -> None:
    """uint8 [before, before, channels] -> target, uint8 [height, width, channels].

    Its height comes first if it `is_tall`; a pass that would change nothing is left out.
    """
    before, width, channels = source.shape
    height = target.shape[0]
    if before != height and (is_tall or width == target.shape[1]):
        lower = np.empty((height, width, channels), np.uint8)
        flat = lower.reshape(height, width * channels)
        vertically(source.reshape(before, width * channels), first_y, number_y, weights_y, flat)
        if width == target.shape[1]:
            target[:] = lower
        else:
            horizontally(lower, first_x, number_x, weights_x, target)
    elif width == target.shape[1]:
        target[:] = source
    elif before == height:
        horizontally(source, first_x, number_x, weights_x, target)
    else:
        width = target.shape[1]
        narrower = np.empty((before, width, channels), np.uint8)
        horizontally(source, first_x, number_x, weights_x, narrower)
        flat = target.reshape(height, width * channels)
        vertically(narrower.reshape(before, width * channels), first_y, number_y, weights_y, flat)


@njit(types.void(_TABLES, _PIXELS, types.float32[:, :, ::1]), nogil=True, cache=True)
def look_up(tables: Any, pixels: Any, tensor: Any) -> None:
    """float32 [256, 3, 256], of each maximum one; uint8 [height, width, 3] -> tensor, float32
    [3, height, width]."""
    maximum = np.uint8(0)
    for pixel in pixels.reshape(pixels.size):
        maximum = max(maximum, pixel)
    table = tables[maximum]
    for y in range(pixels.shape[0]):
        for x in range(pixels.shape[1]):
            tensor[0, y, x] = table[0, pixels[y, x, 0]]
            tensor[1, y, x] = table[1, pixels[y, x, 1]]
            tensor[2, y, x] = table[2, pixels[y, x, 2]]


@njit(types.int32(types.int32), nogil=True, cache=True)
def _ordered(bits: Any) -> Any:
    """The bits of a number -> an integer in the order of the numbers, and back."""
    return np.int32(bits ^ ((bits >> np.int32(31)) & np.int32(0x7FFFFFFF)))


@njit(
    types.UniTuple(types.int32, 2)(types.Array(types.int32, 1, "C", readonly=True)),
    nogil=True,
    cache=True,
)
def extremes(bits: Any) -> Tuple[Any, Any]:
    """The bits of numbers, float32 -> those of the lowest and the highest; a NaN is either.

    Integers, since of numbers LLVM makes no vector instructions here.
    """
    low, high = np.int32(0x7FFFFFFF), np.int32(-0x80000000)
    for index in range(bits.size):
        ordered = _ordered(bits[index])
        low, high = min(low, ordered), max(high, ordered)
    return _ordered(low), _ordered(high)


@njit(
    types.void(_MAP, types.float32, types.float32, types.uint8[:, ::1]),
    nogil=True,
    cache=True,
    error_model="numpy",
)
def stretch(map: Any, low: float, high: float, mask: Any) -> None:
    """float32 [height, width] from `low` to `high` -> mask, uint8 [height, width], 0 to 255."""
    distance = high - low
    for y in range(map.shape[0]):
        for x in range(map.shape[1]):
            mask[y, x] = np.int32((map[y, x] - low) / distance * np.float32(255))
