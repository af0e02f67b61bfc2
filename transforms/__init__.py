"""Backgrounds removed by rembg, on Apache Beam: the journey of one picture.

    elements            what flows: Source -> Stored -> Cutout -> Outcome
    storage/sources     a pattern or folder becomes Sources                   "photos/x/a.jpg"
    storage/lists       ... and a line of a list one
    distinct, existing  ... if no other has its output, and it is not done    (the command's)
    read                its file is read                                      bytes
    pictures/decode     the bytes become an upright image                     Pillow image
    models/             a name becomes a session, one per process             rembg session
    pictures/cutout     rembg removes the background                          Pillow image, RGBA
    pictures/encode     the cutout becomes a file's bytes                     bytes
    rembg_dofn          ... the step that does these four
    storage/naming      its name follows from its own input alone             "x/a.jpg.png"
    write               its file appears, whole or not at all                 Outcome
    remove_background   the steps in a row, one outcome for every element
    fast/               loops that give Pillow's and rembg's bits sooner, loaded when they pay
    manifest, earlier   outcomes become a Parquet data set, and are read again

Below all of them: `uris` (what a URI names), `strict_json` (text to values), `concurrency` (a DoFn
with threads), `failures` (where an exception becomes a row), `metrics` and `slow` (what takes
long). Importing and building pipelines needs no onnxruntime; workers do. Public names are imported
when they are first used, since Beam takes a second.
"""

import importlib
from typing import TYPE_CHECKING, Any, List

if TYPE_CHECKING:
    from .elements import Cutout, Failure, Outcome, Part, Source, Stored
    from .manifest import WriteManifest
    from .models.config import SessionConfig
    from .pictures.encode import Encoding
    from .pictures.options import RemoveOptions
    from .rembg_dofn import RemBGDoFn
    from .remove_background import RemoveBackground
    from .storage.web import WebOptions

_MODULES = {
    "Source": "elements",
    "WebOptions": "storage.web",
    "Stored": "elements",
    "SessionConfig": "models.config",
    "RemoveOptions": "pictures.options",
    "Encoding": "pictures.encode",
    "RemBGDoFn": "rembg_dofn",
    "Part": "elements",
    "Cutout": "elements",
    "Failure": "elements",
    "RemoveBackground": "remove_background",
    "Outcome": "elements",
    "WriteManifest": "manifest",
}

__all__ = [
    "Source",
    "WebOptions",
    "Stored",
    "SessionConfig",
    "RemoveOptions",
    "Encoding",
    "RemBGDoFn",
    "Part",
    "Cutout",
    "Failure",
    "RemoveBackground",
    "Outcome",
    "WriteManifest",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(importlib.import_module(f".{_MODULES[name]}", __name__), name)
    return found


def __dir__() -> List[str]:
    return sorted({*globals(), *__all__})
