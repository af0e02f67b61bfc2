"""What is asked for of a picture: rembg's arguments under rembg's names, and bounds of our own.

In: arguments. Out: `RemoveOptions`. Fails with `ValueError` for values out of range, and for
combinations of which rembg would silently drop a part.
"""

import functools
import json
from dataclasses import dataclass, replace
from typing import Any, Dict, Mapping, Optional, Sequence, Set, Tuple, Union

from ..setting import check, documented, setting, settings_of
from . import prompts, requested
from .requested import SHOWS, Output

VITMATTE_MODELS = (
    "small-distinctions-646",
    "small-composition-1k",
    "base-distinctions-646",
    "base-composition-1k",
)

_THRESHOLDS = (
    "alpha_matting_foreground_threshold",
    "alpha_matting_background_threshold",
    "alpha_matting_erode_size",
)

_OF_CUTOUTS = ("bgcolor", "putalpha", "decontaminate", "alpha_matting", "vitmatte")

_SWITCHES = (
    *("only_mask", "post_process_mask", "putalpha", "alpha_matting", "decontaminate", "vitmatte"),
)

# What rembg knows nothing of.
_OURS = (
    *("outputs", "extras", "stack_masks", "to_srgb"),
    *("alpha_matting_max_pixels", "empty_mask", "empty_mask_peak"),
)

EMPTY_MASK_CHOICES = ("write", "skip", "fail")

_NOT_EXTRAS = {"data", "session", "force_return_bytes", "model_path", "providers", "sess_opts"}


