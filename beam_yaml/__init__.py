"""Beam YAML, and other languages: transforms that take flat settings, and rows.

    config      what a pipeline says: names of flags -> checked values
    rows        rows with a picture's URI -> sources; outcomes -> rows, with the user's columns
    read        `ReadSources`
    remove      `RemoveBackground`
    manifest    `WriteManifest`
    job         `RemoveBackgrounds`, all of that in one
    providers.yaml   names them, for a pipeline's `providers`: include it by its path, `PROVIDERS`

They are Python transforms for whoever writes none in Python: a YAML pipeline names them under
`providers`, a Java one by `PythonExternalTransform`. All of it needs Beam; Beam YAML itself needs
the packages of `rembg-beam[yaml]`, which `python -m rembg_beam.yaml` asks for.
"""

from pathlib import Path

from .job import RemoveBackgrounds
from .manifest import WriteManifest
from .read import ReadSources
from .remove import RemoveBackground

# Where Beam YAML finds them under their names.
PROVIDERS = str(Path(__file__).with_name("providers.yaml"))

__all__ = ["ReadSources", "RemoveBackground", "WriteManifest", "RemoveBackgrounds", "PROVIDERS"]
