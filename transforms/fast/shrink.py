"""Pixels -> fewer pixels, bit for bit as Pillow's `Image.resize` with its Hamming filter.

Pillow premultiplies RGBA, sums pixels and divides again, in four passes over memory; one loop takes
a fifth of the time, and makes of a plain cutout no more than a few rows at once. Until it is
loaded, and where a single bit differs, Pillow does it (see `twin`), as it always does for masks.
Nothing here fails.
"""

import functools
from typing import Any, Callable, Optional, Tuple

import numpy as np
from PIL import Image

from .plain import PlainCutout
from .twin import Twin

# Of some pixels: left, top, right, bottom.
Part = Tuple[float, float, float, float]

_NO_MASK = np.empty((0, 0), np.uint8)


def shrink(picture: Any, size: Tuple[int, int], part: Part) -> Any:
    """A part of uint8 [height, width] or [height, width, 4] (RGBA), or of a `PlainCutout`, at a
    smaller size."""
    if len(picture.shape) == 2:
        return _pillows(picture, size, part)
    fast = twin.fast()
    if fast is not None:
        return fast(picture, size, part)
    with twin.slowly():
        return _pillows(np.asarray(picture), size, part)


def _pillows(pixels: Any, size: Tuple[int, int], part: Part) -> Any:
    """Its height comes first: fewer rows are left to be made narrower."""
    left, top, right, bottom = part
    image, hamming = Image.fromarray(pixels), Image.Resampling.HAMMING
    if pixels.ndim == 3:
        image = image.convert("RGBa")
    lower = image.resize((image.width, size[1]), hamming, (0, top, image.width, bottom))
    shrunk = lower.resize(size, hamming, (left, 0, right, size[1]))
    return np.asarray(shrunk.convert("RGBA") if pixels.ndim == 3 else shrunk)


def _load() -> Optional[Callable[..., Any]]:
    """`_shrink`, if its bits are those of the Pillow that is installed; compiles what it needs."""
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (61, 45, 4), np.uint8)
    pixels[:20, :, 3], pixels[20:40, :, 3] = 0, 255
    cutout = PlainCutout(pixels[..., :3], pixels[..., 3])
    equal = all(
        np.array_equal(_shrink(picture, size, part), _pillows(np.asarray(picture), size, part))
        for picture in (pixels, cutout)
        for size in ((20, 30), (13, 3), (44, 61))
        for part in ((0, 0, 45, 61), (0.3, 7, 31.5, 60.25), (2, 3.75, 22, 61))
    )
    return _shrink if equal else None


twin = Twin("cutouts are scaled", _load)


def _shrink(picture: Any, size: Tuple[int, int], part: Part) -> Any:
    height, width = picture.shape[:2]
    left, top, right, bottom = part
    is_plain = isinstance(picture, PlainCutout)
    source = picture.source if is_plain else (np.ascontiguousarray(picture), _NO_MASK, 0)
    x = _kernels().weights(width, left, right, size[0])
    y = _kernels().weights(height, top, bottom, size[1])
    shrunk = np.empty((size[1], size[0]), np.uint32)
    _kernels().shrink(*source, *x, *y, shrunk)
    return shrunk.view(np.uint8).reshape(size[1], size[0], 4)


@functools.cache
def _kernels() -> Any:
    from . import shrink_kernels

    return shrink_kernels
