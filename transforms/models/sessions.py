"""One session per process and configuration, however many DoFns and threads work with it.

`acquire` hands out the session of a configuration, made by an opener the first time anyone in the
process asks for it; instances and threads that ask meanwhile wait for it. `release` gives it back;
one that nobody has used for `IDLE_SECONDS` is let go. What the opener raises rises; the next to ask
tries again.
"""

import threading
from dataclasses import dataclass
from typing import Any, Callable, Dict, Tuple

from .config import SessionConfig
from .opening import Loaded, open_session

IDLE_SECONDS = 60.0

Opener = Callable[[SessionConfig], Loaded]


@dataclass
class _Shared:
    """A session of this process, and how many hold it."""

    lock: threading.Lock
    loaded: Any = None
    users: int = 0
    releases: int = 0


_shared: Dict[Tuple[SessionConfig, Opener], _Shared] = {}
_shared_lock = threading.Lock()


def acquire(config: SessionConfig, opener: Opener = open_session) -> Loaded:
    """The process's session of a configuration; give it back with `release`."""
    with _shared_lock:
        shared = _shared.setdefault((config, opener), _Shared(threading.Lock()))
        shared.users += 1
    try:
        with shared.lock:
            if shared.loaded is None:
                shared.loaded = opener(config)
            return shared.loaded
    except BaseException:
        release(config, opener)
        raise


def release(config: SessionConfig, opener: Opener = open_session) -> None:
    """Gives a session back; the last to do so starts its `IDLE_SECONDS`."""
    with _shared_lock:
        shared = _shared[config, opener]
        shared.users -= 1
        shared.releases += 1
        if shared.users:
            return
        when_idle = (config, opener), shared, shared.releases
        timer = threading.Timer(IDLE_SECONDS, _let_go, when_idle)
        timer.daemon = True
        timer.start()


def _let_go(key: Tuple[SessionConfig, Opener], shared: _Shared, releases: int) -> None:
    with _shared_lock:
        if shared.users == 0 and shared.releases == releases and _shared.get(key) is shared:
            del _shared[key]
