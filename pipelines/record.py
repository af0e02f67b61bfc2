"""What an output folder remembers of the run that made it: `OUTPUT/_manifest/_settings.json`.

In: settings. Out: since when files in the folder were made by them; `remember` writes them for
the next run, or compares them with those of an earlier one. What counts is what the outputs' pixels
follow from: the model and its files, the options of `rembg.remove`, the format. Raises
`UsageError`, naming what differs, for a folder that was made by others; `--on_existing overwrite`
replaces them, and so does any run over a folder in which an earlier one ended without any output.
"""

import json
import math
from contextlib import suppress
from typing import Any, Dict, List, Optional

from ..transforms import SessionConfig, uris
from ..transforms.earlier import manifests
from ..transforms.models import catalogue
from ..transforms.models import files as model_files
from ..transforms.pictures.encode import SUFFIXES
from ..transforms.remove_background import changed
from ..transforms.storage import files, naming
from .beam_options import UsageError
from .settings import Settings

FILE = f"{naming.MANIFEST}/_settings.json"

# Whether others made what was there before: outputs older than the record are theirs.
REPLACED = "replaced"

_CHECKSUM = "model_checksum"


def remember(given: Settings) -> Optional[float]:
    """Writes what the folder is made with, unless it was made with it already.

    Returns:
      Since when outputs are made with it, in seconds since 1970 by the store's clock, infinity if
      the store doesn't say; None if all are.
    """
    output, now = str(given.output), of(given)
    overwrites = given.on_existing == "overwrite"
    before = _read(output, overwrites)
    if before is None and not overwrites:
        try:
            _write(output, now, overwrite=False)
            return None
        except FileExistsError:  # another run was faster
            before = _read(output, False)
    if before is None or _differences(before, now):
        holds = _holds_outputs(output)
        # Without a manifest another run may be at work that has written no output yet.
        if not overwrites and (holds or next(manifests(output), None) is None):
            raise UsageError(_made_otherwise(before or {}, now, output))
        if holds:
            now[REPLACED] = True
        _write(output, now)
        return _written_at(output) if holds else None
    if before.get(REPLACED):
        return _written_at(output)
    if before.get(_CHECKSUM) is None and now[_CHECKSUM] is not None:
        _write(output, now)
    return None


def settle(given: Settings) -> None:
    """After a run: forgets that others made what was there, once nothing of theirs is left.

    There is nothing to forget where `remember` returned None.
    """
    output, suffix = str(given.output), given.encoding().suffix
    before = _read(output, replaceable=True)
    if not before or not before.get(REPLACED):
        return
    since = _written_at(output)
    left = (file for file in files.listing(output) if not naming.is_own(file.name))
    if all((file.modified or 0) >= since for file in left if file.name.endswith(suffix)):
        _write(output, {name: before[name] for name in before if name != REPLACED})


def of(given: Settings) -> Dict[str, Any]:
    """What the pixels of a run follow from, as JSON has it."""
    session = given.session()
    document = {
        "model": session.model,
        "model_checksum": _checksum(session),
        **changed(given.remove_options(), given.encoding()),
    }
    return dict(json.loads(json.dumps(document, sort_keys=True)))


def _checksum(session: SessionConfig) -> Optional[str]:
    return model_files.expected_checksum(
        catalogue.find(session.model),
        model_path=session.model_path,
        model_dir=session.model_dir,
    )


def _read(output: str, replaceable: bool) -> Any:
    """The record; None if there is none, or none that can be read and it may be replaced."""
    uri = naming.join(output, FILE)
    try:
        data = files.read(uri).data
    except FileNotFoundError:
        return None
    with suppress(ValueError):
        found = json.loads(data)
        if isinstance(found, dict):
            return found
    if replaceable:
        return None
    raise UsageError(
        f"{uris.without_secrets(uri)!r} should say what the folder was made with, and is no JSON "
        "object: remove it if all was made with these settings, or give --on_existing overwrite"
    )


def _write(output: str, now: Dict[str, Any], overwrite: bool = True) -> None:
    data = json.dumps(now, indent=2, ensure_ascii=False).encode()
    files.write(output, FILE, data, "application/json", overwrite=overwrite)


def _written_at(output: str) -> float:
    found = (file.modified for file in files.listing(output, start=FILE) if file.name == FILE)
    return next(found, None) or math.inf


def _holds_outputs(output: str) -> bool:
    """Whether any picture lies there; not what a file browser or a store's console puts there."""
    return any(
        file.size and file.name.endswith(tuple(SUFFIXES.values())) and not naming.is_own(file.name)
        for file in files.listing(output)
    )


def _differences(before: Dict[str, Any], now: Dict[str, Any]) -> List[str]:
    """The names of what differs; a checksum that isn't known yet does not."""
    every = {*before, *now} - {REPLACED}
    names = sorted(name for name in every if before.get(name) != now.get(name))
    known = before.get(_CHECKSUM) is not None and now.get(_CHECKSUM) is not None
    return [name for name in names if known or name != _CHECKSUM]


def _made_otherwise(before: Dict[str, Any], now: Dict[str, Any], output: str) -> str:
    differences = "; ".join(
        f"{name} was {json.dumps(before.get(name))} and is {json.dumps(now.get(name))}"
        for name in _differences(before, now)
    )
    return (
        f"the folder {uris.without_secrets(output)!r} was made with other settings: {differences}. "
        "Give the run a folder of its own, or --on_existing overwrite to write all of it again"
    )
