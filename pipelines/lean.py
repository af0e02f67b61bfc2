"""Imports for a run in this process, without what no run uses of them: half a second of two.

In: nothing. Out: Beam and rembg, imported. Beam takes pandas, MongoDB and Google's services but
storage for optional, and so does pyarrow with pandas: here they are as if not installed. Another
runner's job may ask for them, and is to be started without this. Nothing fails here: what can't be
had leanly is imported as it is, or said by whoever needs it.
"""

import contextlib
import importlib
import importlib.abc
import importlib.util
import logging
import sys
from typing import Any

from ..transforms.models.rembg_import import LEAN, import_rembg

HIDDEN = frozenset(
    {"bson", "pandas", *(f"google.cloud.{name}" for name in ("bigquery", "dataflow", "pubsub"))}
)


class _Hiding(importlib.abc.MetaPathFinder):
    """Says of modules that they are not installed."""

    def find_spec(self, fullname: str, *_: Any) -> None:
        if fullname in HIDDEN:
            raise ModuleNotFoundError(f"{fullname} is left out of this run", name=fullname)


def import_beam() -> None:
    """Beam, unless it is imported already."""
    if "apache_beam" in sys.modules:
        return
    hiding = _Hiding()
    logging.getLogger("apache_beam.io.mongodbio").disabled = True  # warns of no bson
    sys.meta_path.insert(0, hiding)
    try:
        importlib.import_module("apache_beam.io.parquetio")
    except ImportError:
        sys.meta_path.remove(hiding)
        for name in [name for name in sys.modules if name.split(".")[0] == "apache_beam"]:
            del sys.modules[name]  # half imported, it can't go on


def prepare_rembg() -> None:
    """rembg, before the pipeline's threads are there; what it raises, `open_session` will."""
    if importlib.util.find_spec("onnxruntime") is not None:
        with contextlib.suppress(Exception, SystemExit):
            import_rembg(LEAN)
