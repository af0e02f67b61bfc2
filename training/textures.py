"""Surfaces: (generator, side) in, RGB float32 [side, side, 3] in 0..1 out.

What is sampled comes from scikit-image's pictures that are in the public domain or CC0, and none of
them is a picture of `make demo`.
"""

from collections.abc import Callable
from functools import cache

import cv2
import numpy as np
from numpy.random import Generator
from skimage import data

from training import colours
from training.colours import Array

Material = Callable[[Generator, int], Array]

# CC0 (brick, grass, gravel, camera) and public domain (clock, hubble_deep_field) by the docstrings
# of scikit-image's `data`.
SAMPLES = ("brick", "grass", "gravel", "camera", "clock", "hubble_deep_field")
# Of those with a subject of their own only parts are surfaces.
_WITH_SUBJECT = ("camera", "clock")


@cache
def _sample(name: str) -> Array:
    picture = getattr(data, name)()
    if picture.ndim == 2:
        picture = np.repeat(picture[..., None], 3, 2)
    return np.ascontiguousarray(picture[..., :3])


def blur(picture: Array, sigma: float) -> Array:
    """Gaussian blur by `sigma` pixels, edges mirrored."""
    if sigma < 0.2:
        return picture
    if sigma > 6:
        # A wide blur of a quarter of the pixels looks the same and costs a sixteenth.
        height, width = picture.shape[:2]
        small = cv2.resize(picture, (width // 4, height // 4), interpolation=cv2.INTER_AREA)
        small = cv2.GaussianBlur(small, (0, 0), sigma / 4)
        return cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
    return cv2.GaussianBlur(picture, (0, 0), sigma)


def noise(rng: Generator, side: int, first: int | None = None) -> Array:
    """Sums of random grids, each twice as fine as the last; [side, side] in 0..1.

    `first` is the coarsest grid's power of two: 0 gives clouds, 6 gives grain.
    """
    first = int(rng.integers(0, 7)) if first is None else first
    total = np.zeros((side, side), np.float32)
    weight = 1.0
    fall = rng.uniform(0.35, 0.75)
    for power in range(first, 9):
        cells = min(2**power + 1, side)
        grid = rng.random((cells, cells), np.float32)
        total += weight * cv2.resize(grid, (side, side), interpolation=cv2.INTER_CUBIC)
        weight *= fall
        if cells == side or weight < 0.03:
            break
    low, high = float(total.min()), float(total.max())
    return (total - low) / max(high - low, 1e-6)


def mix(a: Array, b: Array, share: Array) -> Array:
    """`a` where `share` [side, side] is 0, `b` where it is 1."""
    return (a + (b - a) * share[..., None]).astype(np.float32)


def ramp(rng: Generator, side: int, angle: float | None = None) -> Array:
    """A linear course from 0 to 1 across the square, in any direction."""
    angle = rng.uniform(0, 2 * np.pi) if angle is None else angle
    y, x = np.mgrid[0:side, 0:side].astype(np.float32) / side - 0.5
    course = (x * np.cos(angle) + y * np.sin(angle)) * rng.uniform(0.6, 1.8) + 0.5
    return np.clip(course, 0, 1)


def plain(colour: Array) -> Material:
    """One colour, with a faint cloud over it."""

    def paint(rng: Generator, side: int) -> Array:
        cloud = (noise(rng, side, int(rng.integers(0, 4))) - 0.5) * rng.uniform(0, 0.25)
        return np.clip(colour * (1 + cloud[..., None]), 0, 1).astype(np.float32)

    return paint


def marbled(a: Array, b: Array, first: int | None = None) -> Material:
    """Two colours mixed by noise: fur, earth, stone, rust."""

    def paint(rng: Generator, side: int) -> Array:
        return mix(a, b, noise(rng, side, first))

    return paint


def striped(a: Array, b: Array, lines: tuple[float, float] = (3, 20)) -> Material:
    """Wavy stripes, sharp or soft: a tiger, a shirt, planks."""

    def paint(rng: Generator, side: int) -> Array:
        angle = rng.uniform(0, np.pi)
        y, x = np.mgrid[0:side, 0:side].astype(np.float32) / side
        bend = rng.choice([0.0, rng.uniform(0.05, 0.4)]) * noise(rng, side, int(rng.integers(1, 4)))
        course = (x * np.cos(angle) + y * np.sin(angle) + bend) * rng.uniform(*lines)
        wave = 0.5 + 0.5 * np.sin(2 * np.pi * course)
        sharp, edge = rng.uniform(1.5, 12), rng.uniform(0.35, 0.75)
        return mix(a, b, np.clip((wave - edge) * sharp + 0.5, 0, 1))

    return paint


def spotted(a: Array, b: Array) -> Material:
    """Patches with sharp edges: a cow, a leopard, camouflage."""

    def paint(rng: Generator, side: int) -> Array:
        field = noise(rng, side, int(rng.integers(2, 6)))
        edge = rng.uniform(0.4, 0.65)
        return mix(a, b, np.clip((field - edge) * rng.uniform(8, 40) + 0.5, 0, 1))

    return paint


def planks(a: Array, b: Array) -> Material:
    """Boards of wood with grain, seams and worn places, in any direction."""

    def paint(rng: Generator, side: int) -> Array:
        # Painted larger and turned, so that no corner stays empty.
        wide = side * 3 // 2
        boards = int(rng.integers(2, 12))
        grain = np.zeros((wide, wide), np.float32)
        for power in range(4, 8):
            cells = rng.random((2**power, 2 ** max(power - 4, 1)), np.float32)
            grain += cv2.resize(cells, (wide, wide), interpolation=cv2.INTER_CUBIC) / 4
        board = np.arange(wide) * boards // wide
        grain += rng.normal(0, rng.uniform(0, 0.25), boards).astype(np.float32)[board][:, None]
        grain = (grain - 0.5) * rng.uniform(0.5, 2) + 0.5
        picture = mix(a, b, np.clip(grain, 0, 1))
        worn = np.clip((noise(rng, wide, 3) * grain - rng.uniform(0.3, 0.7)) * 6, 0, 1)
        picture = mix(picture, np.clip(a * 0.5 + rng.uniform(0.1, 0.5), 0, 1), worn)
        seams = np.flatnonzero(np.diff(board))
        if rng.random() < 0.7:
            picture[seams] *= rng.uniform(0.1, 0.8)
        turn = cv2.getRotationMatrix2D((wide / 2, wide / 2), rng.uniform(0, 360), 1)
        turn[:, 2] -= (wide - side) / 2
        turned = cv2.warpAffine(picture, turn, (side, side), borderMode=cv2.BORDER_REFLECT)
        return np.clip(turned, 0, 1)

    return paint


def woven(a: Array, b: Array) -> Material:
    """Two stripes across one another: checks, tiles, windows."""

    def paint(rng: Generator, side: int) -> Array:
        y, x = np.mgrid[0:side, 0:side].astype(np.float32) / side
        lines = rng.uniform(3, 20)
        thin = rng.uniform(0.5, 0.93)
        grid = np.maximum((x * lines) % 1 > thin, (y * lines * rng.uniform(0.5, 2)) % 1 > thin)
        return mix(a, b, grid.astype(np.float32))

    return paint


def sampled(name: str | None = None) -> Material:
    """A part of one of `SAMPLES`, tinted, at any scale."""

    def paint(rng: Generator, side: int) -> Array:
        chosen = name or str(rng.choice(SAMPLES))
        picture = _sample(chosen)
        height, width = picture.shape[:2]
        largest = 0.35 if chosen in _WITH_SUBJECT else 1
        crop = int(rng.uniform(0.15, largest) * min(height, width))
        top, left = rng.integers(0, height - crop + 1), rng.integers(0, width - crop + 1)
        part = cv2.resize(
            picture[top : top + crop, left : left + crop],
            (side, side),
            interpolation=cv2.INTER_AREA if crop > side else cv2.INTER_CUBIC,
        )
        part = part.astype(np.float32) / 255
        if rng.random() < 0.5:
            part = part[:, ::-1]
        grey = part.mean(2, keepdims=True)
        if rng.random() < 0.7:
            tint = colours.any_colour(rng)
            part = (
                grey * tint * rng.uniform(1, 2) if rng.random() < 0.6 else part * 0.6 + tint * 0.4
            )
        return np.clip((part - 0.5) * rng.uniform(0.4, 1.2) + 0.5, 0, 1).astype(np.float32)

    return paint


def clutter(rng: Generator, side: int) -> Array:
    """Ellipses and boxes of any colour over one another."""
    picture = np.empty((side, side, 3), np.float32)
    picture[:] = colours.any_colour(rng)
    for _ in range(int(rng.integers(3, 30))):
        colour = colours.any_colour(rng).tolist()
        centre = rng.random(2) * side
        size = rng.uniform(0.02, 0.3, 2) * side
        if rng.random() < 0.5:
            box = (centre.tolist(), size.tolist(), rng.uniform(0, 180))
            cv2.ellipse(picture, box, colour, -1, cv2.LINE_AA)
        else:
            corners = cv2.boxPoints(
                (centre.tolist(), size.tolist(), rng.choice([0, 90, rng.uniform(0, 90)]))
            )
            cv2.fillConvexPoly(picture, corners.astype(np.int32), colour, cv2.LINE_AA)
    return blur(picture, float(rng.choice([0, rng.uniform(0.5, 6)])))


def material(rng: Generator, colour: Array | None = None) -> Material:
    """Any surface a made thing may have; of one `colour` where it is given."""
    a = colours.any_colour(rng) if colour is None else colour
    b = colours.near(rng, a, 0.18) if rng.random() < 0.6 else colours.any_colour(rng)
    kind = rng.random()
    if kind < 0.42:
        return plain(a)
    if kind < 0.66:
        return marbled(a, b)
    if kind < 0.78:
        return striped(a, b)
    if kind < 0.84:
        return spotted(a, b)
    if kind < 0.88:
        return woven(a, b)
    return sampled()


def coat(rng: Generator) -> Material:
    """Fur, skin or feathers of an animal."""
    a = colours.of(rng, "fur") if rng.random() < 0.75 else colours.of(rng, "stone")
    b = (
        np.clip(a * rng.uniform(0.1, 0.6), 0, 1)
        if rng.random() < 0.6
        else colours.near(rng, a, 0.25)
    )
    kind = rng.random()
    if kind < 0.15:
        return plain(a)
    if kind < 0.42:
        return marbled(a, b, int(rng.integers(2, 7)))
    if kind < 0.78:
        light = colours.rgb(rng.uniform(0.03, 0.13), rng.uniform(0, 0.6), rng.uniform(0.6, 1))
        dark = light * rng.uniform(0.05, 0.35)
        return striped(light, dark, (5, 22))
    return spotted(a, b)
