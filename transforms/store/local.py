"""Files of this machine: read, written so that they are whole or absent, listed.

In: paths or `file://` URIs. What can fail rises as the operating system's `OSError`; what a network
mount may fail at for a moment is tried again (see `retrying`). `write` leaves nothing behind when
it fails, and has seen the file's size when it does not.

Beam writes local files in place (`FileSystems.create`), so local ones are written here: under a
temporary name inside the output folder, hence on its own file system, then renamed. The temporary
files of a process lie in a folder of their own, beside a lock that the process holds as long as it
lives; a lock that can be had belongs to a process that was killed, and `sweep` removes what it
left.
"""

import atexit
import contextlib
import errno
import glob
import itertools
import os
import shutil
import stat
import threading
import uuid
from dataclasses import dataclass
from functools import partial
from typing import Any, BinaryIO, Dict, Iterator, Optional

import filelock

from . import limits, refusals, uris
from .listed import Listed
from .retrying import ERRNOS, Tried, tried

# What a file system says that knows no hard links.
_NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EINVAL)

# Asked for at once, where a file is said to have less: it may grow, or be one of /proc.
_PIECE_BYTES = 1 << 16

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


# As `stores.Store` has them; what each means is said there.


def read(uri: str, max_bytes: Optional[int], *_: Any) -> Tried[bytes]:
    return tried(_read, uris.local_path(uri), max_bytes)


def download(uri: str, path: str) -> Tried[None]:
    return tried(_download, uri, path)


def opened(uri: str) -> BinaryIO:
    return open(uris.local_path(uri), "rb")


def write(
    folder: str, name: str, data: bytes, mime_type: str, overwrite: bool, durable: bool
) -> Tried[None]:
    return tried(_write, folder, name, data, overwrite, durable)


def size(uri: str) -> Optional[int]:
    """None for a folder, too."""
    try:
        found = os.stat(uris.local_path(uri))
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found.st_size if stat.S_ISREG(found.st_mode) else None


def remove(uri: str) -> None:
    path = uris.local_path(uri)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    _remove_if_empty(os.path.dirname(path))


def listing(folder: str, start: str, deep: bool, limit: Optional[int]) -> Iterator[Listed]:
    found = (file for file in _walk(_root(folder), deep) if file.name.startswith(start))
    return itertools.islice(found, limit)


# Of local files alone; see `stores`.


def begin(folder: str) -> None:
    sweep(folder)
    _private_folder(folder)


def end(folder: str) -> None:
    root = _root(folder)
    with _private_lock:
        if root in _private:
            _private[root].users -= 1
            if _private[root].users <= 0:
                _remove(_private.pop(root))


def sweep(folder: str) -> bool:
    room = os.path.join(_root(folder), uris.TEMPORARY)
    for lock_path in glob.glob(os.path.join(glob.escape(room), "*.lock")):
        try:
            with filelock.FileLock(lock_path).acquire(blocking=False):
                shutil.rmtree(lock_path.removesuffix(".lock"), ignore_errors=True)
                _unlink(lock_path)
        except (filelock.Timeout, OSError):
            continue  # its owner lives, or another process sweeps it
    _remove_if_empty(room)
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


def _download(uri: str, path: str) -> None:
    with opened(uri) as file:
        limits.copy(uri, file, path, os.fstat(file.fileno()).st_size)


def _read(path: str, max_bytes: Optional[int]) -> bytes:
    _check_is_file(path, os.stat(path).st_mode)
    # Something else may lie there by now; without O_NONBLOCK opening a pipe waits for its writer.
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    descriptor = os.open(path, flags)
    try:
        found = os.fstat(descriptor)
        _check_is_file(path, found.st_mode)
        limits.check(path, found.st_size, max_bytes)
        asked = max(found.st_size, _PIECE_BYTES) + 1
        return b"".join(limits.capped(path, partial(os.read, descriptor), max_bytes, asked))
    except OSError as error:
        raise _of_a_kernels_file(descriptor, path, error) from None
    finally:
        os.close(descriptor)


def _check_is_file(path: str, mode: int) -> None:
    if stat.S_ISDIR(mode):
        rule = "it is a folder; the command takes those by --input, a list files"
        raise IsADirectoryError(errno.EISDIR, rule, path)
    if not stat.S_ISREG(mode):
        kinds = {stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}
        kind = kinds.get(stat.S_IFMT(mode), "a device")
        raise OSError(errno.EINVAL, f"it is not a regular file but {kind}: save it as a file", path)


def _of_a_kernels_file(descriptor: int, path: str, error: OSError) -> OSError:
    """The error; another attempt won't help where nothing is on a disk, as under /proc and /sys."""
    # As `df` tells them: their file systems have no blocks.
    if error.errno in ERRNOS and hasattr(os, "fstatvfs") and not os.fstatvfs(descriptor).f_blocks:
        rule = f"it is one of the kernel's files, and can't be read ({error.strerror})"
        return OSError(errno.EINVAL, rule, path)
    return error


def _write(folder: str, name: str, data: bytes, overwrite: bool, durable: bool) -> None:
    path = os.path.join(uris.local_path(folder), *name.split("/"))
    temporary = os.path.join(_private_folder(folder), uuid.uuid4().hex)
    try:
        with open(temporary, "wb") as file:
            file.write(data)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        _make_room(path)
        if overwrite:
            os.replace(temporary, path)
        else:
            _link(temporary, path, data)
        if os.stat(path).st_size != len(data):
            raise OSError(errno.EIO, f"not all of its {len(data)} bytes are there", path)
    except IsADirectoryError as error:
        raise _taken(path) from error
    finally:
        _unlink(temporary)
        end(folder)


def _make_room(path: str) -> None:
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
    except (NotADirectoryError, FileExistsError) as error:
        raise _taken(path) from error


def _link(temporary: str, path: str, data: bytes) -> None:
    """Gives a file its name unless something has it; the very same file, of a retry, may."""
    try:
        os.link(temporary, path)
    except FileExistsError:
        if size(path) != len(data) or _read(path, len(data)) != data:
            raise refusals.exists(path) from None
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        if os.path.lexists(path):
            raise refusals.exists(path) from None
        os.replace(temporary, path)


def _taken(path: str) -> OSError:
    return OSError(
        f"{path!r} can't be written: its name, or a folder in it, is taken by something else, "
        "such as the output of a picture in a folder of that name"
    )


def _walk(root: str, deep: bool) -> Iterator[Listed]:
    for folder, folders, names in os.walk(root, onerror=_raise_unless_absent):
        folders.sort()
        if not deep:
            folders.clear()
        below = os.path.join(os.path.relpath(folder, root), "").replace(os.sep, "/")
        below = below.removeprefix("./")
        for name in sorted(names):
            path = os.path.join(folder, name)
            try:
                found = os.stat(path)
            except OSError as error:
                # A link to nothing or in a circle, or a file just removed.
                if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
                    raise
                continue
            if stat.S_ISREG(found.st_mode):
                yield Listed(uris.local_uri(path), below + name, found.st_size, found.st_mtime)


def _raise_unless_absent(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error


def _root(folder: str) -> str:
    return os.path.abspath(uris.local_path(folder))


def _private_folder(folder: str) -> str:
    """This process's folder for temporary files, for one more user until its `end`."""
    root = _root(folder)
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
    _unlink(private.path + ".lock")
    private.lock.release()
    _remove_if_empty(os.path.dirname(private.path))


def _unlink(path: str) -> None:
    with contextlib.suppress(OSError):
        os.unlink(path)


def _remove_if_empty(folder: str) -> None:
    with contextlib.suppress(OSError):
        os.rmdir(folder)
