"""Backgrounds: (generator, side) in, RGB float32 [side, side, 3] in 0..1 out."""

from itertools import pairwise

import cv2
import numpy as np
from numpy.random import Generator

from training import colours, textures
from training.animals import any_animal
from training.colours import Array
from training.figures import Figure
from training.textures import blur, mix, noise, ramp
from training.things import any_thing, outline, plant


def studio(rng: Generator, side: int) -> Array:
    """Paper or a wall: one colour, a course between two, or a bright middle."""
    a = (
        colours.any_colour(rng)
        if rng.random() < 0.6
        else np.full(3, rng.uniform(0.75, 1.0), np.float32)
    )
    b = colours.near(rng, a, 0.15)
    kind = rng.integers(4)
    if kind == 0:
        picture = np.broadcast_to(a, (side, side, 3)).astype(np.float32)
    elif kind == 1:
        picture = mix(a, b, ramp(rng, side))
    elif kind == 2:
        y, x = np.mgrid[0:side, 0:side].astype(np.float32) / side - rng.uniform(0.3, 0.7, (2, 1, 1))
        picture = mix(a, b, np.clip(np.hypot(x, y) * rng.uniform(0.8, 2), 0, 1).astype(np.float32))
    else:
        y = np.mgrid[0:side, 0:side][0].astype(np.float32) / side
        floor = 1 / (1 + np.exp(-(y - rng.uniform(0.5, 0.8)) * rng.uniform(8, 60)))
        picture = mix(a, b, floor)
    return np.clip(picture, 0, 1)


def _skyline(rng: Generator, side: int, level: float, rough: float) -> Array:
    """1 below a wavy line about `level` of the height, 0 above."""
    x = np.arange(side) / side
    line = np.full(side, level)
    for wave in range(1, 12):
        line += (
            rough
            * rng.normal(0, 1 / wave)
            * np.sin(2 * np.pi * (wave * x * 0.7 + rng.random()))
            * 0.5
        )
    y = np.arange(side)[:, None] / side
    return np.clip((y - line[None]) * side / 2 + 0.5, 0, 1).astype(np.float32)


def _sky(rng: Generator, side: int) -> Array:
    family = "sky" if rng.random() < 0.75 else str(rng.choice(["dusk", "stone"]))
    a, b = colours.of(rng, family), colours.of(rng, family)
    picture = mix(a, b, ramp(rng, side, np.pi / 2 + rng.normal(0, 0.2)))
    if rng.random() < 0.6:
        clouds = np.clip(
            (noise(rng, side, int(rng.integers(1, 4))) - rng.uniform(0.3, 0.7)) * rng.uniform(1, 5),
            0,
            1,
        )
        picture = mix(picture, colours.rgb(0.6, rng.uniform(0, 0.15), rng.uniform(0.6, 1)), clouds)
    return picture


def _ground(rng: Generator, side: int) -> Array:
    """Grass, earth, sand, asphalt or water, finer towards the top."""
    family = str(rng.choice(["grass", "grass", "earth", "stone", "water"]))
    a, b = colours.of(rng, family), colours.near(rng, colours.of(rng, family), 0.05)
    if rng.random() < 0.3:
        material = textures.sampled(str(rng.choice(["grass", "gravel", "brick"])))
        picture = material(rng, side)
    else:
        picture = mix(a, b, noise(rng, side, int(rng.integers(2, 7))))
        if rng.random() < 0.6:
            picture = mix(
                picture, colours.of(rng, family), noise(rng, side, int(rng.integers(0, 4)))
            )
    far = rng.uniform(1.2, 4)
    corners = np.array([[0, 0], [side, 0], [side, side], [0, side]], np.float32)
    seen = np.array([[0, 0], [side, 0], [side * far, side], [side * (1 - far), side]], np.float32)
    warp = cv2.getPerspectiveTransform(corners, seen)
    return cv2.warpPerspective(picture, warp, (side, side), borderMode=cv2.BORDER_REFLECT)


