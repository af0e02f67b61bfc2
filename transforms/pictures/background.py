"""Background: a picture's URI -> that picture, behind cutouts of any size.

In: the URI. Out: `Background`, read once per process. Fails with `ValueError` that names the URI,
without its secrets, and says why it can't be read or is no picture.
"""

import functools
import threading
from typing import TYPE_CHECKING, Any, Optional, Tuple

import numpy as np
from PIL import Image

from ..store import uris
from .framing import Framing, frame_of
from .given import given
from .resampling import framed

if TYPE_CHECKING:
    from ..store.web import WebOptions

# A larger file is no background.
_MAX_BYTES = 100_000_000

_lock = threading.Lock()


class Background:
    """A picture behind others.

    Args:
      pixels: uint8 [height, width, 4], opaque.
    """

    def __init__(self, pixels: Any) -> None:
        self._pixels = pixels
        # Of the last few sizes: often all cutouts have one.
        self._covering = functools.lru_cache(maxsize=2)(self._made)

    def behind(self, cutout: Any) -> Any:
        """A cutout, uint8 [height, width, 4], with the background behind it.

        >>> one = np.full((1, 1, 4), 255, np.uint8)
        >>> Background(one).behind(np.zeros((2, 3, 4), np.uint8)).min()
        np.uint8(255)
        """
        height, width = cutout.shape[:2]
        behind = self._covering((width, height))
        return np.asarray(Image.alpha_composite(behind, Image.fromarray(cutout)))

    def _made(self, size: Tuple[int, int]) -> Image.Image:
        """It, scaled to fill a size, its middle in the middle."""
        height, width = self._pixels.shape[:2]
        frame = frame_of((width, height), None, Framing(canvas="{}x{}".format(*size), fit="cover"))
        return Image.fromarray(framed(self._pixels, frame))


def background(uri: str, max_pixels: int, web_options: Optional["WebOptions"] = None) -> Background:
    """The picture at a URI, as this process has read it.

    Args:
      uri: of its file.
      max_pixels: a larger picture is refused.
      web_options: how it is fetched from http(s); None for their defaults.
    """
    with _lock:
        return _read(uri, max_pixels, web_options)


@functools.lru_cache(maxsize=4)
def _read(uri: str, max_pixels: int, web_options: Optional["WebOptions"]) -> Background:
    from ..store import stores, web  # which need Beam

    shown = uris.without_secrets(uri)
    try:
        data = stores.try_read(uri, _MAX_BYTES, web_options or web.DEFAULTS).get()
    except Exception as error:  # as many kinds as there are stores
        raise ValueError(f"background={shown!r} can't be read: {error}") from error
    try:
        pixels = given(data, max_pixels).picture(to_srgb=True).pixels
    except ValueError as error:
        raise ValueError(f"background={shown!r} is no picture that can be read: {error}") from error
    return Background(np.dstack([pixels, np.full(pixels.shape[:2], 255, np.uint8)]))
