"""Animals: standing, lying, sitting, from the front, close up, birds.

In: a generator. Out: a `Figure` about two units long or high, its feet at the bottom.
"""

import numpy as np
from numpy.random import Generator

from training import colours, textures
from training.figures import Figure, Point
from training.textures import Material


def _dark(rng: Generator) -> Material:
    return textures.plain(colours.of(rng, "hair") * rng.uniform(0.1, 0.6))


def _face(
    figure: Figure, rng: Generator, at: Point, size: float, coat: Material, belly: Material
) -> None:
    """A head seen from the front: ears, muzzle, eyes, nose."""
    x, y = at
    long = rng.uniform(0.85, 1.3)
    kind = rng.integers(4)
    for side in (-1, 1):
        ear = (x + side * size * rng.uniform(0.55, 0.8), y - size * rng.uniform(0.6, 0.9))
        reach = size * rng.uniform(0.35, 0.8)
        if kind == 0:
            figure.ellipse(ear, (size * 0.3, size * 0.3), coat)
            figure.ellipse(ear, (size * 0.17, size * 0.17), belly)
        elif kind == 1:
            figure.polygon(
                [
                    (ear[0] - size * 0.28, ear[1] + size * 0.3),
                    (ear[0] + side * size * 0.15, ear[1] - reach),
                    (ear[0] + size * 0.3, ear[1] + size * 0.35),
                ],
                coat,
            )
            figure.polygon(
                [
                    (ear[0] - size * 0.12, ear[1] + size * 0.2),
                    (ear[0] + side * size * 0.12, ear[1] - reach * 0.6),
                    (ear[0] + size * 0.14, ear[1] + size * 0.2),
                ],
                belly,
            )
        elif kind == 2:
            figure.spine(
                [ear, (ear[0] + side * size * 0.35, ear[1] + reach * 1.6)],
                [size * 0.3, size * 0.5],
                coat,
            )
        else:
            figure.spine(
                [ear, (ear[0] + side * size * 0.2, ear[1] - reach * 1.8)],
                [size * 0.3, size * 0.25],
                coat,
            )
    figure.ellipse((x, y), (size * rng.uniform(0.8, 1.05), size * long), coat)
    dark = _dark(rng)
    iris = textures.plain(
        colours.rgb(rng.uniform(0.05, 0.6), rng.uniform(0, 0.8), rng.uniform(0.1, 0.9))
    )
    low = rng.uniform(0.2, 0.6)
    figure.ellipse(
        (x, y + size * low * 1.2),
        (size * rng.uniform(0.35, 0.55), size * rng.uniform(0.3, 0.5)),
        belly,
    )
    if rng.random() < 0.4:
        figure.spine([(x, y - size * 0.8), (x, y + size * low)], [size * 0.15, size * 0.4], belly)
    for side in (-1, 1):
        figure.ellipse(
            (x + side * size * 0.4, y - size * 0.1), (size * 0.16, size * 0.12), iris, side * 0.3
        )
        figure.ellipse((x + side * size * 0.4, y - size * 0.1), (size * 0.06, size * 0.1), dark)
    figure.ellipse((x, y + size * low), (size * rng.uniform(0.1, 0.22), size * 0.1), dark)
    if rng.random() < 0.5:
        for side in (-1, 1):
            figure.spine(
                [(x, y + size * (low + 0.15)), (x + side * size * 0.25, y + size * (low + 0.35))],
                [0.02, 0.015],
                dark,
            )


