"""Props of posed pictures: a glazed cup, a helmet, a rocket; with the lights that they show.

In: a generator. Out: a `Figure` about two units high or wide.
"""

import numpy as np
from numpy.random import Generator

from training import colours, textures
from training.colours import Array
from training.figures import Figure
from training.people import dark_glass
from training.textures import Material
from training.things import outline


def _glints(figure: Figure, rng: Generator, reach: tuple[float, float], most: int) -> None:
    """Lamps and windows as something shining shows them, within `reach` of the origin."""
    light = textures.plain(colours.rgb(rng.random(), rng.uniform(0, 0.15), rng.uniform(0.75, 1)))
    for _ in range(int(rng.integers(0, most))):
        turn, far = rng.uniform(0, 2 * np.pi), np.sqrt(rng.random())
        at = np.array([np.cos(turn), np.sin(turn)]) * reach * far
        size = rng.uniform(0.01, 0.07)
        kind = rng.random()
        if kind < 0.4:
            figure.ellipse(at, (size, size * rng.uniform(0.4, 1)), light, turn)
        elif kind < 0.7:
            tall = size * rng.uniform(1, 2.5)
            lean = rng.normal(0, 0.3) * size
            corners = [(0, 0), (size * 2, lean), (size * 2, tall + lean), (0, tall)]
            figure.polygon(np.array(corners) + at, light)
        else:
            bow = np.array([np.cos(turn + 0.3), np.sin(turn + 0.3)]) * reach * far
            figure.spine([at, (at + bow) * 0.51, bow], [size * 0.3, size * 0.7, size * 0.3], light)


def _saucer(
    figure: Figure, rng: Generator, foot: Array, oval: Array, china: Material, dark: Material
) -> None:
    """Its rings and lights about the cup's `foot`, and the shadow of the cup on it."""
    wide = rng.uniform(1.3, 1.9)
    down = np.array([0, 0.01])
    edge = china
    if rng.random() < 0.5:
        edge = textures.plain(colours.rgb(rng.random(), rng.uniform(0, 0.4), rng.uniform(0.6, 1)))
    figure.ellipse(foot, wide * oval, edge)
    figure.ellipse(foot, wide * 0.975 * oval, china)
    figure.ellipse(foot + down * 2, wide * 0.96 * oval, dark)
    figure.ellipse(foot + down * 3, wide * 0.94 * oval, china)
    figure.ellipse(foot + down * 5, wide * 0.6 * oval, dark)
    figure.ellipse(foot + down * 9, wide * 0.56 * oval, china)
    _glints(figure, rng, tuple(wide * oval * 0.9), 14)
    figure.ellipse(foot + rng.normal(0, 0.2, 2), oval * rng.uniform(0.7, 1.0), dark)


def _spoon(figure: Figure, rng: Generator, flat: float, dark: Material) -> None:
    """A spoon before the cup, its handle to one side."""
    metal = textures.marbled(
        colours.rgb(0.1, rng.uniform(0, 0.15), rng.uniform(0.2, 0.6)),
        colours.rgb(0.1, rng.uniform(0, 0.15), rng.uniform(0.7, 1.0)),
        2,
    )
    way = rng.choice([-1, 1])
    spoon = np.array([way * rng.uniform(0.2, 0.9), flat * rng.uniform(0.8, 1.3)])
    end = np.array([way * rng.uniform(0.8, 1.4), -flat * rng.uniform(-0.2, 0.9)])
    figure.spine([end, spoon], [rng.uniform(0.08, 0.2), 0.07], metal)
    lean = np.arctan2(*(end - spoon)[::-1])
    figure.ellipse(spoon, (0.3, 0.2), dark, lean)
    figure.ellipse(spoon, (0.27, 0.18), metal, lean)
    figure.ellipse(spoon + np.array([0.02, -0.04]), (0.05, 0.03), textures.plain(np.ones(3)))


