"""Vehicles: cars from the side and from a corner, lorries, two wheels, planes, boats, rockets.

In: a generator. Out: a `Figure` about two units long (or high), wheels at the bottom.
"""

import numpy as np
from numpy.random import Generator

from training import colours, textures
from training.figures import Figure
from training.people import dark_glass
from training.textures import Material


def _paint(rng: Generator) -> Material:
    """Lacquer: one colour, often white, grey, black or red, brighter on one side."""
    if rng.random() < 0.5:
        colour = np.clip(rng.choice([0.05, 0.3, 0.6, 0.9]) + rng.normal(0, 0.04, 3), 0, 1)
    else:
        colour = colours.any_colour(rng)
    return textures.marbled(colours.near(rng, colour, 0.03), colours.near(rng, colour, 0.12), 0)


def _glass(rng: Generator) -> Material:
    return textures.marbled(dark_glass(rng), dark_glass(rng), 1)


def _wheel(
    figure: Figure, rng: Generator, at: tuple[float, float], radii: tuple[float, float]
) -> None:
    tyre = textures.plain(colours.rgb(0.6, 0.1, rng.uniform(0.02, 0.16)))
    rim = textures.plain(colours.rgb(0.6, rng.uniform(0, 0.2), rng.uniform(0.1, 0.9)))
    figure.ellipse(at, radii, tyre)
    inner = rng.uniform(0.5, 0.8)
    figure.ellipse(at, (radii[0] * inner, radii[1] * inner), rim)
    for turn in np.arange(5) * 2 * np.pi / 5 + rng.uniform(0, 1):
        tip = (
            at[0] + np.cos(turn) * radii[0] * inner * 0.9,
            at[1] + np.sin(turn) * radii[1] * inner * 0.9,
        )
        figure.spine([at, tip], [radii[0] * 0.1, radii[0] * 0.15], tyre)


def car(rng: Generator) -> Figure:
    """A car, van or bus from the side."""
    figure = Figure()
    paint, glass = _paint(rng), _glass(rng)
    high, roof = rng.uniform(0.22, 0.36), rng.uniform(0.2, 0.5)
    front, back = rng.uniform(0.1, 0.6), rng.uniform(0.4, 0.98)
    bonnet = rng.uniform(0.6, 1.0)
    figure.curve(
        [
            (-1, high * 0.75),
            (-0.98, 0),
            (-back, -0.04),
            (-back + 0.15, -roof),
            (front - 0.35, -roof * 1.03),
            (front, -0.06),
            (0.85, high * (1 - bonnet) * 0.5),
            (1.0, high * 0.5),
            (0.98, high * 0.85),
            (0, high),
        ],
        paint,
    )
    for a, b in ((-back + 0.14, -0.2), (-0.16, front - 0.1)):
        if b - a > 0.1:
            figure.polygon(
                [
                    (a, -0.04),
                    (a + 0.08, -roof * 0.86),
                    (b - rng.uniform(0, 0.2), -roof * 0.86),
                    (b, -0.04),
                ],
                glass,
            )
    light = textures.plain(colours.rgb(rng.uniform(0, 0.15), rng.uniform(0, 0.9), 0.9))
    figure.ellipse((0.93, high * 0.35), (0.07, 0.05), light)
    figure.ellipse((-0.95, high * 0.3), (0.05, 0.05), light)
    if rng.random() < 0.5:
        trim = textures.plain(colours.any_colour(rng))
        figure.spine([(-0.95, high * 0.85), (0.95, high * 0.85)], [0.05, 0.05], trim)
    size = rng.uniform(0.17, 0.25)
    for x in (-rng.uniform(0.55, 0.7), rng.uniform(0.55, 0.7)):
        _wheel(figure, rng, (x, high * 0.95), (size, size))
    figure.warp(float(rng.normal(0, 0.04)), 0, bool(rng.random() < 0.5))
    return figure


