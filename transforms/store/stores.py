"""URI -> bytes, and bytes -> a file that is whole or absent: one door to every store.

In: a URI, or a folder and a name below it from `naming.output_name`; `store_of` tells which store
it lies in. Out: what was read or written, at which attempt; a file is `Written` only after its
store has said that all its bytes are there. Failures rise as Python's usual errors,
`FileNotFoundError`, `PermissionError`, `FileExistsError`, `limits.TooLarge`, `TimeoutError`, other
`OSError`s, or as what a file system of Beam's raises; each names the URI without its secrets. What
may pass was tried again before it rose. `try_read` and `try_write` return such failures, with the
number of attempts.
"""

import contextlib
import errno
import functools
import getpass
import importlib
import io
import os
import stat
import tempfile
from typing import BinaryIO, ContextManager, Dict, Iterator, NamedTuple, Optional, Protocol, cast

from . import hints, limits, local, members, refusals, uris, web
from .blocks import BlockFile, Blocks
from .cells import Cursors
from .listed import Listed, Overwrite
from .local import abandon as abandon
from .retrying import BACKOFF, ONCE, Tried, tried
from .retrying import PutOff as PutOff

# The module of each scheme's store, imported when it is first needed. A new one: a module with the
# functions of `Store`, and a line here.
_STORES: Dict[Optional[str], str] = {
    None: ".local",
    "file": ".local",
    "http": ".web",
    "https": ".web",
    "gs": ".gcs",
    "s3": ".s3",
}
_OTHERS = ".beam_files"

# Of a picture whose size is not known before it is read.
USUAL_BYTES = 4_000_000

# What this process keeps of files elsewhere and of Parquet files, for those who read on.
_blocks = Blocks()
_cursors = Cursors()


class Store(Protocol):
    """What a store does; the functions of this module say what each means."""

    def read(
        self, uri: str, max_bytes: Optional[int], options: web.WebOptions, attempts: Optional[int]
    ) -> Tried[bytes]: ...

    def read_range(self, uri: str, offset: int, size: int) -> Tried[bytes]: ...

    def download(self, uri: str, path: str) -> Tried[None]: ...

    def opened(self, uri: str) -> ContextManager[BinaryIO]: ...

    def size(self, uri: str) -> Optional[int]: ...

    def found(self, uri: str) -> Optional[Listed]: ...

    def write(
        self, folder: str, name: str, data: bytes, mime_type: str, overwrite: bool, durable: bool
    ) -> Tried[None]: ...

    def upload(
        self, folder: str, name: str, path: str, mime_type: str, overwrite: Overwrite
    ) -> Tried[None]: ...

    def listing(
        self, folder: str, start: str, deep: bool, limit: Optional[int]
    ) -> Iterator[Listed]: ...

    def remove(self, uri: str) -> None: ...


def store_of(uri: str) -> Store:
    """The store that a URI lies in.

    >>> store_of("photos/a.jpg").__name__, store_of("s3://bucket/a.jpg").__name__
    ('rembg_beam.transforms.store.local', 'rembg_beam.transforms.store.s3')
    """
    return _module(_STORES.get(uris.scheme(uri), _OTHERS))


@functools.cache
def _module(name: str) -> Store:
    return cast(Store, importlib.import_module(name, __package__))


class Read(NamedTuple):
    """The bytes of a file, and how many attempts they took."""

    data: bytes
    attempts: int


class Written(NamedTuple):
    """A file that is there: where, its bytes, and how many attempts it took."""

    uri: str
    size: int
    attempts: int


def read(uri: str, max_bytes: Optional[int] = None) -> Read:
    """All bytes of a file; see `try_read`."""
    found = try_read(uri, max_bytes)
    return Read(found.get(), found.attempts)


