"""`rembg.remove` where it reaches pymatting: under threads, and with word of what was refused.

`decontaminate`, `alpha_matting` and `vitmatte` reach pymatting, whose loops numba runs in parallel.
Under numba's `workqueue` layer, which is what remains where neither OpenMP nor TBB is found, two
threads in such a loop abort the process. So pymatting is called one thread at a time unless numba's
layer is one that takes more; which layer there is shows after a first call. pymatting refuses some
pictures (a single pixel, a mask without any background), at which rembg either does something
simpler without a word or dies.

rembg takes neither pymatting's functions nor ViTMatte's sessions as arguments: it finds them in the
globals of its modules. So each call of `remove` runs copies of rembg's functions with globals of
their own, in which they are other ones; no other thread sees those, and rembg stays as it is.
"""

import contextlib
import functools
import importlib
import logging
import threading
from types import FunctionType, ModuleType
from typing import Any, Callable, ContextManager, Dict, List, Optional, Tuple

_OF_PYMATTING = ("estimate_alpha_cf", "estimate_foreground_ml")
_SAFE_LAYERS = ("omp", "tbb")

# Of an import of pymatting; of one that finds itself compiled, a tenth.
_SLOW_SECONDS = 8.0

_log = logging.getLogger(__name__)

_lock = threading.Lock()


@functools.cache
def prepare() -> None:
    """Imports pymatting, which compiles itself the first time on a machine, and says so."""
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


def remove(
    image: Any, arguments: Dict[str, Any], vitmatte: Optional[Callable[[str], Any]] = None
) -> Tuple[Any, bool]:
    """What `rembg.remove` makes of an image, and whether pymatting refused anything.

    Args:
      image: of Pillow's.
      arguments: of `rembg.remove`.
      vitmatte: a variant of ViTMatte -> onnxruntime's session; None for rembg's own, one per
        variant, on the CPU, or on CUDA wherever that is listed.

    Returns:
      An image of Pillow's, None where rembg failed because of what was refused. What else rembg
      raises rises.
    """
    import rembg.bg
    import rembg.matting

    prepare()
    refusals: List[Exception] = []
    sessions = {} if vitmatte is None else {"_get_session": vitmatte}
    changed = {name: _guarded(getattr(rembg.bg, name), refusals) for name in _OF_PYMATTING}
    changed["vitmatte_alpha"] = _copied(rembg.matting, sessions)["vitmatte_alpha"]
    try:
        return _copied(rembg.bg, changed)["remove"](image, **arguments), bool(refusals)
    except Exception:
        if not refusals:
            raise
        return None, True


def _copied(module: ModuleType, changed: Dict[str, Any]) -> Dict[str, Any]:
    """The globals of a module with some changed, and its functions with these as their globals."""
    copied = dict(vars(module))
    for name, value in vars(module).items():
        if isinstance(value, FunctionType) and value.__globals__ is vars(module):
            copied[name] = FunctionType(
                value.__code__, copied, name, value.__defaults__, value.__closure__
            )
            copied[name].__kwdefaults__ = value.__kwdefaults__
    copied.update(changed)
    return copied


def _guarded(function: Callable[..., Any], refusals: List[Exception]) -> Callable[..., Any]:
    """A function of pymatting's that waits for its turn, and adds what it raises to a list."""

    def call(*arguments: Any, **more: Any) -> Any:
        try:
            with _turn():
                return function(*arguments, **more)
        except Exception as error:
            refusals.append(error)
            raise

    return call


def _turn() -> ContextManager[Any]:
    import numba

    try:
        safe = numba.threading_layer() in _SAFE_LAYERS
    except ValueError:  # nothing has run in parallel yet
        safe = False
    return contextlib.nullcontext() if safe else _lock
