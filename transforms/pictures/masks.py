"""A model's masks -> what they say of the picture.

In: masks of a picture, uint8 [height, width] or images of mode L. Out: the share of foreground.
`check_mask` raises `EmptyMask` for a picture in which the model found nothing, where the options
don't want it written all the same.
"""

import functools
from typing import Any, Optional, Sequence

import numpy as np

from ..fast.subject import FOREGROUND
from .options import RemoveOptions


class EmptyMask(ValueError):
    """The model found nothing in the picture."""


def foreground_share(masks: Sequence[Any]) -> float:
    """The share of pixels that are foreground in any of the masks, 0 to 1.

    >>> foreground_share([np.full((2, 2), 200, np.uint8), np.zeros((2, 2), np.uint8)])
    1.0
    """
    levels = functools.reduce(np.maximum, map(np.asarray, masks))
    return int(np.count_nonzero(levels >= FOREGROUND)) / levels.size


def check_mask(masks: Sequence[Any], peak: Optional[float], options: RemoveOptions) -> None:
    """Raises `EmptyMask` unless something was found or the picture is written anyway.

    Args:
      masks: of the picture.
      peak: of the model's map, if it has one.
      options: the picture's.
    """
    if options.empty_mask == "write":
        return
    if peak is not None and not peak >= options.empty_mask_peak:
        raise EmptyMask(
            f"the model found nothing in it: the peak of its map is {peak:.3g}, below "
            f"empty_mask_peak={options.empty_mask_peak:g}"
        )
    if not any(np.max(mask) for mask in masks):
        raise EmptyMask("the model found nothing in it: its mask is empty")