def _profile(
    figure: Figure, rng: Generator, at: Point, size: float, toward: float, coat: Material
) -> None:
    """A head seen from the side, its muzzle along the angle `toward` (0 is right)."""
    x, y = at
    reach = size * rng.uniform(0.9, 2.0)
    tip = (x + np.cos(toward) * reach, y + np.sin(toward) * reach)
    if rng.random() < 0.25:
        horn = textures.plain(colours.of(rng, "earth"))
        figure.spine(
            [
                (x - size * 0.2, y - size * 0.5),
                (x - size * rng.uniform(-0.3, 0.8), y - size * 1.4),
                (x + size * rng.uniform(-0.5, 0.9), y - size * rng.uniform(1.5, 2.2)),
            ],
            [size * 0.25, size * 0.18, 0.02],
            horn,
        )
    figure.ellipse((x, y), (size * 0.75, size * 0.7), coat)
    figure.spine([(x, y), tip], [size * 1.25, size * rng.uniform(0.5, 0.85)], coat)
    if rng.random() < 0.6:
        figure.polygon(
            [
                (x - size * 0.6, y - size * 0.3),
                (x - size * rng.uniform(0.3, 0.7), y - size * rng.uniform(1.0, 1.6)),
                (x + size * 0.05, y - size * 0.5),
            ],
            coat,
        )
    else:
        figure.ellipse((x - size * 0.4, y), (size * 0.3, size * rng.uniform(0.4, 0.9)), coat, 0.3)
    dark = _dark(rng)
    figure.ellipse(
        (x + np.cos(toward) * size * 0.3, y + np.sin(toward) * size * 0.3 - size * 0.2),
        (size * 0.11, size * 0.09),
        dark,
    )
    figure.ellipse(tip, (size * 0.15, size * 0.13), dark)


def _tail(figure: Figure, rng: Generator, start: Point, coat: Material, away: float = -1) -> None:
    x, y = start
    long = rng.uniform(0.15, 0.8)
    bend = rng.uniform(-0.5, 0.8)
    width = rng.choice([rng.uniform(0.03, 0.08), rng.uniform(0.1, 0.25)])
    figure.spine(
        [
            (x, y),
            (x + away * long * 0.5, y + bend * long),
            (x + away * long * 0.6, y + bend * long + rng.uniform(-0.4, 0.5)),
        ],
        [width, width, width * rng.uniform(0.3, 1.2)],
        coat,
    )


def standing(rng: Generator) -> Figure:
    """A four-legged animal from the side, from piglet to giraffe."""
    figure = Figure()
    coat, belly = textures.coat(rng), textures.coat(rng)
    long, thick = rng.uniform(0.5, 0.9), rng.uniform(0.3, 0.75)
    leg = rng.uniform(0.3, 0.95)
    width = rng.uniform(0.09, 0.22) * (0.6 + thick)
    ground = thick / 2 + leg
    step = rng.uniform(0, 0.35)
    foot = coat if rng.random() < 0.7 else _dark(rng)
    for end, (x, far) in enumerate([(-long, True), (long, True), (-long, False), (long, False)]):
        x = x * 0.85 + rng.normal(0, 0.05) + (0.1 if far else -0.05)
        knee = (
            x + rng.normal(0, step * 0.5) + (0.08 if end % 2 == 0 else 0),
            thick * 0.3 + leg * 0.45,
        )
        paw = (x + rng.normal(0, step), ground * (0.96 if far else 1))
        figure.spine([(x, 0), knee, paw], [width * 1.9, width, width * 0.75], coat)
        figure.spine([paw, (paw[0] + width * 0.5, paw[1])], [width * 0.9, width * 0.8], foot)
    _tail(figure, rng, (-long - thick * 0.3, -thick * 0.2), coat)
    sag = rng.uniform(-0.1, 0.12)
    figure.spine(
        [(-long, 0), (0, sag), (long * 0.9, -0.03)],
        [thick, thick * rng.uniform(0.8, 1.1), thick * rng.uniform(0.85, 1.1)],
        coat,
    )
    if rng.random() < 0.4:
        figure.spine(
            [(-long * 0.7, thick * 0.3), (long * 0.8, thick * 0.3)], [thick * 0.35] * 2, belly
        )
    rise, neck = rng.uniform(-0.2, 1.4), rng.uniform(0.2, 0.8) * rng.choice([1, 1, 1, 2])
    head = (long + np.cos(rise) * neck, -thick * 0.2 - np.sin(rise) * neck)
    figure.spine([(long * 0.8, -0.05), head], [thick * 0.85, thick * rng.uniform(0.3, 0.6)], coat)
    if rng.random() < 0.25:
        mane = textures.coat(rng)
        figure.spine(
            [(long * 0.8, -thick * 0.4), (head[0] - 0.1, head[1] - 0.08)], [0.15, 0.15], mane
        )
    size = rng.uniform(0.16, 0.3)
    if rng.random() < 0.7:
        _profile(figure, rng, head, size, rng.uniform(-0.2, 1.0), coat)
    else:
        _face(figure, rng, head, size * 1.2, coat, belly)
    figure.warp(float(rng.normal(0, 0.05)), 0, bool(rng.random() < 0.5))
    return figure


