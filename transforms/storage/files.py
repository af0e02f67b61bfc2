"""URI -> bytes, and bytes -> a file that is whole or absent.

`read` and `Folder.write` take local paths, `file://` URIs and whatever Beam's FileSystems open.
Both raise what the storage raises (`OSError` and its like); `write` leaves nothing behind when it
does.

Beam writes local files in place (`FileSystems.create`), so local ones are written here: under a
temporary name inside the output folder, hence on its own file system, then renamed. The temporary
files of a process lie in a folder of their own, beside a lock that the process holds as long as it
lives; a lock that can be had belongs to a process that was killed, and `sweep` removes what it
left. Object stores show an object when its upload is complete; on other remote file systems a
temporary name and a rename do the same as here.
"""

import atexit
import contextlib
import os
import shutil
import stat
import threading
import uuid
from dataclasses import dataclass
from typing import Dict, Iterator, Tuple

import filelock
from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems

from .. import uris
from . import naming

# Stores where `create` shows nothing before it is closed.
OBJECT_STORES = ("gs", "s3", "azfs")

# Of a picture whose size is not known before it is read.
USUAL_BYTES = 4_000_000


@dataclass
class _Private:
    """This process's own folder for temporary files under one output folder."""

    path: str
    lock: filelock.BaseFileLock
    users: int = 0


_private: Dict[str, _Private] = {}
_private_lock = threading.Lock()
_abandoned = False


def read(uri: str) -> bytes:
    """All bytes of a file, as stored: what is called `.gz` is not unpacked."""
    if uris.is_local(uri):
        return _read_local(uris.local_path(uri))
    with FileSystems.open(uri, compression_type=CompressionTypes.UNCOMPRESSED) as file:
        return bytes(file.read())


def expected_size(uri: str) -> int:
    """About how many bytes `read` will give: a local file's size, the usual one elsewhere."""
    if not uris.is_local(uri):
        return USUAL_BYTES
    try:
        return os.stat(uris.local_path(uri)).st_size
    except (OSError, ValueError):  # `read` will say why
        return 0


def write(folder: str, name: str, data: bytes, mime_type: str) -> str:
    """Writes a file under `folder`, replacing one of that name, and returns its URI.

    Args:
      folder: the output folder, a local path or URI.
      name: relative, `/` between its components, as from `naming.output_name`.
    """
    uri = naming.join(folder, name)
    if uris.is_local(folder):
        _write_local(uris.local_path(folder), name, data)
    elif uris.scheme(folder) in OBJECT_STORES:
        _create(uri, data, mime_type)
    else:
        _write_and_rename(folder, uri, data, mime_type)
    return uri


def begin(folder: str) -> None:
    """Announces a writer of this process; sweeps what dead ones left. Pair it with `end`."""
    if uris.is_local(folder):
        sweep(folder)
        _private_folder(folder, users=1)


def end(folder: str) -> None:
    """The writer is done; the last one removes the process's temporary folder."""
    if uris.is_local(folder):
        root = _root(folder)
        with _private_lock:
            if root in _private:
                _private[root].users -= 1
                if _private[root].users <= 0:
                    _remove(_private.pop(root))


def temporary_folder(folder: str) -> str:
    """A folder for the temporary files of others, as `begin` made it; elsewhere a hidden one."""
    if uris.is_local(folder):
        return _private_folder(folder)
    return naming.join(folder, f"{naming.MANIFEST}/_temporary")


def sweep(folder: str) -> None:
    """Removes temporary files that processes no longer alive left under a local folder."""
    if not uris.is_local(folder):
        return
    room = os.path.join(_root(folder), naming.TEMPORARY)
    for lock_path, private in _private_folders(room):
        lock = filelock.FileLock(lock_path)
        try:
            with lock.acquire(blocking=False):
                shutil.rmtree(private, ignore_errors=True)
                _unlink(lock_path)
        except (filelock.Timeout, OSError):
            continue  # its owner lives, or another process sweeps it
    _remove_if_empty(room)


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


def _read_local(path: str) -> bytes:
    # Without O_NONBLOCK opening a pipe waits for its writer.
    descriptor = os.open(
        path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    )
    with open(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(f"{path!r} is not a regular file")
        return file.read()


def _write_local(folder: str, name: str, data: bytes) -> None:
    path = os.path.join(folder, *name.split("/"))
    temporary = os.path.join(_private_folder(folder, users=1), uuid.uuid4().hex)
    try:
        with open(temporary, "wb") as file:
            file.write(data)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        os.replace(temporary, path)
    except (IsADirectoryError, NotADirectoryError, FileExistsError) as error:
        raise OSError(
            f"{path!r} can't be written: its name, or a folder in it, is taken by something else, "
            "such as the output of a picture in a folder of that name"
        ) from error
    finally:
        _unlink(temporary)
        end(folder)


def _create(uri: str, data: bytes, mime_type: str) -> None:
    file = FileSystems.create(
        uri, mime_type=mime_type, compression_type=CompressionTypes.UNCOMPRESSED
    )
    with file:
        file.write(data)


def _write_and_rename(folder: str, uri: str, data: bytes, mime_type: str) -> None:
    room = naming.join(folder, naming.TEMPORARY)
    for parent in (room, uri.rpartition("/")[0]):
        if not FileSystems.exists(parent):
            try:
                FileSystems.mkdirs(parent)
            except OSError:  # another worker made it
                if not FileSystems.exists(parent):
                    raise
    temporary = naming.join(room, uuid.uuid4().hex)
    try:
        _create(temporary, data, mime_type)
        if FileSystems.exists(uri):
            FileSystems.delete([uri])
        FileSystems.rename([temporary], [uri])
    except BaseException:
        if FileSystems.exists(temporary):
            FileSystems.delete([temporary])
        raise


def _root(folder: str) -> str:
    return os.path.abspath(uris.local_path(folder))


def _private_folder(folder: str, users: int = 0) -> str:
    root = _root(folder)
    with _private_lock:
        if _abandoned:
            raise OSError(f"nothing is written to {folder!r} any more: this process is ending")
        if root not in _private:
            _private[root] = _make_private(os.path.join(root, naming.TEMPORARY))
        _private[root].users += users
        return _private[root].path


def _make_private(room: str) -> _Private:
    while True:
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
            # A sweep came between; another name, then. Unless a file stands in the way.
            if os.path.lexists(room) and not os.path.isdir(room):
                raise
        lock.release()


def _remove(private: _Private) -> None:
    for _ in range(10):  # a writer may put a file there while it is emptied
        shutil.rmtree(private.path, ignore_errors=True)
        if not os.path.exists(private.path):
            break
    _unlink(private.path + ".lock")
    private.lock.release()
    _remove_if_empty(os.path.dirname(private.path))


def _private_folders(room: str) -> Iterator[Tuple[str, str]]:
    try:
        names = os.listdir(room)
    except FileNotFoundError:
        return
    for name in names:
        if name.endswith(".lock"):
            lock = os.path.join(room, name)
            yield lock, lock.removesuffix(".lock")


def _unlink(path: str) -> None:
    with contextlib.suppress(OSError):
        os.unlink(path)


def _remove_if_empty(folder: str) -> None:
    with contextlib.suppress(OSError):
        os.rmdir(folder)
