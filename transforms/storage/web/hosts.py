"""Whose turn it is at a host: so many requests at once, and no more.

In: the names of hosts. Out: slots, which a request holds while it is made. Nothing can fail; who
finds no free slot waits for one.
"""

import contextlib
import threading
from typing import Dict, Iterator


class Hosts:
    """Slots, so many for each host; a host without users takes no memory."""

    def __init__(self, slots: int) -> None:
        self._slots = slots
        self._lock = threading.Lock()
        self._free: Dict[str, threading.Semaphore] = {}
        self._users: Dict[str, int] = {}

    @contextlib.contextmanager
    def slot(self, host: str) -> Iterator[None]:
        with self._lock:
            free = self._free.setdefault(host, threading.Semaphore(self._slots))
            self._users[host] = self._users.get(host, 0) + 1
        try:
            with free:
                yield
        finally:
            with self._lock:
                self._users[host] -= 1
                if not self._users[host]:
                    del self._users[host], self._free[host]