@documented
@dataclass(frozen=True, kw_only=True)
class RemoveOptions:
    """The arguments of `rembg.remove`, by its names and with its defaults."""

    only_mask: bool = setting(False, "write the mask in place of the cutout", more="of mode L")
    outputs: Optional[Tuple[Union[str, Output], ...]] = setting(
        None,
        "what is made of a picture, of several each with its name before the suffix "
        "(a.jpg.cutout.png, a.jpg.mask.png), from one run of the model; with a longest side and a "
        "format of its own: cutout512.webp; default: the cutout",
        more="in a file mappings too, and in Python `Output` records; the mask is what `only_mask` "
        "makes, and alone it is `only_mask`",
        kind="outputs",
        rule=requested.RULE,
    )
    post_process_mask: bool = setting(
        False, "open, blur and binarise the mask", more="at 127, of 255"
    )
    putalpha: bool = setting(False, "keep the picture's colours under transparency")
    bgcolor: Optional[Tuple[int, int, int, int]] = setting(
        None, "a background: a colour name, #rrggbb, or R G B [A] from 0 to 255", kind="color"
    )
    alpha_matting: bool = setting(
        False, "soft edges by alpha matting; takes minutes for large pictures"
    )
    alpha_matting_foreground_threshold: int = setting(
        240, "mask levels above it are surely foreground", minimum=0, maximum=255
    )
    alpha_matting_background_threshold: int = setting(
        10, "mask levels below it are surely background", minimum=0, maximum=255
    )
    alpha_matting_erode_size: int = setting(
        10,
        "pixels by which both are shrunk",
        more="the width of the unsure band between the two",
        minimum=0,
        maximum=1000,
    )
    alpha_matting_max_pixels: int = setting(
        2_000_000,
        "above so many pixels --decontaminate takes its place; default 2000000; each megapixel "
        "more takes minutes and a gigabyte",
        minimum=0,
        rule="a count of pixels",
    )
    decontaminate: bool = setting(False, "take the old background's colour out of soft edges")
    vitmatte: bool = setting(
        False,
        "soft edges by the ViTMatte model, which rembg downloads",
        more="uses the thresholds too",
    )
    vitmatte_model: Optional[str] = setting(
        None, "which ViTMatte", more="default: rembg's", choices=VITMATTE_MODELS
    )
    empty_mask: str = setting(
        "write",
        "what becomes of a picture in which the model found nothing",
        more="`write` is what rembg does",
        choices=EMPTY_MASK_CHOICES,
    )
    empty_mask_peak: float = setting(
        0.1,
        "it found nothing where its map, 0 to 1, has no higher peak",
        more="or where the map is flat",
        minimum=0,
        maximum=1,
    )
    stack_masks: bool = setting(
        False,
        "u2net_cloth_seg: rembg's one tall picture in place of three",
        more="so of every model with several masks, one above the other",
    )
    to_srgb: bool = setting(
        False,
        "convert pictures with an ICC profile to sRGB by it; outputs have none then",
        more="rembg takes levels as they are, and so are taken those whose profile is damaged, or "
        "of other colours than theirs",
    )
    extras: Mapping[str, Any] = setting(
        None,
        "a JSON object of further arguments for the model, such as a sam_prompt",
        more="in Python a mapping: `sam_prompt`, a list of marks; `cloth_category`",
        kind="json",
    )

    def __post_init__(self) -> None:
        check(self)
        object.__setattr__(self, "extras", dict({} if self.extras is None else self.extras))
        if self.bgcolor is not None:
            object.__setattr__(self, "bgcolor", _color(self.bgcolor))
        if self.outputs is not None:
            self._settle_outputs()
        self._refuse_what_rembg_would_drop()
        self._check_thresholds()
        own = sorted(_option_names() & set(self.extras))
        if own:
            raise ValueError(
                f"extras holds {', '.join(own)}: give options as options, --{own[0]}, or in a "
                "picture's own extras"
            )
        _check_extras(self.extras)

    def requested(self) -> Tuple[Output, ...]:
        """What is made of a picture, in order."""
        return self._requested

    @functools.cached_property
    def _requested(self) -> Tuple[Output, ...]:
        asked = ("mask",) if self.only_mask else self.outputs or ("cutout",)
        return requested.in_order(asked)

    def made(self) -> Tuple[str, ...]:
        """The names of what is made.

        >>> RemoveOptions().made(), RemoveOptions(outputs=("mask", "cutout512")).made()
        (('cutout',), ('cutout512', 'mask'))
        """
        return tuple(each.name for each in self.requested())

    def makes_cutout(self) -> bool:
        """Whether anything is made of the cutout, and not of the mask alone."""
        return any(SHOWS[each.shows].of_cutout for each in self.requested())

    def is_opaque(self, output: Output) -> bool:
        """Whether every pixel of an output is opaque, as JPEG needs it."""
        return output.is_grey or (self.bgcolor is not None and self.bgcolor[3] == 255)

    def uses_pymatting(self) -> bool:
        """Whether rembg estimates colours of the foreground, with pymatting."""
        is_soft = self.alpha_matting or self.decontaminate or self.vitmatte
        return is_soft and self.makes_cutout()

    def is_plain(self) -> bool:
        """Whether nothing but the plain cutout is asked for."""
        return self._is_plain

    @functools.cached_property
    def _is_plain(self) -> bool:
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
        """About what a picture takes in work, decoded, cut out and encoded; measured.

        Files of further outputs are held until all are made; what frames take is told by `frames`.

        >>> RemoveOptions(outputs=("cutout", "mask", "alpha")).bytes_per_pixel()
        30
        """
        more = sum(1 if each.is_grey else 6 for each in self.requested()[1:])
        if not self.uses_pymatting():
            return more + (28 if self.is_plain() or self.is_mask_alone() else 40)
        return more + (1200 if self.alpha_matting else 170)

    def bounded(self, size: Tuple[int, int]) -> "RemoveOptions":
        """These options, `decontaminate` for `alpha_matting` if (width, height) is too large."""
        if self.alpha_matting and size[0] * size[1] > self.alpha_matting_max_pixels:
            return self.without_matting(decontaminate=True)
        return self

    def without_matting(self, decontaminate: bool = False) -> "RemoveOptions":
        """These options without what makes soft edges, or with `decontaminate` alone."""
        names = (*_THRESHOLDS, "alpha_matting", "vitmatte", "vitmatte_model")
        return replace(self, **_defaults(names), decontaminate=decontaminate and not self.putalpha)

    def arguments(self) -> Dict[str, Any]:
        """The keyword arguments for `rembg.remove` that differ from its defaults."""
        changed = {
            name: getattr(self, name)
            for name, option in settings_of(RemoveOptions).items()
            if name not in _OURS and getattr(self, name) != option.default
        }
        return {**self.extras, **changed}

    def with_extras(self, extras: Mapping[str, Any]) -> "RemoveOptions":
        """These options with a picture's own over them: options by name, the rest for the model.

        Of a picture that asks for no cutout the run's options of cutouts are no matter, as rembg
        leaves a mask as it is.

        >>> RemoveOptions(putalpha=True).with_extras({"putalpha": False}).putalpha
        False
        """
        names = _option_names()
        own = {name: value for name, value in extras.items() if name in names}
        if "outputs" in own or own.get("only_mask"):
            own = {"outputs": None, "only_mask": False, **own}
        if own.get("outputs") is not None:
            own["outputs"] = requested.of_picture(own["outputs"], self.requested())
        made = ("mask",) if own.get("only_mask") else own.get("outputs")
        if made and not any(SHOWS[each.shows].of_cutout for each in requested.in_order(made)):
            own = {**_defaults((*_OF_CUTOUTS, *_THRESHOLDS, "vitmatte_model")), **own}
        model = {name: value for name, value in extras.items() if name not in names}
        return replace(self, **own, extras={**self.extras, **model})

    def _settle_outputs(self) -> None:
        """Brings them into one order and form, and writes the mask alone in one way."""
        try:
            ordered = tuple(each.short() for each in requested.in_order(self.outputs))
        except ValueError as error:
            raise ValueError(f"outputs={self.outputs!r} {error}") from error
        is_mask = ordered == ("mask",)
        if self.only_mask and not is_mask:
            raise ValueError(
                f"only_mask with outputs={','.join(map(str, ordered))} makes no sense: only_mask "
                "gives the mask alone; leave it out, or outputs"
            )
        object.__setattr__(self, "only_mask", is_mask)
        object.__setattr__(self, "outputs", None if is_mask else ordered)

    def _refuse_what_rembg_would_drop(self) -> None:
        if not self.makes_cutout():
            self._refuse_with(
                "only_mask" if self.only_mask else f"outputs={','.join(self.made())}",
                _OF_CUTOUTS,
                "gives the mask itself, which they would not touch",
            )
        rules = {
            "vitmatte": (
                ("alpha_matting", "decontaminate"),
                "replaces the one and includes the other",
            ),
            "alpha_matting": (("decontaminate", "putalpha"), "makes its own foreground colours"),
            "putalpha": (("decontaminate",), "keeps the colours that this would change"),
        }
        for option, (others, why) in rules.items():
            if getattr(self, option):
                self._refuse_with(option, others, why)
        if self.vitmatte_model is not None and not self.vitmatte:
            raise ValueError("vitmatte_model needs vitmatte=True")

    def _refuse_with(self, option: str, others: Tuple[str, ...], why: str) -> None:
        if both := " and ".join(name for name in others if getattr(self, name)):
            raise ValueError(f"{option} with {both} makes no sense: {option} {why}")

    def _check_thresholds(self) -> None:
        for name in _THRESHOLDS:
            is_given = getattr(self, name) != settings_of(RemoveOptions)[name].default
            if is_given and not (self.alpha_matting or self.vitmatte):
                raise ValueError(f"{name} needs alpha_matting=True or vitmatte=True")
        foreground = self.alpha_matting_foreground_threshold
        background = self.alpha_matting_background_threshold
        if background >= foreground:
            raise ValueError(
                f"alpha_matting_background_threshold={background} must be below "
                f"alpha_matting_foreground_threshold={foreground}"
            )


def _defaults(names: Sequence[str]) -> Dict[str, Any]:
    return {name: settings_of(RemoveOptions)[name].default for name in names}


def _option_names() -> Set[str]:
    return set(settings_of(RemoveOptions)) - {"extras"}


def _color(color: Any) -> Tuple[int, int, int, int]:
    levels = tuple(color)
    if len(levels) == 3:
        levels = (*levels, 255)
    if len(levels) != 4 or not all(isinstance(x, int) and 0 <= x <= 255 for x in levels):
        raise ValueError(f"bgcolor={color!r} must be four integers (R, G, B, A) from 0 to 255")
    return levels


def _check_extras(extras: Mapping[str, Any]) -> None:
    clash = sorted(_NOT_EXTRAS & set(extras))
    if clash:
        raise ValueError(f"extras holds {', '.join(clash)}, which the session config decides")
    prompts.check(extras, _option_names())
    try:
        json.dumps(extras)
    except TypeError as error:
        raise ValueError(f"extras={extras!r} must be what JSON can hold: {error}") from error
