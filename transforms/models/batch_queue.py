"""A queue of calls -> batches of those that are alike, each served by one of the threads that call.

A thread that calls while nobody leads becomes the leader: it waits for others to join, hands the
lead to the first of those who come later, and serves its batch. A full batch is served at once,
beside another one: while a card computes that, this one is stacked and lies there when the card is
free. One that is not full waits, milliseconds at most, and for a card that has nothing to do.

Nothing here fails. A thread that is interrupted, as by Ctrl-C, takes nobody along: who waits gets
another leader, and the calls of a batch that it led end with an error.
"""

import contextlib
import threading
import time
from typing import Callable, Iterator, List, NamedTuple, Optional, Sequence, Set

from .stand_in import Feeds, Run


class Limits(NamedTuple):
    """Of batches: how large they are, and how many are served at once, None for any number."""

    max_size: int
    at_once: Optional[int]


class Call:
    """A thread's call of a graph, and what becomes of it: a `run` or an `error`."""

    def __init__(self, names: Optional[Sequence[str]], feeds: Feeds) -> None:
        shapes = [(name, value.shape, str(value.dtype)) for name, value in feeds.items()]
        # What calls of one batch have in common.
        self.kind = (names and tuple(names), tuple(sorted(shapes)))
        self.names = names
        self.feeds = feeds
        self.arrived = time.monotonic()
        self.run: Optional[Run] = None
        self.error: Optional[BaseException] = None
        self.leads = False
        self.woken = threading.Event()

    def end(self) -> None:
        """Wakes its thread."""
        if self.run is None and self.error is None:
            self.error = RuntimeError("the thread that ran its batch was interrupted")
        self.woken.set()

    def result(self) -> Run:
        """What it gave; raises what it failed with."""
        if self.error is not None:
            raise self.error
        assert self.run is not None
        return self.run


class BatchQueue:
    """Safe to use from any thread.

    Args:
      serve: gives each call of a batch its run or its error; told the limits of that batch.
      limits: at the start; see `replace`.
      wait_seconds: how long a batch that is not full waits for more, from its first call on, where
        none is served.
    """

    def __init__(
        self, serve: Callable[[List[Call], Limits], None], limits: Limits, wait_seconds: float
    ) -> None:
        self.limits = limits
        self._serve = serve
        self._wait_seconds = wait_seconds
        self._changed = threading.Condition()
        self._waiting: List[Call] = []
        self._is_led = False
        # Threads whose batch is served, and how many want theirs to be the only one.
        self._serving: Set[int] = set()
        self._alone_wanted = 0

    def put(self, call: Call) -> Run:
        """The run of a call, when it is there; raises its error."""
        with self._changed:
            self._waiting.append(call)
            if not self._is_led:
                self._hand_on()
            elif len(self._waiting) >= self.limits.max_size and self._has_room():
                self._changed.notify_all()
        try:
            call.woken.wait()
            if call.leads:
                self._lead()
        finally:
            self._leave(call)
        return call.result()

    def replace(self, before: Limits, limits: Limits) -> bool:
        """Sets other limits, unless they are no longer those that they were before."""
        with self._changed:
            is_current = self.limits == before
            if is_current:
                self.limits = limits
                self._changed.notify_all()
        return is_current

    def is_alone(self) -> bool:
        """Whether the caller's batch is the only one, and will be until it is served."""
        with self._changed:
            return len(self._serving) == 1 and not self._has_room()

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Within it the caller's batch is the only one."""
        me = threading.get_ident()
        with self._changed:
            self._alone_wanted += 1
        try:
            with self._changed:
                self._serving.discard(me)
                self._changed.notify_all()
                self._changed.wait_for(lambda: not self._serving)
                self._serving.add(me)
            yield
        finally:
            with self._changed:
                self._alone_wanted -= 1
                self._changed.notify_all()

    def _hand_on(self) -> None:
        """The first of those who wait leads from here."""
        self._is_led = bool(self._waiting)
        if self._is_led:
            self._waiting[0].leads = True
            self._waiting[0].woken.set()

    def _has_room(self) -> bool:
        """Whether another batch may be served."""
        at_once = self.limits.at_once
        is_full = at_once is not None and len(self._serving) >= at_once
        return not (is_full or self._alone_wanted)

    def _lead(self) -> None:
        batch: List[Call] = []
        try:
            self._serve(batch, self._take(batch))
        finally:
            with self._changed:
                self._serving.discard(threading.get_ident())
                self._changed.notify_all()
            for call in batch:
                call.end()

    def _take(self, batch: List[Call]) -> Limits:
        """Moves the first of those who wait, and who is like it, into a batch, once it may be
        served; gives its limits."""
        with self._changed:
            while True:
                first = self._waiting[0]
                alike = [call for call in self._waiting if call.kind == first.kind]
                left = first.arrived + self._wait_seconds - time.monotonic()
                is_full = len(alike) >= self.limits.max_size
                is_due = is_full or (left <= 0 and not self._serving)
                if is_due and self._has_room():
                    break
                self._changed.wait(None if is_due or self._serving else left)
            self._serving.add(threading.get_ident())
            batch += alike[: self.limits.max_size]
            self._waiting = [call for call in self._waiting if call not in batch]
            first.leads = False
            self._hand_on()
            return self.limits

    def _leave(self, call: Call) -> None:
        """Ends a call; if it was interrupted while it waited, another one takes its place."""
        with self._changed:
            if call in self._waiting:
                self._waiting.remove(call)
            if call.leads:
                self._hand_on()
