"""Refinement: a mask that was enlarged from a model's small map, and its picture -> sharper edges.

In: a picture's pixels, uint8 [height, width, 3], its mask, uint8 [height, width], and the map's
size. Out: a mask of that size. Nothing here fails.

It is a guided filter (He, Sun and Tang 2013) with colour as its guide, fitted at the map's own size
as the fast guided filter is (He and Sun 2015): around each point the map is told by a linear
function of the three colours, and the same function of the picture's own pixels tells the mask.
Where colours don't explain the map, the edge would follow something else in the picture; there the
mask stays as it is. So it does wherever the map is flat.
"""

from typing import Any, NamedTuple, Tuple

import numpy as np

# Points of the map on either side that a function is fitted to, and over which functions are then
# averaged.
_REACH, _AVERAGED = 3, 1

# Variances that tell nothing, of colours and of the map, both from 0 to 1.
_FLAT, _FLAT_MAP = 1e-4, 1e-3

# Of the map's variance: the share that colours must explain to count at all, and to count fully.
_EXPLAINED, _FULLY = 0.7, 0.9

# Levels are spread by so much around the middle: the function is flatter than the edge.
_CONTRAST = 1.2

# Points from an edge, where the map changes by so much, to which the mask may change.
_NEAR, _EDGE = 2, 0.1

# Pixels of the picture for which there are numbers at once.
_BLOCK = 1 << 18


def refine(pixels: Any, mask: Any, size: Tuple[int, int]) -> Any:
    """The mask with the edges that the picture has.

    Args:
      pixels: of the picture, uint8 [height, width, 3].
      mask: uint8 [height, width], enlarged from a map.
      size: the map's height and width; where it has as many pixels the mask stays as it is.
    """
    height, width = mask.shape
    small = (min(size[0], height), min(size[1], width))
    if small[0] * small[1] * 2 > height * width:
        return mask
    found = _fit(pixels, mask, small)
    refined = mask.copy()
    rows = max(1, _BLOCK // width)
    for first in range(0, height, rows):
        _refine_rows(refined, pixels, found, slice(first, min(first + rows, height)))
    return refined


class _Fit(NamedTuple):
    """What tells the mask by the colours at each point of the map.

    Attributes:
      told: float32 [height, width, 5]: a factor of each colour, what is added, both times how far
        that is to be trusted, and this, 0 to 1.
      near: uint8 [height, width], 1 where any point about it is trusted.
    """

    told: Any
    near: Any


def _fit(pixels: Any, mask: Any, size: Tuple[int, int]) -> _Fit:
    import cv2

    guide = np.stack(cv2.split(_shrunk(pixels, size)))
    map = _shrunk(mask, size)
    mean_guide, mean = _means(guide, _REACH), _mean(map, _REACH)
    shared = _means(guide * map, _REACH) - mean_guide * mean
    red, green, blue = (
        _means(guide * guide[channel], _REACH)
        - mean_guide * mean_guide[channel]
        + _FLAT * np.eye(3, dtype=np.float32)[channel][:, None, None]
        for channel in range(3)
    )
    # Cramer's rule, for the three factors of each point.
    crossed = [_cross(green, blue), _cross(blue, red), _cross(red, green)]
    factors = np.stack([_dot(shared, each) for each in crossed]) / _dot(red, crossed[0])
    added = mean - _dot(factors, mean_guide)
    variance = np.maximum(_mean(map * map, _REACH) - mean * mean, 0)
    explained = _dot(factors, shared) / (variance + _FLAT_MAP)
    trust = np.clip((explained - _EXPLAINED) / (_FULLY - _EXPLAINED), 0, 1)
    window = np.ones((2 * _NEAR + 1, 2 * _NEAR + 1), np.uint8)
    trust *= cv2.morphologyEx(map, cv2.MORPH_GRADIENT, window) > _EDGE
    weight = _mean(trust, _AVERAGED)
    told = [_mean(plane * trust, _AVERAGED) for plane in (*factors, added)]
    near = cv2.dilate((weight > 0).astype(np.uint8), np.ones((3, 3), np.uint8))
    return _Fit(np.dstack([*told, weight]), near)


def _shrunk(levels: Any, size: Tuple[int, int]) -> Any:
    """float32, 0 to 1."""
    import cv2

    return cv2.resize(levels, size[::-1], interpolation=cv2.INTER_AREA).astype(np.float32) / 255


def _mean(plane: Any, reach: int) -> Any:
    import cv2

    return cv2.blur(plane, (2 * reach + 1, 2 * reach + 1), borderType=cv2.BORDER_REFLECT)


def _means(planes: Any, reach: int) -> Any:
    return np.stack([_mean(plane, reach) for plane in planes])


def _cross(one: Any, other: Any) -> Any:
    return np.stack([one[i - 2] * other[i - 1] - one[i - 1] * other[i - 2] for i in range(3)])


def _dot(one: Any, other: Any) -> Any:
    return one[0] * other[0] + one[1] * other[1] + one[2] * other[2]


def _refine_rows(mask: Any, pixels: Any, fit: _Fit, rows: slice) -> None:
    """Refines some rows of a mask, in place."""
    (top, down), (left, right) = (
        _places(side, of) for side, of in zip(mask.shape, fit.near.shape, strict=True)
    )
    y, x = np.nonzero(fit.near[top[rows]][:, left])
    y += rows.start
    told = _between(fit.told, top[y], left[x], down[y], right[x])
    guide, level = pixels[y, x], mask[y, x]
    weight = told[:, 4]
    told = told / np.maximum(weight, 1e-6)[:, None]
    found = _CONTRAST * ((told[:, :3] * guide).sum(axis=1) + 255 * told[:, 3] - 127.5) + 127.5
    changed = (np.clip(found, 0, 255) - level) * weight
    mask[y, x] = np.rint(level + changed)


def _places(side: int, of: int) -> Tuple[Any, Any]:
    """Where the pixels along a side lie between the points of a smaller one: the point before each,
    and the share of the way to the next."""
    at = np.clip((np.arange(side) + 0.5) * (of / side) - 0.5, 0, of - 1)
    before = np.minimum(at.astype(np.intp), max(of - 2, 0))
    return before, (at - before).astype(np.float32)[:, None]


def _between(values: Any, top: Any, left: Any, down: Any, right: Any) -> Any:
    """The values [height, width, n] at points between theirs, float32 [points, n]."""
    height, width, count = values.shape
    flat, first = values.reshape(-1, count), top * width + left
    below, beside = width if height > 1 else 0, 1 if width > 1 else 0
    upper = flat[first] * (1 - right) + flat[first + beside] * right
    lower = flat[first + below] * (1 - right) + flat[first + below + beside] * right
    return upper * (1 - down) + lower * down
