"""Counts of what happened, in Beam's metrics and in this process.

Beam's counters (namespace `rembg_beam`): `{step}_pictures`, `{step}_bytes`, `{step}_msecs` and
`{step}_failures` for the steps, `remove_on_{provider}` for the execution provider that was really
in use, `outcomes_{status}` for the rows. They must be incremented on the
bundle's thread: what a pool thread counts is lost. `FnApiRunner.run` blocks and shows its counters
only afterwards, so the process keeps a `tally` of its own for whoever wants to show progress, and
logs a line of it now and then (logger `rembg_beam.transforms.runtime.metrics`, level INFO).
"""

import functools
import logging
import threading
import time
from collections import Counter
from typing import Any, Dict, Optional

from apache_beam.metrics import Metrics

from ..elements import Outcome
from . import shared

NAMESPACE = "rembg_beam"

# Between two lines in a worker's log.
LOG_SECONDS = 30.0

_log = logging.getLogger(__name__)


class Tally:
    """Counts of this process; safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._since = 0.0
        self._said = 0.0

    def add(self, name: str, number: int = 1) -> None:
        with self._lock:
            self._counts[name] += number
            shared.publish(name, self._counts[name])

    def line(self, seconds: float) -> Optional[str]:
        """What is done so far, if the last such line is `seconds` old; else None."""
        now = time.monotonic()
        with self._lock:
            if self._counts and self._since == 0.0:
                self._since = self._said = now
            if now - self._said < seconds or not self._since:
                return None
            self._said = now
            counts = {key[9:]: n for key, n in self._counts.items() if key.startswith("outcomes_")}
            each = ", ".join(f"{number} {status}" for status, number in sorted(counts.items()))
            rate = sum(counts.values()) / (now - self._since)
            return f"in this process: {each or 'nothing done yet'}; {rate:.1f} pictures/s"

    def snapshot(self) -> Dict[str, int]:
        with self._lock:
            return dict(self._counts)

    def clear(self) -> None:
        with self._lock:
            self._counts.clear()
            self._since = self._said = 0.0


tally = Tally()


@functools.cache
def _counter(name: str) -> Any:
    return Metrics.counter(NAMESPACE, name)


def count(name: str, number: int = 1) -> None:
    """Adds to a counter and to the tally; on the bundle's thread only."""
    _counter(name).inc(number)
    tally.add(name, number)


def count_outcome(outcome: Outcome) -> Outcome:
    """The row, once it is counted under its status; on the bundle's thread only."""
    count(f"outcomes_{outcome.status}")
    line = tally.line(LOG_SECONDS)
    if line:
        _log.info("%s", line)
    return outcome


def count_step(step: str, *, size: int, seconds: float) -> None:
    """One picture that `step` finished: bytes it produced, time its thread took."""
    count(f"{step}_pictures")
    count(f"{step}_bytes", size)
    count(f"{step}_msecs", round(seconds * 1000))


def count_failure(step: str, *, seconds: float) -> None:
    """One picture that `step` gave up."""
    count(f"{step}_failures")
    count(f"{step}_msecs", round(seconds * 1000))
