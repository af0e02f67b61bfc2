"""The command `rembg-beam`: which of its commands is meant, and how it ends.

In: arguments. Out: an exit status, see `status`. Results go to stdout, everything else to stderr,
whatever the libraries print included. A command's own imports wait until it is meant: `--help`,
`--version` and `models` need no Beam, which takes a second to import.
"""

import argparse
import contextlib
import importlib
import importlib.metadata
import os
import sys
from typing import Any, List, Optional, Sequence, TextIO

from ..transforms.models.providers import FLAVOURS
from . import lean, logs, parsing, signals
from .status import FAILED_RUN, OK, UNREAD, WRONG_USE, UsageError

# Commands that parse their flags themselves, and what they do.
WITH_FLAGS_OF_RUN = {
    "run": "remove the backgrounds of pictures",
    "check": "what a run would send, and what in it contradicts itself",
    "plan": "what a run would take and cost, by a sample done here",
    "tune": "which settings make a run faster on this machine",
}


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """The command; returns its exit status."""
    # Else onnxruntime sends Microsoft what it runs on, and keeps notes of it in the home folder.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    try:
        return _main(arguments)
    except BrokenPipeError:  # whoever read the results has enough of them, such as `head`
        return UNREAD


def _main(arguments: Optional[Sequence[str]]) -> int:
    words = sys.argv[1:] if arguments is None else list(arguments)
    with logs.results_only_on_stdout() as stdout:
        try:
            return _command(words, stdout)
        except UsageError as error:
            logs.say(str(error))
            return WRONG_USE
        except SystemExit as stop:  # argparse's, after `--help` or a complaint
            return int(stop.code or 0)
        except KeyboardInterrupt as stop:
            with contextlib.suppress(OSError):  # of a terminal that is gone
                logs.say(f"interrupted{' before anything ran' if words[:1] == ['run'] else ''}")
            return signals.status(stop)


def _command(arguments: List[str], stdout: TextIO) -> int:
    if not arguments:
        raise UsageError(
            "no command: `rembg-beam run --input photos --output cutouts --model tiny` cuts out a "
            "folder's pictures, `rembg-beam --help` lists all commands"
        )
    if arguments[0] in ("run", "plan"):
        asking_more = ("runner", "--config", "bq://")
        if not any(each in word for word in arguments for each in asking_more):
            lean.import_beam()
    if arguments[0] in WITH_FLAGS_OF_RUN:
        module = importlib.import_module(f".commands.{arguments[0]}", __package__)
        return int(module.command(arguments[1:], stdout))
    with contextlib.redirect_stdout(stdout):
        namespace, others = _parser().parse_known_args(arguments)
    if others:
        raise UsageError(f"rembg-beam {namespace.command} doesn't know {others[0]}")
    try:
        return _tell(namespace, stdout)
    except ValueError as error:
        raise UsageError(str(error)) from error
    except (OSError, RuntimeError) as error:
        logs.say(str(error))
        return FAILED_RUN


def _tell(namespace: argparse.Namespace, stdout: TextIO) -> int:
    """The commands that do no pictures of the user's; returns the exit status."""
    if namespace.command == "doctor":
        from .commands import doctor

        return doctor.show(namespace, stdout)
    if namespace.command == "report":
        from .commands import report

        return report.show(namespace, stdout)
    if namespace.command == "completion":
        from .commands import completion

        return completion.show(_parser(), WITH_FLAGS_OF_RUN, namespace.shell, stdout)
    if namespace.command == "providers":
        from .commands import providers

        logs.to_stderr()
        providers.show(stdout)
        return OK
    from .commands import models

    if namespace.names is None:
        models.show(stdout)
    else:
        logs.to_stderr()
        models.fetch(namespace.names, namespace.to, namespace.model_dir, stdout)
    return OK


def _parser() -> argparse.ArgumentParser:
    parser = parsing.Parser(
        prog="rembg-beam",
        description="Removes backgrounds from pictures with rembg, on Apache Beam.",
    )
    parser.add_argument(
        "--version", action=_Version, nargs=0, help="its version, and those of what it stands on"
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, told in WITH_FLAGS_OF_RUN.items():
        commands.add_parser(name, help=told)
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
    commands.add_parser(
        "providers",
        help="which execution providers this machine has, and which really work",
        description="Runs the bundled model on every execution provider onnxruntime lists.",
    )
    _add_doctor(commands)
    _add_report(commands)
    completion = commands.add_parser(
        "completion",
        help="a script that lets a shell complete commands, flags and their choices",
        description='For bash: eval "$(rembg-beam completion bash)"',
    )
    completion.add_argument("shell", choices=("bash", "zsh", "tcsh"))
    return parser


class _Version(argparse.Action):
    """Prints the versions; looked up only when they are asked for."""

    def __call__(self, parser: Any, *_: Any) -> None:
        packages = ["apache-beam", "rembg", *FLAVOURS]
        print(f"rembg-beam {importlib.metadata.version('rembg-beam')}")
        for name in packages:
            with contextlib.suppress(importlib.metadata.PackageNotFoundError):
                print(f"{name} {importlib.metadata.version(name)}")
        parser.exit()


def _add_doctor(commands: Any) -> None:
    doctor = commands.add_parser(
        "doctor",
        help="whether this machine can do what a run asks of it, and the way out where not",
        description="Looks at packages, cores, memory, providers, models and credentials, and cuts "
        "out a picture. The exit status is 1 if there is a fault.",
    )
    doctor.add_argument("--model", default="tiny", help="that must work; default: the bundled one")
    doctor.add_argument("--provider", default="CPU", help="that must work; default: CPU")
    doctor.add_argument("--json", action="store_true", help="print one JSON object")


def _add_report(commands: Any) -> None:
    report = commands.add_parser(
        "report",
        help="what became of an output folder's pictures, on one page",
        description="Writes an HTML file that opens without a network, and a JSON file beside it.",
    )
    report.add_argument("output", metavar="URI", help="the output folder of a run")
    report.add_argument(
        "--to", default="report.html", metavar="FILE", help="default: report.html, here"
    )
    report.add_argument(
        "--fail_if",
        "--fail-if",
        action="append",
        metavar="LIMIT",
        help="exit with status 1 where it holds, such as 'suspect>5%%' or 'failed>20'; repeats",
    )
    report.add_argument(
        "--dollars_per_hour",
        "--dollars-per-hour",
        type=float,
        help="of all machines of the run together, for what it cost",
    )
    report.add_argument(
        "--no_auth", "--no-auth", action="store_true", help="read gs:// without credentials"
    )