def lying(rng: Generator) -> Figure:
    """One that rests on the ground with its head up: a cat, a tiger, a dog, a cow."""
    figure = Figure()
    coat, belly = textures.coat(rng), textures.coat(rng)
    if rng.random() < 0.6:
        belly = coat
    long, thick = rng.uniform(0.7, 1.0), rng.uniform(0.45, 0.7)
    _tail(figure, rng, (-long, thick * 0.3), coat, rng.choice([-1, 1]))
    figure.spine(
        [
            (-long * 0.8, 0.05),
            (-long * 0.2, -thick * 0.05),
            (long * 0.45, -thick * rng.uniform(0.1, 0.35)),
        ],
        [thick, thick * rng.uniform(0.75, 1.0), thick * rng.uniform(0.8, 1.05)],
        coat,
    )
    if rng.random() < 0.5:
        figure.spine(
            [(-long * 0.5, thick * 0.35), (long * 0.4, thick * 0.3)], [thick * 0.3] * 2, belly
        )
    ground = thick * 0.48
    figure.ellipse(
        (-long * 0.65, ground * 0.35),
        (thick * rng.uniform(0.45, 0.65), thick * rng.uniform(0.4, 0.55)),
        coat,
        rng.uniform(-0.5, 0.2),
    )
    paws = thick * rng.uniform(0.18, 0.3)
    toes = (
        textures.plain(colours.of(rng, "skin") * rng.uniform(0.4, 1))
        if rng.random() < 0.4
        else belly
    )
    for shift in (0.0, rng.uniform(0.05, 0.2)):
        figure.spine(
            [(-long * 0.7, ground * 0.9), (-long * rng.uniform(0.0, 0.4) + shift, ground)],
            [paws * 1.3, paws],
            coat,
        )
        figure.ellipse(
            (-long * rng.uniform(0.0, 0.35) + shift, ground), (paws * 0.6, paws * 0.5), toes
        )
    for shift in (0.0, rng.uniform(-0.2, 0.15)):
        elbow = (long * 0.5 + shift, ground * 0.75)
        paw = (long * rng.uniform(0.8, 1.35) + shift, ground * rng.uniform(0.85, 1.1))
        figure.spine([(long * 0.4, 0), elbow, paw], [thick * 0.5, paws * 1.3, paws], coat)
        figure.ellipse(paw, (paws * 0.75, paws * 0.55), belly)
    rise = rng.uniform(0.9, 2.0)
    neck = rng.uniform(0.3, 0.7)
    head = (long * 0.55 + np.cos(rise) * neck, -thick * 0.3 - np.sin(rise) * neck)
    figure.spine(
        [(long * 0.4, -thick * 0.1), head],
        [thick * rng.uniform(0.8, 1.0), thick * rng.uniform(0.45, 0.75)],
        coat,
    )
    size = rng.uniform(0.2, 0.34)
    if rng.random() < 0.7:
        _face(figure, rng, head, size, coat, belly)
    else:
        _profile(figure, rng, head, size, rng.uniform(-0.1, 0.7), coat)
    figure.warp(float(rng.normal(0, 0.08)), 0, bool(rng.random() < 0.5))
    return figure


