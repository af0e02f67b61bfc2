"""One budget for the bytes of the pictures that a process has in flight.

A picture's memory is held in three kinds, one after the other, sometimes two at once:

- `READ`, its file's bytes, from before they are read until the picture is cut out: a quarter of the
  budget on top of the rest at most, so that reading ahead leaves room to work;
- `WORK`, what it takes decoded, from before it is decoded until its cutout is encoded;
- `RESULT`, the encoded cutout, until it is written.

`Budget.hold` waits for room, and gives a `Lease`. What is alone of its kind is always admitted,
however large it is, and what exists already (`wait=False`) at once. So nothing can wait for ever:
pictures in work end by themselves, and give back what those ahead of them wait for. A lease that is
forgotten, with a bundle that failed, gives itself back. The model's own memory is not part of it.
"""

import os
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Dict, Optional

import psutil

READ = "read"
WORK = "work"
RESULT = "result"

# Of the memory this process may use.
DEFAULT_SHARE = 0.5
READ_SHARE = 0.25

# Where Linux says what a container may use, version 2 and version 1.
_CONTAINER_LIMITS = (
    "/sys/fs/cgroup/memory.max",
    "/sys/fs/cgroup/memory/memory.limit_in_bytes",
)


class Budget:
    """Bytes of a process, shared out to its pictures; safe to use from any thread.

    Args:
      limit: all bytes together.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._held: Counter[str] = Counter()
        self._leases: Counter[str] = Counter()
        # A lease may be forgotten, and give itself back, within a call of this very object.
        self._changed = threading.Condition(threading.RLock())

    def hold(self, kind: str, size: int, *, wait: bool = True) -> "Lease":
        """A lease for `size` bytes, as soon as there is room."""
        waited = 0.0
        with self._changed:
            if wait and not self._has_room(kind, size):
                start = time.perf_counter()
                self._changed.wait_for(lambda: self._has_room(kind, size))
                waited = time.perf_counter() - start
            self._held[kind] += size
            self._leases[kind] += 1
        return Lease(self, kind, size, waited)

    def held(self) -> Dict[str, int]:
        """Bytes that are held, by kind."""
        with self._changed:
            return dict(self._held)

    def _has_room(self, kind: str, size: int) -> bool:
        if not self._leases[kind]:
            return True
        if kind == READ:
            return self._held[READ] + size <= self.limit * READ_SHARE
        return self._held.total() + size <= self.limit

    def _change(self, kind: str, size: int, leases: int = 0) -> None:
        with self._changed:
            self._held[kind] += size
            self._leases[kind] += leases
            self._changed.notify_all()


class Lease:
    """Bytes held; given back by `release`, at the end of a `with`, or when forgotten.

    Attributes:
      waited: seconds until there was room.
    """

    def __init__(self, budget: Budget, kind: str, size: int, waited: float) -> None:
        self.waited = waited
        self._budget = budget
        self._kind = kind
        self._size = size
        self._is_held = True

    def resize(self, size: int) -> None:
        """What was expected has turned out to be `size` bytes."""
        if self._is_held:
            self._budget._change(self._kind, size - self._size)
            self._size = size

    def release(self) -> None:
        if self._is_held:
            self._is_held = False
            self._budget._change(self._kind, -self._size, -1)

    def __enter__(self) -> "Lease":
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def __del__(self) -> None:
        self.release()


def available() -> int:
    """The memory that this process may use: the machine's, or its container's if that is less."""
    limits = [int(psutil.virtual_memory().total)]
    for path in _CONTAINER_LIMITS:
        if os.path.exists(path):
            text = Path(path).read_text().strip()
            limits += [int(text)] if text.isdigit() else []
    return min(limits)


def default_limit() -> int:
    return int(available() * DEFAULT_SHARE)


_lock = threading.Lock()
_budget: Optional[Budget] = None


def budget(limit: Optional[int] = None) -> Budget:
    """The process's budget; the smallest limit that anyone with pictures in flight asked for."""
    global _budget
    with _lock:
        if _budget is None:
            _budget = Budget(limit or default_limit())
        elif limit is not None:
            idle = not any(_budget.held().values())
            _budget.limit = limit if idle else min(_budget.limit, limit)
        return _budget


def forget() -> None:
    """Starts anew, for a run that follows another in the same process."""
    global _budget
    with _lock:
        _budget = None
