"""Files of this machine: read, written so that they are whole or absent, listed.

In: paths or `file://` URIs. What can fail rises as the operating system's `OSError`; what a network
mount may fail at for a moment is tried again (see `retrying`). `write` leaves nothing behind when
it fails, and has seen the file's size when it does not.

Beam writes local files in place (`FileSystems.create`), so local ones are written here: under a
temporary name inside the output folder (see `private`), hence on its own file system, then renamed.
"""

import contextlib
import errno
import itertools
import os
import shutil
import stat
import uuid
from functools import partial
from typing import Any, BinaryIO, Callable, Iterator, Optional

from . import limits, refusals, uris
from .listed import Listed, Overwrite
from .private import abandon as abandon
from .private import absolute, folder_of, remove_if_empty, unlink
from .private import begin as begin
from .private import end as end
from .private import spool as spool
from .private import sweep as sweep
from .retrying import ERRNOS, Tried, tried

# What a file system says that knows no hard links.
_NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EINVAL)

# Asked for at once, where a file is said to have less: it may grow, or be one of /proc.
_PIECE_BYTES = 1 << 16

# Of two files at once.
_COMPARED_BYTES = 1 << 20


# As `stores.Store` has them; what each means is said there.


def read(uri: str, max_bytes: Optional[int], *_: Any) -> Tried[bytes]:
    return tried(_read, uris.local_path(uri), max_bytes)


def read_range(uri: str, offset: int, size: int) -> Tried[bytes]:
    return tried(_read_range, uris.local_path(uri), offset, size)


def download(uri: str, path: str) -> Tried[None]:
    return tried(_download, uri, path)


def opened(uri: str) -> BinaryIO:
    return open(uris.local_path(uri), "rb")


def write(
    folder: str, name: str, data: bytes, mime_type: str, overwrite: Overwrite, durable: bool
) -> Tried[None]:
    return tried(_write, folder, name, data, overwrite, durable)


def upload(folder: str, name: str, path: str, mime_type: str, overwrite: Overwrite) -> Tried[None]:
    return tried(_upload, folder, name, path, overwrite)


def found(uri: str) -> Optional[Listed]:
    path = uris.local_path(uri)
    try:
        about = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    is_file = stat.S_ISREG(about.st_mode)
    return _listed(uri, os.path.basename(path), about) if is_file else None


def size(uri: str) -> Optional[int]:
    """None for a folder, too."""
    about = found(uri)
    return None if about is None else about.size


def remove(uri: str) -> None:
    path = uris.local_path(uri)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    remove_if_empty(os.path.dirname(path))


def listing(folder: str, start: str, deep: bool, limit: Optional[int]) -> Iterator[Listed]:
    found = (file for file in _walk(absolute(folder), deep) if file.name.startswith(start))
    return itertools.islice(found, limit)


def _download(uri: str, path: str) -> None:
    with opened(uri) as file:
        limits.copy(uri, file, path, os.fstat(file.fileno()).st_size)


def _read(path: str, max_bytes: Optional[int]) -> bytes:
    with _regular_file(path) as descriptor:
        size = os.fstat(descriptor).st_size
        limits.check(path, size, max_bytes)
        asked = max(size, _PIECE_BYTES) + 1
        return b"".join(limits.capped(path, partial(os.read, descriptor), max_bytes, asked))


def _read_range(path: str, offset: int, size: int) -> bytes:
    with _regular_file(path) as descriptor, open(descriptor, "rb", 0, closefd=False) as file:
        file.seek(offset)
        return b"".join(iter(lambda: file.read(size - (file.tell() - offset)), b""))


@contextlib.contextmanager
def _regular_file(path: str) -> Iterator[int]:
    """A descriptor of a file, opened to be read; `OSError` for what is none."""
    _check_is_file(path, os.stat(path).st_mode)
    # Something else may lie there by now; without O_NONBLOCK opening a pipe waits for its writer.
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    descriptor = os.open(path, flags)
    try:
        _check_is_file(path, os.fstat(descriptor).st_mode)
        yield descriptor
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


def _write(folder: str, name: str, data: bytes, overwrite: Overwrite, durable: bool) -> None:
    def put(temporary: str) -> None:
        with open(temporary, "wb") as file:
            file.write(data)
            if durable:
                _sync(file)

    _place(folder, name, put, len(data), overwrite)


def _upload(folder: str, name: str, path: str, overwrite: Overwrite) -> None:
    def put(temporary: str) -> None:
        # One that lies in a spool nobody changes any more.
        if not (_lies_in(path, os.path.dirname(temporary)) and _linked(path, temporary)):
            shutil.copyfile(path, temporary)
        with open(temporary, "rb+") as file:
            _sync(file)
        os.utime(temporary)  # when it gets its name, not when it was made

    _place(folder, name, put, os.path.getsize(path), overwrite)


def _place(
    folder: str, name: str, put: Callable[[str], None], size: int, overwrite: Overwrite
) -> None:
    """Has `put` make a file, and gives it its name."""
    path = os.path.join(uris.local_path(folder), *name.split("/"))
    temporary = os.path.join(folder_of(folder), uuid.uuid4().hex)
    try:
        put(temporary)
        _make_room(path)
        if overwrite is True or (overwrite and overwrite.is_still(found(path))):
            os.replace(temporary, path)
        else:
            _link(temporary, path)
        if os.stat(path).st_size != size:
            raise OSError(errno.EIO, f"not all of its {size} bytes are there", path)
    except IsADirectoryError as error:
        raise _taken(path) from error
    finally:
        unlink(temporary)
        end(folder)


def _lies_in(path: str, folder: str) -> bool:
    return os.path.abspath(path).startswith(os.path.join(folder, ""))


def _linked(path: str, other: str) -> bool:
    try:
        os.link(path, other)
    except OSError:
        return False
    return True


def _sync(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def _make_room(path: str) -> None:
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
    except (NotADirectoryError, FileExistsError) as error:
        raise _taken(path) from error


def _link(temporary: str, path: str) -> None:
    """Gives a file its name unless something has it; the very same file, of a retry, may."""
    try:
        os.link(temporary, path)
    except FileExistsError:
        if size(path) != size(temporary) or not _is_same(temporary, path):
            raise refusals.exists(path) from None
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        if os.path.lexists(path):
            raise refusals.exists(path) from None
        os.replace(temporary, path)


def _is_same(path: str, other: str) -> bool:
    with open(path, "rb") as one, open(other, "rb") as two:
        pieces = (iter(partial(file.read, _COMPARED_BYTES), b"") for file in (one, two))
        return all(piece == same for piece, same in itertools.zip_longest(*pieces))


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
                yield _listed(uris.local_uri(path), below + name, found)


def _listed(uri: str, name: str, about: os.stat_result) -> Listed:
    version = f"{about.st_ino}-{about.st_mtime_ns}"
    return Listed(uri, name, about.st_size, about.st_mtime, version=version)


def _raise_unless_absent(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error
