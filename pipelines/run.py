"""The command `rembg-beam run`.

In: arguments. Out: an exit status, 0 for success, 1 for a run that failed, had more failures than
allowed or nothing else, 2 for wrong use, 130 for Ctrl-C, 143 for SIGTERM, 129 for SIGHUP. The
summary goes to stdout.

Without `--runner` the pipeline runs in this process, on Beam's FnApiRunner, whose `run` blocks; so
it runs in a thread, and the main thread shows progress and hears Ctrl-C.
"""

import argparse
import contextlib
import functools
import gc
import math
import os
import sys
import threading
import time
from typing import Any, Callable, List, NamedTuple, NoReturn, Optional, Sequence, TextIO

import apache_beam as beam
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import (
    PipelineOptions,
    StandardOptions,
)

from ..transforms import memory, metrics, summary, uris
from ..transforms.elements import FAILED, STATUSES
from ..transforms.manifest import folder, new_run_id
from ..transforms.storage import files
from ..transforms.storage.lists import InputList, is_read_once
from . import graph, logs, piped, presence, record, settings, signals, values, workers
from .cli import help_to
from .progress import Bar
from .settings import Parsed, Settings
from .status import FAILED_RUN, OK, UsageError

DEFAULT_RUNNER = "FnApiRunner"

# Of progress shown, and of hearing Ctrl-C.
TICK_SECONDS = 0.2

# For a pipeline to end whose worker processes were killed.
GRACE_SECONDS = 5.0

# For killed processes to let go of their files; another run keeps its own.
SWEEP_SECONDS = 1.0

# Worker processes that may die before the run is given up.
WORKER_DEATHS = 4


class Finished(NamedTuple):
    """A run that came to its end: what it did, and how long it took."""

    summary: summary.Summary
    seconds: float


def command(arguments: List[str], stdout: TextIO) -> int:
    """`rembg-beam run` with its arguments; returns the exit status."""
    logs.to_stderr()
    parser = _parser(stdout)
    try:
        namespace, others = parser.parse_known_args(settings.normalized(arguments))
    except SystemExit as stop:
        return int(stop.code or 0)
    parsed = settings.parse(namespace, others)
    if parsed.print_config:
        print(uris.without_secrets_in(settings.describe(parsed)), file=stdout)
        return OK
    with signals.heard():
        return _run(parsed, stdout)


def _run(parsed: Parsed, stdout: TextIO) -> int:
    options = PipelineOptions(parsed.beam)
    runner = options.view_as(StandardOptions).runner or DEFAULT_RUNNER
    _check_runner(runner, parsed.settings)
    FileSystems.set_options(options)
    graph.check(parsed.settings)
    with piped.Lists(parsed.settings.input_list) as lists:
        return _run_over(lists, parsed, runner, options, stdout)


def _run_over(
    lists: piped.Lists, parsed: Parsed, runner: str, options: PipelineOptions, stdout: TextIO
) -> int:
    """Runs the pipeline; what the lists are read from is removed by the caller."""
    run = new_run_id()
    output = str(parsed.settings.output)
    try:
        files.begin(output)
        given = lists.keep(output, run)
        remembered = record.remember(parsed.settings)
        present = presence.Presence(output, run)
    except UsageError:
        raise
    except (OSError, ValueError) as error:
        shown = uris.without_secrets(output)
        raise UsageError(f"--output {shown!r} can't be written to: {error}") from error
    metrics.tally.clear()
    memory.forget()
    if warning := present.warning():
        logs.say(warning)
    with present:
        try:
            with workers.Watch() as watch:
                making = functools.partial(
                    _pipeline, runner, options, parsed.settings, run, remembered.since, given
                )
                running = _Running(making, runner, watch, parsed.settings.on_existing != "fail")
                _wait(running, present, lists, output, stdout)
        finally:
            files.end(output)
            files.sweep(output)
        return _report(running, parsed.settings, remembered, Started(run, present.since), stdout)


def _wait(
    running: "_Running",
    present: presence.Presence,
    lists: piped.Lists,
    output: str,
    stdout: TextIO,
) -> None:
    """Shows progress until the run's end; ends the process if it is asked to."""
    bar = Bar()
    try:
        while not running.wait(TICK_SECONDS):
            bar.update()
        bar.update()
    except KeyboardInterrupt as stop:
        signals.ignore()
        bar.close()
        _interrupted(running, present, lists, output, stdout, signals.status(stop))
    finally:
        bar.close()


class Started(NamedTuple):
    """A run's id, and when it began by the store's clock, if that is known."""

    run: str
    at: Optional[float]


