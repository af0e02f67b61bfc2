"""How a run ends: what it says, its exit status, and what it leaves in the output folder.

In: a run that ended or was interrupted, and what it began with. Out: the summary on stdout, or why
it failed on stderr; the exit status; the folder's record, settled or taken back. What can't be read
or changed by then is said, and stops nothing.
"""

import contextlib
import math
import os
import sys
import time
from typing import Any, NamedTuple, NoReturn, Optional, TextIO

from ..transforms import RemoveBackgrounds
from ..transforms.elements import FAILED, STATUSES
from ..transforms.folder import layout, record, summary
from ..transforms.folder.presence import Presence
from ..transforms.runtime import shared
from ..transforms.store import stores, uris
from . import logs, progress, values, workers
from .piped import Lists
from .running import Running
from .status import FAILED_RUN, OK

# For killed processes to let go of their files; another run keeps its own.
SWEEP_SECONDS = 1.0


class StartedRun(NamedTuple):
    """A run that has begun.

    Attributes:
      job: what it does.
      lists: its input lists, kept for workers while it lasts.
      remembered: what the output folder's record says.
      presence: its being at work there.
      is_elsewhere: whether it goes on without this process, once it is sent.
    """

    job: RemoveBackgrounds
    lists: Lists
    remembered: record.Remembered
    presence: Presence
    is_elsewhere: bool


def report(run: Running, started: StartedRun, max_failures: Optional[str], stdout: TextIO) -> int:
    """Says what the run did; its exit status."""
    job = started.job
    if run.error is not None:
        logs.say(f"the run failed: {logs.cause(run.error)}")
        if run.died:
            _print_files(started, stdout)
        else:
            _print_counts(started, stdout)
        _leave(record.take_back, started)
        return FAILED_RUN
    try:
        done = summary.read(job.remove.output, job.run_id)
    except (OSError, ValueError) as error:
        logs.say(f"the run ended, and its counts can't be read: {error}")
        return FAILED_RUN
    if not done.total and job.retry_failed:
        print("nothing to retry: no picture failed last", file=stdout)
        return OK
    if not done.total:
        logs.say("the run failed: no input matched any picture")
        _leave(record.take_back, started)
        return FAILED_RUN
    rows = uris.join(job.remove.output, layout.run_folder(job.run_id))
    _print_summary(done, run.seconds, rows, stdout)
    _leave(record.settle, started)
    excess = _too_many_failures(done, max_failures)
    if excess:
        logs.say(excess)
    return FAILED_RUN if excess else OK


def interrupted(run: Running, started: StartedRun, status: int, stdout: TextIO) -> NoReturn:
    """Ends the process at once: the runner can't be stopped, the files can."""
    output = started.job.remove.output
    goes_on = started.is_elsewhere and run.is_sent
    with contextlib.suppress(OSError):  # of a terminal that is gone
        logs.say("interrupted")
        if goes_on:
            print("  the job itself goes on where it runs; cancel it there", file=sys.stderr)
    if not goes_on:
        started.lists.remove()
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # the runner's last words
    workers.end_all()
    stores.abandon()
    _sweep(output)
    started.presence.abandon()
    with contextlib.suppress(OSError):
        _print_counts(started, stdout)
        print(
            f"what is written stays in {uris.without_secrets(output)}, no file is half-written; "
            "the same command goes on from here",
            file=stdout,
        )
        stdout.flush()
    shared.end()
    os._exit(status)


def _sweep(output: str) -> None:
    """Sweeps until nothing is left: a killed process holds its files until its last thread ends."""
    deadline = time.monotonic() + SWEEP_SECONDS
    while not stores.sweep(output) and time.monotonic() < deadline:
        time.sleep(0.05)


def _too_many_failures(done: summary.Summary, limit: Optional[str]) -> Optional[str]:
    """What to say of a run with more failures than it may have; None of any other."""
    failures, total = done.counts[FAILED], done.total
    if limit is None and failures == total:
        return "nothing was written or found done; --max_failures 100% would let that pass"
    if limit is not None and failures > values.max_failures(limit, total):
        return f"{failures} of {total} failed, more than --max_failures {limit} allows"
    return None


def _leave(change: Any, started: StartedRun) -> None:
    """Changes the folder's record, on which nothing that was done depends any more."""
    try:
        change(started.job.remove, started.remembered)
    except (KeyboardInterrupt, OSError, ValueError) as error:
        why = "interrupted" if isinstance(error, KeyboardInterrupt) else error
        logs.say(f"what the folder remembers stays as it is: {why}")


def _print_summary(done: summary.Summary, seconds: float, rows: str, stdout: TextIO) -> None:
    counts = ", ".join(f"{done.counts[status]} {status}" for status in STATUSES)
    rate = done.total / seconds
    digits = 1 if rate >= 0.1 else 3
    print(f"{counts}; {seconds:.1f} s, {rate:.{digits}f} pictures/s", file=stdout)
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


def _print_counts(started: StartedRun, stdout: TextIO) -> None:
    """What was counted here; of workers elsewhere nothing is known."""
    found = progress.counts()
    if not found and not started.job.local_join:
        return
    counts = ", ".join(f"{found.get(f'outcomes_{status}', 0)} {status}" for status in STATUSES)
    print(f"until then: {counts}", file=stdout)


def _print_files(started: StartedRun, stdout: TextIO) -> None:
    """How many files the worker processes wrote, of which nothing else is known."""
    job, since = started.job, started.presence.since or math.inf
    with contextlib.suppress(OSError, ValueError):
        count = sum(
            file.name.endswith(job.remove.encoding.suffix) and (file.modified or 0) >= since
            for file in stores.listing(job.remove.output)
        )
        print(f"until then: {count} files written, without rows; ", end="", file=stdout)
    more = " with --on_existing skip" if job.on_existing == "fail" else ""
    print(f"the same command{more} goes on from here", file=stdout)
