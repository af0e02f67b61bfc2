"""Imports rembg, and leaves what it imports of pymatting for when it is called.

Importing pymatting has numba compile or load all its loops: most of a minute on a new machine, and
half a second, twice the rest of rembg, on any other. Only `alpha_matting`, `decontaminate` and
`vitmatte` use it. While rembg is imported, `from pymatting.x import y` gives a function that
imports the real `y` when it is called; afterwards pymatting is for everyone what it was. Where that
fails, rembg is imported as it is.
"""

import contextlib
import functools
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import sys
import threading
from types import ModuleType
from typing import Any, Callable, Iterator, Optional, Sequence

PYMATTING = "pymatting"

_lock = threading.Lock()


def import_rembg() -> ModuleType:
    """rembg, imported once; raises what its import raises."""
    with _lock:
        if not {"rembg", PYMATTING} & set(sys.modules) and importlib.util.find_spec(PYMATTING):
            with _deferred(PYMATTING), contextlib.suppress(Exception):
                return importlib.import_module("rembg")
        return importlib.import_module("rembg")


@contextlib.contextmanager
def _deferred(package: str) -> Iterator[None]:
    finder = _Deferring(package)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        for name in [name for name in sys.modules if finder.is_of_package(name)]:
            del sys.modules[name]


class _Deferring(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds modules of a package whose every name is a function that imports the real one."""

    def __init__(self, package: str) -> None:
        self.package = package

    def is_of_package(self, name: str) -> bool:
        return name == self.package or name.startswith(self.package + ".")

    def find_spec(
        self, fullname: str, path: Optional[Sequence[str]], target: Optional[ModuleType] = None
    ) -> Optional[importlib.machinery.ModuleSpec]:
        if not self.is_of_package(fullname):
            return None
        return importlib.machinery.ModuleSpec(fullname, self, is_package=True)

    def exec_module(self, module: ModuleType) -> None:
        # PEP 562: what a module doesn't have, this gives.
        module.__getattr__ = functools.partial(_later, module.__name__)  # type: ignore[method-assign]


def _later(module: str, name: str) -> Callable[..., Any]:
    if name.startswith("__"):
        raise AttributeError(name)

    def call(*arguments: Any, **more: Any) -> Any:
        return getattr(importlib.import_module(module), name)(*arguments, **more)

    return call
