"""Posed pictures: a still life on a table, a portrait before a backdrop with things, a pet's face.

In: a generator and a side. Out: the scene RGB float32 [side, side, 3], and the subject drawn for
it, RGB [side, side, 3] and alpha [side, side], all 0..1. Unlike in other pictures the subject goes
with its scene: it has the table's colours, things nearly as large as itself stand behind it, or it
fills most of the picture.
"""

import cv2
import numpy as np
from numpy.random import Generator

from training import colours, scenes, textures
from training.animals import near
from training.colours import Array
from training.figures import Figure
from training.people import bust
from training.props import helmet, rocket, shining_cup
from training.textures import blur, mix, noise, ramp
from training.things import any_thing, food, vessel
from training.vehicles import any_vehicle


def _half_plane(rng: Generator, side: int, away: tuple[float, float]) -> Array:
    """1 on the far side of a straight line in any direction, `away` of the side from the middle."""
    turn = rng.uniform(0, 2 * np.pi)
    y, x = np.mgrid[0:side, 0:side].astype(np.float32) - side / 2
    distance = x * np.cos(turn) + y * np.sin(turn) - rng.uniform(*away) * side
    return np.clip(distance + 0.5, 0, 1)


def _table(rng: Generator, side: int, colour: Array) -> Array:
    """A table of `colour` from above, sometimes with its edge and what is beyond."""
    kind = rng.random()
    if kind < 0.65:
        table = textures.planks(colour, np.clip(colour * rng.uniform(0.3, 0.9), 0, 1))(rng, side)
    else:
        table = textures.material(rng, colour)(rng, side)
    if rng.random() < 0.5:
        # Lamps that a polished table shows.
        sheen = np.clip(noise(rng, side, int(rng.integers(0, 3))) * 2 - rng.uniform(0.6, 1.4), 0, 1)
        table = mix(table, np.ones(3, np.float32), sheen * rng.uniform(0.1, 0.6))
    for _ in range(int(rng.choice([0, 1, 2], p=[0.2, 0.55, 0.25]))):
        beyond = _half_plane(rng, side, (0.2, 0.6))
        if rng.random() < 0.7:
            there = np.broadcast_to(colours.any_colour(rng) * rng.uniform(0, 0.5), table.shape)
        else:
            there = blur(scenes.room(rng, side) * rng.uniform(0.1, 1), rng.uniform(1, 8))
        if rng.random() < 0.4:
            # The table's side.
            rim = np.roll(beyond, rng.integers(-side // 20, side // 20 + 1, 2), (0, 1))
            table = mix(table, table * rng.uniform(0.2, 0.7), rim)
        table = mix(table, there, blur(beyond, rng.uniform(0.3, 2)))
    return table * (1 + (ramp(rng, side) - 0.5) * rng.uniform(0, 0.8))[..., None]


def still_life(rng: Generator, side: int) -> tuple[Array, Array, Array]:
    """A cup, food, a vessel or another thing on a table, seen from above."""
    wood = colours.of(rng, "wood") if rng.random() < 0.75 else colours.any_colour(rng)
    if rng.random() < 0.3:
        # In the light of the evening or of a lamp.
        wood = colours.rgb(rng.uniform(0.02, 0.09), rng.uniform(0.6, 1), rng.uniform(0.4, 1))
    scene = _table(rng, side, wood)
    paint = rng.random()
    if paint < 0.35:
        colour = colours.near(rng, wood, 0.15)
    elif paint < 0.6:
        colour = colours.rgb(rng.normal(0.02, 0.03), rng.uniform(0.6, 1), rng.uniform(0.25, 0.9))
    else:
        colour = colours.any_colour(rng)
    kind = rng.choice(4, p=[0.62, 0.14, 0.1, 0.14])
    subject = shining_cup(rng, colour) if kind == 0 else (any_thing, food, vessel)[kind - 1](rng)
    low, high = subject.box()
    scale = rng.uniform(0.5, 1.15) * side / float((high - low).max())
    spare = np.maximum(1 - (high - low) * scale / side, 0)
    centre = (0.5 + rng.uniform(-0.4, 0.4, 2) * (spare + 0.05)) * side
    rgb, alpha = subject.render(rng, side, scale, centre)
    if rng.random() < 0.4:
        # The room and the table, as the subject shows them.
        shown = np.clip(noise(rng, side, int(rng.integers(1, 4))) * 3 - rng.uniform(1.2, 2), 0, 1)
        light = mix(wood, np.ones(3, np.float32), np.array(rng.random(), np.float32))
        rgb = mix(rgb, light, shown * rng.uniform(0.1, 0.5))
    return scene, rgb, alpha


def _flag(rng: Generator, picture: Array) -> Array:
    """A flag or curtain that hangs at one side."""
    side = len(picture)
    a, b = colours.any_colour(rng), colours.any_colour(rng)
    if rng.random() < 0.5:
        a = colours.rgb(
            rng.choice([0.0, 0.6, 0.35, 0.13]), rng.uniform(0.5, 1), rng.uniform(0.3, 1)
        )
        b = colours.rgb(0.1, rng.uniform(0, 0.1), rng.uniform(0.7, 1))
    cloth = textures.striped(a, b, (2, 12))(rng, side)
    if rng.random() < 0.5:
        blue = textures.spotted(colours.rgb(0.63, rng.uniform(0.4, 0.9), rng.uniform(0.2, 0.6)), b)
        cloth = mix(cloth, blue(rng, side), _half_plane(rng, side, (0.0, 0.5)))
    x = np.arange(side, dtype=np.float32) / side
    folds = 0.5 + 0.5 * np.sin(2 * np.pi * (x * rng.uniform(3, 15) + rng.random()))
    cloth = cloth * (1 - folds * rng.uniform(0, 0.6))[None, :, None]
    top, foot = rng.uniform(0.02, 0.3), rng.uniform(0.1, 0.4)
    low = rng.uniform(0.5, 1.1)
    corners = np.array([(-0.05, -0.05), (top, -0.05), (foot, low), (-0.05, low)])
    if rng.random() < 0.5:
        corners[:, 0] = 1 - corners[:, 0]
    layer = np.zeros((side, side), np.float32)
    cv2.fillPoly(layer, [np.round(corners * side).astype(np.int32)], 1.0, cv2.LINE_AA)
    return mix(picture, np.clip(cloth, 0, 1), layer)


def _shown(rng: Generator, picture: Array) -> Array:
    """A model, trophy, plant or lamp that stands behind, on a table or stand of its own."""
    side = len(picture)
    kind = rng.choice(3, p=[0.35, 0.4, 0.25])
    figure = (rocket, any_thing, any_vehicle)[kind](rng)
    low, high = figure.box()
    scale = rng.uniform(0.25, 0.65) * side / float((high - low).max())
    x = rng.uniform(0, 0.28) if rng.random() < 0.5 else rng.uniform(0.72, 1.0)
    centre = np.array([x, rng.uniform(0.15, 0.6)]) * side
    foot = int(centre[1] + (high - low)[1] * scale / 2)
    if rng.random() < 0.6:
        half = int(rng.uniform(0.03, 0.3) * side)
        stand = np.zeros((side, side), np.float32)
        left, right = int(centre[0]) - half, int(centre[0]) + half
        cv2.rectangle(stand, (left, foot), (right, side), 1.0, -1)
        wood = colours.any_colour(rng) * rng.choice([0.05, 1.0])
        picture = mix(picture, textures.plain(wood)(rng, side), stand)
    rgb, alpha = figure.render(rng, side, scale, centre)
    return mix(picture, rgb * rng.uniform(0.5, 1.0), alpha)


def _backdrop(rng: Generator, side: int) -> Array:
    """Painted paper, a curtain or a room, with a flag, a model, a picture before it."""
    kind = rng.random()
    if kind < 0.6:
        a = colours.any_colour(rng)
        b = colours.near(rng, a, rng.uniform(0.03, 0.3))
        picture = mix(a, b, noise(rng, side, int(rng.integers(0, 4))))
    elif kind < 0.75:
        picture = scenes.studio(rng, side)
    else:
        picture = scenes.room(rng, side)
    for _ in range(int(rng.choice([0, 1, 2], p=[0.15, 0.6, 0.25]))):
        picture = _flag(rng, picture)
    for _ in range(int(rng.choice([0, 1, 2], p=[0.25, 0.55, 0.2]))):
        picture = _shown(rng, picture)
    soft = rng.choice([0.0, rng.uniform(0.3, 1.5), rng.uniform(1, 6)], p=[0.3, 0.4, 0.3])
    return blur(np.ascontiguousarray(picture, np.float32), float(soft) * side / 256)


def portrait(rng: Generator, side: int) -> tuple[Array, Array, Array]:
    """Head and shoulders down to the lower edge, often with something held before the breast."""
    scene = _backdrop(rng, side)
    sitter = bust(rng, suit=bool(rng.random() < 0.5))
    low, high = sitter.box()
    if rng.random() < 0.65:
        held: Figure = helmet(rng) if rng.random() < 0.6 else any_thing(rng)
        at = np.array([rng.uniform(-1, 1), rng.uniform(0.1, 0.9)]) * (high - low) / 2
        sitter.join(held, rng.uniform(0.3, 0.7), at)
    top = rng.uniform(-0.03, 0.3)
    # The sitter's lower end lies below the picture's.
    scale = (1 - top) * rng.uniform(1.02, 1.5) * side / float((high - low)[1])
    low, high = sitter.box()
    size = (high - low) * scale
    centre = np.array([rng.normal(0.5, 0.12) * side, top * side + size[1] / 2])
    return scene, *sitter.render(rng, side, scale, centre)


def _focused(rng: Generator, rgb: Array, alpha: Array, centre: Array) -> tuple[Array, Array]:
    """Sharp about `centre`, soft away from it, as a lens shows what is near."""
    side = len(alpha)
    y, x = np.mgrid[0:side, 0:side].astype(np.float32)
    away = np.hypot(x - centre[0], y - centre[1]) / side
    soft = np.clip((away - rng.uniform(0.1, 0.35)) * rng.uniform(2, 6), 0, 1)
    width = rng.uniform(1, 6) * side / 256
    shut = blur(np.ascontiguousarray(alpha, np.float32), width)
    spread = blur(np.ascontiguousarray(rgb * alpha[..., None], np.float32), width)
    hazy = spread / np.maximum(shut, 1e-3)[..., None]
    return mix(rgb, np.clip(hazy, 0, 1), soft), alpha + (shut - alpha) * soft


def pet(rng: Generator, side: int) -> tuple[Array, Array, Array]:
    """An animal's face from so near that edges of the picture cut it, what is behind blurred."""
    kind = rng.random()
    if kind < 0.4:
        scene = scenes.any_scene(rng, side)
    elif kind < 0.8:
        scene = scenes.room(rng, side)
    else:
        scene = scenes.surface(rng, side)
    if rng.random() < 0.8:
        scene = blur(np.ascontiguousarray(scene, np.float32), rng.uniform(1, 8) * side / 256)
    subject = near(rng)
    low, high = subject.box()
    scale = rng.uniform(0.85, 1.6) * side / float((high - low).max())
    # The face, which is in the upper half of what is drawn, lies about the picture's middle.
    centre = np.array([rng.uniform(0.3, 0.7), rng.uniform(0.45, 0.8)]) * side
    rgb, alpha = subject.render(rng, side, scale, centre)
    if rng.random() < 0.5:
        rgb, alpha = _focused(rng, rgb, alpha, centre - (0, 0.2 * side))
    return scene, rgb, alpha


def any_posed(rng: Generator, side: int) -> tuple[Array, Array, Array]:
    """One of the three."""
    return (still_life, portrait, pet)[rng.choice(3, p=[0.5, 0.3, 0.2])](rng, side)
