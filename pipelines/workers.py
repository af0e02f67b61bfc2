"""Worker processes, of Beam's multi_processing mode or a pool's: one that dies -> why, at once.

In: the threads of this process. In one Beam's runner waits for each worker process that it started,
and raises when it ended badly; in another it reads from a worker of a pool, and raises when the
connection breaks, unless the pipeline fails of that first. The runner itself notices late, when all
other workers are done, or never. Out: `Watch.death`, with the memory killer's part in it where the
system keeps count. Nothing here fails; where a later Beam waits in another way, a death is noticed
as late as without.
"""

import contextlib
import os
import re
import signal
import threading
import time
import uuid
from pathlib import Path
from typing import Any, Dict, Iterator, NamedTuple, Optional

import psutil

# For processes to end that were killed.
GRACE_SECONDS = 5.0

# A variable that worker processes inherit, by which they are known without their parents.
_MARK = "REMBG_BEAM_RUN"

# The thread in which Beam's runner reads from a worker process.
_READER = "beam_control_read"

# What a pipeline fails of that misses a pool's worker.
_GONE = "Channel closed prematurely"

_ENDED = re.compile(r"[Ww]orker subprocess exited with return code (-?\d+)")
_KILLED_FOR_MEMORY = re.compile(r"^oom_kill (\d+)$", re.MULTILINE)


class Death(NamedTuple):
    """How a worker process ended.

    Attributes:
      signal: the number of the signal that ended it; None if it ended by itself, or of a pool's.
      status: its exit status; None of a pool's, which nobody here knows.
      out_of_memory: whether the system has killed a process for memory since the watch began.
    """

    signal: Optional[int]
    status: Optional[int]
    out_of_memory: bool

    @property
    def is_of_its_own(self) -> bool:
        """Whether it ended itself, as another in its place would."""
        return self.signal is None and self.status is not None

    def __str__(self) -> str:
        if self.status is None:
            return "a worker process of the pool is gone"
        if self.signal is None:
            return f"a worker process ended with exit status {self.status}"
        if self.out_of_memory:
            return (
                "a worker process was killed since memory ran out; a lower --direct_num_workers "
                "or --max_memory needs less"
            )
        name = signal.strsignal(self.signal) or "unknown"
        return f"a worker process was ended by signal {self.signal} ({name.lower()})"


class Watch:
    """Notices worker processes that die, from `with` to its end.

    Args:
      root: of the file system in which the system counts what it killed.
      of_pool: whether the worker processes are a pool's, and not this process's.

    Attributes:
      death: of the first that died since the watch began or `forget` was called.
    """

    def __init__(self, root: Path = Path("/"), of_pool: bool = False) -> None:
        self.death: Optional[Death] = None
        self._root = root
        self._of_pool = of_pool
        self._killed = killed_for_memory(root)
        self._before: Any = None

    def __enter__(self) -> "Watch":
        self._before, threading.excepthook = threading.excepthook, self._hear
        os.environ[_MARK] = f"{os.getpid()}-{uuid.uuid4().hex}"
        return self

    def __exit__(self, *_: object) -> None:
        threading.excepthook = self._before
        os.environ.pop(_MARK, None)

    def forget(self) -> None:
        """The death is dealt with."""
        self.death, self._killed = None, killed_for_memory(self._root)

    def judge(self, error: Optional[BaseException]) -> None:
        """Looks at what a pipeline failed of, which may be all that is seen of a death."""
        if self._of_pool and _GONE in str(error):
            self.death = self.death or Death(None, None, False)

    def _hear(self, raised: threading.ExceptHookArgs) -> None:
        ended = _ENDED.search(str(raised.exc_value))
        if ended:
            self.death = self.death or self._of(int(ended[1]))
        elif raised.exc_type.__module__ != "grpc":
            self._before(raised)
        elif self._of_pool and raised.thread and raised.thread.name == _READER:
            self.death = self.death or Death(None, None, False)

    def _of(self, status: int) -> Death:
        # A shell between gives 128 and the signal's number.
        number = -status if status < 0 else status - 128
        killed = number == signal.SIGKILL and killed_for_memory(self._root) != self._killed
        return Death(number if number > 0 else None, status, killed)


def killed_for_memory(root: Path = Path("/")) -> Dict[str, int]:
    """How many processes the system has killed for memory, by the file that says so."""
    counts = {}
    for path in _counters(root):
        with contextlib.suppress(OSError, ValueError):
            found = _KILLED_FOR_MEMORY.search(path.read_text())
            if found:
                counts[str(path)] = int(found[1])
    return counts


def _counters(root: Path) -> Iterator[Path]:
    """The files of Linux: of this process's control group, version 2 and 1, and of the machine."""
    groups = root / "sys/fs/cgroup"
    with contextlib.suppress(OSError, ValueError):
        for line in (root / "proc/self/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if not controllers:
                yield groups / path.lstrip("/") / "memory.events"
            elif "memory" in controllers.split(","):
                yield groups / "memory" / path.lstrip("/") / "memory.oom_control"
    yield groups / "memory.events"
    yield groups / "memory/memory.oom_control"
    yield root / "proc/vmstat"


def end_all() -> None:
    """Kills all worker processes of this one; returns when they are gone."""
    found = set(psutil.Process().children(recursive=True)) | set(_orphans())
    for process in found:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    deadline = time.monotonic() + GRACE_SECONDS
    while not all(map(_is_over, found)) and time.monotonic() < deadline:
        time.sleep(0.01)


def _orphans() -> Iterator[psutil.Process]:
    """Those whose shell, between them and this process, has died before them."""
    mark = os.environ.get(_MARK)
    for process in psutil.process_iter() if mark else ():
        with contextlib.suppress(psutil.Error, OSError):
            if process.pid != os.getpid() and process.environ().get(_MARK) == mark:
                yield process


def _is_over(process: psutil.Process) -> bool:
    """Whether all its threads have ended, and with them its locks, though nobody asks how."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.status() == psutil.STATUS_ZOMBIE and process.num_threads() <= 1
    return True
