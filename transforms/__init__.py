"""Backgrounds removed by rembg, on Apache Beam: the journey of one picture.

    elements            what flows: Source -> Stored -> Cutout -> Outcome
    sources/            a pattern, folder or line of a list becomes Sources   "photos/x/a.jpg"
    folder/existing     ... of which those that are done are left out
    read                its file is read                                      bytes
    pictures/decode     the bytes become an upright image                     Pillow image
    models/             a name becomes a session, one per process             rembg session
    pictures/cutout     rembg removes the background                          Pillow image, RGBA
    pictures/encode     the cutout becomes a file's bytes                     bytes
    engine              ... these four, without Beam                          Cutout
    rembg_dofn          ... and the step that does them
    naming              its name follows from its own input alone             "x/a.jpg.png"
    write               its file appears, whole or not at all                 Outcome
    remove_background   the steps in a row, one outcome for every element
    job                 a whole job: find, leave what is done, remove, write the rows
    fast/               loops that give Pillow's and rembg's bits sooner, loaded when they pay
    folder/             outcomes become a Parquet data set, and are read again

Below all of them: `strict_json` (text to values), `store/` (URIs, and where their bytes lie) and
`runtime/` (a DoFn with threads, where an exception becomes a row, metrics, memory, what takes
long). Importing and building pipelines needs no onnxruntime; workers do. Public names are imported
when they are first used, since Beam takes half a second.
"""

import importlib
from typing import TYPE_CHECKING, Any, List

if TYPE_CHECKING:
    from .elements import Cutout, Failure, Outcome, Part, Source, Stored
    from .engine import Engine
    from .folder.manifest import WriteManifest
    from .job import RemoveBackgrounds
    from .models.config import SessionConfig
    from .pictures.encode import Encoding
    from .pictures.options import RemoveOptions
    from .rembg_dofn import RemBGDoFn
    from .remove_background import RemoveBackground
    from .store.web import WebOptions

_MODULES = {
    "Source": "elements",
    "WebOptions": "store.web",
    "Stored": "elements",
    "SessionConfig": "models.config",
    "RemoveOptions": "pictures.options",
    "Encoding": "pictures.encode",
    "Engine": "engine",
    "RemBGDoFn": "rembg_dofn",
    "Part": "elements",
    "Cutout": "elements",
    "Failure": "elements",
    "RemoveBackground": "remove_background",
    "RemoveBackgrounds": "job",
    "Outcome": "elements",
    "WriteManifest": "folder.manifest",
}

__all__ = [
    "Source",
    "WebOptions",
    "Stored",
    "SessionConfig",
    "RemoveOptions",
    "Encoding",
    "Engine",
    "RemBGDoFn",
    "Part",
    "Cutout",
    "Failure",
    "RemoveBackground",
    "RemoveBackgrounds",
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
