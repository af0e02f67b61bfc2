"""URI -> bytes, and bytes -> a file that is whole or absent: one door to every store.

In: a URI, or a folder and a name below it from `naming.output_name`; `store_of` tells which store
it lies in. Out: what was read or written, at which attempt; a file is `Written` only after its
store has said that all its bytes are there. Failures rise as Python's usual errors,
`FileNotFoundError`, `PermissionError`, `FileExistsError`, `limits.TooLarge`, `TimeoutError`, other
`OSError`s, or as what a file system of Beam's raises; each names the URI without its secrets. What
may pass was tried again before it rose. `try_read` and `try_write` return such failures, with the
number of attempts.
"""

import importlib
from typing import BinaryIO, ContextManager, Dict, Iterator, NamedTuple, Optional, Protocol, cast

from . import hints, local, uris, web
from .listed import Listed
from .local import abandon as abandon
from .retrying import PutOff as PutOff
from .retrying import Tried

# The module of each scheme's store, imported when it is first needed. A new one: a module with the
# functions of `Store`, and a line here.
_STORES: Dict[Optional[str], str] = {
    None: ".local",
    "file": ".local",
    "http": ".web",
    "https": ".web",
    "gs": ".gcs",
}
_OTHERS = ".beam_files"

# Of a picture whose size is not known before it is read.
USUAL_BYTES = 4_000_000


class Store(Protocol):
    """What a store does; the functions of this module say what each means."""

    def read(
        self, uri: str, max_bytes: Optional[int], options: web.WebOptions, attempts: Optional[int]
    ) -> Tried[bytes]: ...

    def download(self, uri: str, path: str) -> Tried[None]: ...

    def opened(self, uri: str) -> ContextManager[BinaryIO]: ...

    def size(self, uri: str) -> Optional[int]: ...

    def write(
        self, folder: str, name: str, data: bytes, mime_type: str, overwrite: bool, durable: bool
    ) -> Tried[None]: ...

    def listing(
        self, folder: str, start: str, deep: bool, limit: Optional[int]
    ) -> Iterator[Listed]: ...

    def remove(self, uri: str) -> None: ...


def store_of(uri: str) -> Store:
    """The store that a URI lies in.

    >>> store_of("photos/a.jpg").__name__, store_of("s3://bucket/a.jpg").__name__
    ('rembg_beam.transforms.store.local', 'rembg_beam.transforms.store.beam_files')
    """
    name = _STORES.get(uris.scheme(uri), _OTHERS)
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
    """All bytes of a file, as stored: what is called `.gz` is not unpacked.

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
    found = store_of(uri).read(uri, max_bytes, web_options, attempts)
    if isinstance(found.error, FileNotFoundError) and (hint := hints.absent(uri)):
        said = f"{found.error.strerror}; {hint}"
        error = FileNotFoundError(found.error.errno, said, found.error.filename)
        return found._replace(error=error)
    return found


def download(uri: str, path: str) -> None:
    """Copies a file that is too large to be held to a local path, every byte of it or an error."""
    store_of(uri).download(uri, path).get()


def opened(uri: str) -> ContextManager[BinaryIO]:
    """A file opened to be read in pieces, as stored; for the whole of a picture there is `read`."""
    return store_of(uri).opened(uri)


def expected_size(uri: str) -> int:
    """About how many bytes `read` will give: a local file's size, the usual one elsewhere."""
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
        stores other than local files and gs:// two writers at once may both find none.)
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


def size(uri: str) -> Optional[int]:
    """The size of a file in bytes; None if there is none."""
    return store_of(uri).size(uri)


def found(uri: str) -> Optional[Listed]:
    """What a listing says of one file; None if it is not there."""
    folder, _, name = uri.rpartition("/")
    files = listing(folder, start=name, deep=False)
    return next((file for file in files if file.name == name), None)


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
