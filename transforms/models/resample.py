"""Pixels -> pixels of another size, bit for bit as Pillow's `Image.resize` with LANCZOS.

rembg shrinks every picture to its model's input and enlarges every mask to its picture, both with
Pillow's Lanczos filter. Pillow sums one pixel after another; the same sums in another order of
loops, which a compiler turns into vector instructions (numba, which rembg brings along), take a
quarter of the time. The arithmetic is that of Pillow's `Resample.c`: weights in double precision,
rounded to 22 bits behind the point, sums in 32-bit integers, horizontally, rounded to 8 bits, then
vertically. `resize` compares itself with Pillow once in a process and leaves the work to it where
a single bit differs. Nothing here fails.
"""

import functools
import logging
from typing import Any, Tuple

import numpy as np
from PIL import Image

# Pillow's Resample.c: PRECISION_BITS is 32 - 8 - 2.
PRECISION_BITS = 22

# Lanczos: the lobes on each side.
SUPPORT = 3.0

_log = logging.getLogger(__name__)


def resize(pixels: Any, size: Tuple[int, int]) -> Any:
    """uint8 [height, width] or [height, width, channels] stretched to size (width, height)."""
    if is_pillows():
        return _resize(pixels, size)
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS))


@functools.cache
def is_pillows() -> bool:
    """Whether these are the bits of the Pillow that is installed; compiles what `resize` needs."""
    random = np.random.default_rng(0)
    grey, color = (random.integers(0, 256, shape, np.uint8) for shape in ((37, 53), (61, 45, 3)))
    for pixels in (grey, color):
        for size in ((20, 30), (97, 71)):
            theirs = Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS)
            try:
                equal = np.array_equal(_resize(pixels, size), np.asarray(theirs))
            except Exception as error:  # numba without a compiler for this machine
                _log.warning("pictures are resized by Pillow alone: %s", error)
                return False
            if not equal:
                _log.warning("pictures are resized by Pillow alone: its filter is another one")
                return False
    return True


def _resize(pixels: Any, size: Tuple[int, int]) -> Any:
    width, height = size
    cells = np.ascontiguousarray(pixels).reshape(*pixels.shape[:2], -1)
    if cells.shape[1] != width:
        narrow = np.empty((cells.shape[0], width, cells.shape[2]), np.uint8)
        _kernels().horizontally(cells, *_weights(cells.shape[1], width), narrow)
        cells = narrow
    if cells.shape[0] != height:
        low = np.empty((height, width, cells.shape[2]), np.uint8)
        rows = cells.reshape(cells.shape[0], -1)
        _kernels().vertically(rows, *_weights(cells.shape[0], height), low.reshape(height, -1))
        cells = low
    return cells.reshape(height, width, *pixels.shape[2:])


@functools.lru_cache(maxsize=256)
def _weights(before: int, after: int) -> Any:
    """Which pixels each new one is made of: its first, their number, and their weights."""
    return _kernels().weights(before, after)


@functools.cache
def _kernels() -> Any:
    from . import resample_kernels

    return resample_kernels
