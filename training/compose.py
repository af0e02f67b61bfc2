"""One picture: a scene, one to three figures before it, light, shadow, lens and file.

In: a generator and a side. Out: RGB uint8 [side, side, 3] and its mask uint8 [side, side], 255
where the subject is.
"""

import cv2
import numpy as np
from numpy.random import Generator

from training import colours, scenes, textures
from training.animals import any_animal, close
from training.colours import Array
from training.figures import Figure
from training.people import bust, person
from training.posed import any_posed
from training.textures import blur, mix, noise
from training.things import any_thing
from training.vehicles import any_vehicle


def _subject(rng: Generator) -> tuple[Figure, float]:
    """A subject of any family, and the largest share of the side it may take."""
    kind = rng.choice(5, p=[0.22, 0.1, 0.3, 0.14, 0.24])
    if kind == 1:
        return bust(rng), 2.0
    if kind == 2 and rng.random() < 0.2:
        return close(rng), 2.4
    return (person, bust, any_animal, any_vehicle, any_thing)[kind](rng), 1.5


def _place(rng: Generator, subject: Figure, side: int, share: float) -> tuple[Array, Array]:
    """Draws the subject `share` of the side large, near the middle, sometimes over an edge."""
    low, high = subject.box()
    size = np.maximum(high - low, 1e-6)
    scale = share * side / float(size.max())
    room = np.maximum(1 - size * scale / side, 0)
    centre = (0.5 + rng.normal(0, 0.18, 2) * (room + 0.08)) * side
    if rng.random() < 0.5:
        # Most things stand on something, so that there is less below them than above.
        centre[1] += rng.uniform(0, 0.3) * room[1] * side
    if rng.random() < 0.15 and share < 1.2:
        # Cut by the lower edge.
        centre[1] = side - size[1] * scale * rng.uniform(0.2, 0.5)
    return subject.render(rng, side, scale, centre)


def _frayed(rng: Generator, alpha: Array) -> Array:
    """Hair and fur: an edge that noise decides about."""
    wide = blur(alpha, rng.uniform(1.5, 4) * len(alpha) / 192)
    return np.clip(
        (wide + rng.uniform(0.3, 0.7) * (noise(rng, len(alpha), 6) - 0.5) - 0.35) * 4, 0, 1
    )


def _lit(rng: Generator, rgb: Array, alpha: Array) -> Array:
    """Light from one side: brightness from the slope of the blurred mask, and clouds of shade."""
    side = len(alpha)
    height = blur(alpha, rng.uniform(3, 18) * side / 192)
    down, right = np.gradient(height)
    turn = rng.uniform(0, 2 * np.pi)
    slope = (right * np.cos(turn) + down * np.sin(turn)) * rng.uniform(4, 30) * side / 192
    shade = 1 + np.clip(slope, -0.8, 0.8) * rng.uniform(0.2, 1.0)
    shade = shade * (1 + (noise(rng, side, int(rng.integers(0, 4))) - 0.5) * rng.uniform(0, 0.7))
    lit = rgb * shade[..., None]
    if rng.random() < 0.3:
        shine = np.clip((height - rng.uniform(0.6, 0.95)) * 6, 0, 1) * noise(rng, side, 2) ** 3
        lit = mix(lit, np.ones(3, np.float32), shine * rng.uniform(0.2, 0.8))
    return np.clip(lit, 0, 1)


def _shadowed(rng: Generator, scene: Array, alpha: Array) -> Array:
    """The shadow of the subject on what is behind or below it."""
    side = len(alpha)
    if rng.random() < 0.5:
        shift = np.array(
            [[1, 0, rng.normal(0, 0.05) * side], [0, 1, abs(rng.normal(0, 0.04)) * side]]
        )
    else:
        # Thrown onto the ground: flattened about the lowest line of the subject.
        rows = np.flatnonzero(alpha.max(1) > 0.5)
        foot = float(rows[-1]) if len(rows) else side / 2
        flat, lean = rng.uniform(0.05, 0.4), rng.normal(0, 0.6)
        shift = np.array([[1, -lean * flat, lean * flat * foot], [0, flat, foot * (1 - flat)]])
    cast = cv2.warpAffine(np.ascontiguousarray(alpha, np.float32), shift, (side, side))
    cast = blur(cast, rng.uniform(1, 9) * side / 192)
    return scene * (1 - cast * rng.uniform(0.1, 0.75))[..., None]


