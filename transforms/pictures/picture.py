"""A decoded picture: as a Pillow image or as an array, whichever is asked for.

rembg works on Pillow images; the loops that replace parts of its work take arrays. `Picture` holds
what the decoder gave and makes the other once, when it is needed. Nothing here fails.
"""

import functools
from typing import Any, Optional, Tuple

import numpy as np
from PIL import Image


class Picture:
    """An upright picture, never changed.

    Args:
      image: of Pillow's, in a mode that rembg takes; None if there are pixels.
      pixels: uint8 [height, width, 3]; None if there is an image.
      animated: whether the file has more frames or pages, of which this is the first.
      icc_profile: of its colours, if they are RGB or grey.
    """

    def __init__(
        self,
        image: Optional[Image.Image] = None,
        *,
        pixels: Any = None,
        animated: bool = False,
        icc_profile: Optional[bytes] = None,
    ) -> None:
        self._image = image
        self._pixels = pixels
        self.animated = animated
        self.icc_profile = icc_profile

    @property
    def size(self) -> Tuple[int, int]:
        """Width and height in pixels.

        >>> Picture(pixels=np.zeros((2, 3, 3), np.uint8)).size
        (3, 2)
        """
        if self._image is not None:
            return self._image.size
        height, width, _ = self.pixels.shape
        return width, height

    @property
    def mode(self) -> str:
        """Pillow's name of the kind of its pixels."""
        return "RGB" if self._image is None else self._image.mode

    @property
    def is_opaque_rgb(self) -> bool:
        """Whether `pixels` are all there is to it."""
        return self._image is None or (
            self._image.mode == "RGB" and not self._image.has_transparency_data
        )

    @functools.cached_property
    def image(self) -> Image.Image:
        """It as Pillow has it, not to be changed."""
        return Image.fromarray(self._pixels) if self._image is None else self._image

    @functools.cached_property
    def pixels(self) -> Any:
        """uint8 [height, width, 3]: it in RGB, as `Image.convert` makes it."""
        if self._pixels is not None:
            return self._pixels
        image = self.image
        return np.asarray(image if image.mode == "RGB" else image.convert("RGB"))