def corner(rng: Generator) -> Figure:
    """A car seen from one of its front corners."""
    figure = Figure()
    paint, glass = _paint(rng), _glass(rng)
    dark = textures.plain(colours.rgb(0.6, 0.1, rng.uniform(0.02, 0.2)))
    roof = rng.uniform(0.3, 0.55)
    nose = rng.uniform(0.0, 0.3)
    low = rng.uniform(0.38, 0.48)
    shadow = textures.plain(colours.rgb(0.6, 0.1, 0.05))
    figure.spine([(-0.8, low), (0.8, low + 0.02)], [0.14, 0.16], shadow)
    for x, wide in ((-0.78, 0.11), (0.86, 0.07)):
        _wheel(figure, rng, (x, low - 0.06), (wide, 0.24))
    figure.curve(
        [
            (-1.0, 0.0),
            (-0.75, -0.12),
            (-0.55, -roof),
            (0.05, -roof * 1.08),
            (0.5, -0.14),
            (0.85, -0.02 + nose * 0.3),
            (1.02, 0.18),
            (0.98, low),
            (0.1, low + 0.06),
            (-0.75, low - 0.1),
            (-1.0, 0.25),
        ],
        paint,
    )
    _wheel(figure, rng, (-0.4 + rng.normal(0, 0.05), low - 0.06), (0.16, 0.24))
    figure.polygon([(-0.3, -roof * 0.9), (0.06, -roof * 0.95), (0.48, -0.13), (-0.2, -0.1)], glass)
    figure.polygon(
        [(-0.5, -roof * 0.85), (-0.34, -roof * 0.88), (-0.25, -0.1), (-0.68, -0.08)], glass
    )
    light = textures.plain(colours.rgb(0.12, rng.uniform(0, 0.3), rng.uniform(0.7, 1)))
    for x in (0.05, 0.85):
        figure.ellipse((x, 0.12 + nose * 0.2), (rng.uniform(0.08, 0.16), 0.06), dark, 0.2)
        figure.ellipse((x, 0.12 + nose * 0.2), (0.06, 0.04), light, 0.2)
    figure.curve(
        [(0.1, 0.3), (0.85, 0.28), (0.8, low - 0.02), (0.15, low)],
        dark if rng.random() < 0.7 else _paint(rng),
    )
    if rng.random() < 0.6:
        figure.polygon(
            [(0.38, 0.28), (0.6, 0.27), (0.6, 0.35), (0.38, 0.36)],
            textures.plain(colours.rgb(0.1, 0.1, 0.95)),
        )
    for x in (-0.42, 0.52):
        if rng.random() < 0.7:
            figure.ellipse((x, -0.14), (0.08, 0.05), paint)
    figure.warp(float(rng.normal(0, 0.05)), 0, bool(rng.random() < 0.5))
    return figure


def two_wheels(rng: Generator) -> Figure:
    """A bicycle or motorcycle, with somebody on it in a third of them."""
    figure = Figure()
    paint, dark = _paint(rng), textures.plain(colours.rgb(0.6, 0.1, rng.uniform(0.02, 0.2)))
    size, motor = rng.uniform(0.36, 0.48), rng.random() < 0.5
    for x in (-0.6, 0.6):
        if motor:
            _wheel(figure, rng, (x, 0.5), (size * 0.85, size * 0.85))
        else:
            turn = np.linspace(0, 2 * np.pi, 15)
            ring = np.stack([x + np.cos(turn) * size, 0.5 + np.sin(turn) * size], 1)
            figure.spine(ring, [0.05, 0.05], dark)
    pipe = 0.07 if motor else 0.045
    figure.spine([(0.6, 0.5), (0.42, -0.2), (0.3, -0.35)], [pipe, pipe, pipe], paint)
    figure.spine([(-0.6, 0.5), (-0.05, 0.5), (0.42, -0.05)], [pipe] * 3, paint)
    figure.spine([(-0.6, 0.5), (-0.25, -0.1), (0.42, -0.1)], [pipe] * 3, paint)
    figure.spine([(-0.4, -0.17), (-0.1, -0.17)], [0.1, 0.08], dark)
    figure.spine([(0.3, -0.4), (0.5, -0.36)], [0.06, 0.05], dark)
    if motor:
        figure.curve([(-0.5, -0.15), (0.35, -0.25), (0.4, 0.1), (0.1, 0.5), (-0.3, 0.45)], paint)
    if rng.random() < 0.35:
        cloth, skin = textures.material(rng), textures.plain(colours.of(rng, "skin"))
        figure.spine(
            [(-0.25, -0.25), (0.1, 0.1), (-0.05, 0.55)], [0.2, 0.17, 0.12], textures.material(rng)
        )
        figure.spine([(-0.25, -0.3), (0.05, -0.85)], [0.28, 0.34], cloth)
        figure.spine([(0.05, -0.8), (0.2, -0.5), (0.38, -0.4)], [0.13, 0.1, 0.08], cloth)
        figure.ellipse((0.15, -1.08), (0.13, 0.16), skin)
        figure.ellipse((0.13, -1.14), (0.15, 0.14), cloth)
    figure.warp(float(rng.normal(0, 0.05)), 0, bool(rng.random() < 0.5))
    return figure


