"""Record: what an output folder was made with, in `OUTPUT/_manifest/_settings.json`.

In: a `RemoveBackground`. Out: since when the files in its folder were made with its settings.
`compare` holds them against those of an earlier run, and `remember` writes them for the next: the
model and its checksum, the options of `rembg.remove`, the format; all that pixels follow from.
Other settings replace them if the run overwrites, or if the run that wrote them ended without any
output; else `OtherSettings`, a `ValueError`, names what differs. A run that fails before its first
output takes back what it wrote. Fails as `stores.read`, `write` and `listing` do, too.
"""

import json
import math
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Dict, Iterator, List, Mapping, NamedTuple, Optional

from .. import strict_json
from ..models import catalogue, weights
from ..models.config import SessionConfig
from ..pictures.encode import SUFFIXES
from ..store import stores, uris
from ..store.limits import TooLarge
from ..store.listed import Listed
from . import layout, resume
from .earlier import manifests
from .existing import Ends

if TYPE_CHECKING:
    from ..remove_background import RemoveBackground

# A larger file is no record.
MAX_BYTES = 1_000_000

# The key that says that outputs older than the record were made with other settings.
REPLACED = "replaced"

_CHECKSUM = "model_checksum"
_OUTPUT_FORMAT = "output_format"
_NO_MORE: Mapping[str, Any] = {}

# They tell two models apart whose checksums aren't known before they are fetched.
_PLACES = ("model_path", "model_dir")


class OtherSettings(ValueError):
    """The folder was made with other settings, or doesn't say with which."""


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


def compare(
    remove: "RemoveBackground", on_existing: str, more: Mapping[str, Any] = _NO_MORE
) -> Remembered:
    """What the record says, and what a run would have it say; nothing is written.

    Args:
      remove: what the run does.
      on_existing: "skip", "overwrite" or "fail" what is there already.
      more: of the run's settings; `output_format` if outputs are no files.
    """
    output, now = remove.output, {**settings_of(remove), **more}
    overwrites = on_existing == "overwrite"
    if overwrites:
        _check_can_overwrite(output, now)
    before = _read(output, overwrites)
    if not before and not overwrites:
        _check_is_free(output, now)
        return Remembered(now, before)
    if not before or _differences(before, now):
        holds = any(file.size for file in _outputs(output))
        replaceable = not holds and (overwrites or _has_ended(output))
        case = resume.Case("same" if replaceable else "other", on_existing)
        if resume.decide(case) is resume.Action.REFUSE_RUN:
            raise OtherSettings(_made_otherwise(before or {}, now, output))
        return Remembered({**now, REPLACED: True} if holds else now, before)
    is_told = before.get(REPLACED) or before.get(_CHECKSUM) or not now[_CHECKSUM]
    return Remembered(before if is_told else now, before)


def remember(
    remove: "RemoveBackground", on_existing: str, more: Mapping[str, Any] = _NO_MORE
) -> Remembered:
    """Writes what the folder is made with, unless it says so already; arguments as `compare`."""
    found = compare(remove, on_existing, more)
    if found.record != found.before:
        replaces = found.before is not None or on_existing == "overwrite"
        try:
            _write(remove.output, found.record, overwrite=replaces)
        except FileExistsError:  # another run was faster
            return remember(remove, on_existing, more)
    return found._replace(since=since(remove.output, found))


def since(output: str, found: Remembered) -> Optional[float]:
    """Since when outputs are made with what the record says; see `Remembered`."""
    return _written_at(output) if found.record.get(REPLACED) else None


def settle(remove: "RemoveBackground", remembered: Remembered) -> None:
    """After a run: forgets other settings, once nothing that was made with them is left."""
    if remembered.since is None:
        return
    output, suffixes = remove.output, Ends.of(remove).suffixes
    if all((file.modified or 0) > remembered.since for file in _outputs(output, *suffixes)):
        record = {k: value for k, value in remembered.record.items() if k != REPLACED}
        _rewrite(output, remembered, record)


