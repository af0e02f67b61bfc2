"""The command `rembg-beam`: which of its commands is meant, and how it ends.

In: arguments. Out: an exit status, see `status`. Results go to stdout, everything else to stderr,
whatever the libraries print included. A command's own imports wait until it is meant: `--help`,
`--version` and `models` need no Beam, which takes a second to import.
"""

import argparse
import contextlib
import importlib.metadata
import sys
from typing import List, Optional, Sequence, TextIO

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
        except SystemExit as stop:  # argparse's, after `--help` or a complaint
            return int(stop.code or 0)
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
    if arguments[:1] == ["check"]:
        from .commands import check

        return check.command(arguments[1:], stdout)
    with contextlib.redirect_stdout(stdout):
        namespace, others = _parser().parse_known_args(arguments)
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


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="rembg-beam",
        description="Removes backgrounds from pictures with rembg, on Apache Beam.",
        allow_abbrev=False,
    )
    version = f"rembg-beam {importlib.metadata.version('rembg-beam')}"
    parser.add_argument("--version", action="version", version=version, help="its version")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("run", help="remove the backgrounds of pictures")
    commands.add_parser("check", help="what a run would send, and what in it contradicts itself")
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
    return parser
