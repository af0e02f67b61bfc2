"""Limits: 'suspect>5%' -> whether the numbers of a report keep to it.

In: a text such as `failed>0`, `suspect>=5%` or `skipped>0.1`, and numbers. Out: what to say where
it holds, which is a failure, or may hold, since rows don't say which pictures are suspect. Fails
with `ValueError` for a text that says nothing, and for a share that no pictures can have.
"""

import operator
import re
from typing import Any, Dict, NamedTuple, Optional

from .numbers import Numbers

_FORM = re.compile(
    r"\s*(?P<name>\w+)\s*(?P<how>>=|>|<=|<)\s*(?P<value>\d+(?:\.\d+)?)(?P<share>%?)\s*"
)
_HOW: Dict[str, Any] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}


class Limit(NamedTuple):
    """What must not hold."""

    text: str
    name: str
    how: str
    value: float
    is_share: bool


def parse(text: str) -> Limit:
    """The limit that a text says.

    >>> parse("suspect>5%")[1:]
    ('suspect', '>', 0.05, True)
    >>> parse("failed > 20")[1:]
    ('failed', '>', 20.0, False)
    """
    match = _FORM.fullmatch(text)
    if match is None or match["name"] not in _NAMES:
        raise ValueError(
            f"--fail_if {text!r}: it is a name, <, <=, > or >=, and a count or a share, such as "
            f"'suspect>5%' or 'failed>20'; the names are {', '.join(_NAMES)}"
        )
    value = float(match["value"]) / (100 if match["share"] else 1)
    # As --max_failures has it: 0.05 is a share, 20 a count.
    is_share = bool(match["share"]) or "." in match["value"]
    if is_share and (value > 1 or (value == 1 and match["how"] == ">")):
        raise ValueError(
            f"--fail_if {text!r}: no share is {match['how']} {100 * value:g} %; a count is "
            "written without a point ('suspect>5'), a share as '5%' or '0.05'"
        )
    return Limit(text, match["name"], match["how"], value, is_share)


def broken(limit: Limit, numbers: Numbers) -> Optional[str]:
    """What to say where the limit holds, or may hold for what isn't known; None elsewhere."""
    count = counts(numbers)[limit.name]
    unknown = numbers.suspect_unknown if limit.name == "suspect" else 0
    said = f"{limit.text}: {count} of {numbers.total} pictures are {limit.name}"
    is_held = [_holds(limit, each, numbers.total) for each in (count, count + unknown)]
    if all(is_held):
        return said
    if any(is_held):
        return f"{said}, and of {unknown} it is not known: {_UNKNOWN}"
    return None


def _holds(limit: Limit, count: int, total: int) -> bool:
    found = count / max(total, 1) if limit.is_share else count
    return bool(_HOW[limit.how](found, limit.value))


_UNKNOWN = (
    "their rows have no `suspect`, as those of --no_suspect and of earlier versions; make them "
    "anew without --no_suspect, or leave this limit out"
)

_NAMES = ("written", "skipped", "failed", "suspect", "odd")


def counts(numbers: Numbers) -> Dict[str, int]:
    """What limits may be about."""
    return {**numbers.counts, "suspect": numbers.suspect, "odd": numbers.odd}
