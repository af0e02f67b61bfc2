"""Search: factors -> which of their changes make work faster, one factor at a time.

In: changes of settings, in the order they are tried, and what opens an arm for a set of them. Out:
`Trial`s, as they are made. Each change is measured against what has won so far, in rounds that
alternate; one that wins is kept, and what follows is measured with it. At the end all that won is
measured against the settings as they were: what wins one by one need not win together. Two factors
that only help together are not found. Fails with what opening the first arm raises; a change that
can't be opened, or fails in a round, is a trial with that error.
"""

import contextlib
import time
from typing import (
    Any,
    Callable,
    ContextManager,
    Dict,
    Iterator,
    List,
    Mapping,
    NamedTuple,
    Optional,
    Sequence,
    Tuple,
)

from .interval import Ratio, ratio

# Settings by name; of those that are mappings themselves the entries that change.
Change = Mapping[str, Any]

# A round of an arm: does all pictures once, and gives the seconds that this took.
Round = Callable[[], float]

# Opens an arm with changes of the settings.
Open = Callable[[Change], ContextManager[Round]]

# Rounds of each arm, before anything is said of them.
LEAST_ROUNDS = 4

# An interval of half as much, as a share of the ratio, is narrow enough.
NARROW = 0.03

# What is less worth is not taken.
LEAST_GAIN = 1.02

TAKEN, NO_GAIN, NOT_SURE, FAILED = "taken", "no gain", "not sure", "failed"


class Trial(NamedTuple):
    """A change that was tried.

    Attributes:
      change: of the settings; {} for all that was taken, against the settings as they were.
      ratio: of its rate and that of what had won before; None if there was no time to tell.
      verdict: whether it was taken, and if not, why.
      error: why it failed.
    """

    change: Change
    ratio: Optional[Ratio]
    verdict: str
    error: str = ""


class Search:
    """See the module's docstring; iterate it, as long as there is time.

    Args:
      open: opens an arm.
      changes: that are tried.
      seconds: all of it may take.
      clock: tells the time.

    Attributes:
      won: the changes that were taken so far.
      confirmed: whether they are worth it together; None before that was measured.
    """

    def __init__(
        self,
        open: Open,
        changes: Sequence[Change],
        seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.won: Change = {}
        self.confirmed: Optional[bool] = None
        self._open = open
        self._changes = changes
        self._clock = clock
        self._deadline = clock() + seconds

    def __iter__(self) -> Iterator[Trial]:
        with contextlib.ExitStack() as arms:
            first = best = arms.enter_context(self._open({}))
            for number, change in enumerate(self._changes):
                with contextlib.ExitStack() as own:
                    seconds = self._share(len(self._changes) - number + 1)
                    new, trial = self._tried(best, change, own, seconds)
                    if new and trial.verdict == TAKEN:
                        self.won, best = merged(self.won, change), new
                        arms.push(own.pop_all())
                yield trial
            if self.won:
                trial = _told({}, compared(first, best, self._share(1), self._clock))
                self.confirmed = trial.verdict == TAKEN
                yield trial

    def _share(self, of: int) -> float:
        return max(self._deadline - self._clock(), 0.0) / of

    def _tried(
        self, best: Round, change: Change, own: contextlib.ExitStack, seconds: float
    ) -> Tuple[Optional[Round], Trial]:
        """An arm with a change, which stays open in `own`, and what it is worth."""
        if seconds <= 0:
            return None, _told(change, None)
        end = self._clock() + seconds
        try:
            new = own.enter_context(self._open(merged(self.won, change)))
            return new, _told(change, compared(best, new, end - self._clock(), self._clock))
        except Exception as error:
            return None, Trial(change, None, FAILED, str(error) or type(error).__name__)


def _told(change: Change, found: Optional[Ratio]) -> Trial:
    return Trial(change, found, verdict(found))


def compared(old: Round, new: Round, seconds: float, clock: Callable[[], float]) -> Optional[Ratio]:
    """How many times as fast the new is, by rounds in turn; None if there was no time to tell.

    Ends as soon as that is known, or another pair of rounds would take too long.
    """
    pairs: List[Tuple[float, float]] = []
    start = clock()
    found: Optional[Ratio] = None
    while not (found and _is_settled(found)):
        spent = clock() - start
        if spent + (spent / len(pairs) if pairs else 0.0) > seconds:
            break
        if len(pairs) % 2:
            after = new()
            pairs.append((old(), after))
        else:
            before = old()
            pairs.append((before, new()))
        found = ratio(pairs) if len(pairs) >= LEAST_ROUNDS else None
    return found


def verdict(found: Optional[Ratio]) -> str:
    """What is done about a change that is worth so much."""
    if found is None:
        return NOT_SURE
    if found.low > 1 and found.ratio >= LEAST_GAIN:
        return TAKEN
    return NO_GAIN if found.spread <= NARROW or found.high < LEAST_GAIN else NOT_SURE


def _is_settled(found: Ratio) -> bool:
    return found.spread <= NARROW or found.high < LEAST_GAIN or found.low > LEAST_GAIN


def merged(*changes: Change) -> Dict[str, Any]:
    """Changes on top of each other; of what is a mapping, the entries.

    >>> merged({"a": {"x": 1}}, {"a": {"y": 2}, "b": 3})
    {'a': {'x': 1, 'y': 2}, 'b': 3}
    """
    found: Dict[str, Any] = {}
    for change in changes:
        for name, value in change.items():
            both = isinstance(value, dict) and isinstance(found.get(name), dict)
            found[name] = {**found[name], **value} if both else value
    return found
