"""A decoded picture: as a Pillow image or as an array, whichever is asked for.

rembg works on Pillow images; the loops that replace parts of its work take arrays. `Picture` holds
what the decoder gave and makes the other once, when it is needed. Nothing here fails.
"""

from typing import Any, Callable, Optional, Tuple

import numpy as np
from PIL import Image

from .keep import NOTHING, Metadata


class once:
    """A property that is made when it is first asked for, and kept; by one thread at a time.

    `functools.cached_property` of Python 3.11 holds one lock for all pictures while it makes it.
    """

    def __init__(self, make: Callable[[Any], Any]) -> None:
        self._make = make
        self._name = make.__name__
        self.__doc__ = make.__doc__

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        if instance is None:
            return self
        made = instance.__dict__[self._name] = self._make(instance)
        return made


class Picture:
    """An upright picture, never changed.

    Args:
      image: of Pillow's, in a mode that rembg takes; None if there are pixels.
      pixels: uint8 [height, width, 3]; None if there is an image.
      animated: whether the file has more frames or pages, of which this is the first.
      metadata: what its file tells besides, the profile only if its colours are RGB or grey.
    """

    def __init__(
        self,
        image: Optional[Image.Image] = None,
        *,
        pixels: Any = None,
        animated: bool = False,
        metadata: Metadata = NOTHING,
    ) -> None:
        self._image = image
        self._pixels = pixels
        self.animated = animated
        self.metadata = metadata

    @property
    def icc_profile(self) -> Optional[bytes]:
        return self.metadata.icc_profile

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

    @property
    def is_opaque(self) -> bool:
        """Whether it has no transparency of its own."""
        return self._image is None or not self._image.has_transparency_data

    @once
    def opacity(self) -> Image.Image:
        """How opaque it is by itself, of mode L.

        >>> Picture(Image.new("LA", (1, 1), (9, 7))).opacity.getpixel((0, 0))
        7
        """
        image = self.image
        return (image if image.mode == "RGBA" else image.convert("RGBA")).getchannel("A")

    @once
    def image(self) -> Image.Image:
        """It as Pillow has it, not to be changed."""
        return Image.fromarray(self._pixels) if self._image is None else self._image

    @once
    def pixels(self) -> Any:
        """uint8 [height, width, 3]: it in RGB, as `Image.convert` makes it."""
        if self._pixels is not None:
            return self._pixels
        image = self.image
        return np.asarray(image if image.mode == "RGB" else image.convert("RGB"))
