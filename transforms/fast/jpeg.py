"""JPEG bytes -> pixels, by libjpeg-turbo without Pillow around it (package `simplejpeg`).

In: the bytes of a JPEG in colour. Out: uint8 [height, width, 3], the pixels that Pillow gives, or
None for what is left to Pillow: no `simplejpeg` here, one that decodes otherwise than the Pillow
that is installed (they are compared once in a process), or a file with anything to complain about.
Pillow then says what is wrong with it, or takes it as it is. Nothing here fails.
"""

import functools
import io
import logging
from typing import Any, Iterator, Optional

import numpy as np
from PIL import Image

try:
    import simplejpeg
except ImportError:  # no wheel for this platform
    simplejpeg = None

_log = logging.getLogger(__name__)


def decode_jpeg(data: bytes) -> Optional[Any]:
    """The pixels of a flawless JPEG, else None.

    >>> decode_jpeg(b"no picture") is None
    True
    """
    if not is_pillows():
        return None
    return _decoded(data)


@functools.cache
def is_pillows() -> bool:
    """Whether the pixels are those of the Pillow that is installed."""
    if simplejpeg is None:
        return False
    for data in _samples():
        with Image.open(io.BytesIO(data)) as image:
            pixels = _decoded(data)
            if pixels is None or not np.array_equal(pixels, np.asarray(image)):
                _log.warning("JPEGs are decoded by Pillow alone: simplejpeg's pixels differ")
                return False
    return True


def _decoded(data: bytes) -> Optional[Any]:
    try:
        return simplejpeg.decode_jpeg(data, "RGB", strict=True)
    except ValueError:
        return None


def _samples() -> Iterator[bytes]:
    """JPEGs of every chroma subsampling, in sequence and progressive, of an odd size."""
    pixels = np.random.default_rng(0).integers(0, 256, (45, 61, 3), np.uint8)
    for subsampling in ("4:4:4", "4:2:2", "4:2:0"):
        for progressive in (False, True):
            buffer = io.BytesIO()
            Image.fromarray(pixels).save(
                buffer, "JPEG", subsampling=subsampling, progressive=progressive
            )
            yield buffer.getvalue()
