"""Imports rembg, and leaves what it imports of pymatting for when it is called.

Importing pymatting has numba compile or load all its loops: most of a minute on a new machine, and
half a second, twice the rest of rembg, on any other. Only `alpha_matting`, `decontaminate` and
`vitmatte` use it. While rembg is imported, `from pymatting.x import y` gives a function that
imports the real `y` when it is called; what such a function returns meanwhile, `kernel = disk(1)`,
is computed when another is given it. Afterwards pymatting is for everyone what it was. Where that
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

PYMATTING = ("pymatting",)

# For a process whose other threads import none of them meanwhile: each costs a tenth of a second
# and 10 MB, and is for `post_process_mask`, `alpha_matting` and SAM.
LEAN = (*PYMATTING, "jsonschema", "scipy", "skimage")

_lock = threading.Lock()


def import_rembg(deferred: Sequence[str] = PYMATTING, *, absent: Sequence[str] = ()) -> ModuleType:
    """rembg, imported once; raises what its import raises.

    Args:
      deferred: packages that it is imported without.
      absent: packages that needn't be installed, which is noticed when they are called.
    """
    with _lock:
        if "rembg" not in sys.modules:
            left = [
                name
                for name in deferred
                if name not in sys.modules and importlib.util.find_spec(name)
            ]
            left += [name for name in absent if importlib.util.find_spec(name) is None]
            with _deferred(left), contextlib.suppress(Exception):
                return importlib.import_module("rembg")
        return importlib.import_module("rembg")


@contextlib.contextmanager
def _deferred(packages: Sequence[str]) -> Iterator[None]:
    finder = _Deferring(packages)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        finder.is_on = False
        sys.meta_path.remove(finder)
        for name in [name for name in sys.modules if finder.is_of_one(name)]:
            del sys.modules[name]


class _Deferring(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds modules of packages whose every name is a function that imports the real one."""

    def __init__(self, packages: Sequence[str]) -> None:
        self.packages = frozenset(packages)
        self.is_on = True

    def is_of_one(self, name: str) -> bool:
        return name.partition(".")[0] in self.packages

    def find_spec(
        self, fullname: str, path: Optional[Sequence[str]], target: Optional[ModuleType] = None
    ) -> Optional[importlib.machinery.ModuleSpec]:
        if not self.is_of_one(fullname):
            return None
        return importlib.machinery.ModuleSpec(fullname, self, is_package=True)

    def exec_module(self, module: ModuleType) -> None:
        # PEP 562: what a module doesn't have, this gives.
        module.__getattr__ = functools.partial(self._later, module.__name__)  # type: ignore[method-assign]

    def _later(self, module: str, name: str) -> Callable[..., Any]:
        if name.startswith("__"):
            raise AttributeError(name)

        def call(*arguments: Any, **more: Any) -> Any:
            if self.is_on:
                return _Result(functools.partial(call, *arguments, **more))
            real = getattr(importlib.import_module(module), name)
            return real(*map(_computed, arguments), **more)

        return call


class _Result:
    """What a call made while rembg was imported will return."""

    def __init__(self, compute: Callable[[], Any]) -> None:
        self.compute = compute


def _computed(argument: Any) -> Any:
    return argument.compute() if isinstance(argument, _Result) else argument
