"""People: standing, sitting, as busts, drawn as a cartoon draws them.

In: a generator. Out: a `Figure` whose whole body is about two units high.
"""

import numpy as np
from numpy.random import Generator

from training import colours, textures
from training.figures import Figure
from training.textures import Material


def _limb(
    rng: Generator, start: tuple[float, float], angles: tuple[float, float], length: float
) -> list[tuple[float, float]]:
    """Shoulder, elbow, hand (or hip, knee, foot); angles in radians from straight down."""
    x, y = start
    path = [(x, y)]
    for angle in angles:
        x, y = x + np.sin(angle) * length / 2, y + np.cos(angle) * length / 2
        path.append((x, y))
    return path


def _hand(
    figure: Figure, rng: Generator, at: tuple[float, float], toward: float, skin: Material
) -> None:
    size = rng.uniform(0.05, 0.08)
    figure.ellipse(at, (size * 0.7, size), skin, rng.uniform(0, 3))
    if rng.random() < 0.5:
        for turn in rng.uniform(-0.6, 0.6, rng.integers(1, 4)):
            tip = (at[0] + np.sin(toward + turn) * 0.13, at[1] + np.cos(toward + turn) * 0.13)
            figure.spine([at, tip], [0.035, 0.022], skin)


def _head(
    figure: Figure, rng: Generator, at: tuple[float, float], size: float, skin: Material
) -> None:
    """Face, hair, and what is worn on them."""
    x, y = at
    shade = _hair(rng)
    hair = textures.marbled(shade, colours.near(rng, shade, 0.07))
    long = rng.random() < 0.5
    if long:
        drop = rng.uniform(0.6, 3.2)
        w = size * rng.uniform(1.0, 1.35)
        figure.curve(
            [
                (x - w, y - size * 0.3),
                (x - w * rng.uniform(0.95, 1.3), y + size * drop),
                (x, y + size * drop * rng.uniform(0.8, 1.05)),
                (x + w * rng.uniform(0.95, 1.3), y + size * drop * rng.uniform(0.6, 1.1)),
                (x + w, y - size * 0.3),
                (x, y - size * 1.3),
            ],
            hair,
        )
    else:
        figure.ellipse((x, y - size * 0.25), (size * 0.95, size * 1.05), hair)
    figure.spine([(x, y + size * 0.5), (x, y + size * 1.5)], [size * 0.9, size * 0.95], skin)
    figure.ellipse((x, y), (size * rng.uniform(0.72, 0.88), size * rng.uniform(0.95, 1.1)), skin)
    dark = textures.plain(colours.of(rng, "hair") * 0.5)
    look = rng.normal(0, 0.12) * size
    big = 2.2 if rng.random() < 0.3 else 1.0
    for side in (-1, 1):
        figure.ellipse(
            (x + look + side * size * 0.33, y + 0.02), (size * 0.12 * big, size * 0.07 * big), dark
        )
        figure.spine(
            [
                (x + look + side * size * 0.2, y - size * 0.22),
                (x + look + side * size * 0.5, y - size * 0.2),
            ],
            [size * 0.06, size * 0.05],
            hair,
        )
    lips = textures.plain(
        colours.rgb(rng.uniform(-0.03, 0.03), rng.uniform(0.2, 0.6), rng.uniform(0.4, 0.8))
    )
    figure.ellipse((x + look, y + size * 0.55), (size * 0.25, size * rng.uniform(0.04, 0.14)), lips)
    figure.spine([(x + look, y), (x + look, y + size * 0.25)], [size * 0.06, size * 0.14], skin)
    if rng.random() < 0.85:
        fringe = rng.uniform(-0.75, -0.3)
        w = size * 0.95
        figure.curve(
            [
                (x - w, y + size * rng.uniform(-0.2, 0.6) * long),
                (x - w * 0.75, y + size * fringe),
                (x + w * rng.uniform(-0.3, 0.3), y + size * (fringe - 0.1)),
                (x + w * 0.75, y + size * fringe),
                (x + w, y + size * rng.uniform(-0.2, 0.6) * long),
                (x + w * 0.7, y - size * 1.05),
                (x, y - size * 1.3),
                (x - w * 0.7, y - size * 1.05),
            ],
            hair,
        )
    worn = rng.random()
    thing = textures.material(rng)
    if worn < 0.15:
        for side in (-1, 1):
            figure.ellipse((x + look + side * size * 0.36, y), (size * 0.3, size * 0.24), dark)
        figure.spine([(x - size * 0.7, y - 0.01), (x + size * 0.7, y - 0.01)], [0.02, 0.02], dark)
    if 0.1 < worn < 0.3:
        figure.curve(
            [
                (x - size, y - size * 0.45),
                (x - size * 0.9, y - size * 1.1),
                (x, y - size * rng.uniform(1.35, 1.7)),
                (x + size * 0.9, y - size * 1.1),
                (x + size, y - size * 0.45),
            ],
            thing,
        )
        brim = rng.uniform(0.9, 1.9) * size
        figure.ellipse(
            (x + look * 3, y - size * 0.5), (brim, size * rng.uniform(0.08, 0.22)), thing
        )
    elif worn > 0.96:
        figure.ellipse((x, y), (size * 1.35, size * 1.4), thing)
        figure.ellipse(
            (x, y), (size * 0.9, size * 0.85), textures.marbled(dark_glass(rng), dark_glass(rng))
        )


