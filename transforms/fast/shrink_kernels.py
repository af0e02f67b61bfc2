"""The loop of `shrink`, compiled by numba; it holds no lock of Python's. Imported when needed.

Its arithmetic is that of Pillow's `Resample.c` and `Convert.c`, row by row: a row is premultiplied
when it is first needed and forgotten when it is no longer; rows are summed to one; some of those
are turned on their side, so that the sums that make them narrower run along memory too. A pixel is
a word with red in its lowest byte.
"""

import math
from typing import Any, Tuple

import numpy as np
from numba import njit, types

from .plain_kernels import SOURCE, composite_row, times

# Pillow's Resample.c: PRECISION_BITS is 32 - 8 - 2.
PRECISION_BITS = 22

# That are turned on their side at once: a pixel of each is a cache line.
ROWS = 16

# Pixels behind each row of the result: a cache holds few lines that lie 2,048 bytes apart.
_BEHIND = 16

_ROUND = np.int32(1 << (PRECISION_BITS - 1))
_LEVEL, _HALF, _ALL = np.uint32(255), np.uint32(128), np.uint32(0xFF000000)
_8, _16, _24 = np.uint32(8), np.uint32(16), np.uint32(24)

_LINE = types.Array(types.uint32, 1, "C", readonly=True)
_WEIGHTS = (types.int32[::1], types.int32[:, ::1])


@njit(types.float64(types.float64), nogil=True, cache=True)
def _hamming(x: float) -> Any:
    """Its numbers are in single precision there."""
    if x == 0:
        return 1.0
    if abs(x) >= 1:
        return 0.0
    x *= math.pi
    return math.sin(x) / x * (np.float32(0.54) + np.float32(0.46) * math.cos(x))


@njit(
    types.Tuple(_WEIGHTS)(types.int64, types.float32, types.float32, types.int64),
    nogil=True,
    cache=True,
)
def weights(before: int, start: float, stop: float, after: int) -> Tuple[Any, Any]:
    """Which pixels each of `after` is made of: `precompute_coeffs` and `normalize_coeffs_8bpc`.

    Returns:
      int32 [after] first pixel, int32 [after, most] weights, which end with zeros.
    """
    scale = (stop - start) / after
    support = max(scale, 1.0)
    first, most = np.empty(after, np.int32), math.ceil(2 * support)
    exact, rounded = np.empty(most, np.float64), np.zeros((after, most), np.int32)
    for new in range(after):
        center = start + (new + 0.5) * scale
        first[new] = max(int(center - support + 0.5), 0)
        number = min(min(int(center + support + 0.5), before) - first[new], most)
        total = 0.0
        for index in range(number):
            exact[index] = _hamming((index + first[new] - center + 0.5) * (1.0 / support))
            total += exact[index]
        for index in range(number):
            rounded[new, index] = int(0.5 + exact[index] / total * (1 << PRECISION_BITS))
    return first, rounded


@njit(types.void(_LINE, types.uint32[::1]), nogil=True, cache=True)
def _premultiply(line: Any, target: Any) -> None:
    """`rgba2rgbA` of a row."""
    for x in range(np.uint64(line.shape[0])):
        word = line[x]
        alpha = word >> _24
        red, green = times(word & _LEVEL, alpha), times((word >> _8) & _LEVEL, alpha)
        blue = times((word >> _16) & _LEVEL, alpha)
        target[x] = red | green << _8 | blue << _16 | (word & _ALL)


@njit(
    types.void(*SOURCE, types.int64, types.uint32[::1], types.uint32[::1]), nogil=True, cache=True
)
def _take(pixels: Any, mask: Any, left: int, y: int, line: Any, target: Any) -> None:
    """The row y of a source, premultiplied -> target; `line` is for what comes between."""
    if mask.size == 0:
        right = left + target.shape[0]
        _premultiply(pixels[y, left:right].reshape(-1).view(np.uint32), target)
    else:
        composite_row(pixels, mask, left, y, line)
        _premultiply(line, target)


