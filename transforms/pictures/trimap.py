"""Trimap: a mask -> what is surely the subject, what surely not, and what matting has to find out.

In: a mask, uint8 [height, width], and how wide the unsure band is. Out: uint8 of its size: 255 for
the subject, 0 for the background, 128 between. `ValueError` for a width that is none, and for one
that goes with nothing.

Sure is what rembg takes as sure for its alpha matting, levels from 240 up and below 10, as far as
it lies deeper than the width. So the band covers all of a soft edge, and as much more on either
side. The border of the picture is no edge.
"""

from dataclasses import dataclass
from typing import Any, Optional

import numpy as np

from ..setting import changed, check, documented, setting
from . import lengths
from .options import RemoveOptions

SUBJECT, UNSURE, BACKGROUND = 255, 128, 0

# Levels of a mask: from the one on surely the subject's, from the other on perhaps.
_SURE, _PERHAPS = 240, 10


@documented
@dataclass(frozen=True, kw_only=True)
class TrimapWidths:
    """How wide the unsure band of a trimap is, on either side of the soft edge."""

    trimap_width: str = setting(
        "2%",
        "of a trimap's unsure band, into the subject and out of it: pixels, or a share of the "
        "subject's longer side",
        rule=lengths.RULE,
    )
    trimap_outer: Optional[str] = setting(
        None,
        "its width out of the subject, where that is another; default: trimap_width",
        rule=lengths.RULE,
    )

    def __post_init__(self) -> None:
        lengths.settle(self, "trimap_width", "trimap_outer")
        check(self)


def check_trimap(options: RemoveOptions, widths: TrimapWidths) -> None:
    """Raises `ValueError` for widths where no trimap is made."""
    given = changed(widths)
    if given and not any(output.shows == "trimap" for output in options.requested()):
        name, value = next(iter(given.items()))
        raise ValueError(
            f"{name}={value!r} is of a trimap, and none is made: add trimap to outputs, or leave "
            "it out"
        )


def of_mask(mask: Any, widths: TrimapWidths) -> Any:
    """The trimap of a mask, with the widths of settings."""
    side = lengths.longer_side(mask)
    inner = lengths.pixels(widths.trimap_width, side)
    outer = lengths.pixels(widths.trimap_outer or widths.trimap_width, side)
    return trimap(mask, inner, outer)


def trimap(mask: Any, inner: float, outer: float) -> Any:
    """255, 128 and 0 of a mask.

    Args:
      mask: uint8 [height, width].
      inner: pixels by which the unsure band reaches into what is surely the subject.
      outer: pixels by which it reaches into what surely is not.

    >>> trimap(np.array([[0, 0, 0, 99, 255, 255, 255]], np.uint8), 2, 1).tolist()
    [[0, 0, 128, 128, 128, 128, 255]]
    """
    found = np.full(mask.shape, UNSURE, np.uint8)
    found[_deeper(mask >= _SURE, inner)] = SUBJECT
    found[_deeper(mask < _PERHAPS, outer)] = BACKGROUND
    return found


def _deeper(inside: Any, width: float) -> Any:
    """What lies farther than a width from all that is outside."""
    import cv2

    if not width or inside.all():
        return inside
    distance = cv2.distanceTransform(inside.view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return distance > width
