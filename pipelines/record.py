"""What an output folder remembers of the run that made it: `OUTPUT/_manifest/_settings.json`.

In: settings. Out: since when files in the folder were made by them; `remember` writes them for
the next run, or compares them with those of an earlier one. What counts is what the outputs' pixels
follow from: the model and its files, the options of `rembg.remove`, the format. Raises
`UsageError`, naming what differs, for a folder that was made by others; `--on_existing overwrite`
replaces them, and so does any run over a folder in which an earlier one ended without any output. A
run that fails before its first output takes back what it wrote.
"""

import json
import math
from contextlib import suppress
from typing import Any, Dict, Iterator, List, NamedTuple, Optional

from ..transforms import Encoding, RemoveOptions, SessionConfig, naming, strict_json
from ..transforms.folder.earlier import manifests
from ..transforms.models import catalogue
from ..transforms.models import weights as model_files
from ..transforms.pictures.encode import SUFFIXES
from ..transforms.remove_background import changed
from ..transforms.store import stores, uris
from ..transforms.store.limits import TooLarge
from ..transforms.store.listed import Listed
from .settings import Settings
from .status import UsageError

FILE = f"{naming.MANIFEST}/_settings.json"

# Of a record; what is larger is none.
MAX_BYTES = 1_000_000

# Whether others made what was there before: outputs older than the record are theirs.
REPLACED = "replaced"

_CHECKSUM = "model_checksum"

# What tells two models apart whose checksums aren't known before they are fetched.
_PLACES = ("model_path", "model_dir")


class Remembered(NamedTuple):
    """What a run found in the folder's record, and what it left there.

    Attributes:
      record: what the record says now.
      before: what it said, None if there was none.
      since: since when outputs are made with it, in seconds since 1970 by the store's clock,
        infinity if the store doesn't say; None if all are.
    """

    record: Dict[str, Any]
    before: Optional[Dict[str, Any]]
    since: Optional[float] = None


def remember(given: Settings) -> Remembered:
    """Writes what the folder is made with, unless it was made with it already."""
    output, now = str(given.output), of(given)
    overwrites = given.on_existing == "overwrite"
    before = _read(output, overwrites)
    if not before and not overwrites:
        try:
            _write(output, now, overwrite=before is not None)
            return Remembered(now, None)
        except FileExistsError:  # another run was faster
            before = _read(output, False)
    if not before or _differences(before, now):
        holds = _holds_outputs(output)
        if not overwrites and (holds or not _has_ended(output)):
            raise UsageError(_made_otherwise(before or {}, now, output))
        if holds:
            now[REPLACED] = True
        _write(output, now)
        return Remembered(now, before, _written_at(output) if holds else None)
    if before.get(REPLACED):
        return Remembered(before, before, _written_at(output))
    if before.get(_CHECKSUM) is None and now[_CHECKSUM] is not None:
        _write(output, now)
        return Remembered(now, before)
    return Remembered(before, before)


def settle(given: Settings, remembered: Remembered) -> None:
    """After a run: forgets that others made what was there, once nothing of theirs is left."""
    if remembered.since is None:
        return
    output, suffix = str(given.output), given.part(Encoding).suffix
    if all((file.modified or 0) > remembered.since for file in _outputs(output, suffix)):
        record = {k: value for k, value in remembered.record.items() if k != REPLACED}
        _rewrite(output, remembered, record)


def take_back(given: Settings, remembered: Remembered) -> None:
    """After a run that failed: what the record said before, if nothing was made since.

    A record that wasn't there before is empty from then on, which is as good as none.
    """
    if remembered.record == remembered.before:
        return
    output = str(given.output)
    at = _written_at(output)
    if all((file.modified or math.inf) < at for file in _outputs(output)):
        _rewrite(output, remembered, remembered.before or {})


def of(given: Settings) -> Dict[str, Any]:
    """What the pixels of a run follow from, as JSON has it."""
    session = given.part(SessionConfig)
    document = {
        "model": session.model,
        _CHECKSUM: _checksum(session),
        **changed(given.part(RemoveOptions), given.part(Encoding)),
    }
    if document[_CHECKSUM] is None:
        places = {name: getattr(session, name) for name in _PLACES}
        document |= {name: uris.without_secrets(uri) for name, uri in places.items() if uri}
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
        data = stores.read(uri, MAX_BYTES).data
    except FileNotFoundError:
        return None
    except TooLarge:
        data = b""
    with suppress(ValueError):
        found = strict_json.loads(data)
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
    stores.write(output, FILE, data, "application/json", overwrite=overwrite)


def _rewrite(output: str, remembered: Remembered, now: Dict[str, Any]) -> None:
    """Writes the record, unless a run has begun since that wrote another."""
    if _read(output, replaceable=True) == remembered.record:
        _write(output, now)


def _written_at(output: str) -> float:
    found = (file.modified for file in stores.listing(output, start=FILE) if file.name == FILE)
    return next(found, None) or math.inf


def _outputs(output: str, *suffixes: str) -> Iterator[Listed]:
    """The pictures in a folder; not what a file browser or a store's console puts there."""
    suffixes = suffixes or tuple(SUFFIXES.values())
    for file in stores.listing(output):
        if file.name.endswith(suffixes) and not naming.is_own(file.name):
            yield file


def _holds_outputs(output: str) -> bool:
    return any(file.size for file in _outputs(output))


def _has_ended(output: str) -> bool:
    """Whether the run that wrote the record has; another may have written no output yet."""
    at = _written_at(output)
    return any(each.at is None or each.at >= at for each in manifests(output))


def _differences(before: Dict[str, Any], now: Dict[str, Any]) -> List[str]:
    """The names of what differs; a checksum that isn't known yet does not."""
    known = [bool(each.get(_CHECKSUM)) for each in (before, now)]
    passed_over = {REPLACED}
    if any(known):
        passed_over.update(_PLACES)
    if not all(known):
        passed_over.add(_CHECKSUM)
    names = {*before, *now} - passed_over
    return sorted(name for name in names if before.get(name) != now.get(name))


def _made_otherwise(before: Dict[str, Any], now: Dict[str, Any], output: str) -> str:
    differences = "; ".join(
        f"{name} was {json.dumps(before.get(name))} and is {json.dumps(now.get(name))}"
        for name in _differences(before, now)
    )
    return (
        f"the folder {uris.without_secrets(output)!r} was made with other settings: {differences}. "
        "Give the run a folder of its own, or --on_existing overwrite to write all of it again"
    )
