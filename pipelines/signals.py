"""Signals that end a run: Ctrl-C, SIGTERM and SIGHUP -> one exception, and an exit status.

In: nothing. Out: while `heard` each rises on the main thread as a `KeyboardInterrupt`, whose
`status` is the exit status that a shell gives for it. One that was ignored when the process began
(`nohup`) stays so. Nothing here fails; off the main thread nothing is heard.
"""

import contextlib
import signal
import threading
from typing import Any, Dict, Iterator, NoReturn

# Of Ctrl-C: 128 and the signal's number, as of the others.
INTERRUPTED = 130

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


def _stop(number: int, _: Any) -> NoReturn:
    raise Stopped(number)
