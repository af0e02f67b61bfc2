"""What Beam's FileSystems open and no other store does: hdfs://, azfs://, ..., and some of s3://.

In: URIs. They have no conditional write and promise no retries, so here calls are tried again (see
`retrying`), `overwrite=False` looks before it writes, which two writers at once may both get past,
and a write ends with a look at the size that arrived. Object stores show an object when its upload
is complete; elsewhere a temporary name and a rename do the same. Fails with Python's own errors
where the store's answer says which, with the file system's else, and with `ValueError` for a
scheme that no file system is registered for.
"""

import errno
import importlib.util
import io
import os
import re
import shutil
import uuid
from typing import Any, BinaryIO, Callable, ContextManager, Iterator, Optional, TypeVar

from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions

from . import limits, refusals, uris
from .listed import Listed, Overwrite
from .retrying import Tried, is_transient, tried

T = TypeVar("T")

# Stores where `create` shows nothing before it is closed.
OBJECT_STORES = ("s3", "azfs")

# What Beam's own file systems import when they are used, and the extra that installs it.
_EXTRAS = {"s3": ("boto3", "aws"), "azfs": ("azure", "azure")}

# Of a file that is written, at once.
_PIECE_BYTES = 1 << 20

_RAW = CompressionTypes.UNCOMPRESSED
_WILDCARD = re.compile(r"[*?\[]")


# As `stores.Store` has them; what each means is said there.


def read(uri: str, max_bytes: Optional[int], *_: Any) -> Tried[bytes]:
    return tried_at(uri, _read, uri, max_bytes)


def read_range(uri: str, offset: int, size: int) -> Tried[bytes]:
    return tried_at(uri, _read_range, uri, offset, size)


def download(uri: str, path: str) -> Tried[None]:
    return tried_at(uri, _download, uri, path)


def opened(uri: str) -> ContextManager[BinaryIO]:
    return tried_at(uri, lambda: FileSystems.open(uri, compression_type=_RAW)).get()


def write(
    folder: str, name: str, data: bytes, mime_type: str, overwrite: Overwrite, durable: bool
) -> Tried[None]:
    uri = uris.join(folder, name)
    return tried_at(uri, _write, folder, uri, io.BytesIO(data), len(data), mime_type, overwrite)


def upload(folder: str, name: str, path: str, mime_type: str, overwrite: Overwrite) -> Tried[None]:
    uri, size = uris.join(folder, name), os.path.getsize(path)
    with open(path, "rb") as file:
        return tried_at(uri, _write, folder, uri, file, size, mime_type, overwrite)


def size(uri: str) -> Optional[int]:
    return tried_at(uri, _size, uri).get()


def found(uri: str) -> Optional[Listed]:
    folder, _, name = uri.rpartition("/")
    files = listing(folder, name, False, None)
    return next((file for file in files if file.name == name), None)


def remove(uri: str) -> None:
    tried_at(uri, _remove, uri).get()


def listing(folder: str, start: str, deep: bool, limit: Optional[int]) -> Iterator[Listed]:
    folder = uris.join(folder, "")
    literal = _WILDCARD.sub(r"[\g<0>]", folder + start)
    pattern = literal + ("**" if deep else "*")
    found = tried_at(folder, FileSystems.match, [pattern], [limit]).get()
    for metadata in found[0].metadata_list:
        name, modified = metadata.path[len(folder) :], metadata.last_updated_in_seconds
        # A file system that doesn't know gives Beam's default, 0.
        yield Listed(metadata.path, name, metadata.size_in_bytes, modified or None)


def _download(uri: str, path: str) -> None:
    size = FileSystems.get_filesystem(uri).size(uri)
    with FileSystems.open(uri, compression_type=_RAW) as file:
        limits.copy(uri, file, path, size)


def _read(uri: str, max_bytes: Optional[int]) -> bytes:
    with FileSystems.open(uri, compression_type=_RAW) as file:
        data = bytes(file.read() if max_bytes is None else file.read(max_bytes + 1))
    limits.check(uri, len(data), max_bytes)
    return data


def _read_range(uri: str, offset: int, size: int) -> bytes:
    with FileSystems.open(uri, compression_type=_RAW) as file:
        file.seek(offset)
        return b"".join(iter(lambda: file.read(size - (file.tell() - offset)), b""))


