"""The command `rembg-beam`.

In: arguments. Out: an exit status, 0 for success, 1 for a run that failed or had more failures
than allowed, 2 for wrong use, 130 for Ctrl-C. Results and the summary go to stdout, everything
else to stderr, whatever the libraries print included.

Without `--runner` the pipeline runs in this process, on Beam's FnApiRunner, whose `run` blocks; so
it runs in a thread, and the main thread shows progress and hears Ctrl-C.
"""

import argparse
import contextlib
import os
import signal
import sys
import threading
import time
from typing import Any, List, NamedTuple, NoReturn, Optional, Sequence, TextIO

import apache_beam as beam
import psutil
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
from . import graph, logs, models, piped, providers, record, settings, values
from .beam_options import UsageError
from .progress import Bar
from .settings import Parsed, Settings

OK, FAILED_RUN, WRONG_USE, INTERRUPTED = 0, 1, 2, 130

DEFAULT_RUNNER = "FnApiRunner"

# Of progress shown, and of hearing Ctrl-C.
TICK_SECONDS = 0.2

# For bundles in work to end after Ctrl-C, before the process does.
GRACE_SECONDS = 1.0


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """The command; returns its exit status."""
    with logs.results_only_on_stdout() as stdout:
        logs.to_stderr()
        try:
            return _command(sys.argv[1:] if arguments is None else list(arguments), stdout)
        except UsageError as error:
            logs.say(str(error))
            return WRONG_USE
        except KeyboardInterrupt:
            logs.say("interrupted before anything ran")
            return INTERRUPTED


class Finished(NamedTuple):
    """A run that came to its end: what it did, and how long it took."""

    summary: summary.Summary
    seconds: float


def _command(arguments: List[str], stdout: TextIO) -> int:
    parser = _parser(stdout)
    try:
        namespace, others = parser.parse_known_args(settings.normalized(arguments))
    except SystemExit as stop:
        return int(stop.code or 0)
    if namespace.command != "run":
        return _tell(namespace, others, stdout)
    parsed = settings.parse(namespace, others)
    if parsed.print_config:
        print(uris.without_secrets_in(settings.describe(parsed)), file=stdout)
        return OK
    return _run(parsed, stdout)


def _tell(namespace: argparse.Namespace, others: List[str], stdout: TextIO) -> int:
    """The commands that run no pipeline."""
    if others:
        raise UsageError(f"rembg-beam {namespace.command} doesn't know {others[0]}")
    try:
        if namespace.command == "providers":
            providers.show(stdout)
        elif namespace.names is None:
            models.show(stdout)
        else:
            models.fetch(namespace.names, namespace.to, namespace.model_dir, stdout)
        return OK
    except ValueError as error:
        raise UsageError(str(error)) from error
    except (OSError, RuntimeError) as error:
        logs.say(str(error))
        return FAILED_RUN


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
    except UsageError:
        raise
    except (OSError, ValueError) as error:
        shown = uris.without_secrets(output)
        raise UsageError(f"--output {shown!r} can't be written to: {error}") from error
    metrics.tally.clear()
    memory.forget()
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _as_interrupt)
    running = _Running(runner, options, parsed.settings, run, remembered.since, given)
    bar = Bar()
    try:
        while not running.wait(TICK_SECONDS):
            bar.update()
        bar.update()
    except KeyboardInterrupt:
        bar.close()
        _interrupted(running, output, lists, stdout)
    finally:
        bar.close()
        files.end(output)
        files.sweep(output)
    return _report(running, parsed.settings, remembered, run, stdout)


class _Running:
    """A pipeline that runs in a thread of its own."""

    def __init__(
        self,
        runner: str,
        options: PipelineOptions,
        given: Settings,
        run: str,
        since: Optional[float],
        lists: Sequence[InputList],
    ) -> None:
        self.runner = runner
        self.error: Optional[BaseException] = None
        self.result: Any = None
        self.start = time.monotonic()
        self.seconds = 0.0
        try:
            self._pipeline = beam.Pipeline(runner=runner, options=options)
        except ValueError as error:
            raise UsageError(str(error)) from error
        graph.build(self._pipeline, given, run, since, lists)
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
        self.seconds = time.monotonic() - self.start