@njit(types.uint32(types.uint32, types.float32), nogil=True, cache=True, error_model="numpy")
def _divided(level: Any, alpha: Any) -> Any:
    """The whole part of a quotient; single precision has it right for all levels."""
    return min(np.uint32(np.int32(np.float32((level & _LEVEL) * _LEVEL) / alpha)), _LEVEL)


@njit(types.void(_LINE, types.uint32[::1]), nogil=True, cache=True)
def _straighten(line: Any, target: Any) -> None:
    """`rgbA2rgba` of a row; where there is no opacity its levels stay."""
    for x in range(np.uint64(target.shape[0])):
        word = line[x]
        alpha = np.float32(word >> _24 if word >> _24 else _LEVEL)
        red, green = _divided(word, alpha), _divided(word >> _8, alpha)
        target[x] = red | green << _8 | _divided(word >> _16, alpha) << _16 | (word & _ALL)


@njit(
    types.void(types.uint32[:, ::1], *_WEIGHTS, types.int64, types.uint32[::1], types.int32[::1]),
    nogil=True,
    cache=True,
)
def _sum(kept: Any, first: Any, weights: Any, new: int, line: Any, sums: Any) -> None:
    """The row `new`, of those that are kept -> line, [width]."""
    count, low = weights.shape[1], line.view(np.uint8)
    sums[:] = _ROUND
    for index in range(count):
        weight = weights[new, index]
        levels = kept[(first[new] + index) % count].view(np.uint8)
        for cell in range(sums.shape[0]):
            sums[cell] += np.int32(levels[cell]) * weight
    for cell in range(sums.shape[0]):
        low[cell] = sums[cell] >> PRECISION_BITS


@njit(types.void(types.uint8[:, ::1], *_WEIGHTS, types.uint32[:, ::1]), nogil=True, cache=True)
def _narrow(lines: Any, first: Any, weights: Any, target: Any) -> None:
    """[before, 4 * ROWS] rows on their side, and as many more as there are weights -> target,
    [rows, after]. All pixels have as many weights, some of them 0."""
    sums, levels = np.empty(4 * ROWS, np.int32), np.empty(4 * ROWS, np.uint8)
    words = levels.view(np.uint32)
    for new in range(first.shape[0]):
        sums[:] = _ROUND
        for index in range(weights.shape[1]):
            weight, at = weights[new, index], first[new] + index
            for cell in range(4 * ROWS):
                sums[cell] += np.int32(lines[at, cell]) * weight
        for cell in range(4 * ROWS):
            levels[cell] = sums[cell] >> PRECISION_BITS
        for row in range(target.shape[0]):
            target[row, new] = words[row]


@njit(types.void(*SOURCE, *_WEIGHTS, *_WEIGHTS, types.uint32[:, ::1]), nogil=True, cache=True)
def shrink(
    pixels: Any,
    mask: Any,
    left: int,
    first_x: Any,
    weights_x: Any,
    first_y: Any,
    weights_y: Any,
    target: Any,
) -> None:
    """A plain cutout, or uint8 [before, wide, 4] in RGBA with an empty mask -> target, uint32
    [height, width]."""
    (height, after), count = target.shape, weights_y.shape[1]
    width = first_x[-1] + np.int64(weights_x.shape[1])
    kept = np.zeros((count, width), np.uint32)
    sums, line = np.empty(4 * width, np.int32), np.empty(width, np.uint32)
    lines = np.zeros((width + weights_x.shape[1], 4 * ROWS), np.uint8)
    words, narrow = lines.view(np.uint32), np.empty((ROWS, after + _BEHIND), np.uint32)
    done = 0
    for top in range(0, height, ROWS):
        bottom = min(top + ROWS, height)
        for new in range(top, bottom):
            stop = min(first_y[new] + count, pixels.shape[0])
            for y in range(max(done, first_y[new]), stop):
                _take(pixels, mask, left, y, line, kept[y % count])
            done = stop
            _sum(kept, first_y, weights_y, new, line, sums)
            for x in range(width):
                words[x, new - top] = line[x]
        _narrow(lines, first_x, weights_x, narrow[: bottom - top])
        for new in range(top, bottom):
            _straighten(narrow[new - top], target[new])
