"""Beam's own options: which there are, and a file's section for them as flags.

Fails with `UsageError` for one that Beam doesn't know, naming the nearest.
"""

import argparse
import functools
import json
from typing import Any, Dict, List, Mapping, NoReturn, Sequence, Type, TypeVar

from apache_beam.options.pipeline_options import PipelineOptions

from ..transforms.setting import did_you_mean
from .status import UsageError

View = TypeVar("View", bound=PipelineOptions)


class Options(PipelineOptions):
    """Options whose views are made once: Beam asks for five of each transform, and each is a parser
    of its own, which takes a fifth of a second for a pipeline of a hundred."""

    def view_as(self, cls: Type[View]) -> View:
        views: Dict[Any, Any] = self.__dict__.setdefault("_views", {})
        if cls not in views:
            views[cls] = super().view_as(cls)
        view: View = views[cls]
        return view


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(message)


@functools.cache
def parser() -> argparse.ArgumentParser:
    """All options of Beam and of the runners it brings, none with a default."""
    parser = _Parser(add_help=False, allow_abbrev=False, conflict_handler="resolve")
    for options in sorted(set(_subclasses(PipelineOptions)), key=lambda found: found.__name__):
        options._add_argparse_args(parser)
    for action in parser._actions:
        action.default = argparse.SUPPRESS  # its absence shows
    return parser


def _subclasses(of: Any) -> List[Any]:
    found = [one for one in of.__subclasses__() if one.__module__.startswith("apache_beam.")]
    return [*found, *(deeper for one in found for deeper in _subclasses(one))]


def names() -> List[str]:
    """All options, without their dashes."""
    return [
        option[2:]
        for action in parser()._actions
        for option in action.option_strings
        if option.startswith("--")
    ]


def checked(others: Sequence[str], own: Sequence[str]) -> List[str]:
    """The flags, if Beam knows them all; `own` are the command's, to suggest."""
    unknown = parser().parse_known_args(list(others))[1]
    if not unknown:
        return list(others)
    flag = unknown[0].partition("=")[0]
    if not flag.startswith("-"):
        raise UsageError(
            f"{unknown[0]!r} belongs to no flag: inputs are given by --input, the folder for the "
            "cutouts by --output"
        )
    every = [*own, *(f"--{name}" for name in names())]
    plain = "--" + flag.lstrip("-").replace("-", "_")
    hint = did_you_mean(plain, every, "; --help lists the command's own", str)
    raise UsageError(f"neither rembg-beam nor Beam knows {flag}{hint}")


def is_switch(name: str) -> bool:
    """Whether it takes no value."""
    actions = parser()._actions
    return any(action.nargs == 0 and f"--{name}" in action.option_strings for action in actions)


def _switched_off(name: str) -> List[str]:
    """The flag that makes a switch of Beam's false, if its default is true."""
    actions = parser()._actions
    dest = next(action.dest for action in actions if f"--{name}" in action.option_strings)
    off = [a for a in actions if a.dest == dest and isinstance(a, argparse._StoreFalseAction)]
    return [off[0].option_strings[0]] if off else []


def as_flags(options: Mapping[str, Any], *, given: Sequence[str]) -> List[str]:
    """A file's options for Beam as flags, without those given on the command line."""
    already = vars(parser().parse_known_args(list(given))[0])
    flags = []
    for name, value in options.items():
        if name in already or value is None:
            continue
        if value is False:
            flags += _switched_off(name)
            continue
        for one in value if isinstance(value, list) else [value]:
            text = json.dumps(one) if isinstance(one, dict) else str(one)
            flags.append(f"--{name}" if one is True else f"--{name}={text}")
    return flags