def dark_glass(rng: Generator) -> colours.Array:
    """What is seen in a visor or a car's window."""
    return colours.rgb(rng.uniform(0.5, 0.65), rng.uniform(0, 0.4), rng.uniform(0.02, 0.5))


def _hair(rng: Generator) -> colours.Array:
    if rng.random() < 0.2:
        return colours.rgb(rng.random(), rng.uniform(0.2, 0.7), rng.uniform(0.2, 0.95))
    return colours.of(rng, "hair")


def person(rng: Generator) -> Figure:
    """Somebody from head to feet; a picture may show the upper part alone."""
    figure = Figure()
    tone = colours.of(rng, "skin")
    skin = textures.marbled(tone, colours.near(rng, tone, 0.05), int(rng.integers(0, 3)))
    top, bottom = textures.material(rng), textures.material(rng)
    if rng.random() < 0.2:
        bottom = top
    shoes = textures.plain(colours.any_colour(rng))
    sleeve = top if rng.random() < 0.6 else skin
    stocking = bottom if rng.random() < 0.6 else skin

    bulk = rng.uniform(0.75, 1.35)
    shoulder = rng.uniform(0.2, 0.29) * bulk
    waist = shoulder * rng.uniform(0.6, 0.95)
    hip = shoulder * rng.uniform(0.75, 1.0)
    head = rng.uniform(0.11, 0.15) * rng.choice([1, 1, 1, rng.uniform(1.1, 1.8)])
    lean = rng.normal(0, 0.08)
    neck, pelvis = -0.62, rng.uniform(0.02, 0.14)
    arm, leg = rng.uniform(0.62, 0.78), 1 - pelvis
    thick_arm, thick_leg = rng.uniform(0.09, 0.15) * bulk, rng.uniform(0.14, 0.22) * bulk

    behind = rng.random() < 0.2
    if behind:
        bag = textures.material(rng)
        figure.curve(
            [
                (-shoulder * 1.25, neck + 0.05),
                (shoulder * 1.25, neck + 0.05),
                (shoulder * rng.uniform(1.1, 1.5), pelvis),
                (-shoulder * rng.uniform(1.1, 1.5), pelvis),
            ],
            bag,
        )

    arms = []
    both = rng.random()
    for side in (-1, 1):
        if both < 0.22:
            angles = (side * rng.uniform(2.2, 3.0), side * rng.uniform(2.5, 3.3))
        elif both < 0.6:
            angles = (side * rng.uniform(0.05, 0.45), side * rng.uniform(-0.4, 0.3))
        elif both < 0.75:
            angles = (side * rng.uniform(0.5, 0.9), side * rng.uniform(-2.2, -0.8))
        else:
            angles = (side * rng.uniform(-0.2, 2.8), side * rng.uniform(-1.5, 3.0))
        path = _limb(rng, (side * shoulder * 0.88, neck + 0.1), angles, arm)
        arms.append((path, angles[1]))

    def draw_arm(path: list[tuple[float, float]], toward: float) -> None:
        bare = rng.random() < 0.4
        figure.spine(path, [thick_arm, thick_arm * 0.85, thick_arm * 0.6], skin if bare else sleeve)
        if bare and sleeve is top:
            figure.spine(path[:2], [thick_arm * 1.3, thick_arm * rng.uniform(1, 1.5)], top)
        _hand(figure, rng, path[-1], toward, skin)

    front = rng.random() < 0.5
    if not front:
        for path, toward in arms:
            draw_arm(path, toward)

    spread = rng.uniform(0.0, 0.35)
    sits = rng.random() < 0.2
    for side in (-1, 1):
        if sits:
            angles = (side * rng.uniform(0.2, 1.3), side * rng.uniform(-0.5, 0.4))
            length = leg * rng.uniform(0.75, 1)
        else:
            angles = (side * spread * rng.uniform(0.3, 1.2), side * spread * rng.uniform(-0.6, 0.8))
            length = leg
        path = _limb(rng, (side * hip * 0.5, pelvis), angles, length)
        figure.spine(path, [thick_leg, thick_leg * 0.8, thick_leg * 0.5], stocking)
        if stocking is skin and rng.random() < 0.5:
            figure.spine(path[1:], [thick_leg * 0.78, thick_leg * 0.52], bottom)
        toe = (path[-1][0] + side * rng.uniform(0, 0.1), path[-1][1] + 0.03)
        figure.spine([path[-1], toe], [thick_leg * 0.55, thick_leg * 0.6], shoes)

    if rng.random() < 0.35:
        hem, width = pelvis + rng.uniform(0.15, 0.85), hip * rng.uniform(1.0, 2.2)
        figure.polygon(
            [(-waist, pelvis - 0.22), (waist, pelvis - 0.22), (width, hem), (-width, hem)], bottom
        )
    figure.curve(
        [
            (-shoulder, neck + 0.12),
            (-shoulder * 0.5, neck),
            (shoulder * 0.5, neck),
            (shoulder, neck + 0.12),
            (shoulder * 0.92, neck + 0.35),
            (waist, pelvis - 0.25),
            (hip, pelvis + 0.08),
            (-hip, pelvis + 0.08),
            (-waist, pelvis - 0.25),
            (-shoulder * 0.92, neck + 0.35),
        ],
        top,
    )
    for _ in range(int(rng.integers(0, 4))):
        # A print, a tie, a belt, straps.
        extra = textures.material(rng)
        kind = rng.integers(4)
        if kind == 0:
            figure.ellipse(
                (rng.normal(0, 0.04), neck + rng.uniform(0.2, 0.5)),
                rng.uniform(0.02, 0.12, 2),
                extra,
            )
        elif kind == 1:
            figure.polygon(
                [
                    (-0.05, neck + 0.05),
                    (0.05, neck + 0.05),
                    (0.03, pelvis - 0.2),
                    (-0.03, pelvis - 0.2),
                ],
                extra,
            )
        elif kind == 2:
            figure.spine([(-waist, pelvis - 0.2), (waist, pelvis - 0.2)], [0.06, 0.06], extra)
        else:
            for side in (-1, 1):
                figure.spine(
                    [(side * shoulder * 0.6, neck + 0.03), (side * shoulder * 0.7, neck + 0.5)],
                    [0.07, 0.06],
                    extra,
                )
    if rng.random() < 0.3:
        figure.curve(
            [(-0.09, neck + 0.02), (0.09, neck + 0.02), (0, neck + rng.uniform(0.1, 0.25))], skin
        )
    _head(figure, rng, (lean * 0.5, neck - head * 1.15), head, skin)
    if front:
        for path, toward in arms:
            draw_arm(path, toward)
    if rng.random() < 0.15:
        thing = textures.material(rng)
        figure.ellipse(arms[0][0][-1], rng.uniform(0.04, 0.2, 2), thing)
    taper = rng.uniform(0.2, 0.7) if rng.random() < 0.2 else 0.0
    figure.warp(float(rng.normal(0, 0.1)), taper, bool(rng.random() < 0.5))
    return figure


