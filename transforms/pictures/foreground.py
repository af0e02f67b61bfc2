"""pymatting under threads.

`decontaminate`, `alpha_matting` and `vitmatte` reach pymatting, whose loops numba runs in parallel.
Under numba's `workqueue` layer, which is what remains where neither OpenMP nor TBB is found, two
threads in such a loop abort the process. `prepare` makes rembg call pymatting one thread at a time
unless numba's layer is one that takes more; which layer there is shows after a first call. It also
imports pymatting, which compiles itself the first time on a machine and says so.

pymatting refuses some pictures (a single pixel, a mask without any background), at which rembg
either does something simpler without a word or dies. `refused` tells of it.
"""

import contextlib
import functools
import importlib
import logging
import threading
from typing import Any, Callable, ContextManager

_GUARDED = ("estimate_alpha_cf", "estimate_foreground_ml")
_SAFE_LAYERS = ("omp", "tbb")

# Of an import of pymatting; of one that finds itself compiled, a tenth.
_SLOW_SECONDS = 8.0

_log = logging.getLogger(__name__)

_lock = threading.Lock()
_here = threading.local()


@functools.cache
def prepare() -> None:
    """Imports pymatting, and puts the guard around what `rembg.bg` calls of it; once a process."""
    with _lock:
        note = threading.Timer(
            _SLOW_SECONDS,
            _log.info,
            ["pymatting is imported for the first time here: it compiles, for up to a minute"],
        )
        note.daemon = True
        note.start()
        try:
            importlib.import_module("pymatting")
        finally:
            note.cancel()
        _guard()


def _guard() -> None:
    import rembg.bg

    for name in _GUARDED:
        function = getattr(rembg.bg, name)
        if not hasattr(function, "__wrapped__"):
            setattr(rembg.bg, name, _guarded(function))


def refused() -> bool:
    """Whether pymatting refused anything in this thread since this was last asked."""
    answer, _here.refused = getattr(_here, "refused", False), False
    return answer


def _guarded(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def call(*arguments: Any, **more: Any) -> Any:
        try:
            with _turn():
                return function(*arguments, **more)
        except Exception:
            _here.refused = True
            raise

    return call


def _turn() -> ContextManager[Any]:
    import numba

    try:
        safe = numba.threading_layer() in _SAFE_LAYERS
    except ValueError:  # nothing has run in parallel yet
        safe = False
    return contextlib.nullcontext() if safe else _lock
