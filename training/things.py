"""Things: vessels, cups, boxes, furniture, clothes, shoes, plants, food, and shapes of no name.

In: a generator. Out: a `Figure` about two units high or long.
"""

import numpy as np
from numpy.random import Generator

from training import colours, textures
from training.colours import Array
from training.figures import Figure
from training.people import dark_glass


def outline(rng: Generator) -> Array:
    """A closed wavy line around the origin, about one unit away [96, 2]."""
    turn = np.linspace(0, 2 * np.pi, 96, False)
    radius = np.ones(96)
    for wave in range(1, int(rng.integers(3, 9))):
        radius += rng.normal(0, 0.35 / wave) * np.cos(wave * turn)
        radius += rng.normal(0, 0.35 / wave) * np.sin(wave * turn)
    radius = np.clip(radius, 0.15, 2.5)
    stretch = rng.uniform(0.5, 1.6)
    return np.stack([radius * np.cos(turn) * stretch, radius * np.sin(turn) / stretch], 1)


def vessel(rng: Generator) -> Figure:
    """A bottle, vase, lamp or figure on a lathe."""
    figure = Figure()
    y = np.linspace(-1, 1, 28)
    knots = np.clip(0.4 + 0.25 * rng.normal(0, 1, 7), 0.06, 0.9)
    half = np.interp(y, np.linspace(-1, 1, 7), knots) * rng.uniform(0.4, 1.0)
    sides = np.concatenate([np.stack([half, y], 1), np.stack([-half, y], 1)[::-1]])
    figure.polygon(sides, textures.material(rng))
    for _ in range(int(rng.integers(0, 3))):
        top = int(rng.integers(0, 20))
        rows = slice(top, top + int(rng.integers(3, 9)))
        band = np.concatenate(
            [np.stack([half[rows], y[rows]], 1), np.stack([-half[rows], y[rows]], 1)[::-1]]
        )
        figure.polygon(band * (0.97, 1), textures.material(rng))
    figure.ellipse((0, -1), (half[0], half[0] * 0.25), textures.plain(dark_glass(rng)))
    return figure


def cup(rng: Generator) -> Figure:
    """A cup or bowl from a little above, with a handle, a saucer, something in it."""
    figure = Figure()
    china = textures.material(rng)
    flat = rng.uniform(0.25, 0.6)
    high = rng.uniform(0.4, 1.3)
    foot = rng.uniform(0.5, 0.95)
    if rng.random() < 0.6:
        plate = china if rng.random() < 0.6 else textures.material(rng)
        wide = rng.uniform(1.1, 1.9)
        figure.ellipse((0, high), (wide, wide * flat), plate)
        figure.ellipse((0, high), (wide * 0.8, wide * flat * 0.75), plate)
        if rng.random() < 0.5:
            metal = textures.plain(colours.rgb(0.1, 0.1, rng.uniform(0.5, 0.95)))
            x = rng.uniform(-wide, wide) * 0.6
            figure.spine(
                [(x - 0.5, high + flat), (x + 0.5, high + flat * 0.7)], [0.14, 0.06], metal
            )
    if rng.random() < 0.7:
        figure.spine(
            [(0.8, 0.1), (1.4, 0.1), (1.35, high * 0.6), (0.75, high * 0.75)],
            [0.16, 0.16, 0.14, 0.14],
            china,
        )
    figure.curve(
        [
            (-1, 0),
            (-0.95, high * 0.3),
            (-foot, high),
            (0, high + flat * foot * 0.5),
            (foot, high),
            (0.95, high * 0.3),
            (1, 0),
        ],
        china,
    )
    figure.ellipse((0, 0), (1, flat), china)
    drink = rng.choice(["wood", "earth", "water", "leaf"])
    figure.ellipse(
        (0, 0.03),
        (0.88, flat * 0.85),
        textures.marbled(colours.of(rng, str(drink)), colours.of(rng, str(drink)), 1),
    )
    if rng.random() < 0.4:
        foam = textures.plain(colours.rgb(0.09, rng.uniform(0, 0.5), 0.9))
        figure.ellipse((rng.normal(0, 0.1), 0.03), (rng.uniform(0.2, 0.6), flat * 0.5), foam)
    figure.warp(float(rng.normal(0, 0.1)), 0, bool(rng.random() < 0.5))
    return figure


