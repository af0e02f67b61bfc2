"""Pixels -> the tensor a model takes, bit for bit as rembg's `BaseSession.normalize` makes it.

rembg computes `(pixel / maximum - mean) / std` in float64 for every pixel and rounds to float32.
The pixels are bytes and the maximum is one number per picture, so the same arithmetic on the 256
possible values of each, done once, and a lookup give the same bits several times faster. Where the
loops of `resample` are loaded, theirs is the lookup, too. Nothing here fails.
"""

import functools
from typing import Any, Tuple

import numpy as np

from . import resample

Three = Tuple[float, float, float]


def normalize(
    pixels: Any, mean: Three, std: Three
) -> "np.ndarray[Tuple[int, int, int, int], np.dtype[np.float32]]":
    """float32 [1, 3, height, width] of uint8 [height, width, 3] of the model's size."""
    tables = _tables(tuple(mean), tuple(std))
    tensor = np.empty((1, 3, *pixels.shape[:2]), np.float32)
    if resample.twin.fast() is not None:
        resample.kernels().look_up(tables, np.ascontiguousarray(pixels), tensor[0])
        return tensor
    table = tables[pixels.max()]
    for channel in range(3):
        # Without `clip` NumPy would write through a buffer; there is nothing to clip.
        np.take(table[channel], pixels[..., channel], out=tensor[0, channel], mode="clip")
    return tensor


@functools.lru_cache(maxsize=8)
def _tables(mean: Three, std: Three) -> Any:
    """float32 [256, 3, 256]: of each maximum, in each channel, what each level becomes."""
    levels = np.arange(256, dtype=np.float64)
    brightest = np.maximum(levels, 1e-6)[:, np.newaxis]
    own = [(levels / brightest - mean[channel]) / std[channel] for channel in range(3)]
    return np.stack(own, axis=1).astype(np.float32)
