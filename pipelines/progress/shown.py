"""Shown: what a person sees while a run is at work, on stderr.

In: states, now and then. Out: a bar on a terminal; elsewhere a line each minute, or, if asked for,
a JSON object a line each `JSON_SECONDS`. Records of logs are written above the bar. Nothing fails.
"""

import contextlib
import json
import logging
import sys
import time
from typing import Callable, Dict, Protocol

from ...transforms.elements import FAILED
from ..status import UsageError
from .state import State, Watch, clock, line

try:
    from tqdm import tqdm
except ValueError as error:  # it reads TQDM_MININTERVAL and its kin when it is imported
    raise UsageError(f"an environment variable TQDM_… makes no sense: {error}") from error

LINE_SECONDS = 60.0
JSON_SECONDS = 5.0

# Between two changes of the bar.
BAR_SECONDS = 0.2


class Handler(logging.Handler):
    """Writes records to stderr, above the bar where there is one."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            tqdm.write(self.format(record), file=sys.stderr)
        except Exception:
            self.handleError(record)


class Show(Protocol):
    """Shows states."""

    seconds: float
    """Between two states that are wanted."""

    def show(self, state: State) -> None: ...

    def close(self) -> None: ...


class Bar:
    """A progress bar."""

    seconds = BAR_SECONDS

    def __init__(self) -> None:
        form = "{l_bar}{bar}| {n_fmt}/{total_fmt} [{elapsed}{postfix}]"
        self._bar = tqdm(file=sys.stderr, dynamic_ncols=True, bar_format=form, unit=" pictures")

    def show(self, state: State) -> None:
        parts = [f"{state.rate:.1f} pictures/s"]
        if state.seconds_left is not None:
            parts.append(f"{clock(state.seconds_left)} left")
        if failed := state.counts[FAILED]:
            parts.append(f"{failed} failed")
        parts.append(f"{state.memory_bytes / 1e9:.1f} GB")
        self._bar.total = state.found or None
        self._bar.set_postfix_str(", ".join(parts), refresh=False)
        self._bar.n = state.done
        self._bar.refresh()

    def close(self) -> None:
        self._bar.close()


class Lines:
    """A line of plain text for each state."""

    seconds = LINE_SECONDS

    def show(self, state: State) -> None:
        _print(f"rembg-beam: {line(state)}")

    def close(self) -> None:
        pass


class Json:
    """A JSON object for each state, a line each, the last one at the end."""

    seconds = JSON_SECONDS

    def __init__(self) -> None:
        self._start = time.monotonic()

    def show(self, state: State) -> None:
        document = {
            "seconds": round(time.monotonic() - self._start, 1),
            "found": state.found,
            "done": state.done,
            **state.counts,
            "rate": round(state.rate, 3),
            "seconds_left": state.seconds_left and round(state.seconds_left, 1),
            "memory_bytes": state.memory_bytes,
        }
        _print(json.dumps(document))

    def close(self) -> None:
        pass


class Nothing:
    """No state is shown."""

    seconds = LINE_SECONDS

    def show(self, state: State) -> None:
        pass

    def close(self) -> None:
        pass


_SHOWS: Dict[str, Callable[[], Show]] = {
    "bar": Bar,
    "lines": Lines,
    "json": Json,
    "none": Nothing,
}


class Progress:
    """What is shown of a run; `update` it often, `close` it at its end.

    Args:
      counts: what is counted by now.
      kind: one of `settings.PROGRESS`; "auto" is a bar on a terminal, lines elsewhere.
    """

    def __init__(self, counts: Callable[[], Dict[str, int]], kind: str = "auto") -> None:
        if kind == "auto":
            kind = "bar" if sys.stderr.isatty() else "lines"
        self._show = _SHOWS[kind]()
        self._counts = counts
        self._watch = Watch()
        self._shown = time.monotonic()
        self._is_silent = kind == "none"

    def update(self) -> None:
        """Shows how far it is, if it is time to."""
        if not self._is_silent and time.monotonic() - self._shown >= self._show.seconds:
            self._show_now()

    def close(self) -> None:
        if isinstance(self._show, (Bar, Json)):
            self._show_now()
        self._show.close()

    def _show_now(self) -> None:
        self._shown = time.monotonic()
        self._show.show(self._watch.state(self._counts()))


def _print(text: str) -> None:
    with contextlib.suppress(OSError):  # of a terminal that is gone
        print(text, file=sys.stderr, flush=True)