def try_read(
    uri: str,
    max_bytes: Optional[int] = None,
    web_options: web.WebOptions = web.DEFAULTS,
    attempts: Optional[int] = None,
) -> Tried[bytes]:
    """All bytes of a file, or of a picture within one, as stored: `.gz` is not unpacked.

    A failure of the store's is returned, with its attempts; `read` raises it.

    Args:
      uri: of the file.
      max_bytes: raise `limits.TooLarge` for a file that has more, None for any; it is not held
        whole then.
      web_options: how it is fetched from the web.
      attempts: those made before, by a call that raised `PutOff`: this one, too, raises it rather
        than wait for the web. None to wait.
    """
    if uris.hides_secrets(uri):
        raise ValueError(
            f"{uri!r}: what stood for *** is kept in no row; name the picture again by --input_list"
        )
    if member := members.parse(uri):
        return _try_read_member(member, max_bytes)
    found = store_of(uri).read(uri, max_bytes, web_options, attempts)
    if isinstance(found.error, FileNotFoundError) and (hint := hints.absent(uri)):
        said = f"{found.error.strerror}; {hint}"
        error = FileNotFoundError(found.error.errno, said, found.error.filename)
        return found._replace(error=error)
    return found


def _try_read_member(member: members.Member, max_bytes: Optional[int]) -> Tried[bytes]:
    if isinstance(member, members.Cell):
        backoff = BACKOFF if uris.is_local(member.container) else ONCE  # others try again inside
        return tried(_read_cell, member, max_bytes, backoff=backoff)
    file, _, offset, size = member
    try:
        limits.check(member.uri, size, max_bytes)
    except limits.TooLarge as error:
        return Tried(None, 1, error)
    store = store_of(file)
    read_range = store.read_range if uris.is_local(file) else _read_near
    found = read_range(file, offset, size)
    if found.error is None and len(found.get()) < size:
        return found._replace(value=None, error=_cut_off(member, offset + len(found.get())))
    return found


def _read_near(uri: str, offset: int, size: int) -> Tried[bytes]:
    return _blocks.read(uri, offset, size, store_of(uri).read_range)


def _read_cell(cell: members.Cell, max_bytes: Optional[int]) -> bytes:
    data = _cursors.read(cell, seekable)
    limits.check(cell.uri, len(data), max_bytes)
    return data


def _cut_off(member: members.TarMember, end: int) -> OSError:
    file = uris.without_secrets(member.container)
    rule = f"{file!r} ends at byte {end}, within this picture: it is cut off, so copy it again"
    return OSError(errno.ENODATA, rule, uris.without_secrets(member.uri))


def download(uri: str, path: str) -> None:
    """Copies a file that is too large to be held to a local path, every byte of it or an error."""
    store_of(uri).download(uri, path).get()


def opened(uri: str, web_options: Optional[web.WebOptions] = None) -> ContextManager[BinaryIO]:
    """A file opened to be read in pieces, as stored; for the whole of a picture there is `read`.

    From the web it comes as `web_options` say; None for the pipeline's own.
    """
    return web.opened(uri, web_options) if uris.is_web(uri) else store_of(uri).opened(uri)


def seekable(uri: str, web_options: Optional[web.WebOptions] = None) -> ContextManager[BinaryIO]:
    """`opened` to be read here and there; of one elsewhere whole blocks are fetched, and kept for a
    while."""
    if uris.is_local(uri):
        return local.opened(uri)
    if uris.is_web(uri):
        return contextlib.closing(_of_web(uri, web_options))
    store = store_of(uri)
    if (there := store.size(uri)) is None:
        raise refusals.of_status(404, uri)
    return contextlib.closing(cast(BinaryIO, BlockFile(uri, there, store.read_range, _blocks)))


def _of_web(uri: str, options: Optional[web.WebOptions]) -> BinaryIO:
    pieces = web.pieces(uri, options)
    if pieces.is_whole:
        return io.BytesIO(pieces.get_range(0, pieces.size))
    return cast(BinaryIO, BlockFile(uri, pieces.size, pieces.read, _blocks))


def expected_size(uri: str) -> int:
    """About how many bytes `read` will give: a local file's size, the usual one elsewhere."""
    if member := members.parse(uri):
        return member.size if isinstance(member, members.TarMember) else USUAL_BYTES
    if not uris.is_local(uri):
        return USUAL_BYTES
    try:
        return local.size(uri) or 0
    except (OSError, ValueError):  # `read` will say why
        return 0


