"""Pixels and a mask -> the plain cutout, bit for bit as `rembg.bg.naive_cutout` makes it.

rembg composites the picture with nothing by Pillow: every channel, opacity included, is multiplied
by the mask and divided by 255 as Pillow rounds (`DIV255` of its `ImagingUtils.h`). For an RGB
picture that is one multiplication a level and the mask itself as alpha; one loop compiled by numba
does it without Pillow's copies, for a PNG not even the cutout's own pixels. Until it is loaded, and
where it gives other bits, `twin.fast()` is None and the cutout is rembg's to make. `ValueError` for
a mask of another size than the picture.
"""

from typing import Any, Callable, Optional, Tuple

import numpy as np
from PIL import Image

from .twin import Twin


class PlainCutout:
    """A plain cutout, made when it is known as what: an array, or the rows of a PNG.

    Args:
      pixels: of the picture, uint8 [height, width, 3].
      mask: uint8 [height, width].
      columns: the first of them that is shown, and the first not; None for all.
    """

    def __init__(self, pixels: Any, mask: Any, columns: Optional[Tuple[int, int]] = None) -> None:
        if pixels.shape[:2] != mask.shape:
            raise ValueError(
                f"a mask of {mask.shape} is not one of a picture of {pixels.shape[:2]}"
            )
        self._pixels = np.ascontiguousarray(pixels)
        self._mask = np.ascontiguousarray(mask)
        whole: Tuple[int, int] = (0, mask.shape[1])
        self._left, self._right = columns or whole
        self.shape = (mask.shape[0], self._right - self._left, 4)

    def __getitem__(self, part: Tuple[slice, slice]) -> "PlainCutout":
        """Some of its rows and columns, in a row; nothing is copied."""
        rows, columns = part
        left, right, _ = columns.indices(self.shape[1])
        shown = self._left + left, self._left + right
        return PlainCutout(self._pixels[rows], self._mask[rows], shown)

    @property
    def source(self) -> Tuple[Any, Any, int]:
        """Pixels, mask, and the column from which on they are shown, as the loops take them."""
        return self._pixels, self._mask, self._left

    @property
    def alpha(self) -> Any:
        """uint8 [height, width]: the mask as it is."""
        return self._mask[:, self._left : self._right]

    def __array__(self, dtype: Any = None, copy: Optional[bool] = None) -> Any:
        """uint8 [height, width, 4], RGBA."""
        from . import plain_kernels

        words = np.empty(self.shape[:2], np.uint32)
        plain_kernels.composite(*self.source, words)
        cutout = words.view(np.uint8).reshape(self.shape)
        return cutout if dtype is None else cutout.astype(dtype)

    def up_filtered(self) -> Any:
        """uint8 [height, 1 + 4 * width]: its rows as PNG's filter Up makes them, its type first."""
        from . import plain_kernels

        height, width, channels = self.shape
        rows = np.empty((height, 1 + channels * width), np.uint8)
        plain_kernels.up_filtered(*self.source, rows)
        return rows


def _load() -> Optional[Callable[[Any, Any], PlainCutout]]:
    """`PlainCutout`, if its bits are those of the rembg and the Pillow that are installed."""
    import rembg.bg

    level, mask = np.meshgrid(np.arange(256, dtype=np.uint8), np.arange(256, dtype=np.uint8))
    pixels = np.stack([level, 255 - level, level // 2], -1)
    theirs = np.asarray(rembg.bg.naive_cutout(Image.fromarray(pixels), Image.fromarray(mask)))
    ours = PlainCutout(pixels, mask)
    # A running sum down the columns takes the filter back.
    unfiltered = np.cumsum(ours.up_filtered()[:, 1:], axis=0, dtype=np.uint8)
    equal = [np.array_equal(each, theirs) for each in (ours, unfiltered.reshape(theirs.shape))]
    return PlainCutout if all(equal) else None


twin = Twin("plain cutouts are made", _load)
