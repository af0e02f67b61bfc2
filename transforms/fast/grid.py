"""A picture and its mask, each at the points of a grid -> what is counted there, for `suspect`.

In: a grid's points of a picture and of its mask. Out: `Counts`, all of them whole numbers, so that
the loops of `grid_kernels`, which hold no lock of Python's and take a tenth of the time, count the
very same. Nothing here fails.
"""

from typing import Any, List, NamedTuple, Tuple

import numpy as np
from PIL import Image

# Levels of a mask, of 255: half, and 0.3, 0.7 and 0.1, 0.9 of it.
HALF, LOW, HIGH, SOME, FULL = 128, 77, 179, 26, 230

# A part counts from this share of all that was found; a side of the picture from this much of it.
PART, TOUCHED = 0.02, 0.15

# Points on either side of a mask's edge with which the contrast at the edge is compared.
BAND = 3

# Levels; less is no contrast, however flat all is around.
FLAT = 12


class Counts(NamedTuple):
    """What is counted; points but for `parts`, `borders`, and the sums of levels.

    Attributes:
      some, low, half, high, full: whose mask is at least so high.
      parts: of what was found, corners connected, that are not too small.
      holes: in what was found, sides connected; what touches a side of the picture is none.
      borders: sides of the picture that are touched.
      across, edges: how much neighbours differ across the edge of what was found; how many such.
      beside, others: the same of neighbours near the edge on one side of it.
      flat: the most of the edge without contrast in one row or column.
    """

    some: int
    low: int
    half: int
    high: int
    full: int
    parts: int
    holes: int
    borders: int
    across: int
    edges: int
    beside: int
    others: int
    flat: int


def count(colours: Any, mask: Any) -> Counts:
    """What there is, by NumPy.

    Args:
      colours: of the picture, uint8 [height, width, 3], both 2 or more.
      mask: uint8 [height, width].
    """
    found = mask >= HALF
    levels = [int(np.count_nonzero(mask >= level)) for level in (SOME, LOW, HALF, HIGH, FULL)]
    sides = found[0], found[-1], found[:, 0], found[:, -1]
    borders = sum(int(np.count_nonzero(side)) > TOUCHED * side.size for side in sides)
    pieces = _pieces(found, levels[2])
    return Counts._make([*levels, *pieces, borders, *_contrast(colours, found)])


def _pieces(found: Any, area: int) -> Tuple[int, int]:
    """The number of parts, and the points of holes."""
    labels = _labels(found)
    sizes = np.bincount(labels.ravel())
    is_part = np.zeros(sizes.size, bool)
    is_part[labels[found]] = True
    is_hole = ~is_part
    for side in (labels[0], labels[-1], labels[:, 0], labels[:, -1]):
        is_hole[side] = False
    return int(np.count_nonzero(sizes[is_part] > PART * area)), int(sizes[is_hole].sum())


def _labels(found: Any) -> Any:
    """int [height, width]: a number of each piece of what was found, and of what was not."""
    starts = np.ones(found.shape, bool)
    starts[:, 1:] = found[:, 1:] != found[:, :-1]
    runs = (np.cumsum(starts) - 1).reshape(found.shape)
    one, other = _touching(found, runs)
    labels = np.arange(runs[-1, -1] + 1)
    while (labels[one] != labels[other]).any():
        for here, there in ((one, other), (other, one)):
            np.minimum.at(labels, labels[here], labels[there])
        labels = labels[labels]
    return labels[runs]


def _touching(found: Any, runs: Any) -> Tuple[Any, Any]:
    """The runs of two rows that belong together: of what was found, at corners too."""
    above, below = (slice(None, -1), slice(1, None))
    pairs: List[Any] = []
    for left, right in ((slice(None), slice(None)), (above, below), (below, above)):
        here, there = (above, left), (below, right)
        joined = found[here] & found[there]
        if left == right:
            joined |= found[here] == found[there]
        pairs.append([runs[here][joined], runs[there][joined]])
    one, other = np.concatenate(pairs, 1)
    return one, other


def _contrast(colours: Any, found: Any) -> Tuple[int, ...]:
    """`Counts` from `across` on."""
    near = _near_the_edge(found)
    steps = [_steps(colours, found, near, axis) for axis in (0, 1)]
    across, edges, beside, others = (int(sum(each)) for each in zip(*(one for one, _, _ in steps)))
    limit = max(2 * (beside / max(others, 1)), FLAT)
    flat = [
        np.count_nonzero(edge & (change < limit), axis=1 - axis).max()
        for axis, (_, edge, change) in enumerate(steps)
    ]
    return across, edges, beside, others, int(max(flat))


def _near_the_edge(found: Any) -> Any:
    """Whether some was found at most `BAND` rows and columns away, and some was not."""
    wide = np.pad(found, BAND, "edge").cumsum(0).cumsum(1)
    sums, side = np.pad(wide, ((1, 0), (1, 0))), 2 * BAND + 1
    lower = sums[side:] - sums[:-side]
    around = lower[:, side:] - lower[:, :-side]
    return (around > 0) & (around < side * side)


def _steps(colours: Any, found: Any, near: Any, axis: int) -> Tuple[Tuple[int, ...], Any, Any]:
    """`across` to `others` of neighbours along an axis; which have the edge between them, and by
    how many levels, of grey, each two differ."""
    here, there = (slice(1, None), slice(None, -1))
    if axis:
        here, there = (slice(None), here), (slice(None), there)  # type: ignore[assignment]
    one, other = colours[here], colours[there]
    change = np.maximum(one, other) - np.minimum(one, other)
    grey = np.asarray(Image.fromarray(change).convert("L"))
    edge = found[here] != found[there]
    beside = near[here] > edge
    counts = grey[edge].sum(dtype=int), edge.sum(), grey[beside].sum(dtype=int), beside.sum()
    return counts, edge, grey