def box(rng: Generator) -> Figure:
    """A box, book, machine or piece of furniture: three faces, something on them."""
    figure = Figure()
    colour = colours.any_colour(rng)
    faces = [
        textures.material(rng, np.clip(colour * shade, 0, 1))
        for shade in (1.0, rng.uniform(0.5, 0.9), rng.uniform(0.8, 1.3))
    ]
    wide, high = rng.uniform(0.3, 1.0), rng.uniform(0.3, 1.0)
    dx, dy = rng.uniform(0.05, 0.6), rng.uniform(0.05, 0.4)
    figure.polygon(
        [(-wide, -high), (wide, -high), (wide + dx, -high - dy), (-wide + dx, -high - dy)], faces[2]
    )
    figure.polygon(
        [(wide, -high), (wide + dx, -high - dy), (wide + dx, high - dy), (wide, high)], faces[1]
    )
    figure.polygon([(-wide, -high), (wide, -high), (wide, high), (-wide, high)], faces[0])
    for _ in range(int(rng.integers(0, 5))):
        at = rng.uniform(-0.6, 0.6, 2) * (wide, high)
        size = rng.uniform(0.05, 0.35, 2) * (wide, high)
        if rng.random() < 0.4:
            figure.ellipse(at.tolist(), size, textures.material(rng))
        else:
            figure.polygon(
                [at - size, at + size * (1, -1), at + size, at + size * (-1, 1)],
                textures.material(rng),
            )
    figure.warp(float(rng.normal(0, 0.15)), 0, bool(rng.random() < 0.5))
    return figure


def seat(rng: Generator) -> Figure:
    """A chair, stool, table or lamp: legs and planes."""
    figure = Figure()
    wood, cloth = textures.material(rng), textures.material(rng)
    wide, high = rng.uniform(0.4, 0.9), rng.uniform(0.4, 0.9)
    thin = rng.uniform(0.05, 0.14)
    for x, top in ((-wide, 0.0), (wide, 0.0), (-wide * 0.7, -0.15), (wide * 0.7, -0.15)):
        figure.spine(
            [(x * 0.9, top), (x * rng.uniform(0.9, 1.1), top + high)], [thin, thin * 0.7], wood
        )
    figure.polygon([(-wide, 0.0), (wide, 0.0), (wide * 0.8, -0.2), (-wide * 0.8, -0.2)], cloth)
    figure.polygon([(-wide, 0.0), (wide, 0.0), (wide, 0.1), (-wide, 0.1)], wood)
    if rng.random() < 0.65:
        back = rng.uniform(0.5, 1.1)
        figure.curve(
            [
                (-wide * 0.8, -0.15),
                (wide * 0.8, -0.15),
                (wide * 0.85, -back),
                (-wide * 0.85, -back),
            ],
            cloth,
        )
    figure.warp(float(rng.normal(0, 0.05)), 0, bool(rng.random() < 0.5))
    return figure


def garment(rng: Generator) -> Figure:
    """A shirt, dress or pair of trousers that nobody wears."""
    figure = Figure()
    cloth, other = textures.material(rng), textures.material(rng)
    if rng.random() < 0.3:
        wide = rng.uniform(0.3, 0.45)
        for side in (-1, 1):
            figure.spine(
                [(side * wide * 0.5, -0.8), (side * wide * rng.uniform(0.6, 1.2), 1)],
                [wide * 1.1, wide * rng.uniform(0.6, 1.2)],
                cloth,
            )
        figure.polygon([(-wide, -1), (wide, -1), (wide * 1.05, -0.6), (-wide * 1.05, -0.6)], cloth)
    else:
        wide, hem = rng.uniform(0.4, 0.6), rng.uniform(0.4, 0.9)
        sleeve = rng.uniform(0.3, 1.1)
        for side in (-1, 1):
            turn = rng.uniform(0.2, 1.0)
            figure.spine(
                [
                    (side * wide * 0.85, -0.75),
                    (side * (wide + np.sin(turn) * sleeve), -0.75 + np.cos(turn) * sleeve),
                ],
                [0.34, 0.26],
                cloth,
            )
        figure.polygon(
            [
                (-wide, -0.85),
                (-0.18, -1),
                (0.18, -1),
                (wide, -0.85),
                (wide * 0.95, 0),
                (hem, 0.9),
                (-hem, 0.9),
                (-wide * 0.95, 0),
            ],
            cloth,
        )
        figure.ellipse((0, -0.97), (0.18, rng.uniform(0.05, 0.2)), other)
        if rng.random() < 0.6:
            figure.ellipse(
                (rng.normal(0, 0.1), rng.uniform(-0.5, 0.3)), rng.uniform(0.05, 0.3, 2), other
            )
    return figure


