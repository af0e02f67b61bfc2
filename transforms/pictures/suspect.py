"""Suspect: a picture and its mask -> why the mask may be wrong, in a tenth of a millisecond.

In: a picture, its masks, and thresholds. Out: the names of the reasons that hold, in the
order of `REASONS`; none is a promise, and a mask without any may be wrong as well. `docs/report.md`
says how many spoiled masks they find, and how many good ones they doubt. Nothing here fails.

Both are looked at on a grid of at most `SIDE` points a side, none of them averaged: what a mask is
wrong in, at large, shows there. The points are counted by loops compiled by numba, once they are
loaded (see `fast/twin`), and by NumPy until then.
"""

import functools
from dataclasses import dataclass
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np
from PIL import Image

from ..fast import grid
from ..fast.twin import Twin
from ..setting import check, documented, setting
from .picture import Picture

# Points of the grid, along the longer side.
SIDE = 96

REASONS: Dict[str, str] = {
    "nothing": "nearly nothing was found",
    "everything": "nearly all of the picture was found",
    "unstable": "at a higher threshold of the mask much less would be found",
    "soft": "much of what was found is neither there nor not",
    "parts": "it is in many parts",
    "holes": "it has large holes",
    "borders": "it touches three sides of the picture, or all",
    "low_contrast": "along its edge the picture changes no more than elsewhere",
    "cut": "a long straight piece of its edge has no contrast",
}


@documented
@dataclass(frozen=True, kw_only=True)
class Suspicion:
    """Whether masks are doubted, and from where on; the row's `suspect` names what holds."""

    suspect: bool = setting(
        True, "say in the row why its mask may be wrong; a tenth of a millisecond a picture"
    )
    suspect_nothing: float = setting(
        0.002, "nothing: less than this share of the picture was found", minimum=0, maximum=1
    )
    suspect_everything: float = setting(
        0.97, "everything: more than this share was found", minimum=0, maximum=1
    )
    suspect_unstable: float = setting(
        0.75,
        "unstable: of what lies above 0.3 in the mask, a smaller share lies above 0.7",
        minimum=0,
        maximum=1,
    )
    suspect_soft: float = setting(
        0.38,
        "soft: of what lies above 0.1 in the mask, a larger share lies below 0.9",
        minimum=0,
        maximum=1,
    )
    suspect_parts: int = setting(4, "parts: it is in more than so many", minimum=1)
    suspect_holes: float = setting(
        0.2, "holes: they are a larger share of it", minimum=0, maximum=1
    )
    suspect_borders: int = setting(
        3, "borders: it touches so many sides of the picture", minimum=1, maximum=5
    )
    suspect_low_contrast: float = setting(
        1.6,
        "low_contrast: neighbouring points differ by less than so many times as much across its "
        "edge as beside it",
        minimum=0,
    )
    suspect_cut: float = setting(
        0.65,
        "cut: a straight piece of its edge without contrast is longer than this share of the root "
        "of its area",
        minimum=0,
    )

    def __post_init__(self) -> None:
        check(self)


class Measures(NamedTuple):
    """What is looked at, each under the name of its reason; `found` is the share of the picture."""

    found: float
    unstable: float
    soft: float
    parts: int
    holes: float
    borders: int
    low_contrast: float
    cut: float


def reasons(picture: Picture, masks: Sequence[Any], suspicion: Suspicion) -> List[str]:
    """Why the masks may be wrong; see `measured` and `doubts`."""
    return doubts(measured(picture, masks), suspicion)


def measured(picture: Picture, masks: Sequence[Any]) -> Measures:
    """What the thresholds are held against, of masks taken together.

    Args:
      picture: of any mode.
      masks: of its size, uint8 [height, width] or mode L.
    """
    return measures(*_on_a_grid(picture, masks))


def doubts(found: Measures, suspicion: Suspicion) -> List[str]:
    """The reasons that hold, in the order of `REASONS`."""
    if found.found < suspicion.suspect_nothing:
        return ["nothing"]
    holds = {
        "everything": found.found > suspicion.suspect_everything,
        "unstable": found.unstable < suspicion.suspect_unstable,
        "soft": found.soft > suspicion.suspect_soft,
        "parts": found.parts > suspicion.suspect_parts,
        "holes": found.holes > suspicion.suspect_holes,
        "borders": found.borders >= suspicion.suspect_borders,
        "low_contrast": found.low_contrast < suspicion.suspect_low_contrast,
        "cut": found.cut > suspicion.suspect_cut,
    }
    return [name for name in REASONS if holds.get(name)]


def measures(colours: Any, mask: Any) -> Measures:
    """The same of a grid.

    Args:
      colours: the grid's points of the picture, uint8 [height, width, 3].
      mask: those of the mask, uint8 [height, width].
    """
    counts = _count(colours, mask)
    area, across = max(counts.half, 1), counts.across / max(counts.edges, 1)
    beside = counts.beside / max(counts.others, 1)
    return Measures(
        found=counts.half / mask.size,
        unstable=counts.high / max(counts.low, 1),
        soft=(counts.some - counts.full) / max(counts.some, 1),
        parts=counts.parts,
        holes=counts.holes / (area + counts.holes),
        borders=counts.borders,
        low_contrast=across / max(beside, 1),
        cut=counts.flat / area**0.5,
    )


def _count(colours: Any, mask: Any) -> grid.Counts:
    fast = twin.fast()
    if fast is not None:
        return grid.Counts(*fast(colours, mask))
    with twin.slowly():
        return grid.count(colours, mask)


def _load() -> Optional[Callable[[Any, Any], Tuple[int, ...]]]:
    """The loops, if they count what NumPy counts."""
    from ..fast import grid_kernels

    colours = np.random.default_rng(0).integers(0, 256, (61, 45, 3), np.uint8)
    masks = [np.ascontiguousarray(colours[..., 0]), np.repeat(colours[::8, :, 0], 8, 0)[:61]]
    equal = all(grid_kernels.count(colours, mask) == grid.count(colours, mask) for mask in masks)
    return grid_kernels.count if equal else None


twin = Twin("masks are doubted", _load)


def _on_a_grid(picture: Picture, masks: Sequence[Any]) -> Tuple[Any, Any]:
    """The points of a picture, and the highest of its masks there."""
    width, height = picture.size
    step = -(-max(width, height) // SIDE)
    points = tuple(slice(min(step, side) // 2, None, step) for side in (height, width))
    found = functools.reduce(np.maximum, [np.asarray(mask)[points] for mask in masks])
    if picture.is_opaque_rgb:
        colours = picture.pixels[points]
    else:  # of other modes all pixels would be converted
        size = (found.shape[1], found.shape[0])
        colours = np.asarray(picture.image.resize(size, Image.Resampling.NEAREST).convert("RGB"))
    for axis in (0, 1):  # neighbours there must be
        if found.shape[axis] == 1:
            found, colours = found.repeat(2, axis), colours.repeat(2, axis)
    return colours, found
