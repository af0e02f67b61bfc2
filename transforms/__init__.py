"""Backgrounds removed by rembg, on Apache Beam: the journey of one picture.

    elements            what flows: Source -> Stored -> Cutout -> Outcome
    sources/            a pattern, a list or a table becomes Sources          "photos/x/a.jpg"
    folder/existing     ... of which those that are done are left out
    read                its file is read                                      bytes
    pictures/decode     the bytes become an upright image                     Pillow image
    models/             a name becomes a session, one per process             rembg session
    pictures/cutout     rembg removes the background                          Pillow image, RGBA
    pictures/shown      ... of which each output shows something              Pillow images
    pictures/encode     the cutout becomes a file's bytes                     bytes
    masking             its masks: doubted, by another model where they are, cleaned up
    cascade             ... which models those are
    engine              ... all of these, without Beam                        Cutout
    rembg_dofn          ... and the step that does them
    naming              its name follows from its own input alone             "x/a.jpg.png"
    write               its file appears, whole or not at all
    outcomes            ... and has a row                                     Outcome
    remove_background   the steps in a row, one outcome for every element
    cut_out             bytes in, bytes out, in a pipeline that reads and writes by itself
    inference           ... or rembg as a model of Beam's `RunInference`
    read_samples        ... or, for shards, with the other members of its sample,
    make_shards         and in place of files samples of a data set's shards
    outputs/            what such a set is: which picture goes where, how a shard is written
    job                 a whole job: find, leave what is done, remove, write the rows
    stream              ... of pictures that keep coming, looked up one by one
    fast/               loops that give Pillow's and rembg's bits sooner, loaded when they pay
    folder/             outcomes become a Parquet data set, and are read again

Below all of them: `setting` (what is said of a setting, once), `strict_json` (text to values),
`store/` (URIs, and where their bytes lie) and `runtime/` (a DoFn with threads, where an exception
becomes a row, metrics, memory, what takes long). Importing and building pipelines needs no
onnxruntime; workers do. Public names are imported when they are first used, since Beam takes half a
second.
"""

import importlib
import sys
from typing import TYPE_CHECKING, Any, List

if TYPE_CHECKING:
    from .cascade import Cascade
    from .cut_out import CutOut
    from .elements import Cutout, CutoutArrays, Failure, Outcome, Part, Source, Stored
    from .engine import Engine
    from .folder.manifest import WriteManifest
    from .inference import RemBGModelHandler
    from .job import RemoveBackgrounds
    from .models.config import SessionConfig
    from .outputs.options import DataSet
    from .pictures.cleanup import MaskCleanup
    from .pictures.encode import Encoding
    from .pictures.framing import Framing
    from .pictures.options import RemoveOptions
    from .pictures.postprocessing import PostProcessing
    from .pictures.requested import Output
    from .pictures.shadow import Shadow
    from .pictures.suspect import Suspicion
    from .pictures.trimap import TrimapWidths
    from .rembg_dofn import RemBGDoFn
    from .remove_background import RemoveBackground
    from .sources.columns import Columns
    from .sources.notifications import ReadNotifications
    from .sources.read_sources import ReadSources
    from .store.web import WebOptions

_MODULES = {
    "Source": "elements",
    "Columns": "sources.columns",
    "ReadSources": "sources.read_sources",
    "ReadNotifications": "sources.notifications",
    "WebOptions": "store.web",
    "Stored": "elements",
    "SessionConfig": "models.config",
    "RemoveOptions": "pictures.options",
    "Output": "pictures.requested",
    "Suspicion": "pictures.suspect",
    "MaskCleanup": "pictures.cleanup",
    "TrimapWidths": "pictures.trimap",
    "Shadow": "pictures.shadow",
    "Framing": "pictures.framing",
    "PostProcessing": "pictures.postprocessing",
    "Cascade": "cascade",
    "Encoding": "pictures.encode",
    "Engine": "engine",
    "RemBGDoFn": "rembg_dofn",
    "Part": "elements",
    "Cutout": "elements",
    "CutoutArrays": "elements",
    "Failure": "elements",
    "CutOut": "cut_out",
    "RemBGModelHandler": "inference",
    "RemoveBackground": "remove_background",
    "DataSet": "outputs.options",
    "RemoveBackgrounds": "job",
    "Outcome": "elements",
    "WriteManifest": "folder.manifest",
}

__all__ = [
    "Source",
    "Columns",
    "ReadSources",
    "ReadNotifications",
    "WebOptions",
    "Stored",
    "SessionConfig",
    "RemoveOptions",
    "Output",
    "Suspicion",
    "MaskCleanup",
    "TrimapWidths",
    "Shadow",
    "Framing",
    "PostProcessing",
    "Cascade",
    "Encoding",
    "Engine",
    "RemBGDoFn",
    "Part",
    "Cutout",
    "CutoutArrays",
    "Failure",
    "CutOut",
    "RemBGModelHandler",
    "RemoveBackground",
    "DataSet",
    "RemoveBackgrounds",
    "Outcome",
    "WriteManifest",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(importlib.import_module(f".{_MODULES[name]}", __name__), name)
    if "apache_beam" in sys.modules:  # to import this is to register http and https with it
        importlib.import_module(".store.web.filesystem", __name__)
    return found


def __dir__() -> List[str]:
    return sorted({*globals(), *__all__})
