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
import os
import sys
import time
from typing import List, NoReturn, TextIO

from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import (
    PipelineOptions,
    StandardOptions,
)

from ...transforms.folder import presence, record
from ...transforms.folder.manifest import new_run_id
from ...transforms.runtime import memory, metrics
from ...transforms.sources.lists import is_read_once
from ...transforms.store import stores, uris
from .. import (
    beam_options,
    ending,
    graph,
    lean,
    logs,
    piped,
    running,
    settings,
    signals,
    workers,
)
from ..cli import help_to
from ..progress import Bar
from ..settings import Parsed, Settings
from ..status import OK, UsageError

DEFAULT_RUNNER = "FnApiRunner"

# Of progress shown, and of hearing Ctrl-C.
TICK_SECONDS = 0.2

# For killed processes to let go of their files; another run keeps its own.
SWEEP_SECONDS = 1.0


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
    options = beam_options.Options(parsed.beam)
    runner = options.view_as(StandardOptions).runner or DEFAULT_RUNNER
    _check_runner(runner, parsed.settings)
    FileSystems.set_options(options)
    graph.check(parsed.settings)
    if runner == DEFAULT_RUNNER:
        lean.prepare_rembg()
    with piped.Lists(parsed.settings.input_list) as lists:
        return _run_over(lists, parsed, runner, options, stdout)


def _run_over(
    lists: piped.Lists, parsed: Parsed, runner: str, options: PipelineOptions, stdout: TextIO
) -> int:
    """Runs the pipeline; what the lists are read from is removed by the caller."""
    run = new_run_id()
    output = str(parsed.settings.output)
    try:
        stores.begin(output)
        given = lists.keep(output, run)
        remembered = record.remember(
            parsed.settings.remove_background(), parsed.settings.on_existing
        )
        present = presence.Presence(output, run)
    except record.OtherSettings as error:
        raise UsageError(str(error)) from error
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
                    running.pipeline, runner, options, parsed.settings, run, remembered.since, given
                )
                at_work = running.Running(
                    making, runner, watch, parsed.settings.on_existing != "fail"
                )
                _wait(at_work, present, lists, output, stdout)
        finally:
            stores.end(output)
            stores.sweep(output)
        return ending.report(
            at_work, parsed.settings, remembered, ending.Started(run, present.since), stdout
        )


def _wait(
    at_work: running.Running,
    present: presence.Presence,
    lists: piped.Lists,
    output: str,
    stdout: TextIO,
) -> None:
    """Shows progress until the run's end; ends the process if it is asked to."""
    bar = Bar()
    try:
        while not at_work.wait(TICK_SECONDS):
            bar.update()
        bar.update()
    except KeyboardInterrupt as stop:
        signals.ignore()
        bar.close()
        _interrupted(at_work, present, lists, output, stdout, signals.status(stop))
    finally:
        bar.close()


def _interrupted(
    at_work: running.Running,
    present: presence.Presence,
    lists: piped.Lists,
    output: str,
    stdout: TextIO,
    status: int,
) -> NoReturn:
    """Ends the process at once: the runner can't be stopped, the files can."""
    elsewhere = at_work.result is not None and at_work.runner != DEFAULT_RUNNER
    with contextlib.suppress(OSError):  # of a terminal that is gone
        logs.say("interrupted")
        if elsewhere:
            print("  the job itself goes on where it runs; cancel it there", file=sys.stderr)
    if not elsewhere:
        lists.remove()
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # the runner's last words
    workers.end_all()
    stores.abandon()
    _sweep(output)
    present.abandon()
    shown = uris.without_secrets(output)
    with contextlib.suppress(OSError):
        ending.print_counts(stdout)
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
    while not stores.sweep(output) and time.monotonic() < deadline:
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
