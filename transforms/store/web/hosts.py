"""Whose turn it is at a host: so many requests at once, and none while it says wait.

In: the names of hosts, and which of them say wait. Out: slots, which a request holds while it is
made. A host that says wait (`Retry-After`, or 429 without one) is left alone until then, by
everybody; after that one request goes first, and others follow once it has ended otherwise. Fails
with `Closed` for a host that is to be left alone: who gets it need not hold a thread asleep. One
that says wait for longer than `PATIENCE_SECONDS`, what other answers make up for taken off, is
given up until its time comes: `Closed` says so, and all that is wanted of it fails at once.
"""

import contextlib
import logging
import threading
import time
import weakref
from dataclasses import dataclass
from typing import Callable, Dict, Iterator, MutableMapping, Optional

_LOG = logging.getLogger(__name__)

# How long a host is waited for, and what a request that it does not put off makes up for.
PATIENCE_SECONDS = 300.0
CREDIT_SECONDS = 10.0

# Of a host that said wait, for an answer to the first request before another is made, and between
# looks of those that wait for it.
TRIAL_SECONDS = 1.0
LOOK_SECONDS = 0.25

# A shorter wait is nothing to tell of.
_LOGGED_SECONDS = 5.0


@dataclass
class _Wait:
    """What a host said, times by the clock: when, until when, why, and for how long altogether."""

    told: float
    until: float
    why: str
    owed: float = 0.0
    on_trial: bool = False


@dataclass(eq=False)
class Closed(Exception):
    """A host is to be left alone for so many seconds, why, and whether it is given up."""

    host: str
    seconds: float
    why: str
    given_up: bool


class Hosts:
    """Slots, so many for each host; a host without users and without a wait takes no memory.

    Args:
      slots: of each host.
      clock: tells seconds.
    """

    def __init__(self, slots: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._slots = slots
        self._clock = clock
        self._lock = threading.Lock()
        # Of hosts that somebody uses.
        self._free: MutableMapping[str, threading.Semaphore] = weakref.WeakValueDictionary()
        self._waits: Dict[str, _Wait] = {}

    @contextlib.contextmanager
    def slot(self, host: str) -> Iterator[None]:
        """Room for one request, which is made and answered inside; `Closed` where none is."""
        with self._lock:
            self._check(host)
            free = self._free.setdefault(host, threading.Semaphore(self._slots))
        with free:
            began = self._begin(host)
            try:
                yield
            finally:
                self._end(host, began)

    def says_wait(self, host: str, seconds: float, why: str) -> Optional[Closed]:
        """The host is left alone for so long from now; how it is closed then, if it is given up."""
        with self._lock:
            now = self._clock()
            wait = self._waits.setdefault(host, _Wait(now, now, why))
            longer = max(now + seconds - max(wait.until, now), 0.0)
            wait.told, wait.why, wait.on_trial = now, why, False
            wait.until = max(wait.until, now + seconds)
            wait.owed += longer
            if longer >= _LOGGED_SECONDS:
                _LOG.info("%s says wait for %.0f s: its pictures come later", host, seconds)
            closed = self._closed(host)
            return closed if closed and closed.given_up else None

    def _begin(self, host: str) -> float:
        with self._lock:
            # Another may have been told to wait while this one waited for its slot.
            self._check(host)
            now = self._clock()
            wait = self._waits.get(host)
            if wait is not None:
                wait.until, wait.on_trial = now + TRIAL_SECONDS, True
                wait.owed = min(wait.owed, PATIENCE_SECONDS)
            return now

    def _end(self, host: str, began: float) -> None:
        """A request that was made then has ended; if it was not told to wait, others may follow."""
        with self._lock:
            wait = self._waits.get(host)
            if wait is None or began <= wait.told:
                return
            wait.until = self._clock()
            wait.owed -= CREDIT_SECONDS
            if wait.owed <= 0:
                del self._waits[host]

    def _check(self, host: str) -> None:
        closed = self._closed(host)
        if closed is not None:
            raise closed

    def _closed(self, host: str) -> Optional[Closed]:
        wait = self._waits.get(host)
        left = wait.until - self._clock() if wait else 0.0
        if wait is None or left <= 0:
            return None
        seconds = min(left, LOOK_SECONDS) if wait.on_trial else left
        return Closed(host, seconds, wait.why, given_up=wait.owed > PATIENCE_SECONDS)
