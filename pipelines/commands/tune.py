"""The command `rembg-beam tune`: short runs here, over the settings that make a run fast or slow.

In: the arguments of `rembg-beam run`. Out: an exit status; on stdout what each change of a setting
was worth, as it is known, and a settings file for `rembg-beam run --config` of what won. Pictures
are read and cut out, and nothing is written but that file. It ends when all is tried, or the budget
is used up. Wrong use is as of a run; 1 if no picture of the sample can be cut out.
"""

import argparse
import logging
import math
import os
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, List, Optional, TextIO, Tuple

from ...transforms.folder.manifest import new_run_id
from ...transforms.store import uris
from .. import (
    access,
    beam_options,
    checks,
    logs,
    parsing,
    piped,
    runners,
    settings,
    signals,
    values,
)
from ..settings import Parsed, Settings
from ..status import FAILED_RUN, OK, UsageError
from ..tuning import arms, base, factors, sample, told
from ..tuning.search import LEAST_ROUNDS, NOT_SURE, Change, Search

PICTURES = 64
BUDGET = "10m"


def command(arguments: List[str], stdout: TextIO) -> int:
    """`rembg-beam tune` with its arguments; returns the exit status."""
    logs.to_stderr()
    logging.getLogger("rembg_beam").setLevel(logging.WARNING)  # each session says where it runs
    namespace, parsed = settings.from_command_line(parser(), arguments, stdout)
    if parsed is None:
        return OK
    parsing.require_one("--pictures", namespace.pictures)
    budget = _budget(namespace.budget)
    if namespace.to is not None and not _can_be_written(namespace.to):
        raise UsageError(
            f"--to {namespace.to!r} can't be written: name a file in a folder of yours"
        )
    with signals.heard(), tempfile.TemporaryDirectory() as folder:
        drawn = _drawn(parsed, namespace.pictures, folder)
        return _tune(parsed, drawn, budget, namespace.to, stdout)


def _drawn(parsed: Parsed, pictures: int, folder: str) -> Tuple[Settings, sample.Sample]:
    """The settings, which an output need not be among, and the sample."""
    options = beam_options.Options(parsed.beam)
    access.prepare(runners.HERE, options, parsed.settings)
    given = Settings(**vars(parsed.settings))
    if given.retry_failed:
        raise UsageError("tune takes its pictures by --input or --input_list, not --retry_failed")
    given.output = given.output or uris.join(folder, "cutouts")
    job = checks.check(given)
    with piped.Lists(given.input_list) as lists:
        job = replace(job, input_list=lists.keep(folder, new_run_id()))
        try:
            return given, sample.draw(job, pictures)
        except (OSError, ValueError) as error:
            raise UsageError(str(error)) from error


def _tune(
    parsed: Parsed,
    drawn: Tuple[Settings, sample.Sample],
    budget: float,
    to: Optional[str],
    stdout: TextIO,
) -> int:
    given, found = drawn
    deadline = time.monotonic() + budget
    try:
        measured = base.measured(given, parsed, found.sources)
    except Exception as error:
        logs.say(f"nothing was measured: {logs.cause(error)}")
        return FAILED_RUN
    for source, why in measured.why[:3]:
        shown = f"{uris.without_secrets(source.uri)} ({why.error}): {why.message}"
        logs.say(f"left out: {logs.printable(shown)}")
    if not measured.good:
        logs.say("nothing was measured: no picture of the sample could be cut out")
        return FAILED_RUN
    plan = factors.plan(measured.known)
    _print_base(given, found, measured, stdout)
    not_sure = 0
    search = _search(given, measured, plan, deadline - time.monotonic())
    try:
        for trial in search:
            not_sure += trial.verdict == NOT_SURE
            print(told.line(trial), file=stdout, flush=True)
    except KeyboardInterrupt as stop:
        signals.ignore()
        won = told.shown(search.won) or "nothing"
        print(f"interrupted; until then {won} was taken, and no file is written", file=stdout)
        return signals.status(stop)
    if not_sure:
        print(f"not sure of {not_sure}: a longer --budget tells more", file=stdout)
    for text in plan.left_out:
        print(f"not tried: {text}", file=stdout)
    return _end(parsed, search, to, stdout)


def _search(given: Settings, measured: base.Base, plan: factors.Plan, seconds: float) -> Search:
    """The search, with rounds that fit into the time."""
    rounds = 2 * LEAST_ROUNDS * (len(plan.changes) + 1)
    each = min(base.ROUND_SECONDS, seconds / rounds / 2)
    least = base.PICTURES_PER_THREAD * measured.known.threads
    number = max(math.ceil(measured.rate * each), least)
    repeated = measured.good * math.ceil(number / len(measured.good))

    def open_arm(change: Change) -> Any:
        return arms.opened(given, repeated[:number], change)

    return Search(open_arm, plan.changes, seconds)


def _print_base(given: Settings, found: sample.Sample, measured: base.Base, stdout: TextIO) -> None:
    of = f"{found.found:,}{' and more' if found.more else ''}"
    known = measured.known
    print(
        f"{given.model} on {known.provider}, {known.cores} cores, {len(measured.good)} of {of} "
        f"pictures: {measured.rate:.1f} pictures/s with {known.threads} threads\n"
        "a change, and how many times as fast it is as what was taken before, 99 % sure:",
        file=stdout,
        flush=True,
    )


def _end(parsed: Parsed, search: Search, to: Optional[str], stdout: TextIO) -> int:
    """Says what won, and writes it down; the exit status."""
    won = search.won if search.confirmed else {}
    if search.won and not won:
        print(
            "together they are not sure to be worth it: the settings stay as they were", file=stdout
        )
    elif not won:
        print("nothing that was tried is sure to be worth a change", file=stdout)
    if to is None:
        print(told.settings_file(won, {}, ""), end="", file=stdout)
        return OK
    comment = f"by rembg-beam tune, on {time.strftime('%Y-%m-%d')}"
    text = told.settings_file(won, parsed.file, comment)
    try:
        Path(to).write_text(text, encoding="utf-8")
    except OSError as error:
        logs.say(f"--to {to!r} can't be written: {error}; it would say:\n{text}")
        return FAILED_RUN
    print(f"written to {to}: rembg-beam run --config {to}", file=stdout)
    return OK


def _can_be_written(to: str) -> bool:
    if os.path.exists(to):
        return not os.path.isdir(to) and os.access(to, os.W_OK)
    folder, name = os.path.split(to)
    folder = folder or os.curdir
    return bool(name) and os.path.isdir(folder) and os.access(folder, os.W_OK)


def _budget(text: str) -> float:
    try:
        seconds: float = values.KINDS["seconds"](text)
    except ValueError as error:
        raise UsageError(f"--budget: {text!r} {error}") from error
    if not seconds:
        raise UsageError(f"--budget {text}: it must be above 0; each change takes some seconds")
    return seconds


def parser() -> argparse.ArgumentParser:
    """That of its arguments."""
    parser = parsing.Parser(
        prog="rembg-beam tune",
        description="Tries on this machine which settings make `rembg-beam run` with these options "
        "faster, on a sample of its pictures. Nothing is written but the file of --to.",
    )
    add_arguments(parser)
    return parser


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Those of a run, and its own."""
    parser.add_argument("--budget", default=BUDGET, metavar="TIME", help=f"default {BUDGET}")
    parser.add_argument("--to", metavar="FILE", help="write the settings that won there, as YAML")
    parser.add_argument(
        "--pictures", type=int, default=PICTURES, help=f"of the sample; default {PICTURES}"
    )
    settings.add_arguments(parser)