def _scatter(
    rng: Generator,
    picture: Array,
    figures: list[Figure],
    sizes: tuple[float, float],
    band: tuple[float, float],
) -> Array:
    """Draws figures into a background, none of them its subject."""
    side = len(picture)
    for figure in figures:
        low, high = figure.box()
        scale = rng.uniform(*sizes) * side / max(float((high - low).max()), 1e-6)
        centre = np.array([rng.uniform(-0.1, 1.1), rng.uniform(*band)]) * side
        rgb, alpha = figure.render(rng, side, scale, centre)
        picture = mix(picture, rgb * rng.uniform(0.5, 1.0), alpha)
    return picture


def _trees(rng: Generator, picture: Array, level: float) -> Array:
    side = len(picture)
    for _ in range(int(rng.integers(1, 8))):
        colour = colours.of(rng, "leaf")
        at = np.array([rng.uniform(0, 1), level + rng.uniform(-0.12, 0.05)]) * side
        points = (outline(rng) * rng.uniform(0.02, 0.15) * side + at).astype(np.int32)
        layer = np.zeros((side, side), np.float32)
        cv2.fillPoly(layer, [points], 1.0)
        cv2.line(
            layer,
            (int(at[0]), int(at[1])),
            (int(at[0]), int(at[1] + side * 0.1)),
            1.0,
            max(1, side // 80),
        )
        leaves = mix(colour, colour * 0.5, noise(rng, side, 5))
        picture = mix(picture, leaves, layer)
    return picture


def landscape(rng: Generator, side: int) -> Array:
    """Sky, hills or mountains in haze, trees, ground."""
    level = rng.uniform(0.15, 0.8)
    picture = _sky(rng, side)
    haze = picture[side // 2].mean(0)
    for step in range(int(rng.integers(0, 5))):
        colour = mix(
            colours.of(rng, str(rng.choice(["leaf", "stone", "earth", "sky"]))),
            haze,
            np.full((1, 1), 0.75 - step * 0.15),
        )[0, 0]
        rock = mix(
            colour, colours.near(rng, colour, 0.12), noise(rng, side, int(rng.integers(1, 5)))
        )
        picture = mix(
            picture,
            rock,
            _skyline(rng, side, level - rng.uniform(0.02, 0.4), rng.uniform(0.02, 0.25)),
        )
    if rng.random() < 0.5:
        picture = _trees(rng, picture, level)
    ground = _ground(rng, side)
    return mix(picture, ground, _skyline(rng, side, level, rng.choice([0.002, 0.05])))


def _blades(rng: Generator, picture: Array, count: int, dark: float) -> Array:
    """Leaves and blades of grass, later ones over earlier ones."""
    side = len(picture)
    picture = np.ascontiguousarray(picture)
    slim = rng.uniform(0.05, 0.45)
    for _ in range(count):
        colour = (colours.of(rng, "leaf") * rng.uniform(dark, 1.0)).tolist()
        if rng.random() < 0.06:
            colour = colours.any_colour(rng).tolist()
        size = side * rng.uniform(0.02, 0.14)
        centre = (rng.random(2) * side).tolist()
        box = (centre, (float(size * slim), float(size)), float(rng.uniform(0, 180)))
        cv2.ellipse(picture, box, colour, -1, cv2.LINE_AA)
    return picture


def foliage(rng: Generator, side: int) -> Array:
    """A forest, hedge or jungle, often dark, with bright leaves here and there."""
    dark = rng.uniform(0.05, 0.6)
    a, b = colours.of(rng, "leaf") * dark, colours.of(rng, "leaf") * rng.uniform(dark, 1)
    picture = mix(a, b, noise(rng, side, int(rng.integers(1, 6))))
    if rng.random() < 0.4:
        for _ in range(int(rng.integers(1, 6))):
            x, wide = rng.random() * side, rng.uniform(0.01, 0.1) * side
            colour = (colours.of(rng, "wood") * rng.uniform(dark, 1)).tolist()
            cv2.line(
                picture,
                (int(x), 0),
                (int(x + rng.normal(0, 0.1) * side), side),
                colour,
                max(1, int(wide)),
                cv2.LINE_AA,
            )
    picture = _blades(rng, picture, int(rng.integers(20, 220)), dark)
    if rng.random() < 0.5:
        share = blur(noise(rng, side, 1), 2) * rng.uniform(0.3, 1.0)
        picture = mix(picture, picture * rng.uniform(0.05, 0.5), np.clip(share * 1.5, 0, 1))
    if rng.random() < 0.5:
        picture = mix(
            picture,
            _ground(rng, side) * rng.uniform(dark, 1),
            _skyline(rng, side, rng.uniform(0.55, 0.95), 0.06),
        )
        if rng.random() < 0.6:
            picture = _blades(rng, picture, int(rng.integers(5, 60)), dark)
    return picture


def street(rng: Generator, side: int) -> Array:
    """Houses with windows and roofs over a road, hillside or square."""
    picture = _sky(rng, side)
    level = rng.uniform(0.35, 0.75)
    picture = np.ascontiguousarray(picture)
    x = rng.uniform(-0.3, 0.0)
    while x < 1:
        wide, high = rng.uniform(0.15, 0.7), rng.uniform(0.15, 0.8)
        wall = textures.material(rng, colours.of(rng, str(rng.choice(["earth", "stone", "wood"]))))(
            rng, side
        )
        x0, x1 = int(x * side), int((x + wide) * side)
        y0, y1 = int((level - high) * side), int((level + 0.05) * side)
        layer = np.zeros((side, side), np.float32)
        cv2.rectangle(layer, (x0, y0), (x1, y1), 1.0, -1)
        roof = np.array(
            [[x0 - 4, y0], [x1 + 4, y0], [(x0 + x1) // 2, y0 - int(rng.uniform(0, 0.2) * side)]]
        )
        cv2.fillConvexPoly(layer, roof.astype(np.int32), 1.0)
        picture = mix(picture, wall, layer)
        glass, frame = colours.any_colour(rng).tolist(), colours.any_colour(rng).tolist()
        columns, rows = int(rng.integers(1, 6)), int(rng.integers(1, 6))
        for i in range(columns):
            for j in range(rows):
                u = x0 + (i + 0.25) * (x1 - x0) / columns
                v = y0 + (j + 0.25) * (y1 - y0) / rows
                end = (int(u + 0.5 * (x1 - x0) / columns), int(v + 0.5 * (y1 - y0) / rows))
                cv2.rectangle(picture, (int(u), int(v)), end, glass, -1)
                cv2.rectangle(picture, (int(u), int(v)), end, frame, 1)
        x += wide * rng.uniform(0.6, 1.4)
    if rng.random() < 0.5:
        hill = mix(colours.of(rng, "grass"), colours.of(rng, "grass"), noise(rng, side, 4))
        picture = mix(picture, hill, _skyline(rng, side, level, 0.1))
        level += rng.uniform(0.05, 0.25)
    return mix(picture, _ground(rng, side), _skyline(rng, side, level, 0.004))


def room(rng: Generator, side: int) -> Array:
    """A wall and a floor or table, with panels, cushions, pictures, curtains."""
    wall, floor = textures.material(rng)(rng, side), textures.material(rng)(rng, side)
    level = rng.uniform(0.3, 0.95)
    tilt = rng.normal(0, 0.08)
    y, x = np.mgrid[0:side, 0:side].astype(np.float32) / side
    picture = mix(wall, floor, np.clip((y - level - tilt * x) * side, 0, 1))
    picture = np.ascontiguousarray(picture)
    turn = float(rng.choice([0, 0, rng.uniform(-35, 35)]))
    colour = colours.any_colour(rng)
    for _ in range(int(rng.integers(0, 14))):
        centre = (rng.random(2) * side).tolist()
        size = (rng.uniform(0.05, 0.5, 2) * side).tolist()
        corners = cv2.boxPoints((centre, size, turn)).astype(np.int32)
        shade = colours.near(rng, colour, 0.15) if rng.random() < 0.7 else colours.any_colour(rng)
        layer = np.zeros((side, side), np.float32)
        cv2.fillConvexPoly(layer, corners, 1.0)
        soft = blur(layer, rng.uniform(0.5, 6))
        picture = mix(picture, mix(shade, shade * rng.uniform(0.3, 1), soft), blur(layer, 0.6))
    if rng.random() < 0.4:
        picture = _scatter(
            rng,
            picture,
            [any_thing(rng) for _ in range(int(rng.integers(1, 4)))],
            (0.05, 0.3),
            (0.1, 0.95),
        )
    return picture


def glow(rng: Generator, side: int) -> Array:
    """Night, water or a stage: dark courses, bubbles, streaks and lights."""
    hue = rng.random()
    a, b = (
        colours.rgb(hue, rng.uniform(0.3, 0.9), rng.uniform(0.02, 0.4)),
        colours.rgb(hue + rng.normal(0, 0.08), rng.uniform(0.2, 0.9), rng.uniform(0.2, 0.9)),
    )
    picture = mix(
        a, b, np.clip(noise(rng, side, int(rng.integers(0, 4))) * rng.uniform(0.5, 1.4), 0, 1)
    )
    if rng.random() < 0.5:
        picture = mix(
            picture, room(rng, side) * b, np.full((side, side), rng.uniform(0.3, 0.8), np.float32)
        )
    light = np.zeros((side, side), np.float32)
    for _ in range(int(rng.integers(3, 60))):
        centre = tuple((rng.random(2) * side).astype(int).tolist())
        kind = rng.random()
        if kind < 0.45:
            cv2.circle(
                light,
                centre,
                int(rng.uniform(1, 0.07 * side)),
                rng.uniform(0.3, 1),
                int(rng.choice([1, 1, 2, -1])),
                cv2.LINE_AA,
            )
        elif kind < 0.8:
            path = np.cumsum(rng.normal(0, 0.06 * side, (8, 2)), 0) + centre
            cv2.polylines(
                light,
                [path.astype(np.int32)],
                False,
                rng.uniform(0.3, 1),
                int(rng.integers(1, 3)),
                cv2.LINE_AA,
            )
        else:
            cv2.circle(light, centre, 1, 1.0, -1)
    light = np.clip(light + blur(light, rng.uniform(1, 5)) * rng.uniform(0, 1.5), 0, 1)
    return mix(picture, colours.rgb(hue, rng.uniform(0, 0.4), 1.0), light)


def _masts(rng: Generator, picture: Array) -> Array:
    """Poles, towers of struts and wires before the sky."""
    side = len(picture)
    picture = np.ascontiguousarray(picture)
    colour = (colours.of(rng, "stone") * rng.uniform(0.3, 1)).tolist()
    foot = int(rng.uniform(0.6, 1.0) * side)
    for _ in range(int(rng.integers(1, 5))):
        x, top = rng.random() * side, rng.uniform(0, 0.5) * side
        wide = rng.choice([0.0, rng.uniform(0.01, 0.05)]) * side
        ends = [(int(x + way * wide), int(x + way * wide * 0.4)) for way in (-1, 1)]
        for low, high in ends:
            cv2.line(picture, (low, foot), (high, int(top)), colour, 1, cv2.LINE_AA)
        if wide:
            steps = np.linspace(foot, top, int(rng.integers(5, 16)))
            for step, (y, above) in enumerate(pairwise(steps)):
                way = wide if step % 2 else -wide
                at, on = (int(x - way), int(y)), (int(x + way * 0.8), int(above))
                cv2.line(picture, at, on, colour, 1, cv2.LINE_AA)
        elif rng.random() < 0.5:
            cv2.line(
                picture,
                (int(x), int(top)),
                (int(rng.random() * side), foot),
                colour,
                1,
                cv2.LINE_AA,
            )
    return picture


def night(rng: Generator, side: int) -> Array:
    """A dark or dusky sky, masts, and lamps along the ground."""
    hue = rng.uniform(0.55, 0.75)
    above = colours.rgb(hue, rng.uniform(0.2, 0.8), rng.uniform(0.02, 0.4))
    below = colours.rgb(hue + rng.normal(0, 0.1), rng.uniform(0.1, 0.7), rng.uniform(0.1, 0.8))
    picture = mix(above, below, ramp(rng, side, np.pi / 2))
    level = rng.uniform(0.75, 1.0)
    ground = mix(above * 0.3, below * 0.4, noise(rng, side, 4))
    picture = mix(picture, ground, _skyline(rng, side, level, 0.03))
    if rng.random() < 0.7:
        picture = _masts(rng, picture)
    lamps = np.zeros((side, side), np.float32)
    for _ in range(int(rng.integers(0, 12))):
        at = (int(rng.random() * side), int((level + rng.normal(0, 0.05)) * side))
        cv2.circle(lamps, at, int(rng.uniform(1, 0.02 * side + 1)), 1.0, -1, cv2.LINE_AA)
    lamps = np.clip(lamps + blur(lamps, rng.uniform(2, 6)) * 2 + blur(lamps, 14) * 2, 0, 1)
    return mix(picture, colours.rgb(rng.uniform(0.05, 0.16), rng.uniform(0.1, 0.7), 1.0), lamps)


def bokeh(rng: Generator, side: int) -> Array:
    """Discs of light far behind the plane of focus."""
    picture = mix(colours.any_colour(rng) * 0.6, colours.any_colour(rng) * 0.6, noise(rng, side, 0))
    picture = np.ascontiguousarray(picture)
    for _ in range(int(rng.integers(5, 50))):
        radius = int(rng.uniform(0.01, 0.08) * side)
        disc = np.zeros((side, side), np.float32)
        cv2.circle(
            disc,
            tuple((rng.random(2) * side).astype(int).tolist()),
            radius,
            rng.uniform(0.1, 0.8),
            -1,
            cv2.LINE_AA,
        )
        picture = mix(picture, colours.any_colour(rng), disc)
    return picture


def surface(rng: Generator, side: int) -> Array:
    """One surface from edge to edge, or two that meet in a line."""
    picture = (
        textures.material(rng)(rng, side) if rng.random() < 0.8 else textures.clutter(rng, side)
    )
    if rng.random() < 0.5:
        picture = mix(
            picture,
            textures.material(rng)(rng, side),
            _skyline(rng, side, rng.uniform(0.2, 0.85), rng.choice([0.0, 0.05])),
        )
    return picture


def distant(rng: Generator, side: int, picture: Array) -> Array:
    """Adds what may be mistaken for the subject: plants, things and beasts, but small."""
    makers = (plant, any_thing, any_animal)
    figures = [
        makers[rng.choice(3, p=[0.4, 0.45, 0.15])](rng) for _ in range(int(rng.integers(1, 4)))
    ]
    return _scatter(rng, picture, figures, (0.04, 0.22), (0.2, 0.8))


def any_scene(rng: Generator, side: int) -> Array:
    """A background out of doors or indoors, in focus or not."""
    makers = (landscape, foliage, street, room, glow, night, bokeh, surface)
    picture = makers[rng.choice(8, p=[0.24, 0.2, 0.12, 0.16, 0.09, 0.06, 0.03, 0.1])](rng, side)
    if rng.random() < 0.05:
        picture = _masts(rng, picture)
    if rng.random() < 0.2:
        picture = distant(rng, side, picture)
    if rng.random() < 0.55:
        picture = blur(np.ascontiguousarray(picture, np.float32), rng.uniform(0.3, 7) * side / 224)
    return np.clip(picture, 0, 1).astype(np.float32)
