"""A model's map -> a mask, bit for bit as the `predict` of rembg's session classes makes it.

rembg stretches a map to its own minimum and maximum, by NumPy and in float32, and cuts its levels
off to bytes; each pass gives Python's lock back and waits for it. Where the loops of `resample` are
loaded, two of theirs do it all. Nothing here fails.
"""

from typing import Any, Optional, Tuple

import numpy as np

from . import resample


def stretch(map: Any, known: Optional[Tuple[Any, Any]] = None) -> Any:
    """uint8 [height, width] of float [height, width]; zeros of a flat one.

    Args:
      map: of a model.
      known: its `extremes`, if somebody has them.

    >>> stretch(np.array([[0.25, 0.5], [0.75, 0.25]], np.float32)).tolist()
    [[0, 127], [255, 0]]
    """
    low, high = known or extremes(map)
    if low == high:
        return np.zeros(map.shape, np.uint8)
    if resample.twin.fast() is None or map.dtype != np.float32:
        return ((map - low) / (high - low) * 255).astype(np.uint8)
    mask = np.empty(map.shape, np.uint8)
    resample.kernels().stretch(np.ascontiguousarray(map), low, high, mask)
    return mask


def extremes(map: Any) -> Tuple[Any, Any]:
    """The lowest and the highest number of an array; if there is a NaN, one of them at least is.

    >>> [float(number) for number in extremes(np.array([[0.25, -2]], np.float32))]
    [-2.0, 0.25]
    """
    if resample.twin.fast() is None or map.dtype != np.float32:
        return map.min(), map.max()
    bits = resample.kernels().extremes(np.ascontiguousarray(map).reshape(-1).view(np.int32))
    low, high = np.array(bits, np.int32).view(np.float32)
    return low, high
