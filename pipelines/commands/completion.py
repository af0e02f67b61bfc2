"""The command `rembg-beam completion`: what a shell needs to complete commands, flags and choices.

In: the shell. Out: a script for it. Fails with `UsageError` without shtab.
"""

import argparse
import importlib
from typing import Collection, TextIO

from .. import settings
from ..status import OK, UsageError


def show(
    parser: argparse.ArgumentParser, with_flags: Collection[str], shell: str, stdout: TextIO
) -> int:
    """Prints the script, made of the parsers, of some as their modules say; returns the exit
    status."""
    try:
        import shtab
    except ImportError as error:
        raise UsageError("completion needs shtab: pip install 'rembg-beam[completion]'") from error
    (commands,) = (each for each in parser._actions if isinstance(each, argparse._SubParsersAction))
    for name in with_flags:
        module = importlib.import_module(f".{name}", __package__)
        module.add_arguments(commands.choices[name])
    for command in commands.choices.values():
        for action in command._actions:
            setting = settings.SETTINGS.get(action.dest)
            action.choices = action.choices or (setting.choices if setting else None) or None
            if action.metavar in ("URI", "FILE", "DIR_OR_URI"):
                action.complete = shtab.FILE
    print(shtab.complete(parser, shell), file=stdout)
    return OK