def sitting(rng: Generator) -> Figure:
    """A cat or dog on its haunches."""
    figure = Figure()
    coat, belly = textures.coat(rng), textures.coat(rng)
    wide = rng.uniform(0.35, 0.55)
    _tail(figure, rng, (wide * 0.8, 0.75), coat, 1)
    figure.curve(
        [
            (-wide * 0.6, -0.35),
            (wide * 0.6, -0.35),
            (wide, 0.3),
            (wide * 1.15, 0.8),
            (0, 0.92),
            (-wide * 1.15, 0.8),
            (-wide, 0.3),
        ],
        coat,
    )
    for side in (-1, 1):
        figure.ellipse((side * wide * 0.85, 0.62), (wide * 0.42, 0.28), coat)
        figure.ellipse((side * wide * 1.0, 0.86), (wide * 0.35, 0.08), belly)
        figure.spine([(side * wide * 0.35, 0), (side * wide * 0.33, 0.88)], [0.24, 0.15], coat)
    if rng.random() < 0.6:
        figure.curve(
            [(-wide * 0.3, -0.3), (wide * 0.3, -0.3), (wide * 0.25, 0.5), (-wide * 0.25, 0.5)],
            belly,
        )
    at = (rng.normal(0, 0.08), rng.uniform(-0.72, -0.5))
    if rng.random() < 0.8:
        _face(figure, rng, at, rng.uniform(0.3, 0.42), coat, belly)
    else:
        _profile(figure, rng, at, rng.uniform(0.28, 0.36), rng.uniform(-0.2, 0.6), coat)
    figure.warp(
        float(rng.normal(0, 0.08)), rng.choice([0, rng.uniform(0, 0.4)]), bool(rng.random() < 0.5)
    )
    return figure


def facing(rng: Generator) -> Figure:
    """A large animal that walks towards the camera: elephant, cow, horse, lion."""
    figure = Figure()
    coat, belly = textures.coat(rng), textures.coat(rng)
    wide = rng.uniform(0.35, 0.6)
    leg = rng.uniform(0.14, 0.26)
    for side in (-1, 1):
        for far in (True, False):
            x = side * wide * (0.35 if far else 0.6)
            low = 0.85 if far else 1.0
            figure.spine(
                [(x, 0.1), (x + rng.normal(0, 0.04), 0.55), (x + rng.normal(0, 0.06), low)],
                [leg * 1.3, leg, leg],
                coat,
            )
    figure.ellipse((0, 0), (wide, rng.uniform(0.45, 0.6)), coat)
    top = rng.uniform(-0.6, -0.2)
    if rng.random() < 0.55:
        for side in (-1, 1):
            reach = rng.uniform(0.45, 0.85)
            figure.curve(
                [
                    (side * 0.18, top - 0.18),
                    (side * reach, top - rng.uniform(0.1, 0.3)),
                    (side * reach * 1.05, top + 0.15),
                    (side * reach * 0.6, top + rng.uniform(0.3, 0.55)),
                    (side * 0.2, top + 0.25),
                ],
                coat,
            )
        figure.ellipse((0, top), (0.27, 0.33), coat)
        bend = rng.normal(0, 0.12)
        figure.spine(
            [(0, top + 0.1), (bend * 0.3, top + 0.6), (bend, rng.uniform(0.5, 0.95))],
            [0.34, 0.22, 0.13],
            coat,
        )
        if rng.random() < 0.7:
            tusk = textures.plain(colours.rgb(0.11, 0.2, 0.9))
            for side in (-1, 1):
                figure.spine(
                    [(side * 0.15, top + 0.3), (side * 0.2, top + 0.55), (side * 0.14, top + 0.7)],
                    [0.08, 0.06, 0.03],
                    tusk,
                )
        for side in (-1, 1):
            figure.ellipse((side * 0.17, top), (0.03, 0.025), _dark(rng))
    else:
        _face(figure, rng, (rng.normal(0, 0.05), top), rng.uniform(0.24, 0.36), coat, belly)
    figure.warp(float(rng.normal(0, 0.04)), 0, bool(rng.random() < 0.5))
    return figure


def close(rng: Generator) -> Figure:
    """A head, large in the picture, and the beginning of a body below it."""
    figure = Figure()
    coat, belly = textures.coat(rng), textures.coat(rng)
    lean = rng.normal(0, 0.5)
    figure.spine(
        [(0, 0.2), (lean, 1.5), (lean * 1.6, 2.6)], [1.3, rng.uniform(1.5, 2.2), 2.6], coat
    )
    if rng.random() < 0.6:
        figure.spine([(0, 0.8), (lean, 2.2)], [0.6, 1.0], belly)
    _face(figure, rng, (0, 0), rng.uniform(0.75, 0.9), coat, belly)
    if rng.random() < 0.5:
        pale = textures.plain(colours.rgb(0.1, 0.1, 0.95))
        for side in (-1, 1):
            for _ in range(3):
                y = rng.uniform(0.3, 0.6)
                figure.spine(
                    [(side * 0.25, y), (side * rng.uniform(0.7, 1.2), y + rng.normal(0, 0.15))],
                    [0.018, 0.01],
                    pale,
                )
    figure.warp(float(rng.normal(0, 0.25)), 0, bool(rng.random() < 0.5))
    return figure


