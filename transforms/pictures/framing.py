"""Framing: how outputs are cropped, placed and sized -> each picture's `Frame`.

In: a picture's size, the box of its subject, and `Framing`. Out: the frame, in this order: the
subject with its margin, or the whole picture; in a shape, or on a canvas; at a size. `ValueError`
for settings out of range, and for those that would do nothing.
"""

import functools
import re
from dataclasses import dataclass, replace
from typing import Optional, Tuple

from PIL import ImageColor

from ..setting import check, documented, setting, settings_of
from ..store import uris
from . import geometry, lengths
from .geometry import ALIGNMENTS, Box, Frame

# Pixels of a side, as WebP holds them.
LARGEST_SIDE = 16_383

# Of a shape: one side may be so many times the other.
_WIDEST = 20

# Of the subject's longer side.
_MOST_PERCENT = 200

_PAIR = r"(\d+(?:\.\d+)?)\s*{}\s*(\d+(?:\.\d+)?)"


@documented
@dataclass(frozen=True, kw_only=True)
class Framing:
    """How outputs are framed: cutouts and masks alike; the row's `transform` says where to."""

    crop: Optional[str] = setting(
        None,
        "crop outputs to the subject, all that the mask has at 128 of 255 or more; default: the "
        "whole picture, as where the mask has none",
        choices=("subject",),
    )
    margin: Optional[str] = setting(
        None,
        "around the subject: 5% of its longer side, or pixels of the picture; default: none",
        more="it may reach beyond the picture, where outputs are transparent and masks 0",
        rule=f"a share from 0% to {_MOST_PERCENT}%, or pixels from 0 to {lengths.MOST_PIXELS}",
    )
    aspect: Optional[str] = setting(
        None,
        "the shape of outputs, width to height, such as 1:1 or 16:9",
        rule=f"two numbers, such as 16:9, of which one is at most {_WIDEST} times the other",
        metavar="W:H",
    )
    canvas: Optional[str] = setting(
        None,
        "the exact size of outputs, such as 1024x1024; pictures are scaled to it",
        more="smaller ones are enlarged",
        rule=f"two counts of pixels, such as 1024x1024, each from 1 to {LARGEST_SIDE}",
        metavar="WxH",
    )
    fit: Optional[str] = setting(
        None,
        "in a shape or on a canvas: contain shows all of the subject or picture, cover fills the "
        "shape and cuts off what is too much; default: contain",
        choices=("contain", "cover"),
    )
    align: Optional[str] = setting(
        None,
        "where in a shape or on a canvas the subject or picture lies; default: center",
        choices=tuple(ALIGNMENTS),
    )
    resize: Optional[int] = setting(
        None,
        "pixels of the longer side of outputs",
        more="smaller ones are enlarged",
        minimum=1,
        maximum=LARGEST_SIDE,
    )
    background: Optional[str] = setting(
        None,
        "a picture to put behind cutouts, scaled to fill them",
        more="a local path, an http(s) URL or a URI of Beam's FileSystems, read once per process; "
        "its own transparency is ignored",
        metavar="URI",
    )

    def __post_init__(self) -> None:
        lengths.settle(self, "margin", most_percent=_MOST_PERCENT)
        check(self)
        _ = self.shape, self.canvas_size
        if self.canvas and (self.aspect or self.resize):
            other = "aspect" if self.aspect else "resize"
            raise ValueError(f"canvas={self.canvas!r} says all of the size: leave out {other}")
        for name in ("fit", "align"):
            if getattr(self, name) and not (self.canvas or self.aspect):
                raise ValueError(f"{name}={getattr(self, name)!r} needs aspect or canvas")
        if self.background and _is_color(self.background):
            raise ValueError(
                f"background={self.background!r} is a colour, and a picture goes there: take "
                "bgcolor for a colour, or put ./ before the name of a file"
            )

    @functools.cached_property
    def shape(self) -> Optional[float]:
        """Width by height."""
        if self.aspect is None:
            return None
        width, height = map(float, self._parsed("aspect", re.compile(_PAIR.format(":"))))
        if not (width and height) or max(width / height, height / width) > _WIDEST:
            raise self._broken("aspect")
        return width / height

    @functools.cached_property
    def canvas_size(self) -> Optional[Tuple[int, int]]:
        """Width and height."""
        if self.canvas is None:
            return None
        texts = self._parsed("canvas", re.compile(_PAIR.format("[xX]")))
        if "." in "".join(texts) or not all(1 <= int(text) <= LARGEST_SIDE for text in texts):
            raise self._broken("canvas")
        return int(texts[0]), int(texts[1])

    @property
    def moves(self) -> bool:
        """Whether outputs are of other pixels than their pictures."""
        return bool(self.crop or self.aspect or self.canvas or self.resize)

    def without_secrets(self) -> "Framing":
        """As rows and records show it: the background's URI without passwords and signatures."""
        if not self.background:
            return self
        return replace(self, background=uris.without_secrets(self.background))

    def _parsed(self, name: str, pattern: "re.Pattern[str]") -> Tuple[str, ...]:
        match = pattern.fullmatch(getattr(self, name).strip())
        if not match:
            raise self._broken(name)
        return match.groups()

    def _broken(self, name: str) -> ValueError:
        rule = settings_of(Framing)[name].must_be()
        return ValueError(f"{name}={getattr(self, name)!r} must be {rule}")


def frame_of(
    size: Tuple[int, int],
    subject: Optional[Box],
    framing: Framing,
    *,
    longest: Optional[int] = None,
) -> Frame:
    """The frame of a picture.

    Args:
      size: its width and height.
      subject: the box of its subject; None if there is none, or it doesn't matter.
      framing: what is asked for.
      longest: pixels of the longer side, in place of `framing.resize`; a canvas is scaled to it.

    >>> frame = frame_of((400, 300), Box(100, 50, 200, 250), Framing(crop="subject", margin="10%"))
    >>> frame.size, frame.transform
    ((140, 240), [1.0, 0.0, -80.0, 0.0, 1.0, -30.0])
    """
    box = Box(0, 0, *size)
    if framing.crop and subject:
        box = subject.grown(round(lengths.pixels(framing.margin or "0", max(subject.size))))
    fit, align = framing.fit or "contain", framing.align or "center"
    longest = longest or framing.resize
    if framing.canvas_size:
        canvas = framing.canvas_size
        return geometry.placed(
            box, geometry.fitted(canvas, longest) if longest else canvas, fit, align
        )
    if framing.shape:
        box = box.resized(geometry.shaped(box.size, framing.shape, fit), align)
    return geometry.cropped(box, geometry.fitted(box.size, longest) if longest else box.size)


def most_pixels(size: Tuple[int, int], framing: Framing, *, longest: Optional[int] = None) -> int:
    """The pixels that the frame of a picture of (width, height) has at most, wherever its subject.

    >>> most_pixels((300, 200), Framing(resize=100)), most_pixels((300, 200), Framing(aspect="1:1"))
    (10000, 90000)
    """
    if side := longest or framing.resize:
        return side**2
    width, height = frame_of(size, Box(0, 0, *size), framing).size
    return width * height


def _is_color(text: str) -> bool:
    try:
        ImageColor.getrgb(text)
    except ValueError:
        return False
    return True
