"""A time limit on what happens on a socket, whatever the other side does.

A socket's own timeout starts anew with each byte, so a server that sends one now and then is never
too slow for it. Here one daemon thread of the process looks at all that is going on and shuts the
connections down whose time is over: what waits for them ends at once.
"""

import os
import socket
import threading
import time
from contextlib import contextmanager, suppress
from typing import Iterator, Optional, Set

# How late a connection may be cut.
TICK_SECONDS = 0.1


class Watch:
    """One piece of work on sockets."""

    def __init__(self, seconds: float, lock: threading.Condition) -> None:
        self.end = time.monotonic() + seconds
        self._lock = lock
        self._handle: Optional[int] = None

    def on(self, connection: socket.socket) -> None:
        """From now on, the work is on this connection."""
        # A handle of its own: the number of a closed one may be another's by then.
        handle = os.dup(connection.fileno())
        with self._lock:
            self._forget()
            self._handle = handle

    def is_over(self) -> bool:
        """Whether its time is up; its connection may have been cut then."""
        return time.monotonic() >= self.end

    def remaining(self) -> float:
        """Seconds left, at least a millisecond, as a timeout must have."""
        return max(self.end - time.monotonic(), 0.001)

    def _cut(self) -> None:
        if self._handle is not None:
            with suppress(OSError), socket.socket(fileno=self._handle) as connection:
                self._handle = None
                connection.shutdown(socket.SHUT_RDWR)

    def _forget(self) -> None:
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


class Watchdog:
    """Cuts what takes too long; for any number of threads."""

    def __init__(self) -> None:
        self._some = threading.Condition()
        self._watches: Set[Watch] = set()
        self._thread: Optional[threading.Thread] = None

    @contextmanager
    def watch(self, seconds: float) -> Iterator[Watch]:
        """Watches the work inside, which is to tell its connection by `Watch.on`."""
        watch = Watch(seconds, self._some)
        with self._some:
            if self._thread is None:
                thread = threading.Thread(target=self._run, daemon=True, name="watchdog")
                thread.start()
                self._thread = thread
            if not self._watches:
                self._some.notify()
            self._watches.add(watch)
        try:
            yield watch
        finally:
            with self._some:
                self._watches.discard(watch)
                watch._forget()

    def _run(self) -> None:
        while True:
            with self._some:
                self._some.wait_for(lambda: self._watches)
                now = time.monotonic()
                for watch in self._watches:
                    if watch.end <= now:
                        watch._cut()
            time.sleep(TICK_SECONDS)
