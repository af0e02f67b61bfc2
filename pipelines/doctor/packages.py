"""Packages: what is installed -> whether it fits rembg-beam, and together.

In: this environment's packages. Out: lines; a fault for a package that is absent or of another
version than rembg-beam needs, for no onnxruntime, or one that is not what its package says.
"""

import importlib.metadata
import platform
from typing import Iterator

from packaging.requirements import Requirement

from ...transforms.models import opening, providers
from .line import Line, fault, ok, warning

# Whose versions are always told.
_SHOWN = ("apache-beam", "rembg", "pillow", "numpy")

_INSTALL = (
    "install exactly one of rembg-beam[cpu], rembg-beam[gpu] (NVIDIA) and rembg-beam[openvino]"
)


def examine() -> Iterator[Line]:
    """Python, what rembg-beam needs, and onnxruntime."""
    version = importlib.metadata.version("rembg-beam")
    yield ok("rembg-beam", f"{version}, on Python {platform.python_version()}")
    for text in importlib.metadata.requires("rembg-beam") or []:
        requirement = Requirement(text)
        # Others are of extras, or of another platform.
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            yield from _needed(requirement)
    yield from _onnxruntime()


def _needed(requirement: Requirement) -> Iterator[Line]:
    install = f"pip install '{requirement}'"
    try:
        version = importlib.metadata.version(requirement.name)
    except importlib.metadata.PackageNotFoundError:
        yield fault(requirement.name, "not installed", install)
        return
    if not requirement.specifier.contains(version, prereleases=True):
        yield fault(requirement.name, f"{version}, and {requirement.specifier} is needed", install)
    elif requirement.name in _SHOWN:
        yield ok(requirement.name, version)


def _onnxruntime() -> Iterator[Line]:
    installed = providers.installed()
    try:
        opening.require_onnxruntime()
        import onnxruntime
    except Exception as error:
        yield fault("onnxruntime", f"can't be imported: {error}", _INSTALL)
        return
    if side_by_side := providers.side_by_side():
        way_out = (
            f"pip uninstall {' '.join(each.split()[0] for each in installed)}; then {_INSTALL}"
        )
        yield fault("onnxruntime", side_by_side[0].partition(":")[0], way_out)
    elif not installed:
        found = f"{onnxruntime.__version__}, of no package that is known"
        yield warning("onnxruntime", found, _INSTALL)
    else:
        yield ok("onnxruntime", installed[0])
