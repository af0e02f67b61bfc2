"""An image, a session and options -> what `rembg.remove` makes of them.

rembg itself does rembg's work: `cut_out` calls it for one picture, so that every model, option and
later version behaves as rembg does, pixel for pixel. Of a model with several masks (the cloth
model) it runs the model once and calls `rembg.remove` for each mask. `RemoveOptions` holds its
arguments under rembg's names and refuses, with `ValueError`, combinations of which rembg would
silently drop a part. `cut_out` raises what rembg raises.
"""

import json
from dataclasses import dataclass, field, fields, replace
from typing import Any, Dict, List, Mapping, Optional, Sequence, Set, Tuple

from PIL import Image

from . import foreground, prompts

VITMATTE_MODELS = (
    "small-distinctions-646",
    "small-composition-1k",
    "base-distinctions-646",
    "base-composition-1k",
)

_THRESHOLDS = {
    "alpha_matting_foreground_threshold": 240,
    "alpha_matting_background_threshold": 10,
    "alpha_matting_erode_size": 10,
}

_SWITCHES = (
    *("only_mask", "post_process_mask", "putalpha", "alpha_matting", "decontaminate", "vitmatte"),
    "stack_masks",
)

_NOT_EXTRAS = {"data", "session", "force_return_bytes", "model_path", "providers", "sess_opts"}


@dataclass(frozen=True, kw_only=True)
class RemoveOptions:
    """The arguments of `rembg.remove`, by its names and with its defaults.

    Attributes:
      only_mask: the mask (mode L) in place of the cutout.
      post_process_mask: open, blur and binarise the mask at 127.
      putalpha: keep the colours of the whole picture and only set its alpha.
      bgcolor: RGBA, each 0 to 255, put behind the cutout.
      alpha_matting: soft edges by closed-form matting; minutes for large pictures.
      alpha_matting_foreground_threshold: mask levels above it are surely foreground, 0 to 255.
      alpha_matting_background_threshold: mask levels below it are surely background, 0 to 255.
      alpha_matting_erode_size: width in pixels of the unsure band between the two.
      decontaminate: estimate the colours of soft edges without the old background.
      vitmatte: soft edges by the ViTMatte model, which rembg downloads; uses the thresholds too.
      vitmatte_model: which ViTMatte, one of `VITMATTE_MODELS`; None for rembg's default.
      stack_masks: of a model with several masks rembg's own tall picture, one above the other.
      extras: further keyword arguments for the model, as a mapping: `sam_prompt`, a list of marks;
        `cloth_category`, one of upper, lower, full, attire.
    """

    only_mask: bool = False
    post_process_mask: bool = False
    putalpha: bool = False
    bgcolor: Optional[Tuple[int, int, int, int]] = None
    alpha_matting: bool = False
    alpha_matting_foreground_threshold: int = 240
    alpha_matting_background_threshold: int = 10
    alpha_matting_erode_size: int = 10
    decontaminate: bool = False
    vitmatte: bool = False
    vitmatte_model: Optional[str] = None
    stack_masks: bool = False
    extras: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "extras", dict(self.extras))
        if self.bgcolor is not None:
            object.__setattr__(self, "bgcolor", _color(self.bgcolor))
        self._refuse_what_rembg_would_drop()
        self._check_thresholds()
        own = sorted(_option_names() & set(self.extras))
        if own:
            raise ValueError(f"extras holds {', '.join(own)}: give options as options")
        _check_extras(self.extras)

    def is_opaque(self) -> bool:
        """Whether every pixel of the result is opaque, as JPEG needs it."""
        return self.only_mask or (self.bgcolor is not None and self.bgcolor[3] == 255)

    def uses_pymatting(self) -> bool:
        """Whether rembg estimates foreground colours, with numba's threads."""
        return not self.only_mask and (self.alpha_matting or self.decontaminate or self.vitmatte)

    def arguments(self) -> Dict[str, Any]:
        """The keyword arguments for `rembg.remove` that differ from its defaults."""
        ours = ("extras", "stack_masks")
        changed = {
            option.name: getattr(self, option.name)
            for option in fields(self)
            if option.name not in ours and getattr(self, option.name) != option.default
        }
        return {**self.extras, **changed}

    def with_extras(self, extras: Mapping[str, Any]) -> "RemoveOptions":
        """These options with a picture's own over them: options by name, the rest for the model.

        >>> RemoveOptions(putalpha=True).with_extras({"putalpha": False}).putalpha
        False
        """
        names = _option_names()
        own = {name: value for name, value in extras.items() if name in names}
        model = {name: value for name, value in extras.items() if name not in names}
        return replace(self, **own, extras={**self.extras, **model})

    def _refuse_what_rembg_would_drop(self) -> None:
        for name in _SWITCHES:
            if not isinstance(getattr(self, name), bool):
                raise ValueError(f"{name}={getattr(self, name)!r} must be True or False")
        rules = {
            "only_mask": (
                ("bgcolor", "putalpha", "decontaminate", "alpha_matting", "vitmatte"),
                "gives the mask itself, which they would not touch",
            ),
            "vitmatte": (
                ("alpha_matting", "decontaminate"),
                "replaces the one and includes the other",
            ),
            "alpha_matting": (("decontaminate", "putalpha"), "makes its own foreground colours"),
            "putalpha": (("decontaminate",), "keeps the colours that this would change"),
        }
        for option, (others, why) in rules.items():
            both = [name for name in others if getattr(self, name)]
            if getattr(self, option) and both:
                raise ValueError(
                    f"{option} with {' and '.join(both)} makes no sense: {option} {why}"
                )
        if self.vitmatte_model is not None and not self.vitmatte:
            raise ValueError("vitmatte_model needs vitmatte=True")

    def _check_thresholds(self) -> None:
        for name, default in _THRESHOLDS.items():
            value = getattr(self, name)
            top = 255 if name != "alpha_matting_erode_size" else 1000
            if not isinstance(value, int) or not 0 <= value <= top:
                raise ValueError(f"{name}={value!r} must be an integer from 0 to {top}")
            if value != default and not (self.alpha_matting or self.vitmatte):
                raise ValueError(f"{name} needs alpha_matting=True or vitmatte=True")
        foreground = self.alpha_matting_foreground_threshold
        background = self.alpha_matting_background_threshold
        if background >= foreground:
            raise ValueError(
                f"alpha_matting_background_threshold={background} must be below "
                f"alpha_matting_foreground_threshold={foreground}"
            )
        if self.vitmatte_model not in (None, *VITMATTE_MODELS):
            raise ValueError(
                f"vitmatte_model={self.vitmatte_model!r} must be one of "
                f"{', '.join(VITMATTE_MODELS)}"
            )