def _badges(figure: Figure, rng: Generator, wide: float, neck: float) -> None:
    """Badges, a zip, straps with buckles."""
    for _ in range(int(rng.integers(0, 5))):
        at = (rng.uniform(-0.8, 0.8) * wide, neck + rng.uniform(0.4, 1.2))
        size = rng.uniform(0.05, 0.2)
        figure.ellipse(at, (size, size * rng.uniform(0.5, 1.1)), textures.material(rng))
        figure.ellipse(at, (size * 0.8, size * 0.5), textures.material(rng))
    for x in rng.uniform(-0.5, 0.5, int(rng.integers(0, 3))) * wide:
        band = textures.plain(colours.any_colour(rng))
        figure.spine([(x, neck + 0.1), (x * 1.1, neck + 1.5)], [0.05, rng.uniform(0.04, 0.1)], band)


def _collar(figure: Figure, rng: Generator, size: float, neck: float) -> None:
    """The near half of a stiff ring around the neck, and what is dark inside."""
    wide, flat = size * rng.uniform(1.1, 1.8), size * rng.uniform(0.3, 0.8)
    turn = np.linspace(0.05, 0.95, 9) * np.pi
    y = neck + rng.uniform(-0.05, 0.1)
    arc = np.stack([np.cos(turn) * wide, y + np.sin(turn) * flat], 1)
    inner = textures.plain(colours.any_colour(rng) * rng.uniform(0.05, 0.6))
    if rng.random() < 0.7:
        figure.polygon(
            np.concatenate([arc, [(-size * 0.5, neck - 0.1), (size * 0.5, neck - 0.1)]]), inner
        )
    thick = rng.uniform(0.06, 0.2)
    for part in (1.0, 0.6, 0.25):
        shade = textures.plain(colours.rgb(0.6, rng.uniform(0, 0.2), rng.uniform(0.02, 0.8)))
        figure.spine(arc, [thick * part] * 2, shade)


