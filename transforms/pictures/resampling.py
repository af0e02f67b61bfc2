"""Resampling: the pixels of a picture -> those of a frame, in one step.

Colours weigh as much as they are opaque (they are premultiplied), so that what lies under
transparency never shows at an edge. Pixels are made smaller by Pillow's Hamming filter, the
sharpest of those that never overshoot: one with lobes, such as Lanczos, draws a light or dark line
along the edge of an opaque subject, and a faint one beside it where a mask should be 0. They are
made larger by its bicubic filter, in floating point, so that where it overshoots colours and
opacity do so alike.

In and out: uint8 [height, width] for masks, [height, width, 4] (RGBA, not premultiplied) for
cutouts. Nothing here fails.
"""

from typing import Any, Tuple

import numpy as np
from PIL import Image

from ..fast.shrink import Part, shrink
from .geometry import Frame, Shown

# On each side of a pixel, the pixels that it is made of: of the smaller picture.
_SHRINKING, _ENLARGING = 1.0, 2.0

# Levels of a trimap: only what is made of one sure level alone is sure.
_SURE_OR_NOT = np.full(256, 128, np.uint8)
_SURE_OR_NOT[[0, 255]] = 0, 255


def framed(picture: Any, frame: Frame) -> Any:
    """What a frame shows of a picture; around it is nothing, all 0.

    Args:
      picture: an array as the module says, or a `PlainCutout` of `fast/plain`.
      frame: see `geometry`.

    >>> framed(np.full((2, 2), 255, np.uint8), Frame((1, 1), (0, 1), (2, 3))).tolist()
    [[0, 0], [255, 255], [255, 255]]
    """
    height, width, *channels = picture.shape
    support = _ENLARGING if frame.enlarges else _SHRINKING
    shown = frame.shown((width, height), support)
    whole = (frame.size[1], frame.size[0], *channels)
    if shown is None:
        return np.zeros(whole, np.uint8)
    x, y = shown
    size = x.target[1] - x.target[0], y.target[1] - y.target[0]
    stretched = _enlarged if frame.enlarges else _shrunk
    pixels = stretched(_taken(picture, x, y), size, (x.start, y.start, x.stop, y.stop))
    if size == frame.size:
        return pixels
    around = np.zeros(whole, np.uint8)
    around[slice(*y.target), slice(*x.target)] = pixels
    return around


def framed_apart(picture: Any, frame: Frame) -> Any:
    """The same of a cutout whose colours go on under transparency (`putalpha`): they and its
    opacity each by itself.

    >>> framed_apart(np.full((2, 2, 4), (9, 8, 7, 0), np.uint8), Frame((0.5, 0.5), (0, 0), (1, 1)))
    array([[[9, 8, 7, 0]]], dtype=uint8)
    """
    opaque = np.dstack([picture[..., :3], np.full(picture.shape[:2], 255, np.uint8)])
    opacity = framed(np.ascontiguousarray(picture[..., 3]), frame)
    return np.dstack([framed(opaque, frame)[..., :3], opacity])


def as_pixels(picture: Any) -> Any:
    """What may be an image of Pillow's, or a `PlainCutout`, as the array it is.

    >>> as_pixels(Image.new("LA", (3, 2))).shape
    (2, 3, 4)
    """
    if isinstance(picture, Image.Image) and picture.mode not in ("L", "RGBA"):
        picture = picture.convert("RGBA")
    return np.asarray(picture)


def framed_trimap(trimap: Any, frame: Frame) -> Any:
    """The same of a trimap, whose levels stay 0, 128 and 255."""
    return _SURE_OR_NOT[framed(trimap, frame)]


def _taken(picture: Any, x: Shown, y: Shown) -> Any:
    """The pixels that a frame's are made of; around the picture they are 0."""
    height, width, *channels = picture.shape
    left, right = max(x.source[0], 0), min(x.source[1], width)
    top, bottom = max(y.source[0], 0), min(y.source[1], height)
    part = slice(top, bottom), slice(left, right)
    inside = picture[part]
    size = y.source[1] - y.source[0], x.source[1] - x.source[0]
    if inside.shape[:2] == size:
        return inside
    around = np.zeros((*size, *channels), np.uint8)
    first_y, first_x = top - y.source[0], left - x.source[0]
    around[first_y : first_y + bottom - top, first_x : first_x + right - left] = np.asarray(inside)
    return around


def _shrunk(pixels: Any, size: Tuple[int, int], box: Part) -> Any:
    """A part of some pixels, (left, top, right, bottom), stretched to a size."""
    left, top, right, bottom = map(int, box)
    if (left, top, right, bottom) == box and (right - left, bottom - top) == size:
        return np.asarray(pixels[top:bottom, left:right])
    return shrink(pixels, size, box)


def _enlarged(pixels: Any, size: Tuple[int, int], box: Part) -> Any:
    image = Image.fromarray(np.asarray(pixels))
    bands = [
        np.asarray(band.convert("F").resize(size, Image.Resampling.BICUBIC, box))
        for band in (image if image.mode == "L" else image.convert("RGBa")).split()
    ]
    if len(bands) == 4:
        alpha = bands[-1]
        opaque = 255 / np.maximum(alpha, 0.5)
        bands = [*(band * opaque for band in bands[:-1]), alpha]
    levels = [np.rint(np.clip(band, 0, 255)).astype(np.uint8) for band in bands]
    return levels[0] if len(levels) == 1 else np.stack(levels, axis=-1)
