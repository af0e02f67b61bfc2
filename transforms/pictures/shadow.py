"""Shadow: a cutout -> the cutout over a soft shadow.

In: a cutout, an image of mode RGBA. Out: another one, of the same size: black below the cutout, as
opaque as the shadow is dark; or of a mask the shadow alone, as `Cast`, for frames that show more
than the picture. `ValueError` for settings that go with nothing.

A contact shadow lies along the lower edge of the subject, as far as that is near the ground, its
lowest pixel. A subject that leaves the picture at its lower border stands on nothing that is seen,
and has none. A drop shadow is the subject's own shape, moved and softened, as on a wall behind it.
A whole cutout's shadow ends at the picture's border.
"""

import math
from dataclasses import dataclass
from typing import Any, NamedTuple, Optional, Tuple

import numpy as np
from PIL import Image

from ..fast.subject import FOREGROUND
from ..setting import check, documented, setting, settings_of
from . import lengths
from .options import RemoveOptions

SHADOWS = ("contact", "drop")

# About what a picture takes in work, decoded, cut out over its shadow and encoded; measured.
BYTES_PER_PIXEL = 40

# For a pixel of what is beyond the picture; measured.
_BEYOND = 8

# Of the subject's longer side: as high above its lowest pixel it still throws a contact shadow.
_LOW = 0.2

# A contact shadow lies on the ground: it softens so many times as far to the sides as down.
_FLAT = 1.8

# So many times as dark as a drop shadow: less light gets there.
_DARKER = 1.5

# Pixels of a blur's sigma that are enough: it is made small, blurred and enlarged.
_SIGMA = 6.0

# So many times its sigma from an edge nothing is left of a blur.
_SIGMAS = 3


@documented
@dataclass(frozen=True, kw_only=True)
class Shadow:
    """What shadow the subject throws, in outputs that show it; soft and black."""

    shadow: Optional[Tuple[str, ...]] = setting(
        None,
        "below the subject: contact where it stands, drop as on a wall behind it, or both",
        kind="choices",
        choices=SHADOWS,
    )
    shadow_strength: float = setting(
        0.4, "how dark it is, from 0 to 1 for black", minimum=0, maximum=1
    )
    shadow_blur: str = setting(
        "4%",
        "how far it softens: pixels, or a share of the subject's longer side",
        rule=lengths.RULE,
    )
    shadow_offset: str = setting(
        "3%",
        "how far a drop shadow is moved: pixels, or a share of the subject's longer side",
        rule=lengths.RULE,
    )
    shadow_angle: float = setting(
        90.0, "where to, in degrees: 0 right, 90 down, 180 left", minimum=-360, maximum=360
    )

    def __post_init__(self) -> None:
        if isinstance(self.shadow, str):
            object.__setattr__(self, "shadow", (self.shadow,))
        lengths.settle(self, "shadow_blur", "shadow_offset")
        check(self)
        for name, each in settings_of(Shadow).items():
            if not self.shadow and getattr(self, name) != each.default:
                raise ValueError(
                    f"{name}={getattr(self, name)!r} is of a shadow, and there is none: add "
                    "shadow, such as contact, or leave it out"
                )


def check_shadow(options: RemoveOptions, settings: Shadow) -> None:
    """Raises `ValueError` for a shadow that nothing would show."""
    if settings.shadow and not options.makes_cutout():
        raise ValueError(
            f"shadow with outputs={','.join(options.made())} makes no sense: it lies below the "
            "cutout; leave it out, or ask for the cutout"
        )
    if settings.shadow and options.putalpha:
        raise ValueError(
            "shadow with putalpha makes no sense: it is black where putalpha keeps the picture's "
            "colours; leave one of them out"
        )


class Cast(NamedTuple):
    """A shadow as far as it reaches.

    Attributes:
      opacity: uint8 [height, width], of the picture and of what is around it.
      beyond: pixels by which that is more than the picture, on each side.
    """

    opacity: Any
    beyond: int


def with_shadow(cutout: Image.Image, settings: Shadow) -> Image.Image:
    """The cutout, of mode RGBA, over its shadow."""
    return over(opacity(np.asarray(cutout.getchannel("A")), settings), cutout)


def over(opacity: Any, cutout: Image.Image) -> Image.Image:
    """The cutout, of mode RGBA, over black of an opacity, uint8 [height, width]."""
    ground = np.zeros((*opacity.shape, 4), np.uint8)
    ground[..., 3] = opacity
    return Image.alpha_composite(Image.fromarray(ground), cutout)