def shining_cup(rng: Generator, colour: Array) -> Figure:
    """A glazed cup of `colour` from well above, on its saucer, with a spoon and lights on them."""
    figure = Figure()
    flat = rng.uniform(0.45, 0.95)
    oval = np.array([1, flat])
    china = textures.plain(colour)
    dark = textures.plain(np.clip(colour * rng.uniform(0.3, 0.8), 0, 1))
    inside = (
        textures.plain(colours.rgb(0.1, rng.uniform(0, 0.2), rng.uniform(0.75, 1)))
        if rng.random() < 0.6
        else china
    )
    high = rng.uniform(0.2, 0.9) * (1.4 - flat)
    base = rng.uniform(0.5, 0.85)
    # Seen along an axis that leans to one side, the mouth isn't above the foot.
    foot = rng.uniform(-0.5, 0.5, 2) * oval if rng.random() < 0.6 else np.zeros(2)
    if rng.random() < 0.85:
        _saucer(figure, rng, foot, oval, china, dark)
    turn = rng.uniform(-0.3, np.pi + 0.3)
    out = np.array([np.cos(turn), np.sin(turn) * flat])
    near, far = out * 0.75 + (0, -high * 0.6), out * rng.uniform(1.2, 1.5) + (0, -high * 0.7)
    handle = [near, far, out * 1.3 + (0, -high * 0.2), out * 0.65 + (0, -high * 0.15)]
    thick = rng.uniform(0.14, 0.34)
    if turn < 0 or turn > np.pi:
        figure.spine(handle, [thick] * 4, china)
    figure.curve(
        [
            (-1, -high),
            (-0.9, -high * 0.5),
            (-base + foot[0], foot[1]),
            (foot[0], flat * base + foot[1]),
            (base + foot[0], foot[1]),
            (0.9, -high * 0.5),
            (1, -high),
            (0, -high + flat),
        ],
        china,
    )
    figure.ellipse((0, -high), oval, inside)
    figure.ellipse((0, -high), oval * 0.9, textures.plain(np.full(3, rng.uniform(0.4, 0.95))))
    if rng.random() < 0.85:
        level = rng.uniform(0.5, 0.88)
        family = str(rng.choice(["wood", "wood", "earth", "leaf", "water"]))
        drink = colours.of(rng, family)
        middle = (0, -high + (0.9 - level) * rng.uniform(0.2, 0.8))
        figure.ellipse(middle, oval * level, textures.plain(drink))
        foam = textures.marbled(drink, colours.near(rng, np.clip(drink * 1.4, 0, 1), 0.1), 2)
        figure.ellipse(middle, oval * level * rng.uniform(0.5, 0.95), foam)
    if 0 <= turn <= np.pi:
        figure.spine(handle, [thick] * 4, china)
        figure.spine(handle[:2], [thick * 0.3] * 2, dark)
    _glints(figure, rng, (0.95, flat), 8)
    if rng.random() < 0.6:
        _spoon(figure, rng, flat, dark)
    figure.warp(float(rng.normal(0, 0.1)), 0, bool(rng.random() < 0.5))
    return figure


def helmet(rng: Generator) -> Figure:
    """A helmet, ball or globe: round, shining, often nearly black, one unit in radius."""
    figure = Figure()
    light = rng.random() < 0.6
    shell = colours.rgb(0.1, rng.uniform(0, 0.1), rng.uniform(0.7, 1))
    figure.ellipse(
        (0, 0),
        (1, rng.uniform(0.9, 1.1)),
        textures.plain(shell) if light else textures.material(rng),
    )
    if rng.random() < 0.85:
        dark = colours.rgb(rng.random(), rng.uniform(0, 0.3), rng.uniform(0, 0.2))
        face = textures.plain(dark)
        at = rng.uniform(-0.15, 0.15, 2)
        figure.ellipse(at, rng.uniform(0.75, 0.93, 2), textures.plain(dark * 0.4 + shell * 0.3))
        figure.ellipse(at, rng.uniform(0.74, 0.9, 2), face)
        if rng.random() < 0.5:
            # What stands around it, seen in it.
            seen = textures.plain(np.clip(dark + rng.uniform(0.02, 0.3), 0, 1))
            figure.curve(outline(rng) * rng.uniform(0.1, 0.3) + at, seen)
    _glints(figure, rng, (0.75, 0.75), 7)
    for _ in range(int(rng.integers(0, 4))):
        turn = rng.uniform(0, 2 * np.pi)
        at = np.array([np.cos(turn), np.sin(turn)])
        figure.ellipse(at * 0.95, rng.uniform(0.05, 0.2, 2), textures.material(rng))
    figure.warp(float(rng.uniform(-0.6, 0.6)), 0, bool(rng.random() < 0.5))
    return figure


def rocket(rng: Generator) -> Figure:
    """A rocket or space plane, upright: one to four pointed tubes, wings, engines."""
    figure = Figure()
    for _ in range(int(rng.integers(1, 5))):
        skin = (
            textures.plain(colours.rgb(0.1, rng.uniform(0, 0.1), rng.uniform(0.7, 1)))
            if rng.random() < 0.6
            else textures.material(rng)
        )
        x, top = rng.normal(0, 0.25), rng.uniform(-1, -0.3)
        wide = rng.uniform(0.1, 0.3)
        if rng.random() < 0.5:
            reach = rng.uniform(0.2, 0.7)
            wing = [(x, 0.0), (x + reach, 0.7), (x + reach, 0.85), (x - reach, 0.85)]
            figure.polygon([*wing, (x - reach, 0.7)], skin)
        figure.spine(
            [(x, 0.8), (x, 1.0)], [wide * 0.6, wide * 0.9], textures.plain(dark_glass(rng))
        )
        figure.spine([(x, 0.8), (x, top + 0.3), (x, top)], [wide, wide, wide * 0.2], skin)
        if rng.random() < 0.5:
            band = rng.uniform(top + 0.3, 0.7)
            figure.polygon(
                [
                    (x - wide / 2, band),
                    (x + wide / 2, band),
                    (x + wide / 2, band + 0.1),
                    (x - wide / 2, band + 0.1),
                ],
                textures.plain(colours.any_colour(rng)),
            )
    figure.warp(float(rng.normal(0, 0.05)), 0, bool(rng.random() < 0.5))
    return figure