def _write(
    folder: str, uri: str, data: BinaryIO, size: int, mime_type: str, overwrite: Overwrite
) -> None:
    may = overwrite is True or (overwrite and overwrite.is_still(found(uri)))
    if not may and (there := _size(uri)) is not None:
        if there != size or not _holds(uri, data):
            raise refusals.exists(uri)
        return  # what an attempt before, or a retried bundle, wrote
    if uris.scheme(folder) in OBJECT_STORES:
        _create(uri, data, mime_type)
    else:
        _create_and_rename(folder, uri, data, mime_type)
    if FileSystems.get_filesystem(uri).size(uri) != size:
        rule = f"not all of its {size} bytes are there"
        raise OSError(errno.EIO, rule, uris.without_secrets(uri))


def _holds(uri: str, data: BinaryIO) -> bool:
    """Whether a file of that size is of these bytes."""
    with FileSystems.open(uri, compression_type=_RAW) as file:
        return same(file, data)


def same(file: Any, data: BinaryIO) -> bool:
    """Whether a file that is open and as large as the other has the same bytes."""
    data.seek(0)
    while piece := data.read(_PIECE_BYTES):
        while piece:
            came = file.read(len(piece))
            if not came or not piece.startswith(came):
                return False
            piece = piece[len(came) :]
    return True


def _create(uri: str, data: BinaryIO, mime_type: str) -> None:
    data.seek(0)
    with FileSystems.create(uri, mime_type=mime_type, compression_type=_RAW) as file:
        shutil.copyfileobj(data, file, _PIECE_BYTES)


def _create_and_rename(folder: str, uri: str, data: BinaryIO, mime_type: str) -> None:
    room = uris.join(folder, uris.TEMPORARY)
    for parent in (room, uri.rpartition("/")[0]):
        if not FileSystems.exists(parent):
            try:
                FileSystems.mkdirs(parent)
            except OSError:  # another worker made it
                if not FileSystems.exists(parent):
                    raise
    temporary = uris.join(room, uuid.uuid4().hex)
    try:
        _create(temporary, data, mime_type)
        _remove(uri)
        FileSystems.rename([temporary], [uri])
    except BaseException:
        _remove(temporary)
        raise


def _remove(uri: str) -> None:
    if FileSystems.exists(uri):
        FileSystems.delete([uri])


def _size(uri: str) -> Optional[int]:
    system = FileSystems.get_filesystem(uri)
    return system.size(uri) if system.exists(uri) else None


def tried_at(uri: str, function: Callable[..., T], *arguments: Any) -> Tried[T]:
    """What `function(*arguments)` comes to, with retries; no error tells credentials of the URI."""
    found = tried(_refusing, uri, function, *arguments)
    said = str(found.error or "")
    shown = uris.without_secrets_in(said.replace(uri, uris.without_secrets(uri)))
    if shown != said:
        return found._replace(error=OSError(f"{type(found.error).__name__}: {shown}"))
    return found


def _refusing(uri: str, function: Callable[..., T], *arguments: Any) -> T:
    """`function(*arguments)`; a final answer of the server's rises as Python's own exception."""
    _check_scheme(uri)
    try:
        return function(*arguments)
    except Exception as error:
        status = refusals.status_of(error)
        if status is None or isinstance(error, limits.TooLarge) or is_transient(error):
            raise
        raise refusals.of_status(status, uri, str(error)) from None


def options() -> PipelineOptions:
    """What Beam's file systems were told; before any pipeline was made, nothing: some of them open
    nothing without."""
    if FileSystems._pipeline_options is None:
        FileSystems.set_options(PipelineOptions([]))
    return FileSystems._pipeline_options


def _check_scheme(uri: str) -> None:
    options()
    try:
        FileSystems.get_filesystem(uri)
    except ValueError:
        raise ValueError(
            f"{uris.without_secrets(uri)!r}: there is no file system for {uris.scheme(uri)}://; "
            "those that work are paths, file://, gs://, hdfs://, to read http:// and https:// and, "
            "with apache-beam[aws] or [azure], s3:// and azfs://"
        ) from None
    needed, extra = _EXTRAS.get(str(uris.scheme(uri)), ("", ""))
    if needed and importlib.util.find_spec(needed) is None:
        shown = uris.without_secrets(uri)
        raise ValueError(f"{shown!r} needs the package {needed}: install apache-beam[{extra}]")