def cast(mask: Any, settings: Shadow) -> Cast:
    """The shadow of a mask, beyond its borders too."""
    height, width = mask.shape
    beyond = _reach((width, height), lengths.longer_side(mask), settings)
    return Cast(opacity(mask, settings, beyond), beyond)


def bytes_beyond(size: Tuple[int, int], settings: Shadow) -> int:
    """About what `cast` takes for what is around a picture of (width, height), at most.

    >>> bytes_beyond((100, 100), Shadow(shadow=("drop",)))
    31392
    """
    width, height = size
    beyond = 2 * _reach(size, max(size), settings)
    return _BEYOND * ((width + beyond) * (height + beyond) - width * height)


def opacity(mask: Any, settings: Shadow, beyond: int = 0) -> Any:
    """How opaque the shadow of a mask is, uint8 [height, width], below the subject too; with so
    many pixels more on each side."""
    side, kinds = lengths.longer_side(mask), settings.shadow or ()
    sigma = lengths.pixels(settings.shadow_blur, side) / 2
    stands = "contact" in kinds and not (mask[-1] >= FOREGROUND).any()
    mask = np.pad(mask, beyond) if beyond else mask
    found = np.zeros(mask.shape, np.uint8)
    if "drop" in kinds:
        found = _drop(mask, lengths.pixels(settings.shadow_offset, side), sigma, settings)
    if stands:
        found = np.maximum(found, _contact(mask, side, sigma, settings))
    return found


def _reach(size: Tuple[int, int], side: int, settings: Shadow) -> int:
    """Pixels by which the shadow of a subject with a longer side may leave a picture of (width,
    height): as many as the picture has at most, for lengths that make no sense."""
    moved = lengths.pixels(settings.shadow_offset, side)
    softened = _SIGMAS * lengths.pixels(settings.shadow_blur, side) / 2
    return min(math.ceil(moved + softened), max(size))


def _drop(mask: Any, offset: float, sigma: float, settings: Shadow) -> Any:
    import cv2

    angle = math.radians(settings.shadow_angle)
    right, down = offset * math.cos(angle), offset * math.sin(angle)
    moved = np.array([[1, 0, right], [0, 1, down]], np.float32)
    height, width = mask.shape
    shape = cv2.warpAffine(mask, moved, (width, height))
    return cv2.convertScaleAbs(_blurred(shape, sigma, sigma), alpha=settings.shadow_strength)


def _contact(mask: Any, side: int, sigma: float, settings: Shadow) -> Any:
    """Along the subject's lower edge, the darker the nearer that is to the ground, flattened."""
    import cv2

    line = np.zeros_like(mask)
    rows = np.flatnonzero((mask >= FOREGROUND).any(axis=1))
    if not rows.size:
        return line
    ground, reach = int(rows[-1]), _LOW * side
    first, last = max(0, int(ground - reach)), min(int(ground + sigma) + 1, len(mask))
    low = mask[first : ground + 1] >= FOREGROUND
    edge = np.where(low.any(axis=0), ground - low[::-1].argmax(axis=0), -side)
    near = np.clip(1 - (ground - edge) / reach, 0, 1)
    below = np.arange(first, last, dtype=np.int32)[:, None] - edge
    line[first:last] = np.where((below >= 0) & (below <= sigma), 255 * near, 0)
    shape = _blurred(line, sigma, sigma / _FLAT)
    darkest = _DARKER * 255 * settings.shadow_strength
    return cv2.convertScaleAbs(shape, alpha=min(darkest, 255) / max(int(shape.max()), 1))


def _blurred(shape: Any, across: float, down: float) -> Any:
    """By a Gaussian with a sigma along each axis; where that is large, at a smaller size."""
    import cv2

    height, width = shape.shape
    small = [_small(width, across), _small(height, down)]
    less = cv2.resize(shape, small, interpolation=cv2.INTER_AREA)
    sigmas = [max(across * small[0] / width, 0.1), max(down * small[1] / height, 0.1)]
    less = cv2.GaussianBlur(
        less, (0, 0), sigmas[0], None, sigmas[1], borderType=cv2.BORDER_CONSTANT
    )
    return cv2.resize(less, (width, height), interpolation=cv2.INTER_CUBIC)


def _small(side: int, sigma: float) -> int:
    return max(1, round(side * min(1.0, _SIGMA / max(sigma, 1e-9))))
