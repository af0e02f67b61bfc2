"""Arguments of the command: one that is wrong is a `UsageError` of one line, without the usage.

In: arguments. Out: what argparse makes of them.
"""

import argparse
from typing import NoReturn

from .status import UsageError


def require_one(flag: str, number: int) -> None:
    """Refuses a flag's number below one."""
    if number < 1:
        raise UsageError(f"{flag} {number}: it must be 1 or more")


class Parser(argparse.ArgumentParser):
    """Flags are written out whole; see the module's docstring for what is wrong with them."""

    def __init__(self, *arguments: object, **more: object) -> None:
        super().__init__(*arguments, allow_abbrev=False, **more)  # type: ignore[arg-type, misc]

    def error(self, message: str) -> NoReturn:
        said = message.removeprefix("argument ")
        raise UsageError(f"{said}; `{self.prog} --help` tells what there is")
