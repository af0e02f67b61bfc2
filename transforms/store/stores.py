"""URI -> bytes, and bytes -> a file that is whole or absent: one door to four kinds of store.

    local    paths and file:// URIs
    web      http:// and https://, by urllib3; only to read
    gcs      gs://, by google-cloud-storage
    remote   whatever else Beam's FileSystems open

In: a URI, or a folder and a name below it from `naming.output_name`. Out: what was read or written,
at which attempt; a file is `Written` only after its store has said that all its bytes are there.
Failures rise as Python's usual errors, `FileNotFoundError`, `PermissionError`, `FileExistsError`,
`limits.TooLarge`, `TimeoutError`, other `OSError`s, or as what a file system of Beam's raises; each
names the URI without its secrets and carries `attempts`, the number made. What may pass was tried
again before it rose.
"""

from typing import BinaryIO, ContextManager, Iterator, NamedTuple, Optional

from .. import naming
from . import beam_files, gcs, hints, local, uris, web
from .listed import Listed
from .local import abandon as abandon
from .retrying import PutOff as PutOff
from .retrying import attempts_of, counted

# Of a picture whose size is not known before it is read.
USUAL_BYTES = 4_000_000


class Read(NamedTuple):
    """The bytes of a file, and how many attempts they took."""

    data: bytes
    attempts: int


class Written(NamedTuple):
    """A file that is there: where, its bytes, and how many attempts it took."""

    uri: str
    size: int
    attempts: int


def read(
    uri: str,
    max_bytes: Optional[int] = None,
    web_options: web.WebOptions = web.DEFAULTS,
    attempts: Optional[int] = None,
) -> Read:
    """All bytes of a file, as stored: what is called `.gz` is not unpacked.

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
    if uris.is_web(uri):
        return Read(*web.read(uri, max_bytes, web_options, attempts))
    try:
        if uris.is_local(uri):
            return Read(*local.read(uri, max_bytes))
        return Read(*(gcs if _is_gs(uri) else beam_files).read(uri, max_bytes))
    except FileNotFoundError as error:
        raise _with_hint(error, uri) from None


def _with_hint(error: FileNotFoundError, uri: str) -> Exception:
    hint = hints.absent(uri)
    if not hint:
        return error
    told = FileNotFoundError(error.errno, f"{error.strerror}; {hint}", error.filename)
    return counted(told, attempts_of(error))


def opened(uri: str) -> ContextManager[BinaryIO]:
    """A file opened to be read in pieces, as stored; for the whole of a picture there is `read`."""
    if uris.is_local(uri):
        return open(uris.local_path(uri), "rb")
    return (gcs if _is_gs(uri) else beam_files).opened(uri)


def expected_size(uri: str) -> int:
    """About how many bytes `read` will give: a local file's size, the usual one elsewhere."""
    if not uris.is_local(uri):
        return USUAL_BYTES
    try:
        return local.size(uri) or 0
    except (OSError, ValueError):  # `read` will say why
        return 0


def write(
    folder: str, name: str, data: bytes, mime_type: str, *, overwrite: bool = True
) -> Written:
    """Writes a file under `folder`; the same bytes may be written there any number of times.

    Args:
      folder: the output folder, a local path or URI.
      name: relative, `/` between its components, as from `naming.output_name`.
      data: what the file holds.
      mime_type: where the store keeps one.
      overwrite: replace another file of that name; if False it raises `FileExistsError`. (On
        stores other than local files and gs:// two writers at once may both find none.)
    """
    uri = naming.join(folder, name)
    if uris.is_local(folder):
        tried = local.write(folder, name, data, overwrite)
    elif _is_gs(folder):
        tried = gcs.write(uri, data, mime_type, overwrite)
    else:
        tried = beam_files.write(folder, name, data, mime_type, overwrite)
    return Written(uri, len(data), tried.attempts)


def size(uri: str) -> Optional[int]:
    """The size of a file in bytes; None if there is none."""
    if uris.is_local(uri):
        return local.size(uri)
    return gcs.size(uri) if _is_gs(uri) else beam_files.size(uri)


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
    if uris.is_local(folder):
        return local.listing(folder, start, deep, limit)
    folder = folder if folder.endswith("/") else folder + "/"
    return (gcs if _is_gs(folder) else beam_files).listing(folder, start, deep, limit)


def remove(uri: str) -> None:
    """Removes a file if it is there; a local folder that holds nothing else too."""
    if uris.is_local(uri):
        local.remove(uri)
    else:
        (gcs if _is_gs(uri) else beam_files).remove(uri)


def begin(folder: str) -> None:
    """Announces a writer of this process; sweeps what dead ones left. Pair it with `end`."""
    if uris.is_local(folder):
        local.begin(folder)


def end(folder: str) -> None:
    """The writer is done; the last one removes the process's temporary folder."""
    if uris.is_local(folder):
        local.end(folder)


def sweep(folder: str) -> bool:
    """Removes temporary files that processes no longer alive left under a local folder.

    Returns:
      Whether none is left there; those of processes that live, or are just dying, stay.
    """
    return not uris.is_local(folder) or local.sweep(folder)


def _is_gs(uri: str) -> bool:
    return uris.scheme(uri) == "gs"
