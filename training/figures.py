"""A figure is a list of polygons, each of one material, later ones over earlier ones.

In: points in the figure's own units (x to the right, y down). Out, from `Figure.render`: RGB
float32 [side, side, 3] and alpha float32 [side, side], both 0..1. A figure without polygons can't
be placed (`ValueError` of NumPy).
"""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.random import Generator

from training.colours import Array
from training.textures import Material, blur

_ROUND = np.stack(
    [np.cos(np.linspace(0, 2 * np.pi, 20, False)), np.sin(np.linspace(0, 2 * np.pi, 20, False))], 1
)
# How many times finer than the picture polygons are drawn, in each direction.
_FINE = 2
# Bits of a pixel's fraction that OpenCV takes.
_SHIFT = 4

Point = Sequence[float] | Array
Points = Sequence[Point] | Array


def smooth(points: Points, steps: int = 6, closed: bool = True) -> Array:
    """Catmull and Rom's curve through `points` [n, 2], `steps` points for each of them."""
    p = np.asarray(points, np.float64)
    if not closed:
        p = np.concatenate([p[:1], p, p[-1:]])
        a, b, c, d = p[:-3], p[1:-2], p[2:-1], p[3:]
    else:
        a, b, c, d = np.roll(p, 1, 0), p, np.roll(p, -1, 0), np.roll(p, -2, 0)
    t = np.linspace(0, 1, steps, False)[None, :, None]
    a, b, c, d = (q[:, None] for q in (a, b, c, d))
    curve = 0.5 * (
        2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3
    )
    curve = curve.reshape(-1, 2)
    return curve if closed else np.concatenate([curve, p[-1:]])


class Figure:
    """Polygons and their materials."""

    def __init__(self) -> None:
        self._polygons: list[tuple[Array, int, bool]] = []
        self._materials: list[Material] = []

    def _add(self, points: Array, material: Material, convex: bool) -> None:
        if material not in self._materials:
            self._materials.append(material)
        self._polygons.append((points, self._materials.index(material), convex))

    def polygon(self, points: Points, material: Material) -> None:
        """A polygon with straight sides."""
        self._add(np.asarray(points, np.float64), material, False)

    def curve(self, points: Points, material: Material) -> None:
        """A closed smooth curve through the points."""
        self._add(smooth(points), material, False)

    def ellipse(self, centre: Point, radii: Point, material: Material, turn: float = 0) -> None:
        """An ellipse, turned by `turn` radians."""
        x, y = (_ROUND * np.asarray(radii)).T
        turned = np.stack(
            [x * np.cos(turn) - y * np.sin(turn), x * np.sin(turn) + y * np.cos(turn)], 1
        )
        self._add(turned + np.asarray(centre), material, True)

    def spine(self, points: Points, widths: Sequence[float], material: Material) -> None:
        """A limb: discs of the given diameters along a smooth path, and what lies between them."""
        path = smooth(points, 5, closed=False)
        at = np.linspace(0, len(widths) - 1, len(path))
        radii = np.interp(at, np.arange(len(widths)), widths) / 2
        for p, q, r, s in zip(path[:-1], path[1:], radii[:-1], radii[1:]):
            hull = cv2.convexHull(
                np.concatenate([p + _ROUND * r, q + _ROUND * s]).astype(np.float32)
            )
            self._add(hull[:, 0].astype(np.float64), material, True)

    def join(self, other: "Figure", scale: float, at: Point) -> None:
        """Draws another figure over this one, `scale` times as large, its origin at `at`."""
        for points, material, convex in other._polygons:
            self._add(points * scale + np.asarray(at), other._materials[material], convex)

    def warp(self, turn: float = 0, taper: float = 0, flip: bool = False) -> None:
        """Turns by radians, narrows towards the bottom (a camera from above), mirrors."""
        low, high = self.box()
        centre, height = (low + high) / 2, max(float(high[1] - low[1]), 1e-6)

        def moved(points: Array) -> Array:
            x, y = (points - centre).T
            scale = 1 - taper * y / height
            x, y = x * scale * (-1 if flip else 1), y * (1 - taper * y / height / 2)
            return np.stack(
                [x * np.cos(turn) - y * np.sin(turn), x * np.sin(turn) + y * np.cos(turn)], 1
            )

        self._polygons = [(moved(points), m, c) for points, m, c in self._polygons]

    def box(self) -> tuple[Array, Array]:
        """The least and the greatest x and y."""
        every = np.concatenate([points for points, _, _ in self._polygons])
        return every.min(0), every.max(0)

    def render(self, rng: Generator, side: int, scale: float, centre: Array) -> tuple[Array, Array]:
        """Draws with `scale` pixels a unit, the box's middle at `centre` (x, y in pixels)."""
        low, high = self.box()
        index = np.zeros((side * _FINE, side * _FINE), np.uint8)
        order = np.zeros_like(index)
        for number, (points, material, convex) in enumerate(self._polygons):
            at = ((points - (low + high) / 2) * scale + centre) * _FINE
            at = np.clip(np.round(at * 2**_SHIFT), -(2**20), 2**20).astype(np.int32)
            if convex:
                cv2.fillConvexPoly(index, at, material + 1, shift=_SHIFT)
                cv2.fillConvexPoly(order, at, number % 250 + 1, shift=_SHIFT)
            else:
                cv2.fillPoly(index, [at], material + 1, shift=_SHIFT)
                cv2.fillPoly(order, [at], number % 250 + 1, shift=_SHIFT)

        def shrunk(fine: Array) -> Array:
            return cv2.resize(fine.astype(np.float32), (side, side), interpolation=cv2.INTER_AREA)

        alpha = shrunk(index > 0)
        rgb = np.zeros((side, side, 3), np.float32)
        for number, paint in enumerate(self._materials):
            share = shrunk(index == number + 1)
            if share.any():
                rgb += paint(rng, side) * share[..., None]
        rgb /= np.maximum(alpha, 1e-3)[..., None]
        # Where one part lies before another there is a crease.
        creases = (order[:, 1:] != order[:, :-1])[:-1] | (order[1:] != order[:-1])[:, :-1]
        crease = blur(shrunk(np.pad(creases, ((0, 1), (0, 1)))), rng.uniform(0.6, 2.5))
        rgb *= 1 - np.clip(crease * rng.uniform(0, 1.6), 0, 0.7)[..., None]
        return np.clip(rgb, 0, 1), alpha
