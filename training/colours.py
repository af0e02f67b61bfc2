"""Colours as photos have them: RGB in 0..1, mostly of low saturation.

Nothing can fail here. Every function takes a `numpy.random.Generator` first and returns float32.
"""

import colorsys

import numpy as np
from numpy.random import Generator

Array = np.ndarray

# Hue, saturation and value between which each family lies.
_FAMILIES = {
    "skin": ((0.02, 0.09), (0.25, 0.6), (0.3, 0.97)),
    "hair": ((0.02, 0.12), (0.1, 0.7), (0.03, 0.75)),
    "fur": ((0.03, 0.13), (0.05, 0.65), (0.08, 0.97)),
    "leaf": ((0.18, 0.45), (0.2, 0.9), (0.04, 0.6)),
    "grass": ((0.11, 0.33), (0.25, 0.8), (0.2, 0.8)),
    "earth": ((0.04, 0.14), (0.05, 0.5), (0.15, 0.8)),
    "stone": ((0.0, 1.0), (0.0, 0.12), (0.1, 0.9)),
    "sky": ((0.5, 0.64), (0.05, 0.85), (0.5, 1.0)),
    "dusk": ((0.9, 1.12), (0.1, 0.7), (0.3, 1.0)),
    "wood": ((0.04, 0.1), (0.2, 0.7), (0.12, 0.75)),
    "water": ((0.45, 0.68), (0.3, 0.95), (0.1, 0.8)),
}


def rgb(hue: float, saturation: float, value: float) -> Array:
    """One colour from hue, saturation and value, each in 0..1 (the hue turns round)."""
    return np.array(colorsys.hsv_to_rgb(hue % 1.0, saturation, value), np.float32)


def of(rng: Generator, family: str) -> Array:
    """A colour of one of the families above."""
    hue, saturation, value = _FAMILIES[family]
    return rgb(rng.uniform(*hue), rng.uniform(*saturation), rng.uniform(*value))


def any_colour(rng: Generator) -> Array:
    """Grey, muted, vivid, black or white: what cloth, paint and walls have."""
    kind = rng.random()
    if kind < 0.25:
        return np.clip(rng.random() + rng.normal(0, 0.02, 3), 0, 1).astype(np.float32)
    if kind < 0.65:
        return rgb(rng.random(), rng.beta(1.5, 3.5), rng.uniform(0.1, 1))
    if kind < 0.85:
        return rgb(rng.random(), rng.uniform(0.5, 1), rng.uniform(0.3, 1))
    return np.clip(rng.choice([0.06, 0.94]) + rng.normal(0, 0.04, 3), 0, 1).astype(np.float32)


def near(rng: Generator, colour: Array, spread: float) -> Array:
    """A neighbour of `colour`: normal steps of `spread`, in brightness more than in hue."""
    step = rng.normal(0, spread) + rng.normal(0, spread * 0.4, 3)
    return np.clip(colour + step, 0, 1).astype(np.float32)
