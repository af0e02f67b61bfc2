"""A model's masks -> what they say of the picture.

In: masks of a picture, mode L. Out: the share of foreground. `check_mask` raises `EmptyMask` for a
picture in which the model found nothing, where the options don't want it written all the same.
"""

import functools
from typing import Optional, Sequence

from PIL import Image, ImageChops

from .options import RemoveOptions

# The level from which a pixel counts as foreground.
FOREGROUND = 128


class EmptyMask(ValueError):
    """The model found nothing in the picture."""


def foreground_share(masks: Sequence[Image.Image]) -> float:
    """The share of pixels that are foreground in any of the masks, 0 to 1.

    >>> foreground_share([Image.new("L", (2, 2), 200), Image.new("L", (2, 2))])
    1.0
    """
    counts = functools.reduce(ImageChops.lighter, masks).histogram()
    return sum(counts[FOREGROUND:]) / sum(counts)


def check_mask(masks: Sequence[Image.Image], peak: Optional[float], options: RemoveOptions) -> None:
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
    if not any(mask.getbbox() for mask in masks):
        raise EmptyMask("the model found nothing in it: its mask is empty")
