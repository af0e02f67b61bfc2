"""A process's own folder for what it is writing, below a local folder, and so on its file system.

In: a folder. Out: `folder_of` it, from the first `begin` until the last `end`. Beside it lies a
lock that the process holds as long as it lives; a lock that can be had belongs to a process that
was killed, and `sweep` removes what it left. Fails with `OSError`.
"""

import atexit
import contextlib
import errno
import glob
import os
import shutil
import threading
import uuid
from dataclasses import dataclass
from typing import Dict, Iterator

import filelock

from . import uris

# Folders tried until one outlives the sweeps of others.
_PRIVATE_TRIES = 10


@dataclass
class _Private:
    """A process's own folder for temporary files under one output folder."""

    path: str
    lock: filelock.BaseFileLock
    users: int = 0


_private: Dict[str, _Private] = {}
_private_lock = threading.Lock()
_abandoned = False


def begin(folder: str) -> None:
    """Announces a writer of this process; sweeps what dead ones left."""
    sweep(folder)
    folder_of(folder)


def end(folder: str) -> None:
    """The writer is done; the last one removes the process's folder."""
    root = absolute(folder)
    with _private_lock:
        if root in _private:
            _private[root].users -= 1
            if _private[root].users <= 0:
                _remove(_private.pop(root))


def sweep(folder: str) -> bool:
    """Removes what processes no longer alive left; whether nothing is left there."""
    room = os.path.join(absolute(folder), uris.TEMPORARY)
    for lock_path in glob.glob(os.path.join(glob.escape(room), "*.lock")):
        try:
            with filelock.FileLock(lock_path).acquire(blocking=False):
                shutil.rmtree(lock_path.removesuffix(".lock"), ignore_errors=True)
                unlink(lock_path)
        except (filelock.Timeout, OSError):
            continue  # its owner lives, or another process sweeps it
    remove_if_empty(room)
    return not os.path.lexists(room)


@atexit.register
def abandon() -> None:
    """Ends all local writing of this process, now and for good, and removes its temporary files.

    A `write` still going on in another thread fails, leaving nothing behind.
    """
    global _abandoned
    with _private_lock:
        _abandoned = True
        for private in _private.values():
            _remove(private)


def folder_of(folder: str) -> str:
    """This process's folder for temporary files, for one more user until its `end`."""
    root = absolute(folder)
    with _private_lock:
        if _abandoned:
            raise OSError(f"nothing is written to {folder!r} any more: this process is ending")
        if root not in _private:
            _private[root] = _make_private(os.path.join(root, uris.TEMPORARY))
        _private[root].users += 1
        return _private[root].path


def _make_private(room: str) -> _Private:
    for left in reversed(range(_PRIVATE_TRIES)):
        path = os.path.join(room, f"{os.getpid()}-{uuid.uuid4().hex[:8]}")
        lock = filelock.FileLock(path + ".lock", thread_local=False)
        try:
            os.makedirs(room, exist_ok=True)
            lock.acquire(blocking=False)
            os.mkdir(path)
            if os.path.exists(path + ".lock"):
                return _Private(path, lock)
            os.rmdir(path)
        except (filelock.Timeout, FileNotFoundError, FileExistsError):
            # A sweep came between; another name, then. Unless something stands in the way.
            if not left or (os.path.lexists(room) and not os.path.isdir(room)):
                raise
        lock.release()
    raise OSError(errno.EAGAIN, "other processes sweep it all the time", room)


def _remove(private: _Private) -> None:
    for _ in range(10):  # a writer may put a file there while it is emptied
        shutil.rmtree(private.path, ignore_errors=True)
        if not os.path.exists(private.path):
            break
    unlink(private.path + ".lock")
    private.lock.release()
    remove_if_empty(os.path.dirname(private.path))


@contextlib.contextmanager
def spool(folder: str) -> Iterator[str]:
    """A new folder in it; removed at the end, with what is in it."""
    begin(folder)
    path = os.path.join(folder_of(folder), uuid.uuid4().hex)
    try:
        os.mkdir(path)
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        end(folder)
        end(folder)


def absolute(folder: str) -> str:
    """The absolute path of a local folder."""
    return os.path.abspath(uris.local_path(folder))


def unlink(path: str) -> None:
    """Removes a file if that is possible."""
    with contextlib.suppress(OSError):
        os.unlink(path)


def remove_if_empty(folder: str) -> None:
    """Removes a folder that holds nothing."""
    with contextlib.suppress(OSError):
        os.rmdir(folder)
