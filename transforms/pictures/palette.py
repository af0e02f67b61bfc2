"""RGBA -> at most 256 colours with their opacity, for PNG-8.

In: an image of Pillow's, any mode that becomes RGBA or is grey. Out: an image of mode P with a
palette of RGBA, dithered by a fixed pattern, so that shadows have no bands. What is transparent
stays so, and a picture that has no more colours keeps them. Nothing here fails.

The colours begin as means of boxes, cut as Heckbert's median cut does (SIGGRAPH 1982), always the
one with the greatest squared error, across its widest channel at the mean. Channels are
premultiplied, so that boxes are spent on what shows. Pillow's only quantizer for RGBA, an octree,
leaves twice the error and bands; libimagequant is as good as this one, and under the GPL.
"""

from typing import Any, List, NamedTuple, Tuple

import numpy as np
from PIL import Image

MOST = 256

# Of each channel, those that tell cells of the histogram apart.
_BITS = 5

# Of moving colours to the mean of their pixels; more hardly helps.
_ROUNDS = 2


class Cells(NamedTuple):
    """Of the cells that have pixels: how many, and their mean premultiplied RGBA."""

    weights: Any
    means: Any


def quantized(image: Image.Image, colors: int = MOST) -> Image.Image:
    """The image in so many colours or fewer, 2 to 256.

    >>> quantized(Image.new("RGBA", (2, 1), (9, 8, 7, 255))).convert("RGBA").getpixel((0, 0))
    (9, 8, 7, 255)
    """
    pixels = np.asarray(image if image.mode == "RGBA" else image.convert("RGBA")).reshape(-1, 4)
    words = np.where(pixels[:, 3] > 0, pixels.view(np.uint32)[:, 0], 0)
    found = _few(words, colors)
    if found is not None:
        return _with_palette(np.searchsorted(found, words), found.view(np.uint8), image.size)
    is_seen, grain = words > 0, _grain(*image.size)
    if is_seen.all():
        return _with_palette(*_reduced(pixels, grain, colors), image.size)
    indices = np.zeros(len(pixels), np.uint8)
    seen, palette = _reduced(pixels[is_seen], grain[is_seen], colors - 1)
    indices[is_seen] = seen + 1
    return _with_palette(indices, np.vstack([np.zeros((1, 4), np.uint8), palette]), image.size)


def _grain(width: int, height: int) -> Any:
    """int16 [pixels]: what is added to a pixel's levels before they are told apart, half a cell
    more or less, by a matrix of Bayer's (ordered dithering)."""
    matrix = np.zeros((1, 1))
    while len(matrix) < 8:
        matrix = np.block([[4 * matrix, 4 * matrix + 2], [4 * matrix + 3, 4 * matrix + 1]])
    cell = 1 << 8 - _BITS
    steps = np.floor((matrix + 0.5) / 64 * cell - cell / 2).astype(np.int16)
    return np.tile(steps, (height // 8 + 1, width // 8 + 1))[:height, :width].ravel()


def _reduced(pixels: Any, grain: Any, colors: int) -> Tuple[Any, Any]:
    """The colour of each pixel, by its number, and the colours: uint8 [pixels], [colours, 4]."""
    places, cells = _histogram(pixels, grain)
    means = np.array([_mean(cells, box) for box in _boxes(cells, colors)])
    means, nearest = _settled(cells, means)
    return nearest.astype(np.uint8)[places], _straight(means)


def _few(words: Any, most: int) -> Any:
    """The colours, sorted, if they are no more than so many; a sample tells most that are not."""
    for some in (words[:: len(words) // 4096 + 1], words):
        found = np.unique(some)
        if len(found) > most:
            return None
    return found


def _histogram(pixels: Any, grain: Any) -> Tuple[Any, Cells]:
    """The cell of each pixel with its grain, and the cells, whose means have none."""
    alpha = pixels[:, 3]
    cell = np.zeros(len(pixels), np.uint32)
    for channel in range(4):
        level = (pixels[:, channel] + grain).clip(0, 255)
        cell = cell << _BITS | (level >> 8 - _BITS).astype(np.uint32)
    counts = np.bincount(cell, minlength=1 << 4 * _BITS)
    used = np.flatnonzero(counts)
    weights = counts[used].astype(np.float64)
    sums = [
        np.bincount(cell, alpha if channel == 3 else pixels[:, channel] * (alpha / 255))
        for channel in range(4)
    ]
    place = np.zeros(len(counts), np.uint32)
    place[used] = np.arange(len(used))
    means = np.stack([each[used] for each in sums], -1) / weights[:, None]
    return place[cell], Cells(weights, means)


def _boxes(cells: Cells, most: int) -> List[Any]:
    """The numbers of the cells in each box."""
    boxes = [np.arange(len(cells.weights))]
    errors = [_errors(cells, boxes[0])]
    while len(boxes) < most:
        worst = int(np.argmax([each.max() for each in errors]))
        channel = int(errors[worst].argmax())
        if errors[worst][channel] <= 0:
            break
        box = boxes[worst]
        is_above = cells.means[box, channel] > _mean(cells, box)[channel]
        parts = box[~is_above], box[is_above]
        if not all(map(len, parts)):
            errors[worst] = np.zeros(4)
            continue
        boxes[worst], errors[worst] = parts[0], _errors(cells, parts[0])
        boxes.append(parts[1])
        errors.append(_errors(cells, parts[1]))
    return boxes


def _mean(cells: Cells, box: Any) -> Any:
    weights = cells.weights[box]
    return weights @ cells.means[box] / weights.sum()


def _errors(cells: Cells, box: Any) -> Any:
    """Squared, of each channel, of all pixels together."""
    return cells.weights[box] @ (cells.means[box] - _mean(cells, box)) ** 2


def _settled(cells: Cells, means: Any) -> Tuple[Any, Any]:
    """Colours moved to the mean of what is nearest to them, and the nearest of each cell."""
    from scipy.spatial import KDTree

    for _ in range(_ROUNDS):
        nearest = KDTree(means).query(cells.means)[1]
        sums = [np.bincount(nearest, cells.weights * each, len(means)) for each in cells.means.T]
        weights = np.bincount(nearest, cells.weights, len(means))
        means = (np.stack(sums, -1) / np.maximum(weights, 1)[:, None])[weights > 0]
    return means, KDTree(means).query(cells.means)[1]


def _straight(means: Any) -> Any:
    """uint8 [colours, 4] of premultiplied means."""
    alpha = np.rint(means[:, 3:])
    colours = means[:, :3] * 255 / np.maximum(means[:, 3:], 1e-9) * (alpha > 0)
    return np.hstack([np.rint(colours).clip(0, 255), alpha]).astype(np.uint8)


def _with_palette(indices: Any, palette: Any, size: Tuple[int, int]) -> Image.Image:
    made = Image.fromarray(indices.astype(np.uint8).reshape(size[::-1]))
    made = made.convert("P") if made.mode != "P" else made
    made.putpalette(palette.tobytes(), "RGBA")
    return made
