"""A flag's text, or a file's value -> the value of a setting's kind.

Each function takes what argparse or YAML gives, and raises `ValueError` that says what it must be.
"""

import math
import re
import reprlib
from decimal import Decimal
from functools import partial
from typing import Any, Callable, Dict, List, Mapping, Tuple

from PIL import ImageColor

from ..transforms import strict_json
from ..transforms.pictures import requested
from ..transforms.setting import REQUIRED, Setting, settings_of
from ..transforms.store import web
from . import documents

# Characters of a wrong value in a message.
SHOWN = 200

_UNITS = {"": 1, "b": 1}
for _power, _letter in enumerate("kmgt", start=1):
    _UNITS |= {f"{_letter}b": 1000**_power, f"{_letter}ib": 1024**_power}
_BYTES = re.compile(r"(\d+(?:\.\d+)?)\s*([A-Za-z]*)")


def _text(value: Any) -> str:
    if not isinstance(value, (str, int, float)) or isinstance(value, bool) or value == "":
        raise ValueError("must be a text")
    return str(value)


def _texts(value: Any) -> Tuple[str, ...]:
    return tuple(_text(one) for one in _each(value))


def _choices(value: Any) -> Tuple[str, ...]:
    """Texts, given one by one or with commas between them."""
    return tuple(one.strip() for text in _texts(value) for one in text.split(","))


def _outputs(value: Any) -> Tuple[Any, ...]:
    """Names, with commas between them or one by one, and mappings, as JSON too.

    >>> _outputs("cutout, mask512.webp"), _outputs('[{"shows": "mask", "resize": 9}]')
    (('cutout', 'mask512.webp'), ({'shows': 'mask', 'resize': 9},))
    """
    found: List[Any] = []
    for one in _each(value):
        if isinstance(one, str) and one.lstrip()[:1] in ("[", "{"):
            one = strict_json.loads(one)
        found += _choices(one) if isinstance(one, str) else map(_output, _each(one))
    requested.in_order(found)
    return tuple(found)


def _output(one: Any) -> Any:
    """A mapping with its values as their settings have them."""
    if not isinstance(one, dict):
        return one
    known, found = settings_of(requested.Output), {}
    for name, value in one.items():
        try:
            found[name] = checked(known[name], value) if name in known else value
        except ValueError as error:
            raise ValueError(f"has an output that can't be: {name}={error}") from error
    return found


def _each(value: Any) -> List[Any]:
    return value if isinstance(value, list) else [value]


def _providers(value: Any) -> Tuple[Any, ...]:
    """Names, `NAME={JSON}`, or in a file `{NAME: {option: value}}`."""
    found: List[Any] = []
    for one in _each(value):
        if isinstance(one, dict):
            found += [(name, _json(options)) for name, options in one.items()]
            continue
        name, equals, options = _text(one).partition("=")
        found.append((name, _json(options)) if equals else name)
    return tuple(found)


def _pairs(value: Any) -> Mapping[str, Any]:
    if isinstance(value, dict):
        return value
    pairs = [_text(one).partition("=") for one in _each(value)]
    if not all(equals for _, equals, _ in pairs):
        raise ValueError("must be NAME=VALUE")
    names = [name for name, _, _ in pairs]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"gives {name} twice")
    return {name: documents.from_yaml(text) for name, _, text in pairs}


def _number(
    value: Any, make: Any = float, noun: str = "a number", refused: Tuple[type, ...] = (bool,)
) -> Any:
    try:
        if isinstance(value, refused):
            raise ValueError
        return make(value)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"must be {noun}") from None


_integer = partial(_number, make=int, noun="an integer", refused=(bool, float))


def _bytes(value: Any) -> int:
    """A count of bytes, or `2GB`, `500 MiB`."""
    match = _BYTES.fullmatch(str(value).strip())
    if not match or match[2].lower() not in _UNITS:
        raise ValueError("must be a number of bytes, such as 2000000000, 2GB or 500MiB")
    number = float(match[1]) * _UNITS[match[2].lower()]
    if math.isinf(number):
        raise ValueError("must be a number of bytes that a machine could have")
    return int(number)


_PIXELS = re.compile(r"(\d+)|(\d+(?:\.\d+)?)\s*MP", re.IGNORECASE)