def _graded(rng: Generator, picture: Array) -> Array:
    """A camera's colours: less saturation, a tint, contrast, exposure, vignette, haze."""
    side = len(picture)
    grey = picture.mean(2, keepdims=True)
    picture = grey + (picture - grey) * rng.uniform(0.35, 1.1)
    picture = picture * (1 + rng.normal(0, 0.06, 3))
    picture = (picture - 0.45) * rng.uniform(0.7, 1.25) + 0.45 + rng.normal(0, 0.04)
    picture = np.clip(picture, 0, 1) ** rng.uniform(0.5, 1.25)
    if rng.random() < 0.3:
        y, x = np.mgrid[0:side, 0:side] / side - 0.5
        picture = picture * (1 - rng.uniform(0, 1.2) * (x**2 + y**2))[..., None]
    if rng.random() < 0.12:
        # All in the light of one lamp, of dusk, of water.
        lamp = grey * colours.rgb(rng.random(), rng.uniform(0.3, 0.9), 1.0) * 1.5
        picture = picture + (np.clip(lamp, 0, 1) - picture) * rng.uniform(0.2, 0.7)
    if rng.random() < 0.04:
        picture = np.repeat(picture.mean(2, keepdims=True), 3, 2)
    return picture.astype(np.float32)


def _drawn(rng: Generator, picture: Array) -> Array:
    """As a cartoon has it: few shades of strong colours."""
    levels = int(rng.integers(4, 10))
    flat = np.round(blur(picture, 0.8) * levels) / levels
    grey = flat.mean(2, keepdims=True)
    return np.clip(grey + (flat - grey) * rng.uniform(1.0, 2.0), 0, 1)


def _filed(rng: Generator, picture: Array) -> Array:
    """Sharpness, grain and JPEG; RGB uint8."""
    if rng.random() < 0.3:
        picture = blur(picture, rng.uniform(0.3, 1.0))
    elif rng.random() < 0.3:
        picture = picture + (picture - blur(picture, 1.2)) * rng.uniform(0.2, 1)
    picture = picture + rng.normal(0, rng.uniform(0, 0.03), picture.shape)
    taken = (np.clip(picture, 0, 1) * 255).astype(np.uint8)
    if rng.random() < 0.4:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(30, 95))]
        taken = cv2.imdecode(cv2.imencode(".jpg", taken, quality)[1], cv2.IMREAD_COLOR)
    return taken


def _occluded(rng: Generator, picture: Array, alpha: Array) -> tuple[Array, Array]:
    """Grass, leaves or a bar before the subject."""
    side = len(alpha)
    layer = np.zeros((side, side), np.float32)
    if rng.random() < 0.75:
        for _ in range(int(rng.integers(4, 40))):
            x = rng.random() * side
            reach = rng.uniform(0.04, 0.25) * side
            foot = side * rng.uniform(0.8, 1.05)
            tip = (int(x + rng.normal(0, 0.3) * reach), int(foot - reach))
            cv2.line(layer, (int(x), int(foot)), tip, 1.0, int(rng.integers(1, 4)), cv2.LINE_AA)
            if rng.random() < 0.3:
                cv2.ellipse(
                    layer,
                    (tip, (reach * 0.2, reach * 0.5), rng.uniform(0, 180)),
                    1.0,
                    -1,
                    cv2.LINE_AA,
                )
        cover = mix(colours.of(rng, "leaf"), colours.of(rng, "grass"), noise(rng, side, 4))
    else:
        at, wide = rng.random() * side, rng.uniform(0.02, 0.12) * side
        ends = (
            ((int(at), 0), (int(at), side))
            if rng.random() < 0.5
            else ((0, int(at)), (side, int(at)))
        )
        cv2.line(layer, *ends, 1.0, max(1, int(wide)), cv2.LINE_AA)
        cover = textures.material(rng)(rng, side)
    layer = blur(layer, float(rng.choice([0, rng.uniform(0.4, 3)])))
    return mix(picture, cover * rng.uniform(0.4, 1), layer), alpha * (1 - layer)


