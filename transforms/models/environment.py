"""Environment variables that rembg, numba and TensorRT read -> whether they are as they must be.

In: the process's environment. Out: nothing, or a `ValueError` that names the variable, as theirs
don't.
"""

import os
from typing import Sequence

# By rembg for onnxruntime's threads (0 leaves them to it), by numba for its own.
_LEAST = {"OMP_NUM_THREADS": 0, "NUMBA_NUM_THREADS": 1}


def check() -> None:
    """Raises `ValueError` for one that would end rembg's import, or the making of a session."""
    for name, least in _LEAST.items():
        text = os.environ.get(name)
        if text is not None and not _is_fine(text, least):
            raise ValueError(
                f"the environment variable {name} is {text!r} and must be one whole number from "
                f"{least}, as rembg and numba read it; unset it, or correct it"
            )


def check_without_tf32(provider_names: Sequence[str]) -> None:
    """Raises `ValueError` where TensorRT would compute in TF32, which it has no option against."""
    name = "NVIDIA_TF32_OVERRIDE"
    if "TensorrtExecutionProvider" in provider_names and os.environ.get(name) != "0":
        raise ValueError(
            f"exact on TensorRT needs the environment variable {name}=0 in the workers, which "
            "turns TF32 off in all of NVIDIA's libraries; set it, or take provider='CUDA'"
        )


def _is_fine(text: str, least: int) -> bool:
    """
    >>> [_is_fine(text, 0) for text in ("4", " 4 ", "-1", "4,2", "")]
    [True, True, False, False, False]
    """
    try:
        return int(text) >= least
    except ValueError:
        return False