def _report(
    running: _Running, given: Settings, remembered: record.Remembered, run: str, stdout: TextIO
) -> int:
    """Says what the run did; its exit status."""
    if running.error is not None:
        logs.say(f"the run failed: {logs.cause(running.error)}")
        _print_counts(stdout)
        _leave(record.take_back, given, remembered)
        return FAILED_RUN
    output = str(given.output)
    done = summary.read(output, run)
    if not done.total and given.retry_failed:
        print("nothing to retry: no picture failed last", file=stdout)
        return OK
    if not done.total:
        logs.say("the run failed: no input matched any picture")
        _leave(record.take_back, given, remembered)
        return FAILED_RUN
    _print_summary(Finished(done, running.seconds), folder(output, run), stdout)
    _leave(record.settle, given, remembered)
    failures = done.counts[FAILED]
    if given.max_failures is None:
        return OK
    allowed = values.max_failures(given.max_failures, done.total)
    if failures > allowed:
        limit = f"--max_failures {given.max_failures}"
        logs.say(f"{failures} of {done.total} failed, more than {limit} allows")
        return FAILED_RUN
    return OK


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


def _as_interrupt(*_: Any) -> NoReturn:
    raise KeyboardInterrupt


def _interrupted(running: _Running, output: str, lists: piped.Lists, stdout: TextIO) -> NoReturn:
    """Ends the process at once: the runner can't be stopped, the files can."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    logs.say("interrupted")
    if running.result is not None and running.runner != DEFAULT_RUNNER:
        print("  the job itself goes on where it runs; cancel it there", file=sys.stderr)
    else:
        lists.remove()
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # the runner's last words
    _kill_children()
    files.abandon()
    files.sweep(output)
    _print_counts(stdout)
    shown = uris.without_secrets(output)
    print(
        f"what is written stays in {shown}, no file is half-written; "
        "the same command goes on from here",
        file=stdout,
    )
    stdout.flush()
    os._exit(INTERRUPTED)


def _kill_children() -> None:
    """Ends the worker processes of multi_processing mode, which would write on."""
    children = psutil.Process().children(recursive=True)
    for child in children:
        with contextlib.suppress(psutil.NoSuchProcess):
            child.kill()
    psutil.wait_procs(children, timeout=GRACE_SECONDS)


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
        prog="rembg-beam",
        description="Removes backgrounds from pictures with rembg, on Apache Beam.",
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    run = commands.add_parser(
        "run",
        help="remove the backgrounds of pictures",
        description="Removes the backgrounds of pictures. Options it does not know are Beam's own, "
        "such as --runner=DataflowRunner --region=europe-west4.",
        allow_abbrev=False,
    )
    settings.add_arguments(run)
    others = _add_models(commands)
    others.append(
        commands.add_parser(
            "providers",
            help="which execution providers this machine has, and which really work",
            description="Runs the bundled model on every execution provider onnxruntime lists.",
        )
    )
    for each in (parser, run, *others):
        each.print_help = _help_to(each, stdout)  # type: ignore[method-assign]
    return parser


def _add_models(commands: Any) -> List[argparse.ArgumentParser]:
    listing = commands.add_parser(
        "models",
        help="the models: purpose, sizes, licence, checksum, and whether the file is here",
        description="Lists the models; `models fetch` copies their files to a folder or URI.",
    )
    listing.set_defaults(names=None)
    fetch = listing.add_subparsers(metavar="fetch").add_parser(
        "fetch",
        help="fill a folder or URI for --model_dir",
        description="Copies the files of models to DIR_OR_URI/MODEL/FILE, for --model_dir.",
    )
    fetch.add_argument("names", nargs="+", metavar="NAME")
    fetch.add_argument("--to", required=True, metavar="DIR_OR_URI")
    fetch.add_argument("--model_dir", "--model-dir", metavar="URI", help="take them from here")
    return [listing, fetch]


def _help_to(parser: argparse.ArgumentParser, stdout: TextIO) -> Any:
    return lambda file=None: print(parser.format_help(), file=stdout, end="")


if __name__ == "__main__":
    sys.exit(main())
