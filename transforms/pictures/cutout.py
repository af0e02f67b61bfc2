"""A picture, its masks and options -> what `rembg.remove` makes of them.

rembg itself does rembg's work: its `remove` is called with a session that gives those masks,
so that every option and later version behaves as rembg does, pixel for pixel. A mask alone needs
nothing more, and the plain cutout of an RGB picture has an equal, faster twin (`plain`). What the
outputs of a picture are made of is made once, and only if one of them asks for it.

Fails with what rembg raises, but for pictures that pymatting refuses: those get their edges by the
next simpler way.
"""

from dataclasses import replace
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

import numpy as np
from PIL import Image

from ..fast import plain
from . import foreground
from .options import RemoveOptions
from .picture import Picture, once
from .shadow import Cast, Shadow, cast, with_shadow
from .trimap import TrimapWidths, of_mask

# Modes that rembg itself makes RGB of, or takes as they are, before pymatting sees them.
_MATTED = ("RGB", "RGBA", "CMYK")

Vitmatte = Callable[[str], Any]

TRIMAP_WIDTHS, NO_SHADOW = TrimapWidths(), Shadow()


class Materials:
    """What the outputs of a picture are made of, for one mask, or several that are one output's.

    Args:
      picture: of any mode, upright.
      masks: that the model found, of the picture's size: uint8 [height, width] or mode L.
      options: this picture's.
      vitmatte: a variant of ViTMatte -> onnxruntime's session; None for rembg's own.
      trimap: how wide the unsure band of a trimap is.
      shadow: what shadow the subject throws.
    """

    def __init__(
        self,
        picture: Picture,
        masks: Sequence[Any],
        options: RemoveOptions,
        vitmatte: Optional[Vitmatte] = None,
        trimap: TrimapWidths = TRIMAP_WIDTHS,
        shadow: Shadow = NO_SHADOW,
    ) -> None:
        self.picture = picture
        self.options = options
        # How soft edges were made, "alpha_matting", "vitmatte" or "decontaminate"; None if they are
        # the mask's, or no cutout was made.
        self.matting: Optional[str] = None
        self._masks = masks
        self._vitmatte = vitmatte
        self._trimap = trimap
        self._shadow = shadow
        shows = {each.shows for each in options.requested()}
        self._makes_mask = bool(shows & {"mask", "trimap"})
        self._makes_alpha = "alpha" in shows

    @once
    def mask(self) -> Any:
        """The mask as rembg gives it; several one above the other."""
        import rembg

        if len(self._masks) == 1 and not self.options.post_process_mask:
            return np.asarray(self._masks[0])
        asked = {"only_mask": True, "post_process_mask": self.options.post_process_mask}
        more = {**self.options.extras, **asked, "session": _Predicted(self._masks)}
        return rembg.remove(self.picture.image, **more)

    @once
    def trimap(self) -> Any:
        """What matting has to find out, uint8 [height, width]."""
        mask = as_image(self.mask).convert("L")  # rembg stacks several as RGBA
        return of_mask(np.asarray(mask), self._trimap)

    @once
    def cutout(self) -> Any:
        """The cutout as rembg gives it, over its shadow if there is one."""
        color = self.options.bgcolor
        if not self._shadow.shadow and (color is None or not self._makes_alpha):
            return self._removed(self.options)
        shown = as_image(self.transparent).convert("RGBA")
        if self._shadow.shadow:
            shown = with_shadow(shown, self._shadow)
        if color is None:
            return shown
        from rembg.bg import apply_background_color

        return apply_background_color(shown, color)

    @once
    def transparent(self) -> Any:
        """The cutout alone, without what `bgcolor` and a shadow put behind it."""
        if self.options.bgcolor is None and not self._shadow.shadow:
            return self.cutout
        return self._removed(replace(self.options, bgcolor=None))

    @once
    def layer(self) -> Any:
        """The cutout alone, to be framed; what goes before a colour keeps the picture's own."""
        before_color = self.options.bgcolor is not None and len(self._masks) == 1
        if before_color and keeps_colours(self.picture, self.options):
            return np.dstack([self.picture.pixels, self.mask])
        return self.transparent

    @once
    def cast(self) -> Optional[Cast]:
        """The shadow alone, as far as it reaches; None if there is none."""
        return cast(self.alpha, self._shadow) if self._shadow.shadow else None

    @property
    def alpha(self) -> Any:
        """The opacity of the cutout, uint8 [height, width]."""
        cutout = self.transparent
        if isinstance(cutout, plain.PlainCutout):
            return cutout.alpha
        return np.asarray(as_image(cutout).getchannel("A"))

    def _removed(self, options: RemoveOptions) -> Any:
        masks = self._masks
        if self._makes_mask and options.post_process_mask and len(masks) == 1:  # once, for both
            masks, options = [self.mask], replace(options, post_process_mask=False)
        removed, self.matting = _removed(self.picture, masks, options, self._vitmatte)
        return removed


def keeps_colours(picture: Picture, options: RemoveOptions) -> bool:
    """Whether `putalpha` makes the cutout that belongs before a background.

    The plain one's colours are darker where it is less opaque, which shows as a dark line. Of a
    picture with transparency of its own, `putalpha` would drop that.
    """
    if not options.makes_cutout() or options.uses_pymatting():
        return False
    return picture.is_opaque


def as_image(picture: Any) -> Image.Image:
    """An image of Pillow's, of what may be an array."""
    if isinstance(picture, Image.Image):
        return picture
    return Image.fromarray(np.asarray(picture))


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
    """The cutout, and how its soft edges were made."""
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
