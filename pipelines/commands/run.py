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
from dataclasses import replace
from typing import Callable, List, TextIO

import apache_beam as beam
from apache_beam.io.filesystems import FileSystems

from ...transforms import RemoveBackgrounds
from ...transforms.folder import presence, record
from ...transforms.folder.manifest import new_run_id
from ...transforms.runtime import memory, metrics, shared
from ...transforms.store import stores, uris
from .. import (
    beam_options,
    checks,
    ending,
    lean,
    logs,
    piped,
    runners,
    running,
    settings,
    signals,
    workers,
)
from ..preflight import rules
from ..preflight.plan import Plan
from ..progress import Bar
from ..settings import Parsed
from ..status import OK, UsageError

# Of progress shown, and of hearing Ctrl-C.
TICK_SECONDS = 0.2


def command(arguments: List[str], stdout: TextIO) -> int:
    """`rembg-beam run` with its arguments; returns the exit status."""
    logs.to_stderr()
    _, parsed = settings.from_command_line(_parser(), arguments, stdout)
    if parsed is None:
        return OK
    with signals.heard():
        return _run(parsed, stdout)


def _run(parsed: Parsed, stdout: TextIO) -> int:
    options = beam_options.Options(parsed.beam)
    runner = runners.chosen(options)
    runners.let_take_its_time(runner, options)
    rules.require(rules.findings(Plan(runner, parsed.settings, parsed.beam)))
    if runners.short(runner) == "dataflowrunner":
        from ..preflight import credentials

        credentials.check(options)
    FileSystems.set_options(options)
    given = parsed.settings if runner == runners.HERE else checks.absolute(parsed.settings)
    is_one_process = runners.is_one_process(runner, options)
    job = replace(checks.check(given), local_join=is_one_process)
    starts_workers = runners.starts_workers(runner, options)
    if is_one_process:
        lean.prepare_rembg()
    gathering = shared.gathered() if starts_workers else contextlib.nullcontext()
    with gathering, piped.Lists(given.input_list) as lists:
        started = _begin(job, lists, runners.is_elsewhere(runner, options))
        make = functools.partial(running.pipeline, runner, options, started.job)
        with started.presence:
            watch = workers.Watch(of_pool=runners.has_embedded_pool(options))
            run = _run_to_end(started, make, runners.sends(runner), watch, stdout)
            return ending.report(run, started, given.max_failures, stdout)


def _begin(job: RemoveBackgrounds, lists: piped.Lists, is_elsewhere: bool) -> ending.StartedRun:
    """The job as it will run, and what is in the output folder while it does."""
    run_id, output = new_run_id(), job.remove.output
    try:
        stores.begin(output)
        input_list = lists.keep(output, run_id)
        remembered = record.remember(job.remove, job.on_existing)
        present = presence.Presence(output, run_id)
    except record.OtherSettings as error:
        raise UsageError(str(error)) from error
    except (OSError, ValueError) as error:
        shown = uris.without_secrets(output)
        raise UsageError(f"--output {shown!r} can't be written to: {error}") from error
    metrics.tally.clear()
    memory.forget()
    if warning := present.warning():
        logs.say(warning)
    job = replace(
        job,
        input_list=input_list,
        compare_settings=False,
        since=remembered.since,
        run_id=run_id,
    )
    return ending.StartedRun(job, lists, remembered, present, is_elsewhere)


def _run_to_end(
    started: ending.StartedRun,
    make: Callable[[], beam.Pipeline],
    sends: bool,
    watch: workers.Watch,
    stdout: TextIO,
) -> running.Running:
    """The run, when it has come to its end; the process ends if it is asked to before."""
    output = started.job.remove.output
    try:
        with watch:
            run = running.Running(make, sends, watch, started.job.on_existing != "fail")
            bar = Bar()
            try:
                while not run.wait(TICK_SECONDS):
                    bar.update()
                bar.update()
            except KeyboardInterrupt as stop:
                signals.ignore()
                bar.close()
                ending.interrupted(run, started, signals.status(stop), stdout)
            finally:
                bar.close()
            return run
    finally:
        stores.end(output)
        stores.sweep(output)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="rembg-beam run",
        description="Removes the backgrounds of pictures. Options it does not know are Beam's own, "
        "such as --runner=DataflowRunner --region=europe-west4.",
        allow_abbrev=False,
    )
    settings.add_arguments(parser)
    return parser