def shoe(rng: Generator) -> Figure:
    """A shoe or boot from the side."""
    figure = Figure()
    upper, sole = textures.material(rng), textures.plain(colours.any_colour(rng))
    shaft = rng.uniform(0.1, 0.9)
    figure.curve(
        [
            (-0.95, 0.3),
            (-0.9, -0.3),
            (-0.85, -0.3 - shaft),
            (-0.3, -0.35 - shaft),
            (-0.15, -0.3),
            (0.5, -0.05),
            (1.0, 0.15),
            (1.0, 0.35),
        ],
        upper,
    )
    figure.curve(
        [
            (-1, 0.28),
            (0, 0.33),
            (1.05, 0.28),
            (1.02, 0.45),
            (0, 0.47),
            (-0.98, rng.uniform(0.45, 0.8)),
        ],
        sole,
    )
    for x in np.linspace(-0.2, 0.4, int(rng.integers(0, 5))):
        figure.spine(
            [(x - 0.08, -0.2 + 0.35 * (x + 0.2)), (x + 0.12, 0.0 + 0.2 * x)], [0.04, 0.04], sole
        )
    figure.ellipse((-0.58, -0.3 - shaft), (0.28, 0.07), textures.plain(dark_glass(rng)))
    figure.warp(float(rng.normal(0, 0.2)), 0, bool(rng.random() < 0.5))
    return figure


def plant(rng: Generator) -> Figure:
    """Leaves, flowers or a tree, in a pot in half of them."""
    figure = Figure()
    pot, stem = textures.material(rng), textures.plain(colours.of(rng, "wood"))
    flower = textures.plain(colours.rgb(rng.random(), rng.uniform(0.4, 1), rng.uniform(0.5, 1)))
    for _ in range(int(rng.integers(4, 18))):
        turn, reach = rng.normal(0, 0.7), rng.uniform(0.4, 1.3)
        tip = (np.sin(turn) * reach, 0.2 - np.cos(turn) * reach)
        leaf = textures.marbled(colours.of(rng, "leaf"), colours.of(rng, "leaf"), 2)
        figure.spine([(0, 0.4), (tip[0] * 0.4, tip[1] * 0.6), tip], [0.05, 0.04, 0.02], stem)
        if rng.random() < 0.2:
            for petal in np.arange(6) + rng.random():
                figure.ellipse(
                    (tip[0] + np.cos(petal) * 0.1, tip[1] + np.sin(petal) * 0.1),
                    (0.11, 0.06),
                    flower,
                    petal,
                )
        else:
            wide = rng.uniform(0.08, 0.3)
            figure.spine(
                [
                    tip,
                    (tip[0] * 1.2, tip[1] - 0.1),
                    (tip[0] * 1.4 + 0.05, tip[1] + rng.uniform(-0.3, 0.2)),
                ],
                [wide * 0.4, wide, 0.02],
                leaf,
            )
    if rng.random() < 0.6:
        figure.polygon(
            [(-0.35, 0.3), (0.35, 0.3), (rng.uniform(0.18, 0.4), 1), (-rng.uniform(0.18, 0.4), 1)],
            pot,
        )
    return figure


def food(rng: Generator) -> Figure:
    """Fruit, cake, a heap of something on a plate."""
    figure = Figure()
    if rng.random() < 0.5:
        figure.ellipse((0, 0.45), (1.2, rng.uniform(0.3, 0.6)), textures.material(rng))
    for _ in range(int(rng.integers(1, 7))):
        skin = textures.marbled(
            colours.rgb(rng.uniform(-0.05, 0.35), rng.uniform(0.3, 1), rng.uniform(0.3, 1)),
            colours.of(rng, "earth"),
            1,
        )
        size = rng.uniform(0.2, 0.6)
        figure.ellipse(
            (rng.normal(0, 0.35), rng.uniform(-0.3, 0.4)),
            (size, size * rng.uniform(0.7, 1.1)),
            skin,
            rng.uniform(0, 3),
        )
    return figure


def shape(rng: Generator) -> Figure:
    """No thing in particular: wavy outlines with any surface."""
    figure = Figure()
    figure.polygon(outline(rng), textures.material(rng))
    for _ in range(int(rng.integers(0, 6))):
        turn = rng.uniform(0, 2 * np.pi)
        at = np.array([np.cos(turn), np.sin(turn)]) * rng.uniform(0, 1.1)
        figure.polygon(outline(rng) * rng.uniform(0.1, 0.5) + at, textures.material(rng))
    for _ in range(int(rng.integers(0, 4))):
        x = rng.uniform(-0.7, 0.7)
        figure.spine(
            [(x, 0), (x + rng.normal(0, 0.2), rng.uniform(0.8, 1.5))],
            [rng.uniform(0.08, 0.3)] * 2,
            textures.material(rng),
        )
    figure.warp(float(rng.uniform(0, 2 * np.pi)), 0, False)
    return figure


def any_thing(rng: Generator) -> Figure:
    """One of all of them; those without a name more often."""
    makers = (vessel, cup, box, seat, garment, shoe, plant, food, shape)
    return makers[rng.choice(9, p=[0.13, 0.13, 0.1, 0.09, 0.09, 0.08, 0.06, 0.07, 0.25])](rng)
