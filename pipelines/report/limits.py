"""Limits: 'suspect>5%' -> whether the numbers of a report keep to it.

In: a text such as `failed>0`, `suspect>=5%` or `skipped>0.1`, and numbers. Out: what to say where
it holds, which is a failure. Fails with `ValueError` for a text that says nothing.
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
    return Limit(text, match["name"], match["how"], value, is_share)


def broken(limit: Limit, numbers: Numbers) -> Optional[str]:
    """What to say where the limit holds; None where it doesn't."""
    count, of = counts(numbers)[limit.name], max(numbers.total, 1)
    found = count / of if limit.is_share else count
    if not _HOW[limit.how](found, limit.value):
        return None
    return f"{limit.text}: {count} of {numbers.total} pictures are {limit.name}"


_NAMES = ("written", "skipped", "failed", "suspect", "odd")


def counts(numbers: Numbers) -> Dict[str, int]:
    """What limits may be about."""
    return {**numbers.counts, "suspect": numbers.suspect, "odd": numbers.odd}
