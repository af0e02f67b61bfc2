"""Environment variables that rembg and numba read as numbers -> whether they are.

In: the process's environment. Out: nothing, or a `ValueError` that names the variable, as theirs
don't.
"""

import os

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


def _is_fine(text: str, least: int) -> bool:
    """
    >>> [_is_fine(text, 0) for text in ("4", " 4 ", "-1", "4,2", "")]
    [True, True, False, False, False]
    """
    try:
        return int(text) >= least
    except ValueError:
        return False
