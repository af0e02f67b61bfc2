"""Retry: what an output folder says of its run -> the command that tries failed pictures again.

In: the folder, and the row of a failed picture. Out: the command, quoted for a shell, and the names
of settings that it needs and that the folder doesn't tell. The folder's settings count, and where
it has none the row's. Nothing fails.
"""

import argparse
import json
import shlex
from typing import Any, Dict, List, Mapping, NamedTuple, Tuple

from ...transforms.folder import layout, record
from ...transforms.models import catalogue
from ...transforms.store import stores, uris
from .. import settings, values
from ..status import UsageError

_NO_SETTINGS = ("model_checksum", record.REPLACED)


class Retry(NamedTuple):
    """A command, and the flags that are to be added as the run had them."""

    command: str
    left: Tuple[str, ...]


def command(output: str, row: Mapping[str, Any]) -> Retry:
    """The command for a folder, one of whose failed pictures has this row."""
    told = _of_folder(output) or {"model": row["model"], **json.loads(row["options"] or "{}")}
    words, left = [], []
    for name, value in told.items():
        if name in _NO_SETTINGS:
            continue
        flags = _flags(name, value)
        words += flags
        left += [] if flags else [f"--{name}"]
    model = catalogue.MODELS.get(str(told["model"]))
    if model and model.is_custom and "model_path" not in told:
        left.append("--model_path")
    if model and model.is_remote:
        left.append("--allow_remote")
    start = ["rembg-beam", "run", "--retry_failed", "--output", uris.without_secrets(output)]
    return Retry(shlex.join([*start, *words]), tuple(left))


def _of_folder(output: str) -> Dict[str, Any]:
    """What the folder was made with; {} if it doesn't say."""
    try:
        uri = uris.join(output, layout.SETTINGS)
        found = json.loads(stores.read(uri, record.MAX_BYTES).data)
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) and "model" in found else {}


def _flags(name: str, value: Any) -> List[str]:
    """The words that give a setting this value; [] where none do."""
    words = _words(name, value)
    parser = argparse.ArgumentParser(add_help=False, exit_on_error=False, allow_abbrev=False)
    settings.add_arguments(parser)
    try:
        namespace, others = parser.parse_known_args(words)
        given = getattr(settings.parse(namespace, others).settings, name)
        meant = values.checked(settings.SETTINGS[name], value)
    except (argparse.ArgumentError, UsageError, ValueError, KeyError, AttributeError):
        return []
    return words if given == meant and not uris.hides_secrets(str(value)) else []


def _words(name: str, value: Any) -> List[str]:
    """
    >>> _words("only_mask", True), _words("bgcolor", [255, 0, 0, 255])
    (['--only_mask'], ['--bgcolor', '255', '0', '0', '255'])
    >>> _words("extras", {"cloth_category": "upper"})
    ['--extras', '{"cloth_category": "upper"}']
    """
    flag = f"--{name}"
    if isinstance(value, bool):
        return [flag if value else f"--no_{name}"]
    if isinstance(value, dict):
        known = settings.SETTINGS.get(name)
        if known is None or known.kind != "pairs":
            return [flag, json.dumps(value)]
        return [word for key, one in value.items() for word in (flag, f"{key}={json.dumps(one)}")]
    if isinstance(value, list) and all(isinstance(one, (int, float)) for one in value):
        return [flag, *map(str, value)]
    if isinstance(value, list):
        texts = (one if isinstance(one, str) else json.dumps(one) for one in value)
        return [word for text in texts for word in (flag, text)]
    return [flag, str(value)]
