"""ViTMatte's session, by configuration.

rembg keeps one ViTMatte session per variant in a global dictionary, made on the CPU, or on CUDA
wherever that is listed. `using` makes `rembg.remove` take, in this thread, the session of a
configuration instead: the same providers and options as the model's, and proved like it.
"""

import contextlib
from contextvars import ContextVar
from typing import Any, Callable, Iterator, Optional

Lookup = Callable[[str], Any]

_lookup: ContextVar[Optional[Lookup]] = ContextVar("rembg_beam_vitmatte", default=None)


@contextlib.contextmanager
def using(lookup: Lookup) -> Iterator[None]:
    """Lets rembg find ViTMatte sessions by `lookup(variant)` in this thread."""
    _install()
    token = _lookup.set(lookup)
    try:
        yield
    finally:
        _lookup.reset(token)


def _install() -> None:
    import rembg.matting

    own = rembg.matting._get_session
    if getattr(own, "of_rembg_beam", False):
        return

    def get_session(variant: str) -> Any:
        lookup = _lookup.get()
        return own(variant) if lookup is None else lookup(variant)

    get_session.of_rembg_beam = True  # type: ignore[attr-defined]
    rembg.matting._get_session = get_session
