"""A picture -> the tensor a model takes, bit for bit as rembg's `BaseSession.normalize` makes it.

rembg computes `(pixel / maximum - mean) / std` in float64 for every pixel and rounds to float32.
The pixels are bytes and the maximum is one number per picture, so the same arithmetic on the 256
possible values, and a lookup, give the same bits several times faster. Nothing here fails.
"""

from typing import Tuple

import numpy as np
from PIL import Image

Three = Tuple[float, float, float]


def normalize(
    image: Image.Image, mean: Three, std: Three, size: Tuple[int, int]
) -> "np.ndarray[Tuple[int, int, int, int], np.dtype[np.float32]]":
    """float32 [1, 3, height, width] of an image of any mode, stretched to size (width, height)."""
    pixels = np.asarray(image.convert("RGB").resize(size, Image.Resampling.LANCZOS))
    levels = np.arange(256, dtype=np.uint8) / max(np.max(pixels), 1e-6)
    tensor = np.empty((1, 3, size[1], size[0]), np.float32)
    for channel in range(3):
        table = ((levels - mean[channel]) / std[channel]).astype(np.float32)
        # Without `clip` NumPy would write through a buffer; there is nothing to clip.
        np.take(table, pixels[..., channel], out=tensor[0, channel], mode="clip")
    return tensor
