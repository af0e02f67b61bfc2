"""State: counts over time -> how far a run is, how fast, and how long it takes.

In: counts by the names of `runtime.metrics`, now and then. Out: `State`. Rates are those of the
last `WINDOW_SECONDS`, so that neither the start-up nor what was skipped at first tells for ever.
Nothing can fail.
"""

import time
from collections import deque
from typing import Deque, Dict, NamedTuple, Optional, Tuple

import psutil

from ...transforms.elements import FAILED, STATUSES
from ...transforms.runtime import shared

WINDOW_SECONDS = 60.0


class State(NamedTuple):
    """How far a run is.

    Attributes:
      found: pictures that inputs named, as far as they are found yet.
      counts: pictures that are done, by status.
      in_shards: pictures that are done but for the shard that they lie in.
      rate: pictures a second, of the last minute.
      seconds_left: at that rate; None where that says nothing yet.
      memory_bytes: of this process and those it started.
    """

    found: int
    counts: Dict[str, int]
    in_shards: int
    rate: float
    seconds_left: Optional[float]
    memory_bytes: int

    @property
    def done(self) -> int:
        return sum(self.counts.values()) + self.in_shards


class Watch:
    """Makes states of counts that are given again and again.

    Args:
      start: of the run, by the clock that never goes back; now unless told.
    """

    def __init__(self, start: Optional[float] = None) -> None:
        self._seen: Deque[Tuple[float, int]] = deque()
        self._seen.append((time.monotonic() if start is None else start, 0))

    def state(self, counts: Dict[str, int], now: Optional[float] = None) -> State:
        """How far it is; `now` by the same clock."""
        now = time.monotonic() if now is None else now
        done = {status: counts.get(f"outcomes_{status}", 0) for status in STATUSES}
        in_shards = counts.get(shared.IN_UNFINISHED_SHARDS, 0)
        total = sum(done.values()) + in_shards
        self._seen.append((now, total))
        while len(self._seen) > 2 and self._seen[1][0] <= now - WINDOW_SECONDS:
            self._seen.popleft()
        since, before = self._seen[0]
        rate = (total - before) / (now - since) if now > since else 0.0
        # Refused ones were never found.
        found = max(counts.get("find_pictures", 0), total)
        left = (found - total) / rate if rate and found > total else None
        return State(found, done, in_shards, rate, left, memory())


def memory() -> int:
    """Bytes that this process and those it started have in memory; what they share counts twice."""
    try:
        processes = [psutil.Process(), *psutil.Process().children(recursive=True)]
    except psutil.Error:
        return 0
    return sum(map(_resident, processes))


def _resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:  # it ended meanwhile
        return 0


def line(state: State) -> str:
    """A state in words.

    >>> counts = {"written": 700, "skipped": 0, "failed": 2}
    >>> line(State(1500, counts, 0, 12.5, 63.8, 1_400_000_000))
    '702 of 1,500 pictures (46 %), 12.5 pictures/s, 1:03 left, 2 failed, 1.4 GB'
    """
    if state.found > state.done:
        share = f" ({100 * state.done // state.found} %)"
        parts = [f"{state.done:,} of {state.found:,} pictures{share}"]
    else:
        parts = [f"{state.done:,} pictures"]
    parts += [f"{state.rate:.1f} pictures/s"]
    if state.seconds_left is not None:
        parts += [f"{clock(state.seconds_left)} left"]
    if failed := state.counts[FAILED]:
        parts += [f"{failed:,} failed"]
    return ", ".join([*parts, f"{state.memory_bytes / 1e9:.1f} GB"])


def clock(seconds: float) -> str:
    """
    >>> clock(63.8), clock(7384)
    ('1:03', '2:03:04')
    """
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
