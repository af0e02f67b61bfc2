"""Parameters of a Dataflow Flex Template, one for each option, and the flags that they become.

In: what Dataflow's launcher gives its program, `--NAME=VALUE` for each parameter and each option of
Beam's, where all values are texts. Out: arguments of `rembg-beam run`; and `metadata`, from which
Dataflow knows the parameters and checks their values. Nothing fails here: values that are wrong
pass through, and the command refuses them.
"""

import json
from typing import Any, Dict, Iterator, List, Optional, Sequence

from ..transforms import strict_json
from ..transforms.models import catalogue
from ..transforms.setting import REQUIRED, Setting
from . import beam_options
from .settings import SETTINGS, told

# They concern a command that waits for its job.
_OF_WAITING = ("max_failures", "progress", "metrics_port")

PARAMETERS = {name: each for name, each in SETTINGS.items() if name not in _OF_WAITING}

_SEVERAL = ("texts", "choices", "providers", "pairs", "networks")

# Regular expressions as egrep has them, each of a whole value.
_PATTERNS = {
    "switch": "true|false",
    "integer": "-?[0-9]+",
    "number": "-?([0-9]+[.]?[0-9]*|[.][0-9]+)(e-?[0-9]+)?",
    "seconds": "[0-9]+([.][0-9]+)? *[smhd]?",
    "bytes": "[0-9]+([.][0-9]+)? *(([kKmMgGtT][iI]?)?[bB])?",
    "pixels": "[0-9]+|[0-9]+([.][0-9]+)? *[mM][pP]",
}


def metadata() -> Dict[str, Any]:
    """The template's `metadata.json`."""
    return {
        "name": "Remove backgrounds",
        "description": "Removes the backgrounds of pictures with rembg, and writes the cutouts and "
        "a row for each picture under a folder.",
        "parameters": [_parameter(each) for each in PARAMETERS.values()],
    }


def _parameter(each: Setting) -> Dict[str, Any]:
    several = "; several as a JSON list" if each.kind in _SEVERAL else ""
    found = {
        "name": each.name,
        "label": each.name.replace("_", " ").capitalize(),
        "helpText": f"{told(each)}{several}.",
        "isOptional": each.default is not REQUIRED,
    }
    if pattern := _pattern(each):
        found["regexes"] = [f"^({pattern})$"]
    if options := _options(each):
        found["paramType"] = "ENUM"
        found["enumOptions"] = [{"value": option, "label": option} for option in options]
    return found


def _options(each: Setting) -> Sequence[str]:
    """The values of a field that is chosen from.

    Of a switch too: Dataflow fills in a BOOLEAN as false, which would go over what the settings
    file of the image says; so would a `defaultValue`.
    """
    if each.name == "model":
        return tuple(catalogue.MODELS)
    if each.kind == "switch":
        return ("true", "false")
    return () if each.kind == "choices" else each.choices


def _pattern(each: Setting) -> Optional[str]:
    if not each.choices:
        return _PATTERNS.get(each.kind)
    choice = "|".join(each.choices)
    if each.kind != "choices":
        return choice
    some = _parted(f"({choice})")
    quoted = _parted(f'"{some}"')
    return rf"{some}|\[ *{quoted} *\]"


def _parted(pattern: str) -> str:
    """One or more of a pattern, with commas between them."""
    return f"{pattern}( *, *{pattern})*"


def flags(arguments: Sequence[str]) -> List[str]:
    """The arguments of `rembg-beam run` that a launcher's stand for.

    >>> flags(["--only_mask=true", "--offline=false", "--quality=", '--input=["gs://b/1", "gs://b/2"]'])
    ['--only_mask', '--no_offline', '--input=gs://b/1', '--input=gs://b/2']
    """
    return [flag for argument in arguments for flag in _flags(argument)]


def _flags(argument: str) -> List[str]:
    flag, equals, text = argument.partition("=")
    if equals and not text:  # a field that was left empty
        return []
    name, kind = flag[2:], SETTINGS[flag[2:]].kind if flag[2:] in SETTINGS else None
    truth = {"true": True, "false": False}.get(text.lower())
    if truth is not None and kind in ("switch", "networks"):
        return [flag if truth else f"--no_{name}"]
    if truth is not None and kind is None and beam_options.is_switch(name):
        return beam_options.as_flags({name: truth}, given=())
    return [f"{flag}={one}" for one in _each(text)] if kind in _SEVERAL else [argument]


def _each(text: str) -> Iterator[str]:
    """The texts of a JSON list, and `NAME=VALUE` of objects; of what is neither, the text."""
    try:
        value = strict_json.loads(text) if text[0] in "[{" else text
    except ValueError:
        value = text
    for one in value if isinstance(value, list) else [value]:
        if isinstance(one, dict):
            yield from (f"{name}={json.dumps(each)}" for name, each in one.items())
        else:
            yield str(one)
