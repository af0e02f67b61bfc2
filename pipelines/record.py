"""What an output folder remembers of the run that made it: `OUTPUT/_manifest/_settings.json`.

In: settings. Out: nothing; `remember` writes them for the next run, or compares them with those of
an earlier one. What counts is what the outputs' pixels follow from: the model and its files, the
options of `rembg.remove`, the format. Raises `UsageError`, naming what differs, for a folder that
was made by others; `--on_existing overwrite` replaces them.
"""

import json
from typing import Any, Dict, Optional

from ..transforms import SessionConfig
from ..transforms.models import catalogue
from ..transforms.models import files as model_files
from ..transforms.remove_background import changed
from ..transforms.storage import files, naming
from .beam_options import UsageError
from .settings import Settings

FILE = f"{naming.MANIFEST}/_settings.json"


def remember(given: Settings) -> None:
    """Writes what the folder is made with, unless it was made with it already."""
    now = of(given)
    before = _read(str(given.output))
    if before is not None and given.on_existing != "overwrite":
        _compare(before, now, str(given.output))
    if before != now:
        data = json.dumps(now, indent=2, ensure_ascii=False).encode()
        files.write(str(given.output), FILE, data, "application/json")


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


def _read(output: str) -> Any:
    try:
        return json.loads(files.read(naming.join(output, FILE)).data)
    except FileNotFoundError:
        return None


def _compare(before: Dict[str, Any], now: Dict[str, Any], output: str) -> None:
    names = sorted(name for name in {*before, *now} if before.get(name) != now.get(name))
    if names:
        differences = "; ".join(
            f"{name} was {json.dumps(before.get(name))} and is {json.dumps(now.get(name))}"
            for name in names
        )
        raise UsageError(
            f"the folder {output!r} was made with other settings: {differences}. Give the run a "
            "folder of its own, or --on_existing overwrite to write all of it again"
        )