def bust(rng: Generator, suit: bool = False) -> Figure:
    """Head and shoulders, cut off below; in a `suit` with a stiff collar and badges."""
    figure = Figure()
    tone = colours.of(rng, "skin")
    skin = textures.marbled(tone, colours.near(rng, tone, 0.05), int(rng.integers(0, 3)))
    cloth = textures.material(rng)
    wide, low = rng.uniform(0.55, 1.15), rng.uniform(0.9, 1.6)
    size = rng.uniform(0.3, 0.42)
    neck = size * 0.95
    figure.curve(
        [
            (-wide, low + 0.6),
            (-wide, neck + 0.35),
            (-wide * 0.75, neck + 0.12),
            (-0.2, neck - 0.05),
            (0.2, neck - 0.05),
            (wide * 0.75, neck + 0.12),
            (wide, neck + 0.35),
            (wide, low + 0.6),
        ],
        cloth,
    )
    for side in (-1, 1):
        if rng.random() < 0.6:
            figure.spine(
                [
                    (side * wide * 0.85, neck + 0.35),
                    (side * wide * rng.uniform(0.8, 1.2), low),
                    (side * wide * rng.uniform(0.2, 0.9), low + 0.4),
                ],
                [0.36, 0.3, 0.25],
                cloth,
            )
    for _ in range(int(rng.integers(0, 5))):
        extra = textures.material(rng)
        at = (rng.normal(0, wide * 0.4), rng.uniform(neck + 0.2, low))
        if rng.random() < 0.5:
            figure.ellipse(at, rng.uniform(0.02, 0.14, 2), extra)
        else:
            figure.spine(
                [(at[0], neck + 0.1), at, (at[0] + rng.normal(0, 0.1), low + 0.4)],
                [0.06, 0.07, 0.06],
                extra,
            )
    if rng.random() < 0.25:
        figure.ellipse((0, neck + 0.05), (0.38, rng.uniform(0.1, 0.2)), textures.material(rng))
    elif rng.random() < 0.4:
        figure.curve([(-0.22, neck), (0.22, neck), (0, neck + rng.uniform(0.15, 0.5))], skin)
    if suit:
        _badges(figure, rng, wide, neck)
    _head(figure, rng, (rng.normal(0, 0.04), 0), size, skin)
    if suit:
        _collar(figure, rng, size, neck)
    figure.warp(float(rng.normal(0, 0.06)), 0, bool(rng.random() < 0.5))
    return figure
