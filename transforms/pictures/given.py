"""A picture as it is given -> one that is known before its pixels are there.

In: the bytes of a file, an image of Pillow's, or an array: uint8 [height, width] for grey,
[height, width, 3] for RGB, [height, width, 4] for RGBA. Out: `Given`. What is given stays as it is.
Fails as `decode` does; `NotAPicture` for an array of another kind, and `TypeError` for what is none
of the three.
"""

from functools import partial
from typing import Any, Callable, NamedTuple, Tuple

import numpy as np
from PIL import Image

from .decode import as_picture, check_size, decode, open_picture
from .errors import NotAPicture
from .picture import Picture

# What the bytes of a file may come as.
BYTES = (bytes, bytearray, memoryview)

ARRAYS = "uint8 [height, width], [height, width, 3] (RGB) or [height, width, 4] (RGBA)"


class Given(NamedTuple):
    """A picture whose pixels are still to come.

    Attributes:
      kind: of file, image or array, for people.
      size: width and height in pixels, as they lie there.
      picture: makes it, upright; takes `to_srgb`.
    """

    kind: str
    size: Tuple[int, int]
    picture: Callable[..., Picture]


def given(picture: Any, max_pixels: int) -> Given:
    """What a picture is; see the module's docstring.

    >>> given(np.zeros((2, 3), np.uint8), 6)[:2]
    ('an array', (3, 2))
    """
    if isinstance(picture, bytes):
        image = open_picture(picture, max_pixels)
        return Given(str(image.format), image.size, partial(decode, picture, image))
    if isinstance(picture, Image.Image):
        kind = f"an image of mode {picture.mode}"
        found = Given(kind, picture.size, partial(as_picture, picture, kind))
    elif isinstance(picture, np.ndarray):
        _check_array(picture)
        height, width = picture.shape[:2]
        found = Given("an array", (width, height), partial(_of_array, picture))
    else:
        raise TypeError(
            f"{type(picture).__name__} is no picture: give the bytes of a file, an image of "
            f"Pillow's, or an array, {ARRAYS}"
        )
    if not all(found.size):
        raise NotAPicture(f"{found.kind} of {found.size[0]}x{found.size[1]} has no pixels")
    check_size(found.kind, found.size, max_pixels)
    return found


def bytes_of(picture: Any) -> int:
    """About the memory that it takes as it is given."""
    if isinstance(picture, Image.Image):
        return picture.width * picture.height * len(picture.getbands())
    return int(picture.nbytes) if isinstance(picture, np.ndarray) else len(picture)


def _check_array(array: Any) -> None:
    has_shape = array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (3, 4))
    if array.dtype != np.uint8 or not has_shape:
        raise NotAPicture(
            f"an array {array.dtype} {list(array.shape)} is no picture: give {ARRAYS}"
        )


def _of_array(array: Any, *, to_srgb: bool = False) -> Picture:
    """Its colours are taken as they are: no profile tells of others."""
    if array.ndim == 3 and array.shape[2] == 3:
        return Picture(pixels=np.ascontiguousarray(array))
    return Picture(Image.fromarray(array))
