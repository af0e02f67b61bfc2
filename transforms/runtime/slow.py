"""Pictures that are in work for long, named in the log while they are.

In: the work on a picture, inside `with watch(name, seconds)`. Out: a warning that names it once it
takes longer, and again each time that this has doubled; of work that ends in time, nothing. A
decoder or a model can't be interrupted, but it can be told which picture it is. One thread of the
process sleeps until the first picture would be late. Where it is kept from running, as by Pillow's
decoder of JPEG 2000, which holds Python's lock, it names the picture at its end. Nothing here
fails.
"""

import logging
import math
import threading
import time
from dataclasses import dataclass
from typing import Callable, List, Optional, Set

# Above what a picture takes but for alpha matting and large models on few cores.
SECONDS = 60.0

# That a condition can be waited for, in seconds.
_LONGEST_WAIT = 3600.0

_log = logging.getLogger(__name__)


@dataclass(eq=False)
class _Work:
    """A picture in work within a `with`: since when, and when the log names it next."""

    watchdog: "Watchdog"
    name: str
    seconds: float
    start: float
    due: float
    is_named: bool = False

    def __enter__(self) -> "_Work":
        self.watchdog.begin(self)
        return self

    def __exit__(self, *_: object) -> None:
        self.watchdog.end(self)


class Watchdog:
    """Names what takes long; for any number of threads.

    Args:
      warn: is told a logging message and its arguments.
      clock: seconds, from any start.
    """

    def __init__(
        self,
        warn: Callable[..., None] = _log.warning,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._warn = warn
        self._clock = clock
        self._changed = threading.Condition()
        self._in_work: Set[_Work] = set()
        self._wakes = math.inf
        self._thread: Optional[threading.Thread] = None

    def watch(self, name: str, seconds: float) -> _Work:
        """The work inside a `with` of it is expected to take no longer than so many seconds."""
        now = self._clock()
        return _Work(self, name, seconds, now, due=now + seconds)

    def begin(self, work: _Work) -> None:
        with self._changed:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, daemon=True, name="slow")
                self._thread.start()
            self._in_work.add(work)
            if work.due < self._wakes:
                self._changed.notify()

    def end(self, work: _Work) -> None:
        with self._changed:
            self._in_work.discard(work)
        if self._clock() - work.start > work.seconds and not work.is_named:
            self._say("%s was in work for", work)

    def _run(self) -> None:
        while True:
            for work in self._late():
                self._say("%s is in work for", work)

    def _say(self, what: str, work: _Work) -> None:
        took = self._clock() - work.start
        self._warn(
            f"{what} %.0f s, longer than max_picture_seconds=%g", work.name, took, work.seconds
        )

    def _late(self) -> List[_Work]:
        """Those that are to be named now, as soon as there are any."""
        with self._changed:
            while True:
                now = self._clock()
                late = [work for work in self._in_work if work.due <= now]
                if late:
                    break
                self._wakes = min((work.due for work in self._in_work), default=math.inf)
                self._changed.wait(min(self._wakes - now, _LONGEST_WAIT))
            for work in late:
                work.due = now + (now - work.start)
                work.is_named = True
            self._wakes = -math.inf  # it is awake
        return late


_watchdog = Watchdog()

watch = _watchdog.watch
