"""NVIDIA's libraries -> found by onnxruntime's CUDA and TensorRT providers, and its driver.

Those providers name their libraries without a path. Where these came as Python packages, the system
finds them only once they are loaded: `load` does that, before the first session. `without_driver`
says what no package can bring. Neither raises: what is lacking shows when a session is made.
"""

import contextlib
import ctypes
import functools
import importlib
import importlib.util
import io
import logging
import os
from typing import Iterable, Optional

CUDA, TENSORRT = "CUDAExecutionProvider", "TensorrtExecutionProvider"

# Comes with the driver, whatever else is installed.
DRIVER = "nvcuda.dll" if os.name == "nt" else "libcuda.so.1"

_log = logging.getLogger(__name__)


def load(names: Iterable[str]) -> None:
    """Loads what these providers need, once per process.

    Args:
      names: onnxruntime's names of providers.
    """
    if {CUDA, TENSORRT} & set(names):
        _load_cuda()
    if TENSORRT in names:
        _load_tensorrt()


def without_driver(name: str) -> Optional[str]:
    """Why a provider can't run here whatever else is installed; None if it may."""
    if name not in (CUDA, TENSORRT):
        return None
    try:
        ctypes.CDLL(DRIVER)
    except OSError:
        return (
            f"this machine has no NVIDIA driver: {DRIVER} is not found. No Python package brings "
            "it, and a container gets it from its machine"
        )
    return None


@functools.cache
def _load_cuda() -> None:
    """By onnxruntime, which prints what it can't find."""
    import onnxruntime

    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        onnxruntime.preload_dlls()
    for line in printed.getvalue().splitlines():
        _log.info("onnxruntime.preload_dlls: %s", line)


@functools.cache
def _load_tensorrt() -> None:
    """By NVIDIA's package, which does it when it is imported."""
    if importlib.util.find_spec("tensorrt_libs"):
        importlib.import_module("tensorrt_libs")
