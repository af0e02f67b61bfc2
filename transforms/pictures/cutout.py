"""A picture, its masks and options -> what `rembg.remove` makes of them.

rembg itself does rembg's work: `cut_out` calls its `remove` with a session that gives those masks,
so that every option and later version behaves as rembg does, pixel for pixel. A mask alone needs
nothing more, and the plain cutout of an RGB picture has an equal, faster twin (`plain`). Of a model
with several masks (the cloth model) each is cut out by itself.

`cut_out` raises what rembg raises, but for pictures that pymatting refuses: those get their
edges by the next simpler way.
"""

from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np
from PIL import Image

from ..fast import plain
from . import foreground
from .options import RemoveOptions
from .picture import Picture

# Modes that rembg itself makes RGB of, or takes as they are, before pymatting sees them.
_MATTED = ("RGB", "RGBA", "CMYK")

Vitmatte = Callable[[str], Any]


class Result(NamedTuple):
    """What became of a picture.

    Attributes:
      pictures: of its size, by the suffix of their names: one with the suffix "", or one for each
        mask (".upper"). Arrays, uint8 [height, width] for a mask, [height, width, 4] for a cutout,
        or images of Pillow's.
      matting: how soft edges were made, "alpha_matting", "vitmatte" or "decontaminate"; None if
        they are the mask's.
    """

    pictures: Dict[str, Any]
    matting: Optional[str]


def part_suffixes(options: RemoveOptions, mask_names: Sequence[str]) -> Tuple[str, ...]:
    """What tells the results for a picture apart in their names, in the order of its masks.

    >>> part_suffixes(RemoveOptions(), ("upper", "lower"))
    ('.upper', '.lower')
    """
    if not mask_names or options.stack_masks:
        return ("",)
    category = options.extras.get("cc") or options.extras.get("cloth_category")
    return tuple(f".{name}" for name in ((category,) if category else mask_names))


def cut_out(
    picture: Picture,
    masks: Sequence[Any],
    options: RemoveOptions,
    *,
    mask_names: Sequence[str] = (),
    vitmatte: Optional[Vitmatte] = None,
) -> Result:
    """What `rembg.remove` makes of a picture whose masks are known.

    Args:
      picture: of any mode, upright.
      masks: that the model found, of the picture's size: uint8 [height, width] or mode L.
      options: this picture's.
      mask_names: of a model with several masks, in the order of its `predict`.
      vitmatte: a variant of ViTMatte -> onnxruntime's session; None for rembg's own.
    """
    suffixes = part_suffixes(options, mask_names)
    groups = [masks] if suffixes == ("",) else [[mask] for mask in masks]
    removed = [_removed(picture, group, options, vitmatte) for group in groups]
    pictures = {suffix: image for suffix, (image, _) in zip(suffixes, removed, strict=True)}
    return Result(pictures, removed[0][1])


class _Predicted:
    """A session whose masks are known."""

    def __init__(self, masks: Sequence[Any]) -> None:
        self.masks = [
            Image.fromarray(mask) if isinstance(mask, np.ndarray) else mask for mask in masks
        ]

    def predict(self, image: Image.Image, **arguments: Any) -> List[Image.Image]:
        return list(self.masks)


def _removed(
    picture: Picture,
    masks: Sequence[Any],
    options: RemoveOptions,
    vitmatte: Optional[Vitmatte],
) -> Tuple[Any, Optional[str]]:
    """The result, and how its soft edges were made."""
    if len(masks) == 1 and options.is_mask_alone():
        return np.asarray(masks[0]), None
    if len(masks) == 1 and options.is_plain() and picture.is_opaque_rgb:
        return _plain(picture, masks, options), None
    if not options.uses_pymatting():
        return _by_rembg(_with_alpha_to_come(picture.image, options), masks, options), None
    return _matted(picture, masks, options.bounded(picture.size), vitmatte)


def _plain(picture: Picture, masks: Sequence[Any], options: RemoveOptions) -> Any:
    fast = plain.twin.fast()
    if fast is not None:
        return fast(picture.pixels, np.asarray(masks[0]))
    with plain.twin.slowly():
        return _by_rembg(picture.image, masks, options)


def _matted(
    picture: Picture,
    masks: Sequence[Any],
    options: RemoveOptions,
    vitmatte: Optional[Vitmatte],
) -> Tuple[Any, Optional[str]]:
    """Soft edges as asked for; where pymatting refuses a picture, by the next simpler way."""
    image = _as_pymatting_takes_it(picture.image, options)
    for simpler in (options, options.without_matting(decontaminate=True)):
        removed, refused = foreground.remove(image, _arguments(masks, simpler), vitmatte)
        if removed is not None:
            # rembg itself goes on to decontaminate when alpha matting refuses.
            return removed, "decontaminate" if refused else simpler.matting()
    return _by_rembg(picture.image, masks, options.without_matting()), None


def _as_pymatting_takes_it(image: Image.Image, options: RemoveOptions) -> Image.Image:
    """Alpha matting takes three channels, for RGB; the others make them of any image but LA."""
    if options.alpha_matting and image.mode not in _MATTED:
        return image.convert("RGB")
    return image.convert("L") if image.mode == "LA" else image


def _with_alpha_to_come(image: Image.Image, options: RemoveOptions) -> Image.Image:
    """Greys with `putalpha` would become LA, which rembg can't put a `bgcolor` behind."""
    if options.putalpha and options.bgcolor is not None and image.mode in ("L", "LA", "1"):
        return image.convert("RGB")
    return image


def _by_rembg(image: Image.Image, masks: Sequence[Any], options: RemoveOptions) -> Any:
    import rembg

    return rembg.remove(image, **_arguments(masks, options))


def _arguments(masks: Sequence[Any], options: RemoveOptions) -> Dict[str, Any]:
    return {**options.arguments(), "session": _Predicted(masks)}
