"""Geometry: the size of a picture and a box of it -> where each of its points goes in another.

Points are measured in pixels from the upper left corner, so that the first pixel reaches from 0 to
1. A `Frame` scales and moves them, x and y each by itself; of each, `shown` says which pixels of
the frame show the picture, and of which of the picture's they are made. Nothing here fails.
"""

import math
from typing import Any, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from ..fast.subject import FOREGROUND

# Where what there is lies in what there is room for, as shares of the room left over: x, y.
ALIGNMENTS = {
    "center": (0.5, 0.5),
    "bottom": (0.5, 1.0),
    "top": (0.5, 0.0),
    "left": (0.0, 0.5),
    "right": (1.0, 0.5),
}

# Of a pixel: edges that are nearer lie on it.
_NEAR = 1e-6


class Box(NamedTuple):
    """Pixels of a picture, and maybe beyond it: `right` and `bottom` are the first not in it."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def size(self) -> Tuple[int, int]:
        return self.right - self.left, self.bottom - self.top

    def grown(self, pixels: int) -> "Box":
        """With so many pixels more on each side.

        >>> Box(10, 20, 30, 40).grown(5)
        Box(left=5, top=15, right=35, bottom=45)
        """
        left, top, right, bottom = self
        return Box(left - pixels, top - pixels, right + pixels, bottom + pixels)

    def resized(self, size: Tuple[int, int], align: str) -> "Box":
        """Of another size, what is more or less being shared out as `align` says.

        >>> Box(0, 0, 100, 50).resized((100, 100), "center")
        Box(left=0, top=-25, right=100, bottom=75)
        """
        left, top = (
            start - math.floor((after - before) * share)
            for start, before, after, share in zip(
                self[:2], self.size, size, ALIGNMENTS[align], strict=True
            )
        )
        return Box(left, top, left + size[0], top + size[1])


class Shown(NamedTuple):
    """Along one side: what of a frame shows the picture, and what of the picture that is made of.

    Attributes:
      target: the first pixel of the frame, and the first not of them.
      source: the same of the picture, and of nothing around it.
      start, stop: the part of `source`, measured from its beginning, that fills `target`.
    """

    target: Tuple[int, int]
    source: Tuple[int, int]
    start: float
    stop: float


class Frame(NamedTuple):
    """A picture's new frame.

    Attributes:
      scale: x and y, by what its points are multiplied.
      offset: x and y, what is then added.
      size: width and height of the frame.
    """

    scale: Tuple[float, float]
    offset: Tuple[float, float]
    size: Tuple[int, int]

    @property
    def transform(self) -> List[float]:
        """[sx, 0, tx, 0, sy, ty], the first two rows of the matrix: x' = sx x + tx.

        >>> sx, _, tx, _, sy, ty = Frame((0.5, 0.5), (-10.0, 0.0), (100, 80)).transform
        >>> sx * 120 + tx, sy * 40 + ty
        (50.0, 20.0)
        """
        return [self.scale[0], 0.0, self.offset[0], 0.0, self.scale[1], self.offset[1]]

    def around(self, beyond: int) -> "Frame":
        """What shows the same of the picture with so many pixels more on each side.

        >>> Frame((0.5, 0.5), (0.0, 3.0), (8, 8)).around(10).offset
        (-5.0, -2.0)
        """
        (sx, sy), (tx, ty) = self.scale, self.offset
        return self._replace(offset=(tx - sx * beyond, ty - sy * beyond))

    @property
    def enlarges(self) -> bool:
        return max(self.scale) > 1

    def shown(self, size: Tuple[int, int], support: float) -> Optional[Tuple[Shown, Shown]]:
        """What shows a picture of a size, along x and y; None if nothing does.

        Args:
          size: of the picture.
          support: on each side of a pixel, the pixels it is made of: of the smaller of the two.
        """
        sides = zip(size, self.scale, self.offset, self.size, strict=True)
        x, y = (_shown(*side, support) for side in sides)
        return (x, y) if x and y else None


def cropped(box: Box, size: Tuple[int, int]) -> Frame:
    """The frame that shows a box, stretched to a size.

    >>> cropped(Box(20, 0, 60, 80), (20, 40)).transform
    [0.5, 0.0, -10.0, 0.0, 0.5, 0.0]
    """
    sx, sy = (after / before for after, before in zip(size, box.size, strict=True))
    return Frame((sx, sy), (-box.left * sx, -box.top * sy), size)


def placed(box: Box, canvas: Tuple[int, int], fit: str, align: str) -> Frame:
    """The frame of a canvas's size in which a box is as large as it fits, or fills all.

    >>> placed(Box(0, 0, 200, 100), (50, 50), "contain", "bottom").transform
    [0.25, 0.0, 0.0, 0.0, 0.25, 25.0]
    """
    ratios = [after / before for after, before in zip(canvas, box.size, strict=True)]
    ratio = min(ratios) if fit == "contain" else max(ratios)
    size = _scaled(box.size, ratio)
    inner = Box(0, 0, *size)
    room = inner.resized(canvas, align)
    (sx, sy), (tx, ty), _ = cropped(box, size)
    return Frame((sx, sy), (tx - room.left, ty - room.top), canvas)


def fitted(size: Tuple[int, int], longest: int) -> Tuple[int, int]:
    """A size of the same shape whose longer side is `longest`.

    >>> fitted((1000, 667), 512)
    (512, 342)
    """
    return _scaled(size, longest / max(size))


def shaped(size: Tuple[int, int], aspect: float, fit: str) -> Tuple[int, int]:
    """The least size of a shape, width by height, that holds a size, or the largest that it holds.

    >>> shaped((300, 200), 1.0, "contain"), shaped((300, 200), 1.0, "cover")
    ((300, 300), (200, 200))
    """
    width, height = size
    wide, high = max(1, round(height * aspect)), max(1, round(width / aspect))
    if fit == "contain":
        return max(width, wide), max(height, high)
    return min(width, wide), min(height, high)


def subject_box(masks: Sequence[Any]) -> Optional[Box]:
    """The least box that holds all foreground of masks taken together; None if there is none.

    >>> subject_box([np.array([[0, 127, 128], [0, 0, 0]], np.uint8)])
    Box(left=2, top=0, right=3, bottom=1)
    """
    levels = [np.asarray(mask) for mask in masks]
    columns, rows = (
        np.flatnonzero(np.max([each.max(axis=axis) for each in levels], axis=0) >= FOREGROUND)
        for axis in (0, 1)
    )
    if not len(rows):
        return None
    return Box(int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)


def _scaled(size: Tuple[int, int], ratio: float) -> Tuple[int, int]:
    width, height = size
    return max(1, round(width * ratio)), max(1, round(height * ratio))


def _shown(before: int, scale: float, offset: float, after: int, support: float) -> Optional[Shown]:
    """Along one side; an edge of the picture that lies between two of the frame's pixels is made
    of what lies on both sides of it, so that it looks smooth; one that lies on them is sharp."""
    reach = support * max(scale, 1.0)
    low, soft_low = _edge(offset, reach, after)
    high, soft_high = _edge(after - offset - scale * before, reach, after)
    first, last = low, after - high
    if first >= last:
        return None
    start, stop = ((pixel - offset) / scale for pixel in (first, last))
    wide = support * max(1 / scale, 1.0)
    taken = math.floor(start - wide), math.ceil(stop + wide)
    source = (
        taken[0] if soft_low else min(max(taken[0], 0), before - 1),
        taken[1] if soft_high else max(min(taken[1], before), 1),
    )
    length = source[1] - source[0]
    return Shown(
        (first, last), source, max(start - source[0], 0.0), min(stop - source[0], float(length))
    )


def _edge(at: float, reach: float, after: int) -> Tuple[int, bool]:
    """Pixels of the frame before an edge of the picture, and whether it lies between two."""
    nearest = round(at)
    if at <= 0 or abs(at - nearest) < _NEAR:
        return min(max(nearest, 0), after), False
    return min(max(math.floor(at - reach), 0), after), True
