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
from typing import Callable, List, Optional, TextIO

import apache_beam as beam
from apache_beam.options.pipeline_options import StandardOptions

from ...transforms import RemoveBackgrounds
from ...transforms.folder import presence, record
from ...transforms.folder.manifest import new_run_id
from ...transforms.runtime import memory, metrics, shared
from ...transforms.store import stores, uris
from .. import (
    access,
    beam_options,
    checks,
    dry_run,
    ending,
    lean,
    logs,
    parsing,
    piped,
    runners,
    running,
    settings,
    signals,
    template,
    workers,
)
from ..preflight import rules
from ..preflight.plan import Plan
from ..progress import counted, exporter
from ..progress.shown import Progress
from ..settings import Parsed, Settings
from ..status import OK, UsageError

# Of progress shown, and of hearing Ctrl-C.
TICK_SECONDS = 0.2


def command(arguments: List[str], stdout: TextIO) -> int:
    """`rembg-beam run` with its arguments; returns the exit status."""
    logs.to_stderr()
    namespace, parsed = settings.from_command_line(parser(), arguments, stdout)
    if parsed is None:
        return OK
    if namespace.dry_run is not None and namespace.dry_run < 0:
        raise UsageError(f"--dry_run {namespace.dry_run}: it must be 0 or more")
    with signals.heard():
        return _run(parsed, namespace.dry_run, stdout)


def _run(parsed: Parsed, listed: Optional[int], stdout: TextIO) -> int:
    options = beam_options.Options(parsed.beam)
    runner = runners.chosen(options)
    runners.let_take_its_time(runner, options)
    if parsed.settings.watch:
        options.view_as(StandardOptions).streaming = True
    rules.require(rules.findings(Plan(runner, parsed.settings, parsed.beam)))
    access.prepare(runner, options, parsed.settings)
    given = parsed.settings if runner == runners.HERE else checks.absolute(parsed.settings)
    if listed is not None:
        job = checks.check(given)
        with piped.Lists(given.input_list) as lists:
            return dry_run.show(job, lists, given, listed, stdout)
    if template.is_wanted(options):
        template.check(runner, given)
        return template.write(runner, options, checks.check(given), stdout)
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
            run = _run_to_end(started, make, runners.sends(runner), watch, given, stdout)
            return ending.report(run, started, given.max_failures, stdout)


def _begin(job: RemoveBackgrounds, lists: piped.Lists, is_elsewhere: bool) -> ending.StartedRun:
    """The job as it will run, and what is in the output folder while it does."""
    run_id, output = new_run_id(), job.remove.output
    try:
        checks.check_can_be_written(output)
        stores.begin(output)
        input_list = lists.keep(output, run_id)
        remembered = record.remember(job.remove, job.on_existing, job.dataset.recorded())
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
    given: Settings,
    stdout: TextIO,
) -> running.Running:
    """The run, when it has come to its end; the process ends if it is asked to before."""
    output = started.job.remove.output
    try:
        counts = counted.Counts()
        with exporter.exported(given.metrics_port, counts), watch:
            run = running.Running(make, sends, watch, started.job.on_existing != "fail")
            counts.follow(lambda: run.result)
            progress = Progress(counts, given.progress)
            try:
                while not run.wait(TICK_SECONDS):
                    progress.update()
            except KeyboardInterrupt as stop:
                signals.ignore()
                progress.close()
                ending.interrupted(run, started, signals.status(stop), stdout)
            finally:
                progress.close()
            return run
    finally:
        stores.end(output)
        ending.sweep(output)


def parser() -> argparse.ArgumentParser:
    """That of its arguments."""
    parser = parsing.Parser(
        prog="rembg-beam run",
        description="Removes the backgrounds of pictures. Options it does not know are Beam's own, "
        "such as --runner=DataflowRunner --region=europe-west4.",
    )
    add_arguments(parser)
    return parser


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Those of a job, and what to do in place of a run."""
    settings.add_arguments(parser)
    # Beam's own of this name, of which the hyphens are known, is for its unit tests.
    parser.add_argument(
        "--dry_run",
        nargs="?",
        type=int,
        const=dry_run.LISTED,
        metavar="N",
        help="list the first N pictures with their outputs, and count what is to be done; no model "
        f"is loaded and nothing written; default {dry_run.LISTED}",
    )
