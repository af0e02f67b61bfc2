"""Pixels -> the tensor a model takes, bit for bit as rembg's `BaseSession.normalize` makes it.

rembg computes `(pixel / maximum - mean) / std` in float64 for every pixel and rounds to float32.
The pixels are bytes and the maximum is one number per picture, so the same arithmetic on the 256
possible values, and a lookup, give the same bits several times faster. Nothing here fails.
"""

from typing import Any, Tuple

import numpy as np

Three = Tuple[float, float, float]


def normalize(
    pixels: Any, mean: Three, std: Three
) -> "np.ndarray[Tuple[int, int, int, int], np.dtype[np.float32]]":
    """float32 [1, 3, height, width] of uint8 [height, width, 3] of the model's size."""
    levels = np.arange(256, dtype=np.uint8) / max(np.max(pixels), 1e-6)
    tensor = np.empty((1, 3, *pixels.shape[:2]), np.float32)
    for channel in range(3):
        table = ((levels - mean[channel]) / std[channel]).astype(np.float32)
        # Without `clip` NumPy would write through a buffer; there is nothing to clip.
        np.take(table, pixels[..., channel], out=tensor[0, channel], mode="clip")
    return tensor