def take_back(remove: "RemoveBackground", remembered: Remembered) -> None:
    """After a run that failed: writes what the record said before, if nothing was made since.

    A record that wasn't there before is empty from then on, which is as good as none.
    """
    if remembered.record == remembered.before:
        return
    output = remove.output
    at = _written_at(output)
    if all((file.modified or math.inf) < at for file in _outputs(output)):
        _rewrite(output, remembered, remembered.before or {})


def settings_of(remove: "RemoveBackground") -> Dict[str, Any]:
    """What the pixels of a run follow from, as JSON has it."""
    session = remove.config
    document = {
        "model": session.model,
        _CHECKSUM: _checksum(session),
        **remove.changed(),
    }
    if remove.options.outputs == ("cutout",):  # whether that was said or not
        document.pop("outputs", None)
    if session.precision != "fp32":
        document["precision"] = session.precision
    if document[_CHECKSUM] is None:
        places = {name: getattr(session, name) for name in _PLACES}
        document |= {name: uris.without_secrets(uri) for name, uri in places.items() if uri}
    return dict(json.loads(json.dumps(document, sort_keys=True)))


def _checksum(session: SessionConfig) -> Optional[str]:
    return weights.expected_checksum(
        catalogue.find(session.model),
        model_path=session.model_path,
        model_dir=session.model_dir,
    )


def _read(output: str, replaceable: bool) -> Any:
    """The record; None if there is none, or none that can be read and it may be replaced."""
    uri = uris.join(output, layout.SETTINGS)
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
    raise OtherSettings(
        f"{uris.without_secrets(uri)!r} should say what the folder was made with, and is no JSON "
        "object: remove it if all was made with these settings, or give --on_existing overwrite"
    )


def _write(output: str, now: Dict[str, Any], overwrite: bool = True) -> None:
    data = json.dumps(now, indent=2, ensure_ascii=False).encode()
    stores.write(
        output, layout.SETTINGS, data, "application/json", overwrite=overwrite, durable=True
    )


def _rewrite(output: str, remembered: Remembered, now: Dict[str, Any]) -> None:
    """Writes the record, unless a run has begun since that wrote another."""
    if _read(output, replaceable=True) == remembered.record:
        _write(output, now)


def _written_at(output: str) -> float:
    found = (
        file.modified
        for file in stores.listing(output, start=layout.SETTINGS)
        if file.name == layout.SETTINGS
    )
    return next(found, None) or math.inf


def _outputs(output: str, *suffixes: str) -> Iterator[Listed]:
    """Pictures and shards in a folder; not what a file browser or a store's console puts there."""
    suffixes = suffixes or tuple(SUFFIXES.values())
    for file in stores.listing(output):
        is_output = file.name.endswith(suffixes) or layout.is_shard(file.name)
        if is_output and not layout.is_own(file.name):
            yield file


def _check_is_free(output: str, now: Dict[str, Any]) -> None:
    """Raises `OtherSettings` where a run without a record before it would take others' shards for
    its own."""
    for file in stores.listing(output, deep=False) if _OUTPUT_FORMAT in now else ():
        if layout.is_shard(file.name):
            raise OtherSettings(
                f"{uris.without_secrets(file.uri)!r} is called as a shard is, and the folder does "
                "not say that a run made it: shards are never overwritten; give the run an output "
                "folder of its own"
            )


def _check_can_overwrite(output: str, now: Dict[str, Any]) -> None:
    """Raises `OtherSettings` where shards would be overwritten, or mixed with files."""
    is_sharded = _OUTPUT_FORMAT in now
    for file in _outputs(output):
        if is_sharded or layout.is_shard(file.name):
            raise OtherSettings(
                f"{uris.without_secrets(file.uri)!r} is there, and on_existing is 'overwrite': "
                "shards are never overwritten, nor mixed with files; give the run an output folder "
                "of its own"
            )


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
    is_sharded = any(_OUTPUT_FORMAT in each for each in (before, now))
    otherwise = "" if is_sharded else ", or --on_existing overwrite to write all of it again"
    return (
        f"the folder {uris.without_secrets(output)!r} was made with other settings: {differences}. "
        f"Give the run a folder of its own{otherwise}"
    )