def flying(rng: Generator) -> Figure:
    """A plane from the side or from below."""
    figure = Figure()
    paint, other = _paint(rng), _paint(rng)
    thick = rng.uniform(0.14, 0.3)
    sweep, span = rng.uniform(0.1, 0.6), rng.uniform(0.3, 1.0)
    figure.polygon([(0.2, 0), (-sweep, -span), (-sweep - 0.15, -span), (-0.2, 0)], other)
    figure.polygon([(-0.75, 0), (-1.0, -rng.uniform(0.25, 0.5)), (-1.1, -0.35), (-1.0, 0)], other)
    figure.spine(
        [(-1.05, 0), (-0.4, 0), (0.7, 0), (1.0, 0.02)],
        [thick * 0.25, thick, thick, thick * 0.35],
        paint,
    )
    figure.polygon(
        [(0.25, 0.02), (-sweep, span * 0.8), (-sweep - 0.2, span * 0.8), (-0.25, 0.02)], other
    )
    figure.ellipse((0.75, -thick * 0.25), (0.1, thick * 0.18), _glass(rng))
    figure.warp(float(rng.normal(0, 0.4)), 0, bool(rng.random() < 0.5))
    return figure


def boat(rng: Generator) -> Figure:
    """A boat or ship from the side."""
    figure = Figure()
    hull, other = _paint(rng), textures.material(rng)
    if rng.random() < 0.5:
        figure.spine([(0, 0.4), (0, -1)], [0.05, 0.04], other)
        sail = textures.material(rng)
        figure.polygon([(0.05, -0.95), (0.05, 0.25), (rng.uniform(0.5, 0.9), 0.25)], sail)
        figure.polygon([(-0.05, -0.8), (-0.05, 0.25), (-rng.uniform(0.3, 0.8), 0.25)], sail)
    else:
        figure.polygon(
            [(-0.5, 0.4), (-0.45, rng.uniform(-0.2, 0.2)), (0.3, -0.1), (0.5, 0.4)], other
        )
        figure.polygon([(-0.3, 0.25), (-0.3, 0.08), (0.2, 0.08), (0.25, 0.25)], _glass(rng))
    figure.polygon([(-1, 0.35), (1.1, 0.25), (0.8, 0.75), (-0.85, 0.75)], hull)
    figure.warp(float(rng.normal(0, 0.05)), 0, bool(rng.random() < 0.5))
    return figure


def rocket(rng: Generator) -> Figure:
    """A rocket that stands or starts; its fire belongs to it."""
    figure = Figure()
    paint, other = _paint(rng), textures.material(rng)
    thick = rng.uniform(0.07, 0.35)
    fire = textures.marbled(colours.rgb(0.13, 0.2, 1), colours.rgb(0.07, 0.9, 1), 3)
    if rng.random() < 0.4:
        figure.spine(
            [(0, 0.8), (0, 1.0), (0, rng.uniform(1.1, 1.6))], [thick, thick * 0.9, 0.03], fire
        )
    for side in (-1, 1):
        figure.polygon(
            [
                (side * thick * 0.4, 0.4),
                (side * thick * rng.uniform(1, 1.8), 0.9),
                (side * thick * 0.4, 0.85),
            ],
            other,
        )
        if rng.random() < 0.4:
            figure.spine(
                [(side * thick * 0.75, -0.3), (side * thick * 0.75, 0.85)], [thick * 0.4] * 2, other
            )
    figure.polygon(
        [(-thick / 2, -0.6), (0, -1.0), (thick / 2, -0.6), (thick / 2, 0.9), (-thick / 2, 0.9)],
        paint,
    )
    for y in rng.uniform(-0.6, 0.9, rng.integers(0, 4)):
        figure.spine([(-thick * 0.45, y), (thick * 0.45, y)], [0.06, 0.06], other)
    figure.warp(float(rng.normal(0, 0.15)), 0, False)
    return figure


def any_vehicle(rng: Generator) -> Figure:
    """One of all of them; cars more often."""
    makers = (car, corner, two_wheels, flying, boat, rocket)
    return makers[rng.choice(6, p=[0.25, 0.35, 0.14, 0.08, 0.08, 0.1])](rng)
