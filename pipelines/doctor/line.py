"""Line: what was found of one thing -> what is said of it.

In: how bad it is, what it is about, what was found, and the way out. Nothing can fail.
"""

import enum
from typing import Callable, Iterator, NamedTuple


class Level(enum.StrEnum):
    OK = "ok"
    WARNING = "warning"
    FAULT = "fault"


class Line(NamedTuple):
    """What is said of one thing.

    Attributes:
      level: how bad it is; of a fault a run would fail, or do something else than asked.
      about: the thing.
      found: what was found.
      way_out: what to do about it; "" if all is well.
    """

    level: Level
    about: str
    found: str
    way_out: str = ""


Examination = Callable[..., Iterator[Line]]


def ok(about: str, found: str) -> Line:
    return Line(Level.OK, about, found)


def warning(about: str, found: str, way_out: str) -> Line:
    return Line(Level.WARNING, about, found, way_out)


def fault(about: str, found: str, way_out: str) -> Line:
    return Line(Level.FAULT, about, found, way_out)
