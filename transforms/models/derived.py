"""A model's file -> another made of it, once per machine.

In: the path of a model's file, and a function that makes another graph of it, or what else is to be
kept. Out: the path of what it made, in rembg's home. Another content of the file gives another
path. One process makes it, those who come meanwhile wait, and nobody sees half of it. What the
function raises rises, and leaves nothing behind.
"""

import hashlib
import os
from typing import Any, Callable, Optional

import filelock

from . import weights


def once(
    path: str,
    kind: str,
    make: Callable[[], Any],
    save: Optional[Callable[[Any, str], None]] = None,
) -> str:
    """The path of what `make` makes of a file, made unless it is there.

    Args:
      path: of the model's file.
      kind: what is made of it, a word of the folder's name.
      make: gives what is to be saved.
      save: writes it to a path; None for an `onnx.ModelProto`, of less than 2 GB.
    """
    facts = f"{os.path.abspath(path)} {os.path.getsize(path)} {os.path.getmtime(path)}"
    digest = hashlib.sha256(facts.encode()).hexdigest()[:16]
    target = os.path.join(weights.home(), "rembg_beam", f"{kind}-{digest}", os.path.basename(path))
    os.makedirs(os.path.dirname(target), exist_ok=True)
    with filelock.FileLock(target + ".lock"):
        if not os.path.exists(target):
            (save or _save_graph)(make(), target + ".part")
            os.replace(target + ".part", target)
    return target


def _save_graph(model: Any, path: str) -> None:
    import onnx

    onnx.save(model, path)
