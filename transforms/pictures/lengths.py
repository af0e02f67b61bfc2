"""A length of a setting: pixels, "10", or a share of the subject, "2%".

In: the text of a setting, and the subject's longer side. Out: pixels. `ValueError` for what is
neither. The subject is the box around its mask's foreground.
"""

import re
from typing import Any

from ..setting import settings_of
from .geometry import subject_box

RULE = "pixels, such as 10, or a share of the subject's longer side, such as 2%, up to 100%"

MOST_PIXELS = 10_000

_LENGTH = re.compile(r"(\d+(?:\.\d+)?)\s*(%?)")


def settle(settings: Any, *names: str, most_percent: int = 100) -> None:
    """Makes texts of lengths that are numbers, and raises `ValueError` for what is no length."""
    for name in names:
        length = getattr(settings, name)
        if isinstance(length, (int, float)) and not isinstance(length, bool):
            length = f"{length:g}"
            object.__setattr__(settings, name, length)
        if length is None:
            continue
        match = _LENGTH.fullmatch(str(length).strip())
        if not match or float(match[1]) > (most_percent if match[2] else MOST_PIXELS):
            rule = settings_of(type(settings))[name].must_be()
            raise ValueError(f"{name}={length!r} must be {rule}")
        if not match[2] and 0 < float(match[1]) < 1:
            raise ValueError(
                f"{name}={length!r} is less than a pixel: write a share as "
                f"{100 * float(match[1]):g}%, or pixels from 1 up, or 0 for none"
            )


def pixels(length: str, side: float) -> float:
    """How many pixels a length is.

    Args:
      length: one that `settle` took.
      side: of the subject, see `longer_side`.

    >>> pixels("10", 300), pixels("2%", 300)
    (10.0, 6.0)
    """
    match = _LENGTH.fullmatch(str(length).strip())
    assert match
    return float(match[1]) * side / 100 if match[2] else float(match[1])


def longer_side(mask: Any) -> int:
    """The pixels along the longer side of the box around a mask's subject; 0 without one.

    >>> longer_side([[0, 0], [200, 200]])
    2
    """
    box = subject_box([mask])
    return max(box.size) if box else 0
