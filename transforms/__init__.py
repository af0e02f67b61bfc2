"""Backgrounds removed by rembg, on Apache Beam: the journey of one picture.

    elements            what flows: Source -> Stored -> Cutout -> Outcome
    storage/sources     a pattern, folder or list line becomes a Source       "photos/x/a.jpg"
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
    manifest, earlier   outcomes become a Parquet data set, and are read again

Below all of them: `uris` (what a URI names), `concurrency` (a DoFn with threads), `failures` (where
an exception becomes a row), `metrics` and `slow` (what takes long). Importing and building
pipelines needs no onnxruntime; workers do.
"""

from .elements import Cutout, Failure, Outcome, Part, Source, Stored
from .manifest import WriteManifest
from .models.config import SessionConfig
from .pictures.encode import Encoding
from .pictures.options import RemoveOptions
from .rembg_dofn import RemBGDoFn
from .remove_background import RemoveBackground
from .storage.web import WebOptions

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