def write(
    folder: str,
    name: str,
    data: bytes,
    mime_type: str,
    *,
    overwrite: bool = True,
    durable: bool = False,
) -> Written:
    """Writes a file under `folder`; the same bytes may be written there any number of times.

    Args:
      folder: the output folder, a local path or URI.
      name: relative, `/` between its components, as from `naming.output_name`.
      data: what the file holds.
      mime_type: where the store keeps one.
      overwrite: replace another file of that name; if False it raises `FileExistsError`. (On
        stores other than local files, gs:// and s3:// two writers at once may both find none.)
      durable: it outlives a power cut from now on, for what can't be made again.
    """
    return try_write(folder, name, data, mime_type, overwrite=overwrite, durable=durable).get()


def try_write(
    folder: str, name: str, data: bytes, mime_type: str, *, overwrite: bool, durable: bool = False
) -> Tried[Written]:
    """The same; a failure of the store's is returned, with its attempts."""
    tried = store_of(folder).write(folder, name, data, mime_type, overwrite, durable)
    written = Written(uris.join(folder, name), len(data), tried.attempts)
    return Tried(None if tried.error else written, tried.attempts, tried.error)


def upload(
    folder: str, name: str, path: str, mime_type: str, *, overwrite: Overwrite = True
) -> Written:
    """`write`s a file of this machine, which is not held in memory; local ones are durable.

    With a file as it was `found` for `overwrite`, that one alone is replaced; `FileExistsError` if
    it was written anew. (Stores other than gs:// and s3:// look right before they write.)
    One that lies in a `spool` of the folder may not be changed any more: there it is linked.
    """
    tried = store_of(folder).upload(folder, name, path, mime_type, overwrite)
    tried.get()
    return Written(uris.join(folder, name), os.path.getsize(path), tried.attempts)


def spool(folder: str) -> ContextManager[str]:
    """A new local folder for files on their way to a folder, removed at the end; of a local one
    it is on its file system. What a killed process leaves there the next removes."""
    return local.spool(folder if uris.is_local(folder) else _own_temporary_folder())


def _own_temporary_folder() -> str:
    """This user's, among this machine's temporary folders: nobody else writes there."""
    user = getattr(os, "getuid", lambda: getpass.getuser())()
    path = os.path.join(tempfile.gettempdir(), f"rembg-beam-{user}")
    os.makedirs(path, mode=0o700, exist_ok=True)
    found = os.lstat(path)
    is_ours = not hasattr(os, "getuid") or found.st_uid == os.getuid()
    if not (stat.S_ISDIR(found.st_mode) and is_ours):
        rule = "it is another user's, or no folder: name another for temporary files by TMPDIR"
        raise PermissionError(errno.EACCES, rule, path)
    return path


def size(uri: str) -> Optional[int]:
    """The size of a file in bytes; None if there is none."""
    return store_of(uri).size(uri)


def found(uri: str) -> Optional[Listed]:
    """What a listing says of one file; None if it is not there."""
    return store_of(uri).found(uri)


def listing(
    folder: str, *, start: str = "", deep: bool = True, limit: Optional[int] = None
) -> Iterator[Listed]:
    """The files below a folder, those in rooms of the project's own among them.

    Args:
      folder: a local path or URI, with or without a `/` at its end; one that is not there has none.
      start: only files whose path below the folder begins so; a store may list fewer for it.
      deep: also those in folders below.
      limit: at most so many.
    """
    return store_of(folder).listing(folder, start, deep, limit)


def remove(uri: str) -> None:
    """Removes a file if it is there; a local folder that holds nothing else too."""
    store_of(uri).remove(uri)


def begin(folder: str) -> None:
    """Announces a writer of this process; sweeps what dead ones left. Pair it with `end`.

    It and the two below concern local files; elsewhere a killed writer leaves nothing that can be
    told from another's.
    """
    if uris.is_local(folder):
        local.begin(folder)


def end(folder: str) -> None:
    """The writer is done; the last one removes the process's temporary folder."""
    if uris.is_local(folder):
        local.end(folder)


def sweep(folder: str) -> bool:
    """Removes temporary files that processes no longer alive left under a folder.

    Returns:
      Whether none is left there; those of processes that live, or are just dying, stay.
    """
    return not uris.is_local(folder) or local.sweep(folder)