class _Attempt:
    """A pipeline that runs in a thread of its own."""

    def __init__(self, pipeline: beam.Pipeline) -> None:
        self.error: Optional[BaseException] = None
        self.result: Any = None
        self._pipeline = pipeline
        # What was imported and built stays: garbage is not looked for among it.
        gc.freeze()
        gc.enable()
        self._thread = threading.Thread(target=self._run, daemon=True, name="pipeline")
        self._thread.start()

    def wait(self, seconds: float) -> bool:
        """Whether it ended within that time."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            self.result = self._pipeline.run()
            self.result.wait_until_finish()
        except BaseException as error:
            self.error = error


class _Running:
    """A run: a pipeline, and after a worker process died another, which goes on from there.

    Attributes:
      died: worker processes that died.
    """

    def __init__(
        self, make: Callable[[], beam.Pipeline], runner: str, watch: workers.Watch, goes_on: bool
    ) -> None:
        self.runner = runner
        self.start = time.monotonic()
        self.seconds = 0.0
        self.died = 0
        self._make = make
        self._watch = watch
        self._goes_on = goes_on
        self._failed: Optional[BaseException] = None
        self._attempt = _Attempt(make())

    @property
    def error(self) -> Optional[BaseException]:
        return self._failed or self._attempt.error

    @property
    def result(self) -> Any:
        return self._attempt.result

    def wait(self, seconds: float) -> bool:
        """Whether it ended within that time."""
        ended = self._attempt.wait(seconds)
        well = ended and self._attempt.error is None
        if self._watch.death is not None and not well:
            ended = not self._replaced(self._watch.death)
        self.seconds = time.monotonic() - self.start
        return ended

    def _replaced(self, death: workers.Death) -> bool:
        """Whether new worker processes go on in place of all there are."""
        self.died += 1
        workers.end_all()
        self._attempt.wait(GRACE_SECONDS)
        if death.signal is None or not self._goes_on or self.died >= WORKER_DEATHS:
            self._failed = RuntimeError(f"{death}{_the_last(self.died)}")
            return False
        logs.say(f"{death}; new ones go on from what is written")
        self._watch.forget()
        self._attempt = _Attempt(self._make())
        return True


def _pipeline(
    runner: str,
    options: PipelineOptions,
    given: Settings,
    run: str,
    since: Optional[float],
    lists: Sequence[InputList],
) -> beam.Pipeline:
    try:
        pipeline = beam.Pipeline(runner=runner, options=options)
    except ValueError as error:
        raise UsageError(str(error)) from error
    graph.build(pipeline, given, run, since, lists)
    return pipeline


def _the_last(died: int) -> str:
    return f", after {died - 1} before it" if died > 1 else ""


def _report(
    running: _Running,
    given: Settings,
    remembered: record.Remembered,
    started: Started,
    stdout: TextIO,
) -> int:
    """Says what the run did; its exit status."""
    if running.error is not None:
        logs.say(f"the run failed: {logs.cause(running.error)}")
        _print_counts(stdout)
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


def _print_counts(stdout: TextIO) -> None:
    """What this process counted; of other processes that did the work it knows nothing."""
    tally = metrics.tally.snapshot()
    if not tally:
        return
    counts = ", ".join(f"{tally.get(f'outcomes_{status}', 0)} {status}" for status in STATUSES)
    print(f"until then: {counts}", file=stdout)


def _print_files(given: Settings, since: Optional[float], stdout: TextIO) -> None:
    """How many files the worker processes wrote, of which nothing else is known."""
    suffix = given.encoding().suffix
    with contextlib.suppress(OSError, ValueError):
        count = sum(
            file.name.endswith(suffix) and (file.modified or 0) >= (since or math.inf)
            for file in files.listing(str(given.output))
        )
        print(f"until then: {count} files written, without rows; ", end="", file=stdout)
    more = " with --on_existing skip" if given.on_existing == "fail" else ""
    print(f"the same command{more} goes on from here", file=stdout)


def _interrupted(
    running: _Running,
    present: presence.Presence,
    lists: piped.Lists,
    output: str,
    stdout: TextIO,
    status: int,
) -> NoReturn:
    """Ends the process at once: the runner can't be stopped, the files can."""
    elsewhere = running.result is not None and running.runner != DEFAULT_RUNNER
    with contextlib.suppress(OSError):  # of a terminal that is gone
        logs.say("interrupted")
        if elsewhere:
            print("  the job itself goes on where it runs; cancel it there", file=sys.stderr)
    if not elsewhere:
        lists.remove()
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # the runner's last words
    workers.end_all()
    files.abandon()
    _sweep(output)
    present.abandon()
    shown = uris.without_secrets(output)
    with contextlib.suppress(OSError):
        _print_counts(stdout)
        print(
            f"what is written stays in {shown}, no file is half-written; "
            "the same command goes on from here",
            file=stdout,
        )
        stdout.flush()
    os._exit(status)


def _sweep(output: str) -> None:
    """Sweeps until nothing is left: a killed process holds its files until its last thread ends."""
    deadline = time.monotonic() + SWEEP_SECONDS
    while not files.sweep(output) and time.monotonic() < deadline:
        time.sleep(0.05)


def _check_runner(runner: str, given: Settings) -> None:
    """Dataflow's workers have no files of this machine."""
    if "dataflow" not in runner.lower():
        return
    listed = [uri for uri in given.input_list if not is_read_once(uri)]
    named = (*given.input, *listed, given.output)
    local = [uri for uri in named if uri and uris.is_local(uri)]
    if local:
        raise UsageError(
            f"{local[0]!r} is a path of this machine, which {runner}'s workers don't see: use "
            "gs:// URIs for inputs and output"
        )


def _parser(stdout: TextIO) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="rembg-beam run",
        description="Removes the backgrounds of pictures. Options it does not know are Beam's own, "
        "such as --runner=DataflowRunner --region=europe-west4.",
        allow_abbrev=False,
    )
    settings.add_arguments(parser)
    parser.print_help = help_to(parser, stdout)  # type: ignore[method-assign]
    return parser