def near(rng: Generator) -> Figure:
    """A face and the neck or shoulder behind it, nothing else."""
    figure = Figure()
    coat, belly = textures.coat(rng), textures.coat(rng)
    lean = rng.normal(0, 0.7)
    figure.spine([(0, 0.2), (lean, 1.1)], [1.4, rng.uniform(1.5, 2.6)], coat)
    if rng.random() < 0.4:
        figure.spine([(0, 0.7), (lean * 0.8, 1.4)], [0.7, 1.2], belly)
    _face(figure, rng, (0, 0), rng.uniform(0.75, 0.95), coat, belly)
    pale = textures.plain(colours.rgb(0.1, 0.1, 0.95))
    for side in (-1, 1):
        for _ in range(int(rng.integers(0, 5))):
            y = rng.uniform(0.3, 0.6)
            tip = (side * rng.uniform(0.6, 1.3), y + rng.normal(0, 0.2))
            figure.spine([(side * 0.25, y), tip], [0.018, 0.01], pale)
    figure.warp(float(rng.normal(0, 0.25)), 0, bool(rng.random() < 0.5))
    return figure


def bird(rng: Generator) -> Figure:
    """A bird that stands, sits or swims; with its wings open in a third of them."""
    figure = Figure()
    coat, wing = textures.coat(rng), textures.material(rng)
    lean = rng.uniform(-1.2, 0.1)
    long, thick = rng.uniform(0.45, 0.7), rng.uniform(0.4, 0.7)
    front = (np.cos(lean) * long * 0.6, np.sin(lean) * long * 0.6)
    tail = (-np.cos(lean) * long * 1.2, -np.sin(lean) * long * 1.2)
    beak = textures.plain(
        colours.rgb(rng.uniform(0.02, 0.16), rng.uniform(0.1, 1), rng.uniform(0.1, 1))
    )
    for shift in (-0.06, 0.08):
        figure.spine(
            [(shift, 0.1), (shift + rng.normal(0, 0.05), rng.uniform(0.5, 1.1))], [0.06, 0.04], beak
        )
    if rng.random() < 0.3:
        for side in (-1, 1):
            figure.curve(
                [
                    (0, -0.1),
                    (side * 0.8, -rng.uniform(0.4, 0.9)),
                    (side * rng.uniform(1.0, 1.6), -rng.uniform(0.1, 0.8)),
                    (side * 0.5, 0.15),
                ],
                wing,
            )
    figure.spine([tail, (0, 0), front], [thick * rng.uniform(0.1, 0.5), thick, thick * 0.75], coat)
    head = (front[0] + rng.uniform(0, 0.3), front[1] - rng.uniform(0.15, 0.9))
    figure.spine([front, head], [thick * 0.5, thick * 0.35], coat)
    size = rng.uniform(0.13, 0.26)
    figure.polygon(
        [
            (head[0] + size * 0.5, head[1] - size * 0.4),
            (head[0] + size * rng.uniform(1.4, 3), head[1] + size * rng.uniform(-0.2, 0.5)),
            (head[0] + size * 0.5, head[1] + size * 0.4),
        ],
        beak,
    )
    figure.ellipse(head, (size, size), coat if rng.random() < 0.6 else wing)
    figure.ellipse(
        (head[0] + size * 0.4, head[1] - size * 0.15), (size * 0.2, size * 0.2), _dark(rng)
    )
    figure.spine(
        [(front[0] * 0.5, front[1] * 0.5), (tail[0] * 0.7, tail[1] * 0.7 + 0.05)],
        [thick * 0.6, 0.1],
        wing,
    )
    figure.warp(float(rng.normal(0, 0.1)), 0, bool(rng.random() < 0.5))
    return figure


def any_animal(rng: Generator) -> Figure:
    """One of all of them; those that lie, stand and look at the camera more often."""
    makers = (standing, lying, sitting, facing, close, bird)
    return makers[rng.choice(6, p=[0.2, 0.28, 0.12, 0.12, 0.2, 0.08])](rng)
