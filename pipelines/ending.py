"""How a run ends: what it says, its exit status, and what it leaves in the output folder.

In: a run that ended or was interrupted, and what it began with. Out: the summary on stdout, or why
it failed on stderr; the exit status; the folder's record, settled or taken back. What can't be read
or changed by then is said, and stops nothing.
"""

import contextlib
import errno
import math
import os
import sys
import time
from typing import Any, NamedTuple, NoReturn, Optional, TextIO

from ..transforms import RemoveBackgrounds
from ..transforms.elements import FAILED, STATUSES
from ..transforms.folder import layout, record, summary
from ..transforms.folder.existing import Ends
from ..transforms.folder.presence import Presence
from ..transforms.runtime import shared
from ..transforms.store import stores, uris
from . import logs, values, workers
from .piped import Lists
from .progress import counted
from .running import Running
from .status import FAILED_RUN, OK

# For other processes to let go of their files; another run keeps its own.
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
        logs.say(f"the run failed: {logs.cause(run.error)}{way_out(run.error)}")
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
    excess = too_many_failures(done, max_failures)
    if excess:
        logs.say(excess)
    return FAILED_RUN if excess else OK


def way_out(error: BaseException) -> str:
    """What to do about an error that says only what happened."""
    if os.strerror(errno.ENOSPC) not in str(error):
        return ""
    return (
        "; make room where --output lies, or where temporary files do (TMPDIR), and give the same "
        "command again: it goes on from here"
    )


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
    sweep(output)
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


def sweep(output: str) -> None:
    """Sweeps until nothing is left, for a while: a process that is killed, or a worker that is told
    to end, holds its files until its last thread has ended."""
    deadline = time.monotonic() + SWEEP_SECONDS
    while not stores.sweep(output) and time.monotonic() < deadline:
        time.sleep(0.05)


def too_many_failures(done: summary.Summary, limit: Optional[str]) -> Optional[str]:
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
        print(f"  failed: {logs.printable(text)}", file=stdout)
    more = done.counts[FAILED] - len(done.failures)
    if more > 0:
        print(f"  ... and {more} more", file=stdout)
    what = "rows, the failures' among them" if done.counts[FAILED] else "rows"
    print(f"{what}: {uris.without_secrets(rows)}", file=stdout)


def _print_counts(started: StartedRun, stdout: TextIO) -> None:
    """What was counted here; of workers elsewhere nothing is known."""
    found = counted.here()
    if not found and not started.job.local_join:
        return
    counts = ", ".join(f"{found.get(f'outcomes_{status}', 0)} {status}" for status in STATUSES)
    print(f"until then: {counts}", file=stdout)


def _print_files(started: StartedRun, stdout: TextIO) -> None:
    """What the worker processes wrote, of which nothing else is known."""
    job = started.job
    with contextlib.suppress(OSError, ValueError):
        what = _shards_made(job) if job.dataset.is_sharded else _files_written(started)
        print(f"until then: {what}; ", end="", file=stdout)
    more = " with --on_existing skip" if job.on_existing == "fail" else ""
    print(f"the same command{more} goes on from here", file=stdout)


def _files_written(started: StartedRun) -> str:
    remove, since = started.job.remove, started.presence.since or math.inf
    count = sum(
        file.name.endswith(Ends.of(remove).suffixes) and (file.modified or 0) >= since
        for file in stores.listing(remove.output)
    )
    return f"{count} files written, without rows"


def _shards_made(job: RemoveBackgrounds) -> str:
    rows = uris.join(job.remove.output, layout.run_folder(job.run_id))
    count = sum(1 for _ in stores.listing(rows, start="shard-"))
    return f"{count} shards made, with rows"
