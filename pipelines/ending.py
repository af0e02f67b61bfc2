"""How a run ends that was not interrupted: what it says, and its exit status.

In: a run that ended, with the settings and the folder's record. Out: the summary on stdout, or why
it failed on stderr; the exit status; the record, settled or taken back. What can't be read or
changed by then is said, and stops nothing.
"""

import contextlib
import math
from typing import Any, NamedTuple, Optional, TextIO

from ..transforms import Encoding
from ..transforms.elements import FAILED, STATUSES
from ..transforms.folder import summary
from ..transforms.folder.manifest import folder
from ..transforms.runtime import metrics
from ..transforms.store import stores, uris
from . import logs, record, values
from .running import Running
from .settings import Settings
from .status import FAILED_RUN, OK


class Started(NamedTuple):
    """A run's id, and when it began by the store's clock, if that is known."""

    run: str
    at: Optional[float]


class Finished(NamedTuple):
    """A run that came to its end: what it did, and how long it took."""

    summary: summary.Summary
    seconds: float


def report(
    running: Running,
    given: Settings,
    remembered: record.Remembered,
    started: Started,
    stdout: TextIO,
) -> int:
    """Says what the run did; its exit status."""
    if running.error is not None:
        logs.say(f"the run failed: {logs.cause(running.error)}")
        print_counts(stdout)
        if running.died:
            _print_files(given, started.at, stdout)
        _leave(record.take_back, given, remembered)
        return FAILED_RUN
    output = str(given.output)
    run = started.run
    try:
        done = summary.read(output, run)
    except (OSError, ValueError) as error:
        logs.say(f"the run ended, and its counts can't be read: {error}")
        return FAILED_RUN
    if not done.total and given.retry_failed:
        print("nothing to retry: no picture failed last", file=stdout)
        return OK
    if not done.total:
        logs.say("the run failed: no input matched any picture")
        _leave(record.take_back, given, remembered)
        return FAILED_RUN
    _print_summary(Finished(done, running.seconds), folder(output, run), stdout)
    _leave(record.settle, given, remembered)
    excess = _too_many_failures(done, given.max_failures)
    if excess:
        logs.say(excess)
    return FAILED_RUN if excess else OK


def _too_many_failures(done: summary.Summary, limit: Optional[str]) -> Optional[str]:
    """What to say of a run with more failures than it may have; None of any other."""
    failures = done.counts[FAILED]
    if limit is not None:
        excess = failures > values.max_failures(limit, done.total)
        said = f"{failures} of {done.total} failed, more than --max_failures {limit} allows"
        return said if excess else None
    if failures < done.total or not failures:
        return None
    return "nothing was written or found done; --max_failures 100% would let that pass"


def _leave(change: Any, given: Settings, remembered: record.Remembered) -> None:
    """Changes the folder's record, on which nothing that was done depends any more."""
    try:
        change(given, remembered)
    except (KeyboardInterrupt, OSError, ValueError) as error:
        why = "interrupted" if isinstance(error, KeyboardInterrupt) else error
        logs.say(f"what the folder remembers stays as it is: {why}")


def _print_summary(finished: Finished, rows: str, stdout: TextIO) -> None:
    done = finished.summary
    counts = ", ".join(f"{done.counts[status]} {status}" for status in STATUSES)
    rate = done.total / finished.seconds
    digits = 1 if rate >= 0.1 else 3
    print(f"{counts}; {finished.seconds:.1f} s, {rate:.{digits}f} pictures/s", file=stdout)
    for uri, step, error, message in done.failures:
        text = f"{uris.without_secrets(uri)} ({step}, {error}): {message}"
        # A terminal would obey the control characters of a name.
        safe = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
        print(f"  failed: {safe}", file=stdout)
    more = done.counts[FAILED] - len(done.failures)
    if more > 0:
        print(f"  ... and {more} more", file=stdout)
    what = "rows, the failures' among them" if done.counts[FAILED] else "rows"
    print(f"{what}: {uris.without_secrets(rows)}", file=stdout)


def print_counts(stdout: TextIO) -> None:
    """What this process counted; of other processes that did the work it knows nothing."""
    tally = metrics.tally.snapshot()
    if not tally:
        return
    counts = ", ".join(f"{tally.get(f'outcomes_{status}', 0)} {status}" for status in STATUSES)
    print(f"until then: {counts}", file=stdout)


def _print_files(given: Settings, since: Optional[float], stdout: TextIO) -> None:
    """How many files the worker processes wrote, of which nothing else is known."""
    suffix = given.part(Encoding).suffix
    with contextlib.suppress(OSError, ValueError):
        count = sum(
            file.name.endswith(suffix) and (file.modified or 0) >= (since or math.inf)
            for file in stores.listing(str(given.output))
        )
        print(f"until then: {count} files written, without rows; ", end="", file=stdout)
    more = " with --on_existing skip" if given.on_existing == "fail" else ""
    print(f"the same command{more} goes on from here", file=stdout)