def cut_out(
    image: Image.Image,
    session: Any,
    options: RemoveOptions,
    extras: str = "{}",
    *,
    mask_names: Sequence[str] = (),
) -> Dict[str, Image.Image]:
    """`rembg.remove` of an image.

    Args:
      image: of any mode, upright.
      session: a rembg session; its `predict` may be called by many threads.
      options: for every picture.
      extras: for this picture, a JSON object.
      mask_names: of a model with several masks, in the order of its `predict`.

    Returns:
      Pictures of the image's size by the suffix of their names, RGBA, or mode L with `only_mask`:
      one with the suffix "", or one for each mask (".upper").
    """
    options = options.with_extras(json.loads(extras))
    if not mask_names or options.stack_masks:
        return {"": _remove(image, session, options)}
    category = options.extras.get("cc") or options.extras.get("cloth_category")
    names = (category,) if category else mask_names
    masks = session.predict(image, **options.extras)
    return {
        f".{name}": _remove(image, _Predicted(mask), options)
        for name, mask in zip(names, masks, strict=True)
    }


class _Predicted:
    """A session whose mask is known."""

    def __init__(self, mask: Image.Image) -> None:
        self.mask = mask

    def predict(self, image: Image.Image, **arguments: Any) -> List[Image.Image]:
        return [self.mask]


def _remove(image: Image.Image, session: Any, options: RemoveOptions) -> Image.Image:
    import rembg

    if options.uses_pymatting():
        foreground.guard()
    return rembg.remove(image, session=session, **options.arguments())


def _option_names() -> Set[str]:
    return {option.name for option in fields(RemoveOptions)} - {"extras"}


def _color(color: Any) -> Tuple[int, int, int, int]:
    levels = tuple(color)
    if len(levels) == 3:
        levels = (*levels, 255)
    if len(levels) != 4 or not all(isinstance(x, int) and 0 <= x <= 255 for x in levels):
        raise ValueError(f"bgcolor={color!r} must be four integers (R, G, B, A) from 0 to 255")
    return levels


def _check_extras(extras: Any) -> None:
    if not isinstance(extras, Mapping):
        raise ValueError(f"extras={extras!r} must be keyword arguments, as a mapping")
    clash = sorted(_NOT_EXTRAS & set(extras))
    if clash:
        raise ValueError(f"extras holds {', '.join(clash)}, which the session config decides")
    prompts.check(extras)
    try:
        json.dumps(dict(extras))
    except TypeError as error:
        raise ValueError(f"extras={extras!r} must be what JSON can hold: {error}") from error
