"""A model's masks -> what they say of the picture.

In: masks of a picture, uint8 [height, width] or images of mode L. Out: the share of foreground, and
`visible`, what of it the cutout shows.
`check_mask` raises `EmptyMask` for a picture in which the model found nothing, where the options
don't want it written all the same.
"""

import functools
from typing import Any, Optional, Sequence

import numpy as np
from PIL import Image, ImageChops

from ..fast.subject import FOREGROUND
from .options import RemoveOptions
from .picture import Picture


class EmptyMask(ValueError):
    """The model found nothing in the picture."""


def foreground_share(masks: Sequence[Any]) -> float:
    """The share of pixels that are foreground in any of the masks, 0 to 1.

    >>> foreground_share([np.full((2, 2), 200, np.uint8), np.zeros((2, 2), np.uint8)])
    1.0
    """
    levels = functools.reduce(np.maximum, map(np.asarray, masks))
    return int(np.count_nonzero(levels >= FOREGROUND)) / levels.size


def visible(picture: Picture, masks: Sequence[Any], options: RemoveOptions) -> Sequence[Any]:
    """The masks as the plain cutout has them for its opacity: times that of the picture itself.

    The very masks of an opaque picture, and where the cutout drops the picture's own opacity.

    >>> half = Picture(Image.new("RGBA", (2, 1), (0, 0, 0, 128)))
    >>> visible(half, [np.full((1, 2), 255, np.uint8)], RemoveOptions())[0].tolist()
    [[128, 128]]
    """
    if picture.is_opaque or options.putalpha or options.uses_pymatting():
        return masks
    images = [Image.fromarray(np.asarray(mask)) for mask in masks]
    return [np.asarray(ImageChops.multiply(image, picture.opacity)) for image in images]


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
