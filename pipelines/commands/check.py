"""The command `rembg-beam check`: what a run's runner would be told, and what contradicts itself.

In: the arguments of `rembg-beam run`. Out: an exit status, 0 if nothing contradicts itself, 1 if
the job would fail or waste money, 2 for wrong use. Findings go to stdout. Nothing is sent, and no
network is used: of inputs, lists and folders only those on this machine are looked at.
"""

import argparse
import json
from typing import List, Sequence, TextIO, Tuple

from ...transforms.store import uris
from .. import beam_options, checks, logs, parsing, runners, settings
from ..preflight import rules, told
from ..preflight.plan import Finding, Plan
from ..settings import Parsed
from ..status import FAILED_RUN, OK, UsageError

NOT_KNOWN = "not looked at: credentials, quotas, buckets, and what an image of your own holds"


def command(arguments: List[str], stdout: TextIO) -> int:
    """`rembg-beam check` with its arguments; returns the exit status."""
    logs.to_stderr()
    namespace, parsed = settings.from_command_line(_parser(), arguments, stdout)
    if parsed is None:
        return OK
    plan = _plan(parsed)
    found = rules.findings(plan)
    lines: List[Tuple[str, str]] = []
    try:
        lines = _told(plan)
    except UsageError:
        if not any(each.fails for each in found):
            raise
    except (ValueError, RuntimeError, OSError) as error:
        if not any(each.fails for each in found):
            found = [_refused(error), *found]
    show = _show_json if namespace.json else _show
    show(plan, lines, found, stdout)
    return FAILED_RUN if found else OK


def _plan(parsed: Parsed) -> Plan:
    runner = runners.chosen(beam_options.Options(parsed.beam))
    return Plan(runner, parsed.settings, parsed.beam)


def _told(plan: Plan) -> List[Tuple[str, str]]:
    here = plan.runner == runners.HERE
    given = plan.settings if here else checks.absolute(plan.settings)
    return told.told(plan, checks.check(given, offline=True))


def _refused(error: BaseException) -> Finding:
    says = f"Beam makes no job of these: {logs.cause(error).rstrip('.')}"
    return Finding("beam", "Beam's options", says, "change what it names", True)


def _show(
    plan: Plan, lines: Sequence[Tuple[str, str]], found: Sequence[Finding], stdout: TextIO
) -> None:
    if lines:
        print(f"{plan.runner} would be told:", file=stdout)
    width = max((len(name) for name, _ in lines), default=0)
    for name, value in lines:
        print(uris.without_secrets_in(f"  {name:{width}}  {value}"), file=stdout)
    for each in found:
        effect = "would fail" if each.fails else "may waste money or time"
        print(uris.without_secrets_in(f"{effect}: {rules.line(each)}"), file=stdout)
    if not found:
        print("nothing contradicts itself", file=stdout)
    if plan.is_cluster:
        print(NOT_KNOWN, file=stdout)


def _show_json(
    plan: Plan, lines: Sequence[Tuple[str, str]], found: Sequence[Finding], stdout: TextIO
) -> None:
    document = {
        "runner": plan.runner,
        "told": dict(lines),
        "findings": [each._asdict() for each in found],
    }
    text = json.dumps(document, indent=2, ensure_ascii=False)
    print(uris.without_secrets_in(text), file=stdout)


def _parser() -> argparse.ArgumentParser:
    parser = parsing.Parser(
        prog="rembg-beam check",
        description="Says what the runner of `rembg-beam run` with these options would be told, "
        "and what contradicts itself. Nothing is sent, and no network is used.",
    )
    add_arguments(parser)
    return parser


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Those of a run, and its own."""
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    settings.add_arguments(parser)
