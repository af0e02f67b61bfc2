"""Photos to work on: a photograph's texture at a size, as many as a run needs.

A folder holds hard links to a few different files: a thousand photos take the disk of four.
"""

import io
import os
from pathlib import Path
from typing import Any, Tuple

import numpy as np
from PIL import Image

SIZES = {
    "small": (64, 64),
    "0.67": (1000, 667),
    "1": (1224, 816),
    "2.7": (2000, 1334),
    "12": (4000, 3000),
}

DIFFERENT = 4


def folder(place: Path, size: str, number: int) -> Path:
    """A folder of `number` JPEGs of a size of `SIZES`, made when it is first asked for."""
    made = place / f"photos-{size}-{number}"
    if not made.exists():
        originals = _originals(place, size)
        made.mkdir(parents=True)
        for index in range(number):
            os.link(originals / f"{index % DIFFERENT}.jpg", made / f"{index:05}.jpg")
    return made


def _originals(place: Path, size: str) -> Path:
    made = place / f"originals-{size}"
    if not made.exists():
        made.mkdir(parents=True)
        for seed in range(DIFFERENT):
            (made / f"{seed}.jpg").write_bytes(_photo(SIZES[size], seed))
    return made


def scene(size: Tuple[int, int], seed: int) -> Any:
    """uint8 [height, width, 3]: scikit-image's coffee, stretched, with a sensor's noise."""
    import skimage.data

    image = Image.fromarray(skimage.data.coffee()).resize(size, Image.Resampling.BICUBIC)
    random = np.random.default_rng(seed)
    noise = random.normal(0, 4, (size[1], size[0], 3))
    return (np.asarray(image) + noise).clip(0, 255).astype(np.uint8)


def _photo(size: Tuple[int, int], seed: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(scene(size, seed)).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()
