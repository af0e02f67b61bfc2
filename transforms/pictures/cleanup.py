"""Clean-up: a mask -> the mask without what the model got wrong, step by step.

In: a mask, uint8 [height, width], and a `MaskCleanup`. Out: another one; the same where nothing is
asked for. Nothing here fails. Steps come in one order, that of `MaskCleanup`. Edges are refined by
what the model said of them, so before all else. What a part is follows from the levels, so the
threshold is next. Specks go before holes are filled, so that none of them is left in a hole. Holes
are filled before parts are compared, so that a ring counts for all it holds. Edges move when there
are only those that stay, and soften last, since other steps would harden them.

A part is what is connected, across corners too, from level `FAINT` up, so that hair stays with its
head. Its size counts pixels by their level: half there is half a pixel. Fainter pixels go or stay
with the part they are nearest to. A hole is a part of what is not there that touches no border.
"""

from dataclasses import dataclass
from typing import Any, List, NamedTuple, Optional, Tuple

import numpy as np

from ..setting import check, documented, setting
from .picture import Picture
from .refine import refine

# The level of a mask, of 255, from which anything is seen.
FAINT = 26

# Pixels that an edge may move, or soften.
MAX_REACH = 100

# Bytes for each pixel of a picture, decoded, and for each point of a map that is refined.
_PER_PIXEL, _PER_POINT = 32, 200


@documented
@dataclass(frozen=True, kw_only=True)
class MaskCleanup:
    """What is put right in masks, in this order, before anything is cut out by them."""

    refine_above: Optional[int] = setting(
        None,
        "in pictures of more pixels than this, such as 2MP, a guided filter refines the mask's "
        "edges; default: none, as rembg has it",
        more="of models with one map, which is smaller than the picture",
        kind="pixels",
        minimum=0,
    )
    mask_threshold: Optional[int] = setting(
        None, "levels of the mask from it on become 255, all others 0", minimum=1, maximum=255
    )
    mask_drop_specks: float = setting(
        0.0, "drop parts smaller than this share of the largest", minimum=0, maximum=1
    )
    mask_fill_holes: float = setting(
        0.0, "fill holes smaller than this share of the largest part", minimum=0, maximum=1
    )
    mask_keep_largest: Optional[int] = setting(
        None, "keep so many parts, the largest, and drop the others", minimum=1
    )
    mask_grow: int = setting(
        0,
        "pixels by which the subject grows on all sides, or with a negative number shrinks",
        minimum=-MAX_REACH,
        maximum=MAX_REACH,
    )
    mask_feather: float = setting(
        0.0,
        "pixels on either side of an edge over which it softens",
        more="by a Gaussian blur whose sigma is half of that",
        minimum=0,
        maximum=MAX_REACH,
    )

    def __post_init__(self) -> None:
        check(self)


_NOTHING = MaskCleanup()


def cleaned(
    masks: List[Any],
    picture: Picture,
    cleanup: MaskCleanup,
    map_size: Optional[Tuple[int, int]],
) -> List[Any]:
    """The masks of a picture after all steps that are asked for; without any the list itself.

    Args:
      masks: of its size, uint8 [height, width] or mode L.
      picture: of any mode.
      cleanup: the steps.
      map_size: height and width of the map that the one mask was made of; None without one.
    """
    if cleanup == _NOTHING:
        return masks
    found = [np.asarray(mask) for mask in masks]
    width, height = picture.size
    if map_size and cleanup.refine_above is not None and width * height > cleanup.refine_above:
        found = [refine(picture.pixels, mask, map_size) for mask in found]
    return [clean(mask, cleanup) for mask in found]


