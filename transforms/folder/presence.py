"""Runs at work on an output folder: each leaves `OUTPUT/_manifest/_running-RUN.json` while it is.

In: an output folder and a run's id. Out: what to say of other runs that are at work there. A run's
file is written again every `BEAT_SECONDS`, and removed at its end. One that was killed leaves it:
of this machine's that is known at once, of others' when three beats have not come; the next run
removes it. A run costs three requests, the last of which is free on gs://, and one for each beat.
Beginning fails as `stores.write` and `stores.listing` do; what goes wrong later stops no run.
"""

import contextlib
import datetime
import json
import os
import posixpath
import socket
import threading
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional

import psutil

from .. import strict_json
from ..store import stores, uris
from ..store.listed import Listed
from . import layout

BEAT_SECONDS = 300.0

# Without a beat for so long a run is taken for dead.
SILENT_SECONDS = 3 * BEAT_SECONDS

# For the file to be removed by a process that is ending.
GRACE_SECONDS = 1.0


class Presence:
    """This run's being at work, from now to `end`.

    Attributes:
      since: when it began, in seconds since 1970 by the store's clock; None if it doesn't say.
      others: what the files of other runs at work say.
    """

    def __init__(self, output: str, run_id: str, beat_seconds: float = BEAT_SECONDS) -> None:
        self._output = output
        self._name = layout.running(run_id)
        self._data = json.dumps(_ours()).encode()
        self._ended = threading.Event()
        self._write()
        found = {posixpath.basename(file.uri): file for file in _markers(output)}
        own = found.pop(posixpath.basename(self._name), None)
        self.since = own.modified if own else None
        said = [(file, _said(file)) for file in found.values()]
        self.others = [about for file, about in said if not _swept(file, about, self.since)]
        self._beats = threading.Thread(target=self._beat, args=(beat_seconds,), daemon=True)
        self._beats.start()

    def __enter__(self) -> "Presence":
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        """Takes the file away."""
        self._ended.set()
        with contextlib.suppress(OSError, ValueError):
            stores.remove(uris.join(self._output, self._name))

    def abandon(self) -> None:
        """The same, for a process that can't wait for a store."""
        thread = threading.Thread(target=self.end, daemon=True)
        thread.start()
        thread.join(GRACE_SECONDS)

    def warning(self) -> Optional[str]:
        """What a person should know of the others; None if there are none."""
        if not self.others:
            return None
        since, process, host = (str(self.others[0].get(key, "?")) for key in _SHOWN)
        more = f", and {len(self.others) - 1} more" if self.others[1:] else ""
        return (
            f"another run has been at work on {uris.without_secrets(self._output)!r} since {since} "
            f"(process {process} on {host}{more}): both end well, but do the same work twice"
        )

    def _write(self) -> None:
        stores.write(self._output, self._name, self._data, "application/json", durable=True)

    def _beat(self, seconds: float) -> None:
        while not self._ended.wait(seconds):
            with contextlib.suppress(OSError, ValueError):
                self._write()


_SHOWN = ("since", "process", "host")


def _said(file: Listed) -> Dict[str, Any]:
    """What a run's file says; of one that is gone, or is no JSON object, only that it is there."""
    with contextlib.suppress(OSError, ValueError):
        about = strict_json.loads(stores.read(file.uri).data)
        return about if isinstance(about, dict) else {}
    return {}


def _ours() -> Dict[str, Any]:
    process = psutil.Process()
    return {
        "since": f"{datetime.datetime.now(datetime.UTC):%Y-%m-%dT%H:%M:%SZ}",
        "process": process.pid,
        "started": process.create_time(),
        "host": socket.gethostname(),
        "machine": _machine(),
    }


def _machine() -> List[str]:
    """What two processes share only if each sees the other's number; empty off Linux."""
    found = []
    with contextlib.suppress(OSError):
        found.append(Path("/proc/sys/kernel/random/boot_id").read_text().strip())
        found.append(os.readlink("/proc/self/ns/pid"))
    return found


def _markers(output: str) -> Iterator[Listed]:
    """The files of all runs, this one's among them."""
    folder = uris.join(output, layout.MANIFEST)
    for file in stores.listing(folder, start=layout.RUNNING_PREFIX, deep=False):
        if file.name.endswith(".json"):
            yield file


def _swept(file: Listed, about: Dict[str, Any], now: Optional[float]) -> bool:
    """Whether a file is of a run that was killed, in which case it is removed."""
    at = file.modified
    silent = now is not None and at is not None and now - at > SILENT_SECONDS
    alive = _is_alive(about)
    dead = not alive if alive is not None else silent
    if dead or at is None:  # whose beats can't be told; if it lives, the next brings it back
        with contextlib.suppress(OSError, ValueError):
            stores.remove(file.uri)
    return dead


def _is_alive(about: Dict[str, Any]) -> Optional[bool]:
    """Whether a run's process is; None if that can't be told from here."""
    machine, process = about.get("machine"), about.get("process")
    if not machine or machine != _machine() or type(process) is not int:
        return None
    try:
        return bool(psutil.Process(process).create_time() == about.get("started"))
    except (psutil.Error, ValueError, OverflowError):
        return False
