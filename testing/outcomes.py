"""Matchers for outcomes, to be given to Beam's `assert_that`.

In: what one expects of outcomes, in any order: their status, and the columns that matter. Out: a
matcher that raises `BeamAssertException`, naming what is missing and what wasn't expected.
`TypeError` for a column that an outcome doesn't have; the rows of Beam YAML have the user's too.
"""

import json
import re
from typing import Any, Callable, Iterable, List, Mapping, Optional, Set

from apache_beam.testing.util import BeamAssertException

from ..transforms.elements import FAILED, SKIPPED, WRITTEN, Outcome
from ..transforms.setting import did_you_mean

# Columns of an outcome that wasn't expected which are always shown.
_TELLING = ("uri", "step", "error", "message")


class Expected:
    """What one expects of an outcome; made by `written`, `skipped` and `failed`.

    Args:
      columns: their values by name. A compiled pattern is searched for in a text; a mapping, as of
        `metadata`, is compared with a column's JSON.
    """

    def __init__(self, columns: Mapping[str, Any]) -> None:
        self.columns = columns

    def matches(self, outcome: Any) -> bool:
        """Whether an outcome has these values; `TypeError` if it has no such columns."""
        for name in self.columns:
            if not hasattr(outcome, name):
                hint = did_you_mean(name, Outcome._fields)
                raise TypeError(f"outcomes have no column {name!r}{hint}")
        return all(_fits(told, getattr(outcome, name)) for name, told in self.columns.items())

    def __repr__(self) -> str:
        status, *others = self.columns.items()
        return f"{status[1]}({', '.join(f'{name}={told!r}' for name, told in others)})"


def written(uri: Any = None, **columns: Any) -> Expected:
    """A picture whose cutout is written.

    >>> written("a.jpg", width=48)
    written(uri='a.jpg', width=48)

    Args:
      uri: of the picture, or a compiled pattern; None for any.
      columns: others of its columns, see `docs/rows.md`, and of a row of Beam YAML's the user's.
    """
    return _expected(WRITTEN, uri, columns)


def skipped(uri: Any = None, **columns: Any) -> Expected:
    """A picture that is left out; arguments as of `written`."""
    return _expected(SKIPPED, uri, columns)


def failed(uri: Any = None, **columns: Any) -> Expected:
    """A picture that failed; arguments as of `written`.

    >>> failed(step="remove", error="NotAPicture")
    failed(step='remove', error='NotAPicture')
    """
    return _expected(FAILED, uri, columns)


def outcomes_equal(expected: Iterable[Expected]) -> Callable[[List[Any]], None]:
    """A matcher for outcomes that are these, each once, in any order.

    >>> outcomes_equal([])([])

    Args:
      expected: one for each outcome. Where several fit one, the one with the most columns is it.
    """
    strictest_first = sorted(expected, key=lambda each: -len(each.columns))
    told = {name for each in strictest_first for name in each.columns}

    def compare(outcomes: List[Any]) -> None:
        missing, unexpected = list(strictest_first), []
        for outcome in outcomes:
            found = next((each for each in missing if each.matches(outcome)), None)
            if found is None:
                unexpected.append(_shown(outcome, told))
            else:
                missing.remove(found)
        if missing or unexpected:
            lines = [f"missing: {each}" for each in missing]
            lines += [f"not expected: {each}" for each in unexpected]
            raise BeamAssertException("\n".join(["the outcomes differ", *lines]))

    return compare


def _shown(outcome: Any, told: Set[str]) -> Expected:
    """An outcome's columns that a test tells something of, and those that say what happened."""
    own = sorted(told - {*Outcome._fields})
    names = [name for name in (*Outcome._fields, *own) if name in {*told, *_TELLING}]
    values = {name: getattr(outcome, name, None) for name in ("status", *names)}
    return Expected({name: value for name, value in values.items() if value is not None})


def _expected(status: str, uri: Optional[Any], columns: Mapping[str, Any]) -> Expected:
    return Expected({"status": status, **({} if uri is None else {"uri": uri}), **columns})


def _fits(told: Any, value: Any) -> bool:
    if isinstance(told, re.Pattern):
        return value is not None and told.search(value) is not None
    if isinstance(told, Mapping):
        return bool(json.loads(value) == told)
    return bool(value == told)
