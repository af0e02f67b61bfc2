"""Interval: seconds of rounds, taken in pairs -> the ratio of two rates, and how sure it is.

In: pairs of seconds for the same work, one after the other, so that a machine that grows slower
slows both. Out: `Ratio`. Ratios are taken as logarithms: what is 1.1 times as fast one way is 1/1.1
the other way. Their mean has Student's t interval. Fails with `ValueError` for fewer than two pairs
and for times that aren't above 0.
"""

import math
import statistics
from typing import NamedTuple, Sequence, Tuple

# More than usual, since one looks again after each round, and at many changes.
CONFIDENCE = 0.99
# The widest margin: a factor of e to the 100th either way says nothing, and is still a float.
NOTHING_SAID = 100.0


class Ratio(NamedTuple):
    """How many times as fast one is as the other.

    Attributes:
      ratio: of the rates.
      low, high: between which it lies, with `CONFIDENCE`.
      rounds: pairs it is the result of.
    """

    ratio: float
    low: float
    high: float
    rounds: int

    @property
    def spread(self) -> float:
        """Half the interval, as a share of the ratio.

        >>> round(Ratio(2.0, 2.0 / 1.1, 2.0 * 1.1, 5).spread, 2)
        0.1
        """
        return math.sqrt(self.high / self.low) - 1

    def __str__(self) -> str:
        return f"{self.ratio:.2f} ({self.low:.2f} to {self.high:.2f})"


def ratio(seconds: Sequence[Tuple[float, float]]) -> Ratio:
    """How many times as fast the second of each pair is as the first.

    >>> str(ratio([(2.0, 1.0), (2.2, 1.1), (1.8, 0.9)]))
    '2.00 (2.00 to 2.00)'
    """
    if len(seconds) < 2:
        raise ValueError(f"{len(seconds)} pairs of rounds tell no spread; take two or more")
    if any(each <= 0 for pair in seconds for each in pair):
        raise ValueError("a round that took no time says nothing; take more pictures")
    logs = [math.log(before / after) for before, after in seconds]
    middle, error = statistics.fmean(logs), statistics.stdev(logs) / math.sqrt(len(logs))
    margin = min(_quantile(len(logs) - 1) * error, NOTHING_SAID)
    low, high = math.exp(middle - margin), math.exp(middle + margin)
    return Ratio(math.exp(middle), low, high, len(logs))


def _quantile(degrees: int) -> float:
    """Student's, of both sides together."""
    from scipy.special import stdtrit

    return float(stdtrit(degrees, (1 + CONFIDENCE) / 2))