def cleaning_bytes(
    size: Tuple[int, int], cleanup: MaskCleanup, map_size: Optional[Tuple[int, int]]
) -> int:
    """About what a picture of (width, height) takes while its mask is cleaned; measured."""
    pixels = size[0] * size[1]
    if cleanup == _NOTHING:
        return 0
    if map_size and cleanup.refine_above is not None and pixels > cleanup.refine_above:
        points = min(map_size[0] * map_size[1], pixels // 2)
        return max(pixels * _PER_PIXEL, pixels * 16 + points * _PER_POINT)
    return pixels * _PER_PIXEL


def clean(mask: Any, cleanup: MaskCleanup) -> Any:
    """The mask after all steps but the refinement, which needs the picture."""
    if cleanup.mask_threshold is not None:
        mask = np.where(mask >= cleanup.mask_threshold, np.uint8(255), np.uint8(0))
    if cleanup.mask_drop_specks:
        mask = drop_specks(mask, cleanup.mask_drop_specks)
    if cleanup.mask_fill_holes:
        mask = fill_holes(mask, cleanup.mask_fill_holes)
    if cleanup.mask_keep_largest is not None:
        mask = keep_largest(mask, cleanup.mask_keep_largest)
    if cleanup.mask_grow:
        mask = grow(mask, cleanup.mask_grow)
    return feather(mask, cleanup.mask_feather) if cleanup.mask_feather else mask


def drop_specks(mask: Any, share: float) -> Any:
    """The mask without parts that are smaller than a share of the largest.

    >>> drop_specks(np.array([[90, 0, 0, 255, 255]], np.uint8), 0.2).tolist()
    [[0, 0, 0, 255, 255]]
    """
    parts = _parts(mask)
    return _without(mask, parts, parts.sizes < share * parts.sizes.max())


def fill_holes(mask: Any, share: float) -> Any:
    """The mask without holes that are smaller than a share of the largest part.

    >>> fill_holes(np.pad(np.zeros((1, 1), np.uint8), 1, constant_values=255), 0.2).tolist()
    [[255, 255, 255], [255, 255, 255], [255, 255, 255]]
    """
    empty = 255 - mask
    holes = _parts(empty, connectivity=4)
    filled = holes.sizes < share * _parts(mask).sizes.max()
    for side in (np.s_[0], np.s_[-1], np.s_[:, 0], np.s_[:, -1]):
        filled[holes.labels[side]] = False
    return 255 - _without(empty, holes, filled)


def keep_largest(mask: Any, count: int) -> Any:
    """The mask with so many parts, the largest; of equals, those that come first.

    >>> keep_largest(np.array([[200, 0, 255, 255]], np.uint8), 1).tolist()
    [[0, 0, 255, 255]]
    """
    parts = _parts(mask)
    dropped = np.ones(len(parts.sizes), bool)
    dropped[1 + np.argsort(-parts.sizes[1:], kind="stable")[:count]] = False
    return _without(mask, parts, dropped)


def grow(mask: Any, pixels: int) -> Any:
    """The mask whose every level reaches so many pixels farther, or less far if that is negative.

    The border of the picture is no edge: what lies at it stays there.

    >>> grow(np.array([[0, 0, 0, 90, 255]], np.uint8), 1).tolist()
    [[0, 0, 90, 255, 255]]
    """
    import cv2

    reach = abs(pixels)
    down, right = np.ogrid[-reach : reach + 1, -reach : reach + 1]
    disc = (down**2 + right**2 <= reach**2).astype(np.uint8)
    return (cv2.dilate if pixels > 0 else cv2.erode)(mask, disc)


def feather(mask: Any, pixels: float) -> Any:
    """The mask with edges that are soft over so many pixels on either side.

    >>> feather(np.array([[0, 0, 0, 255, 255, 255]], np.uint8), 2.0).tolist()
    [[1, 15, 77, 178, 240, 254]]
    """
    import cv2

    return cv2.GaussianBlur(mask, (0, 0), pixels / 2, borderType=cv2.BORDER_REPLICATE)


class _Parts(NamedTuple):
    """The parts of a mask; number 0 is what is in none.

    Attributes:
      seeds: uint8 [height, width], 1 in a part.
      labels: int32 [height, width], the number of each pixel's part.
      sizes: of each, in pixels; of number 0 none.
    """

    seeds: Any
    labels: Any
    sizes: Any


def _parts(mask: Any, connectivity: int = 8) -> _Parts:
    import cv2

    seen = mask >= FAINT
    # The algorithm that numbers them by their first pixels; the usual one goes by blocks of four.
    count, labels = cv2.connectedComponentsWithAlgorithm(
        seen.view(np.uint8), connectivity, cv2.CV_32S, cv2.CCL_SAUF
    )
    sizes = np.bincount(labels[seen], mask[seen], minlength=count) / 255
    return _Parts(seen.view(np.uint8), labels, sizes)


def _without(mask: Any, parts: _Parts, dropped: Any) -> Any:
    """The mask without parts, by number, and without what is nearest to them."""
    import cv2

    dropped[0] = False
    if not dropped.any():
        return mask
    _, seed = cv2.distanceTransformWithLabels(
        1 - parts.seeds, cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    chosen = parts.seeds.view(bool)
    goes = np.zeros(int(seed.max()) + 1, bool)
    goes[seed[chosen]] = dropped[parts.labels[chosen]]
    return np.where(goes[seed], np.uint8(0), mask)
