"""What a store does besides `read`, for files of the web: they are opened and copied, and no more.

In: URLs. Out: files to be read in pieces, sizes. Fails as `filesystem` does, at once for what would
write or list; nobody is asked then.
"""

import errno
import posixpath
from typing import Any, BinaryIO, NoReturn, Optional, cast

from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems

from .. import limits, uris
from ..listed import Listed
from ..retrying import Tried
from .filesystem import HttpFileSystem, Pieces, read_only
from .options import WebOptions


def opened(uri: str, options: Optional[WebOptions] = None) -> BinaryIO:
    """A file of the web, to be read in pieces and sought in; without options as the pipeline's
    say."""
    system = _system(uri, options)
    return cast(BinaryIO, system.open(uri, compression_type=CompressionTypes.UNCOMPRESSED))


def pieces(uri: str, options: Optional[WebOptions] = None) -> Pieces:
    """The same file's bytes by their place."""
    return cast(Pieces, _system(uri, options).pieces(uri))


def size(uri: str) -> Optional[int]:
    try:
        return int(_system(uri).size(uri))
    except FileNotFoundError:
        return None


def found(uri: str) -> Optional[Listed]:
    there = size(uri)
    return None if there is None else Listed(uri, posixpath.basename(uris.bare(uri)), there)


def download(uri: str, path: str) -> Tried[None]:
    with opened(uri) as file:
        limits.copy(uri, file, path, _system(uri).size(uri))
    return Tried(None, 1)


def write(folder: str, *_: Any) -> Tried[None]:
    return Tried(None, 1, read_only(folder))


upload = write


def remove(uri: str) -> NoReturn:
    raise read_only(uri)


def listing(folder: str, *_: Any) -> NoReturn:
    rule = "a web site can't be listed; name each file by its URL"
    raise OSError(errno.EINVAL, rule, uris.without_secrets(folder))


def _system(uri: str, options: Optional[WebOptions] = None) -> Any:
    """The file system of a URL, in whatever case; Beam's own error would tell all of it."""
    if options is not None:
        return HttpFileSystem(options)
    return FileSystems.get_filesystem(f"{uris.scheme(uri)}://")
