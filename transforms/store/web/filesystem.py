"""http:// and https:// as file systems of Beam's, to read: any step of a pipeline opens URLs then.

In: URLs, each of one file; a web site can't be listed, so a `*` is refused. Out: what Beam's
FileSystems give: files that can be sought in, sizes, times of change. Where a server sends parts,
no more of a file is fetched than is read, 8 MiB at once. To import this is to register both; Beam
does so on its workers where it was done before.

All guards of `web` hold, with the pipeline's `WebFileOptions`. Fails as `web` does, and with
`OSError` for what writes.
"""

import contextlib
import errno
import io
import json
import posixpath
from typing import Any, BinaryIO, List, NoReturn, Optional, Tuple, cast

from apache_beam.io.filesystem import (
    BeamIOError,
    CompressedFile,
    CompressionTypes,
    FileMetadata,
    FileSystem,
    MatchResult,
)
from apache_beam.io.filesystemio import Downloader, DownloaderStream
from apache_beam.options.pipeline_options import PipelineOptions

from ... import strict_json
from .. import uris
from ..retrying import Tried
from .fetcher import shared
from .options import DEFAULTS, WebOptions
from .parts import Part

# Fetched at once; raise it for fast servers that are far away, each open file holds as many.
PIECE_BYTES = 8 * 2**20

# Fetched when a file is opened, which may be to read its end.
_FIRST_BYTES = 2**16

_OPTION = "rembg_beam_web_options"


class WebFileOptions(PipelineOptions):
    """How files of the web are read by any step of a pipeline."""

    @classmethod
    def _add_argparse_args(cls, parser: Any) -> None:
        parser.add_argument(
            f"--{_OPTION}",
            help="how http(s) files are read: a JSON object with the options of "
            "rembg_beam.transforms.WebOptions",
        )

    @classmethod
    def set(cls, options: PipelineOptions, web_options: WebOptions) -> None:
        """Says in a pipeline's options how its files of the web are read."""
        setattr(options.view_as(cls), _OPTION, json.dumps(vars(web_options)))


def web_options_of(options: Any) -> WebOptions:
    """What a pipeline's options, on workers a mapping, say of the web; or what is said itself."""
    if isinstance(options, WebOptions):
        return options
    if isinstance(options, PipelineOptions):
        said = getattr(options.view_as(WebFileOptions), _OPTION)
    else:
        said = (options or {}).get(_OPTION)
    try:
        return WebOptions(**strict_json.loads(said)) if said else DEFAULTS
    except (TypeError, ValueError) as error:
        raise ValueError(f"--{_OPTION}={said!r}: {error}") from error


class Pieces(Downloader):
    """A file's bytes by their place, the first ones at hand."""

    def __init__(self, uri: str, options: WebOptions, first: Part) -> None:
        self._uri, self._options, self._first = uri, options, first

    @property
    def size(self) -> int:
        return self._first.size

    @property
    def is_whole(self) -> bool:
        """Whether all is at hand, as of a server that sends no parts."""
        return len(self._first.data) == self.size

    def get_range(self, start: int, end: int) -> bytes:
        if end <= len(self._first.data):
            return self._first.data[start:end]
        return shared(self._options).later_part(self._uri, start, end, self._first)

    def read(self, _: str, start: int, size: int) -> Tried[bytes]:
        """A range as `blocks.Reading` has it, fewer bytes where the file ends before."""
        return Tried(self.get_range(start, min(start + size, self.size)), 1)


class HttpFileSystem(FileSystem):
    """Files of http://, to read."""

    def __init__(self, pipeline_options: Any) -> None:
        super().__init__(pipeline_options)
        self._options = web_options_of(pipeline_options)

    @classmethod
    def scheme(cls) -> str:
        return "http"

    def join(self, basepath: str, *paths: str) -> str:
        return posixpath.join(basepath, *paths)

    def split(self, path: str) -> Tuple[str, str]:
        head, _, name = path.rpartition("/")
        return head, name

    def has_dirs(self) -> bool:
        return False

    def match(self, patterns: List[str], limits: Optional[List[Any]] = None) -> List[MatchResult]:
        """What lies at each URL, one file or none; Beam's own takes `?` and `[` for wildcards."""
        found, failures = [], {}
        for pattern in patterns:
            try:
                found.append(MatchResult(pattern, self._matched(pattern)))
            except Exception as error:
                failures[uris.without_secrets(pattern)] = error
        if failures:
            raise BeamIOError("Match operation failed", failures)
        return found

    def _matched(self, uri: str) -> List[FileMetadata]:
        if "*" in uris.bare(uri):
            raise ValueError(
                f"{uris.without_secrets(uri)!r}: a web site can't be listed; name each file by its "
                "URL, and write a * that belongs to it as %2A"
            )
        try:
            return [self.metadata(uri)]
        except FileNotFoundError:
            return []

    def metadata(self, path: str) -> FileMetadata:
        part = shared(self._options).first_part(path, 1)
        return FileMetadata(path, part.size, part.modified or 0.0)

    def size(self, path: str) -> int:
        return self.metadata(path).size_in_bytes

    def last_updated(self, path: str) -> float:
        return self.metadata(path).last_updated_in_seconds

    def checksum(self, path: str) -> Any:
        """What tells its version from others; its size, if its server says nothing."""
        part = shared(self._options).first_part(path, 1)
        return part.version or str(part.size)

    def exists(self, path: str) -> bool:
        with contextlib.suppress(FileNotFoundError):
            self.metadata(path)
            return True
        return False

    def open(
        self,
        path: str,
        mime_type: str = "application/octet-stream",
        compression_type: str = CompressionTypes.AUTO,
    ) -> Any:
        # As sources judge it, which else would take the packed size for that of what comes.
        compression = self._get_compression_type(path, compression_type)
        file = self._opened(path)
        if compression == CompressionTypes.UNCOMPRESSED:
            return file
        return CompressedFile(file, compression_type=compression)

    def _opened(self, uri: str) -> BinaryIO:
        stream = DownloaderStream(self.pieces(uri), mode="rb")
        return cast(BinaryIO, io.BufferedReader(stream, PIECE_BYTES))

    def pieces(self, uri: str) -> Pieces:
        """A file's bytes by their place."""
        first = shared(self._options).first_part(uri, _FIRST_BYTES)
        return Pieces(uri, self._options, first)

    def _list(self, dir_or_prefix: str) -> NoReturn:
        raise ValueError(f"{uris.without_secrets(dir_or_prefix)!r}: a web site can't be listed")

    def create(
        self,
        path: str,
        mime_type: str = "application/octet-stream",
        compression_type: str = CompressionTypes.AUTO,
    ) -> NoReturn:
        raise read_only(path)

    def mkdirs(self, path: str) -> NoReturn:
        raise read_only(path)

    def copy(self, source_file_names: List[str], destination_file_names: List[str]) -> NoReturn:
        raise read_only(destination_file_names[0])

    def rename(self, source_file_names: List[str], destination_file_names: List[str]) -> NoReturn:
        raise read_only(destination_file_names[0])

    def delete(self, paths: List[str]) -> NoReturn:
        raise read_only(paths[0])


class HttpsFileSystem(HttpFileSystem):
    """Files of https://, to read."""

    @classmethod
    def scheme(cls) -> str:
        return "https"


def read_only(uri: str) -> OSError:
    """The error of what writes."""
    rule = "http and https can't be written to; name a file of a file system such as gs://"
    return OSError(errno.EROFS, rule, uris.without_secrets(uri))