def _share(rng: Generator, largest: float) -> float:
    """How much of the side a subject takes: most of it in two thirds of the pictures."""
    kind = rng.random()
    if kind < 0.17:
        return rng.uniform(0.3, 0.6)
    if kind < 0.78:
        return rng.uniform(0.55, 1.0)
    return rng.uniform(0.9, largest)


def _mean(rgb: Array, share: Array) -> Array:
    """The mean colour where `share` is large."""
    return (rgb * share[..., None]).sum((0, 1)) / max(float(share.sum()), 1.0)


def _set(
    rng: Generator, scene: Array, rgb: Array, alpha: Array, shadow: bool
) -> tuple[Array, Array]:
    """Puts what was rendered into the scene, with its edge, light and shadow: scene and mask."""
    if rng.random() < 0.2:
        alpha = _frayed(rng, alpha)
        rgb = mix(blur(rgb, 3), rgb, np.clip(alpha * 1.2, 0, 1))
    rgb = _lit(rng, rgb, alpha)
    if float(abs(_mean(scene, 1 - alpha) - _mean(rgb, alpha)).sum()) < 0.25:
        # As dark and of the same colour as what is behind it: not even an eye would find it.
        rgb = np.clip(rgb + rng.choice([-1, 1]) * rng.uniform(0.12, 0.45), 0, 1)
    if shadow:
        scene = _shadowed(rng, scene, alpha)
    if rng.random() < 0.4:
        # The light of the background falls on the subject too.
        shade = rng.uniform(0, 0.35)
        rgb = rgb * (1 - shade) + rgb * scene.mean((0, 1)) * 2 * shade
    if rng.random() < 0.4:
        alpha = blur(alpha, rng.uniform(0.3, 1.2))
    return mix(scene, rgb, alpha), alpha


def posed_picture(rng: Generator, side: int) -> tuple[Array, Array]:
    """A still life, a portrait or a pet, and its mask."""
    scene, rgb, alpha = any_posed(rng, side)
    scene, alpha = _set(rng, np.clip(scene, 0, 1), rgb, alpha, shadow=rng.random() < 0.75)
    return _filed(rng, _graded(rng, scene)), np.round(alpha * 255).astype(np.uint8)


def picture(rng: Generator, side: int, studio: bool = False) -> tuple[Array, Array]:
    """A picture and its mask; with `studio` one subject on paper, and its soft shadow."""
    plain = studio or rng.random() < 0.28
    scene = scenes.studio(rng, side) if plain else scenes.any_scene(rng, side)
    count = 1 if studio else int(rng.choice([1, 2, 3], p=[0.84, 0.12, 0.04]))
    total = np.zeros((side, side), np.float32)
    for _ in range(count):
        subject, largest = _subject(rng)
        share = rng.uniform(0.55, 0.9) if studio else _share(rng, largest) / (0.75 + 0.25 * count)
        rgb, alpha = _place(rng, subject, side, share)
        scene, alpha = _set(rng, scene, rgb, alpha, shadow=studio or rng.random() < 0.65)
        total = np.maximum(total, alpha)
    if not studio and rng.random() < 0.12:
        scene, total = _occluded(rng, scene, total)
    if not studio and rng.random() < 0.08:
        scene = _drawn(rng, scene)
    taken = _filed(rng, _graded(rng, scene))
    return taken, np.round(np.clip(total, 0, 1) * 255).astype(np.uint8)
