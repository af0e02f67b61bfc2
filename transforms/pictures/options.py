"""What is asked for of a picture: rembg's arguments under rembg's names, and bounds of our own.

In: arguments. Out: `RemoveOptions`. Fails with `ValueError` for values out of range, and for
combinations of which rembg would silently drop a part.
"""

import json
from dataclasses import dataclass, field, fields, replace
from typing import Any, Dict, Mapping, Optional, Set, Tuple

from . import prompts

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
)

# What rembg knows nothing of.
_OWN_SWITCHES = ("stack_masks", "to_srgb")

_BOUNDS = ("alpha_matting_max_pixels", "empty_mask", "empty_mask_peak")

EMPTY_MASK_CHOICES = ("write", "skip", "fail")

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
      to_srgb: convert pictures that have an ICC profile to sRGB by it, in place of rembg's way,
        which takes levels as they are; those whose profile is damaged, or of other colours than
        theirs, go that way all the same. Outputs have no profile then.
      alpha_matting_max_pixels: above so many pixels `decontaminate` takes the place of
        `alpha_matting`, whose time and memory grow faster than the picture. Raise it if you have
        minutes and gigabytes for each picture.
      empty_mask: what becomes of a picture in which the model found nothing: "write" it, as rembg
        does, "skip" it, or let it "fail".
      empty_mask_peak: a map whose peak is lower, or that is flat, is such; 0 to 1.
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
    to_srgb: bool = False
    alpha_matting_max_pixels: int = 2_000_000
    empty_mask: str = "write"
    empty_mask_peak: float = 0.1
    extras: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "extras", dict(self.extras))
        if self.bgcolor is not None:
            object.__setattr__(self, "bgcolor", _color(self.bgcolor))
        self._refuse_what_rembg_would_drop()
        self._check_thresholds()
        self._check_bounds()
        own = sorted(_option_names() & set(self.extras))
        if own:
            raise ValueError(
                f"extras holds {', '.join(own)}: give options as options, --{own[0]}, or in a "
                "picture's own extras"
            )
        _check_extras(self.extras)

    def is_opaque(self) -> bool:
        """Whether every pixel of the result is opaque, as JPEG needs it."""
        return self.only_mask or (self.bgcolor is not None and self.bgcolor[3] == 255)

    def uses_pymatting(self) -> bool:
        """Whether rembg estimates colours of the foreground, with pymatting."""
        return not self.only_mask and (self.alpha_matting or self.decontaminate or self.vitmatte)

    def is_plain(self) -> bool:
        """Whether nothing but the plain cutout is asked for."""
        return not any(getattr(self, name) for name in (*_SWITCHES, "bgcolor"))

    def is_mask_alone(self) -> bool:
        """Whether the mask is asked for as the model gave it."""
        return self.only_mask and not self.post_process_mask

    def matting(self) -> Optional[str]:
        """The option that makes soft edges; None without one."""
        for name in ("vitmatte", "alpha_matting", "decontaminate"):
            if getattr(self, name):
                return None if self.only_mask else name
        return None

    def bytes_per_pixel(self) -> int:
        """About what a picture takes in work, decoded, cut out and encoded; measured."""
        if self.only_mask or not self.uses_pymatting():
            return 28 if self.is_plain() or self.is_mask_alone() else 40
        return 1200 if self.alpha_matting else 170

    def bounded(self, size: Tuple[int, int]) -> "RemoveOptions":
        """These options, `decontaminate` for `alpha_matting` if (width, height) is too large."""
        if self.alpha_matting and size[0] * size[1] > self.alpha_matting_max_pixels:
            return self.without_matting(decontaminate=True)
        return self

    def without_matting(self, decontaminate: bool = False) -> "RemoveOptions":
        """These options without what makes soft edges, or with `decontaminate` alone."""
        changed: Dict[str, Any] = {
            **_THRESHOLDS,
            **dict.fromkeys(("alpha_matting", "vitmatte"), False),
            "vitmatte_model": None,
            "decontaminate": decontaminate and not self.putalpha,
        }
        return replace(self, **changed)

    def arguments(self) -> Dict[str, Any]:
        """The keyword arguments for `rembg.remove` that differ from its defaults."""
        ours = ("extras", *_OWN_SWITCHES, *_BOUNDS)
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
        for name in (*_SWITCHES, *_OWN_SWITCHES):
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

    def _check_bounds(self) -> None:
        most = self.alpha_matting_max_pixels
        if not isinstance(most, int) or most < 0:
            raise ValueError(f"alpha_matting_max_pixels={most!r} must be a count of pixels")
        if self.empty_mask not in EMPTY_MASK_CHOICES:
            raise ValueError(
                f"empty_mask={self.empty_mask!r} must be one of {', '.join(EMPTY_MASK_CHOICES)}"
            )
        peak = self.empty_mask_peak
        if not isinstance(peak, (int, float)) or not 0 <= peak <= 1:
            raise ValueError(f"empty_mask_peak={peak!r} must be a number from 0 to 1")

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
    prompts.check(extras, _option_names())
    try:
        json.dumps(dict(extras))
    except TypeError as error:
        raise ValueError(f"extras={extras!r} must be what JSON can hold: {error}") from error
