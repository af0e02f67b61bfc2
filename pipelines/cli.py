"""The command `rembg-beam`: which of its commands is meant, and how it ends.

In: arguments. Out: an exit status, see `status`. Results go to stdout, everything else to stderr,
whatever the libraries print included. A command's own imports wait until it is meant: `--help`,
`--version` and `models` need no Beam, which takes a second to import.
"""

import argparse
import contextlib
import importlib.metadata
import sys
from typing import Any, List, Optional, Sequence, TextIO

from . import lean, logs, signals
from .status import FAILED_RUN, OK, WRONG_USE, UsageError


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """The command; returns its exit status."""
    with logs.results_only_on_stdout() as stdout:
        try:
            return _command(sys.argv[1:] if arguments is None else list(arguments), stdout)
        except UsageError as error:
            logs.say(str(error))
            return WRONG_USE
        except KeyboardInterrupt as stop:
            with contextlib.suppress(OSError):  # of a terminal that is gone
                logs.say("interrupted before anything ran")
            return signals.status(stop)


def _command(arguments: List[str], stdout: TextIO) -> int:
    if arguments[:1] == ["run"]:
        if not any("runner" in word or word.startswith("--config") for word in arguments):
            lean.import_beam()
        from .commands import run

        return run.command(arguments[1:], stdout)
    try:
        namespace, others = _parser(stdout).parse_known_args(arguments)
    except SystemExit as stop:
        return int(stop.code or 0)
    if others:
        raise UsageError(f"rembg-beam {namespace.command} doesn't know {others[0]}")
    try:
        _tell(namespace, stdout)
        return OK
    except ValueError as error:
        raise UsageError(str(error)) from error
    except (OSError, RuntimeError) as error:
        logs.say(str(error))
        return FAILED_RUN


def _tell(namespace: argparse.Namespace, stdout: TextIO) -> None:
    """The commands that run no pipeline."""
    if namespace.command == "providers":
        from .commands import providers

        logs.to_stderr()
        providers.show(stdout)
        return
    from .commands import models

    if namespace.names is None:
        models.show(stdout)
    else:
        logs.to_stderr()
        models.fetch(namespace.names, namespace.to, namespace.model_dir, stdout)


def _parser(stdout: TextIO) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="rembg-beam",
        description="Removes backgrounds from pictures with rembg, on Apache Beam.",
        allow_abbrev=False,
    )
    version = f"rembg-beam {importlib.metadata.version('rembg-beam')}"
    parser.add_argument(
        "--version", action=_Version, nargs=0, version=version, help="its version", stdout=stdout
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("run", help="remove the backgrounds of pictures")
    others = _add_models(commands)
    others.append(
        commands.add_parser(
            "providers",
            help="which execution providers this machine has, and which really work",
            description="Runs the bundled model on every execution provider onnxruntime lists.",
        )
    )
    for each in (parser, *others):
        each.print_help = logs.help_to(each, stdout)  # type: ignore[method-assign]
    return parser


class _Version(argparse.Action):
    """`--version`, on the true stdout."""

    def __init__(self, *arguments: Any, version: str, stdout: TextIO, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.version = version
        self.stdout = stdout

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        print(self.version, file=self.stdout)
        parser.exit()


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
