"""Signals that end a run: Ctrl-C, SIGTERM and SIGHUP -> one exception, and an exit status.

In: nothing. Out: while `heard` each rises on the main thread as a `KeyboardInterrupt`, whose
`status` is the exit status that a shell gives for it; amid the import of a module, as soon as that
leaves no lock behind. One that was ignored when the process began (`nohup`) stays so. Nothing here
fails; off the main thread nothing is heard.
"""

import _thread
import contextlib
import signal
import threading
import time
from types import FrameType
from typing import Any, Dict, Iterator, Optional

# Of Ctrl-C: 128 and the signal's number, as of the others.
INTERRUPTED = 130

# The file of Python's own code that takes the lock of all threads' imports, and would not give it
# back if an exception rose there; in some of its functions that exception would be lost, too.
_IMPORTING = "<frozen importlib._bootstrap>"

# Seconds until a signal that came there is heard again.
_SOON = 0.01

_ENDING = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
]


class Stopped(KeyboardInterrupt):
    """A signal asked this process to end."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.strsignal(number))
        self.status = 128 + number


def status(stop: KeyboardInterrupt) -> int:
    """The exit status of a process that ends for it.

    >>> status(Stopped(signal.SIGTERM)), status(KeyboardInterrupt())
    (143, 130)
    """
    return stop.status if isinstance(stop, Stopped) else INTERRUPTED


@contextlib.contextmanager
def kept() -> Iterator[Dict[int, Any]]:
    """Puts back what the `with` sets; gives what is set before it, by the signals' numbers."""
    before = {}
    if threading.current_thread() is threading.main_thread():
        before = {number: signal.getsignal(number) for number in _ENDING}
    try:
        yield before
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def heard() -> Iterator[None]:
    """Lets each of them rise, until the end of the `with`."""
    with kept() as before:
        for number, handler in before.items():
            if handler is not signal.SIG_IGN:
                signal.signal(number, _stop)
        yield


def ignore() -> None:
    """Lets none of them interrupt what ends the process anyway."""
    for number in _ENDING:
        signal.signal(number, signal.SIG_IGN)


def _stop(number: int, frame: Optional[FrameType]) -> None:
    if frame is not None and frame.f_code.co_filename == _IMPORTING:
        # By the lowest module: one of `threading` takes locks that this thread may hold.
        _thread.start_new_thread(_again, (number,))
        return
    raise Stopped(number)


def _again(number: int) -> None:
    time.sleep(_SOON)
    _thread.interrupt_main(signal.Signals(number))
