"""Pixels -> pixels of another size, bit for bit as Pillow's `Image.resize` with LANCZOS.

rembg shrinks every picture to its model's input and enlarges every mask to its picture, both with
Pillow's Lanczos filter. Pillow sums one pixel after another; the same sums in another order of
loops, which a compiler turns into vector instructions (numba, which rembg brings along), take a
quarter of the time. The arithmetic is that of Pillow's `Resample.c`: weights in double precision,
rounded to 22 bits behind the point, sums in 32-bit integers, in one direction, rounded to 8 bits,
then in the other. Until these loops are loaded, and where a single bit differs, Pillow does it (see
`twin`). Nothing here fails.
"""

import functools
from typing import Any, Callable, Optional, Tuple

import numpy as np
from PIL import Image

from .twin import Twin

# Pillow first lowers a picture that is more than so many times as high as wide.
_TALL = 100


def resize(pixels: Any, size: Tuple[int, int]) -> Any:
    """uint8 [height, width] or [height, width, channels] stretched to size (width, height)."""
    fast = twin.fast()
    if fast is not None:
        return fast(pixels, size)
    with twin.slowly():
        return _pillows(pixels, size)


def _pillows(pixels: Any, size: Tuple[int, int]) -> Any:
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS))


def _load() -> Optional[Callable[..., Any]]:
    """`_resize`, if its bits are those of the Pillow that is installed; compiles what it needs."""
    random = np.random.default_rng(0)
    grey, color = (random.integers(0, 256, shape, np.uint8) for shape in ((37, 53), (61, 45, 3)))
    tall = random.integers(0, 256, (707, 7, 3), np.uint8)
    equal = all(
        np.array_equal(_resize(pixels, size), _pillows(pixels, size))
        for pixels in (grey, color, tall)
        for size in ((20, 30), (97, 71))
    )
    return _resize if equal else None


twin = Twin("pictures are resized", _load)


def _resize(pixels: Any, size: Tuple[int, int]) -> Any:
    height, width = pixels.shape[:2]
    cells = np.ascontiguousarray(pixels).reshape(height, width, -1)
    resized = np.empty((size[1], size[0], cells.shape[2]), np.uint8)
    # As Pillow's `Image.resize`.
    is_tall = height > width * _TALL and size[1] < height
    weights = *_weights(width, size[0]), *_weights(height, size[1])
    kernels().resize(cells, *weights, is_tall, resized)
    return resized.reshape(size[1], size[0], *pixels.shape[2:])


@functools.lru_cache(maxsize=256)
def _weights(before: int, after: int) -> Any:
    """Which pixels each new one is made of: its first, their number, and their weights."""
    return kernels().weights(before, after)


@functools.cache
def kernels() -> Any:
    """The module of the loops; imported, and compiled, with the first that asks."""
    from . import resample_kernels

    return resample_kernels
