"""A fast function beside a slow one that gives the same bits, loaded when it pays.

In: `load`, which imports the fast function and proves it equal to the slow one. Out: that function,
once it is there; whoever asks before does it the slow way, inside `slowly`. Importing numba takes
half a second in each process and compiling a loop some more once per machine, so a thread does that
when the slow way has cost as much; a run of a few pictures ends before. Nothing here fails: a
`load` that raises leaves the work to the slow way, and says so.
"""

import contextlib
import logging
import sys
import threading
import time
from typing import Callable, Generic, Iterator, Optional, TypeVar

F = TypeVar("F")

# Of a core, spent the slow way: half of what loading takes on a machine that has it compiled. With
# 0.7 a run over 60 pictures of 1 MP took 2 % longer.
PAYS_SECONDS = 0.3

# What is left of it where numba is imported already.
_IMPORTED = 0.1

_log = logging.getLogger(__name__)


class Twin(Generic[F]):
    """See the module's docstring; safe to use from any thread.

    Args:
      what: what it does, as a log says it: "pictures are resized".
      load: returns the fast function, or None if it is not equal to the slow one.
    """

    def __init__(self, what: str, load: Callable[[], Optional[F]]) -> None:
        self.what = what
        self._load = load
        self._lock = threading.Lock()
        self._spent = 0.0
        self._asked = False
        self._fast: Optional[F] = None

    def fast(self) -> Optional[F]:
        """The fast function, if it is there."""
        return self._fast

    @contextlib.contextmanager
    def slowly(self) -> Iterator[None]:
        """Counts the time of this thread until the end of the `with`."""
        start = time.thread_time()
        yield
        with self._lock:
            self._spent += time.thread_time() - start
            pays = not self._asked and self._spent >= _pays_seconds()
            self._asked = self._asked or pays
        if pays:
            # Not a daemon: an interpreter that ends while LLVM compiles would crash.
            threading.Thread(target=self.load, name=f"rembg_beam-twin {self.what}").start()

    def load(self) -> Optional[F]:
        """Loads the fast function now, and returns it; None where it is not to be had."""
        with self._lock:
            self._asked = True
        try:
            self._fast = self._load()
            if self._fast is None:
                _log.warning("%s the slow way: the fast one gives other bits here", self.what)
        except Exception as error:  # numba without a compiler for this machine
            _log.warning("%s the slow way: %s", self.what, error)
        return self._fast


def _pays_seconds() -> float:
    return PAYS_SECONDS * (_IMPORTED if "numba" in sys.modules else 1)