def _pixels(value: Any) -> int:
    """A count of pixels, or of megapixels.

    >>> _pixels(2_000_000), _pixels("2MP"), _pixels("0.5 mp")
    (2000000, 2000000, 500000)
    """
    match = _PIXELS.fullmatch(str(value).strip())
    if not match:
        raise ValueError("must be a number of pixels, such as 2000000 or 2MP")
    return int(match[1]) if match[1] else _integer(Decimal(match[2]) * 10**6)


_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*([smhd]?)")
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 24 * 3600}


def _seconds(value: Any) -> float:
    """A count of seconds, or with a unit.

    >>> _seconds(30), _seconds("5m"), _seconds("1.5 h")
    (30.0, 300.0, 5400.0)
    """
    match = _DURATION.fullmatch(str(value).strip())
    if not match:
        raise ValueError("must be a time, such as 30s, 5m or 1h")
    return float(match[1]) * _SECONDS[match[2]]


def _switch(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("must be true or false")
    return value


def _color(value: Any) -> Tuple[int, ...]:
    parts = _each(value)
    if len(parts) == 1 and isinstance(parts[0], str) and parts[0].startswith("["):
        parts = strict_json.loads(parts[0])
    elif len(parts) == 1 and isinstance(parts[0], str):
        if "," not in parts[0]:
            color = ImageColor.getcolor(parts[0], "RGBA")
            return color if isinstance(color, tuple) else (color,)
        parts = parts[0].split(",")
    if len(parts) not in (3, 4):
        raise ValueError("must be a colour's name, #rrggbb, or R G B [A]")
    levels = tuple(_integer(part) for part in parts)
    return levels if len(levels) == 4 else (*levels, 255)


def _json(value: Any) -> Mapping[str, Any]:
    loaded = strict_json.loads(value) if isinstance(value, str) else value
    if not isinstance(loaded, dict):
        raise ValueError("must be a JSON object")
    return loaded


def _limit(value: Any) -> str:
    max_failures(_text(value), 1)
    return str(value)


KINDS: Dict[str, Callable[[Any], Any]] = {
    "text": _text,
    "texts": _texts,
    "choices": _choices,
    "outputs": _outputs,
    "providers": _providers,
    "pairs": _pairs,
    "integer": _integer,
    "number": _number,
    "bytes": _bytes,
    "pixels": _pixels,
    "seconds": _seconds,
    "switch": _switch,
    "networks": web.checked_networks,
    "color": _color,
    "json": _json,
    "limit": _limit,
}


def checked(setting: Setting, value: Any) -> Any:
    """The value as its setting has it, the default for None; `ValueError` shows the value."""
    if value is None:
        return default(setting)
    try:
        found = KINDS[setting.kind](value)
        if setting.choices and not setting.allows(found):
            raise ValueError(f"must be {setting.must_be()}")
        return found
    except (TypeError, ValueError) as error:
        raise ValueError(f"{_shown(value)} {error}") from error


def default(setting: Setting) -> Any:
    """What holds if nothing is said; None for what must be."""
    return None if setting.default is REQUIRED else setting.default


def _shown(value: Any) -> str:
    """A value as Python writes it, of a long one the beginning."""
    try:
        text = repr(value) if isinstance(value, (str, int, float)) else reprlib.repr(value)
    except ValueError:  # Python writes no number of more than 4,300 digits
        text = "the number"
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"


def max_failures(limit: str, total: int) -> float:
    """How many failures of `total` pictures a limit allows, a count or a share.

    >>> max_failures("20", 1000), max_failures("5%", 1000), max_failures("0.05", 1000)
    (20.0, 50.0, 50.0)
    >>> max_failures("29%", 100), max_failures("0.29", 100)
    (29.0, 29.0)
    """
    number, percent, rest = limit.partition("%")
    is_share, whole = bool(percent) or "." in number, 100 if percent else 1
    try:
        found = Decimal(number) if is_share else Decimal(int(number))
        if rest or found < 0 or (is_share and found > whole):
            raise ValueError
    except (ValueError, ArithmeticError):
        raise ValueError("must be a count (20) or a share (5% or 0.05)") from None
    return float(found * total / whole if is_share else found)
