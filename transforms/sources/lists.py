"""Input lists: files of lines -> the pictures that these name, as `Source` records.

In: the URI of a list, or an opened one. A list is text, one picture per line, a URI or a JSON
object; in UTF-8 or, with a byte order mark, UTF-16; compressed where its suffix says so (`.gz`,
`.bz2`, `.zst`). Out: its lines, and of each line its source. Of a line that is longer than
`LINE_BYTES` no more than that is held.

Raises `BadList` for a file that is no such list (see `list_formats`), `BadLine` for a line that
names no picture, and what the storage raises.
"""

import codecs
import itertools
import json
import os
import stat
from contextlib import contextmanager
from typing import Any, BinaryIO, Iterable, Iterator, NamedTuple, Optional, Protocol

from .. import strict_json
from ..elements import Source
from ..store import stores, uris
from ..store.web import WebOptions
from . import list_formats

# Of a line, without its end. Raise it for larger extras or metadata.
LINE_BYTES = 1_000_000

# Standard input, as commands have it.
STDIN = "-"

_CHUNK_BYTES = 1 << 16

# By suffix, in pyarrow's words.
COMPRESSIONS = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd"}

# Where a process finds what it has open, or what is the machine's.
_OWN_FOLDERS = ("/dev/", "/proc/")


# Of a shard, or of a table that has the bytes of its pictures.
PICTURES_OF_THE_WEB = "pictures within a file of the web are not read: download it"


class BadList(ValueError):
    """A file that is no list of pictures."""


class NamesNothing(BadList):
    """A list, table or shard that is one, and names no picture."""


class BadLine(ValueError):
    """A line of an input list that names no picture."""


class Readable(Protocol):
    """An opened file."""

    def read(self, size: int, /) -> bytes:
        """Up to so many bytes; none at its end."""


class InputList(NamedTuple):
    """A list, or a part of one, as workers read it.

    Attributes:
      uri: where it lies.
      shown: what it was called by whoever named it.
      before: lines of the list that lie before this part.
    """

    uri: str
    shown: str
    before: int = 0


def is_read_once(uri: str) -> bool:
    """Whether a list can't be opened again, or by another process: a pipe, a terminal, stdin.

    >>> is_read_once("-"), is_read_once("/dev/stdin"), is_read_once("gs://b/list.txt")
    (True, True, False)
    """
    if uri == STDIN:
        return True
    if not uris.is_local(uri):
        return False
    try:
        path = uris.local_path(uri)
        if is_own(path):
            return True
        mode = os.stat(path).st_mode
    except (OSError, ValueError):  # whoever opens it will say so
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def is_own(path: str) -> bool:
    """Whether another process that opens this path would see something else."""
    return os.path.abspath(path).startswith(_OWN_FOLDERS)


def check(uri: str) -> None:
    """Raises `BadList` for a file that is no list or names nothing; its beginning decides."""
    try:
        with opened(uri) as file:
            check_beginning(file)
    except FileNotFoundError as error:
        raise BadList("there is no such file") from error
    except IsADirectoryError as error:
        rule = "it is a folder: name that by --input, and all pictures below it are meant"
        raise BadList(rule) from error
    with opened(uri) as file:
        check_names(file)


def check_beginning(file: Readable) -> None:
    """Raises `BadList` for another format; reads no more than its beginning."""
    if why := list_formats.refusal(file.read(list_formats.BEGINNING_BYTES)):
        raise BadList(why)


def check_names(file: Readable) -> None:
    """Raises `BadList` for a list of nothing but blank lines."""
    if not any(line.strip() for line in lines_of(file)):
        raise NamesNothing("it names no picture")


def lines(uri: str, web_options: Optional[WebOptions] = None) -> Iterator[bytes]:
    """The lines of a list, as `lines_of` has them."""
    with opened(uri, web_options) as file:
        yield from lines_of(file)


def lines_of(file: Readable, beginning: bytes = b"") -> Iterator[bytes]:
    """The lines of an opened list in UTF-8, without their ends; too long ones cut off.

    Args:
      file: the list.
      beginning: what was read of it already.

    >>> import io
    >>> list(lines_of(io.BytesIO("a.jpg\\r\\n\\nb.jpg".encode("utf-16"))))
    [b'a.jpg\\r', b'', b'b.jpg']
    """
    chunks = iter(lambda: file.read(_CHUNK_BYTES), b"")
    first = beginning or next(chunks, b"")
    encoding = list_formats.encoding(first)
    chunks = itertools.chain([first], chunks)
    if encoding:
        texts = codecs.iterdecode(chunks, encoding, errors="replace")
        chunks = (text.encode("utf-8") for text in texts)
    return _split(chunks)


def parse(line: bytes) -> Source:
    """The source of a line; `BadLine` for one that names no picture."""
    return parse_line(text_of(line))


def text_of(line: bytes) -> str:
    """A line as text; `BadLine` for one that is too long, or not UTF-8."""
    if len(line) > LINE_BYTES:
        raise BadLine(f"longer than {LINE_BYTES} bytes")
    try:
        return line.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadLine(
            f"not UTF-8 ({error}); a file name that isn't is written as a URI, "
            "such as file:///photos/%E9.jpg"
        ) from error


def parse_line(line: str) -> Source:
    """The source of one line: a URI, or a JSON object with a `uri`.

    `name` and `extras` of an object are the source's own; all other keys are its metadata.

    >>> parse_line('{"uri": "a.jpg", "extras": {"sam_prompt": []}, "id": 7}')
    Source(uri='a.jpg', name=None, extras='{"sam_prompt": []}', metadata='{"id": 7}', ...)
    """
    line = line.strip()
    if not line.startswith("{"):
        return Source(line)
    try:
        fields = strict_json.loads(line)
    except ValueError as error:
        raise BadLine(f"not a JSON object ({error}); a line is a URI or an object with a `uri`")
    uri, name, extras = (fields.pop(key, None) for key in ("uri", "name", "extras"))
    _expect(isinstance(uri, str) and uri != "", "uri", "a string that is not empty", uri)
    named = name is None or (isinstance(name, str) and name != "")
    _expect(named, "name", "a string that is not empty, or be left out", name)
    _expect(extras is None or isinstance(extras, dict), "extras", "an object", extras)
    try:
        return Source.of(uri, name=name, extras=extras, metadata=fields)
    except (ValueError, RecursionError) as error:
        raise BadLine(f"can't be kept as UTF-8 and JSON ({error})") from error


def _expect(condition: bool, key: str, what: str, value: Any) -> None:
    if not condition:
        raise BadLine(f"its `{key}` is {json.dumps(value)} and must be {what}")


@contextmanager
def opened(uri: str, web_options: Optional[WebOptions] = None) -> Iterator[Readable]:
    """The list's bytes, unpacked; `BadList` for one that is not whole. See `stores.opened`."""
    compression = COMPRESSIONS.get(os.path.splitext(uris.bare(uri))[1].lower())
    with stores.opened(uri, web_options) as file:
        yield _Unpacked(file, compression) if compression else file


class _Unpacked:
    """A compressed file as it is without that; Beam's own takes a truncated one for whole."""

    def __init__(self, file: BinaryIO, compression: str) -> None:
        import pyarrow

        self._file = pyarrow.CompressedInputStream(pyarrow.PythonFile(file, "r"), compression)
        self._compression = compression

    def read(self, size: int) -> bytes:
        try:
            return bytes(self._file.read(size))
        except OSError as error:
            rule = f"its suffix says {self._compression}, and it can't be unpacked: {error}"
            raise BadList(rule) from error


def _split(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The lines, each cut off where it is known to be too long."""
    rest = b""
    for chunk in chunks:
        if len(rest) > LINE_BYTES and b"\n" not in chunk:
            continue
        *whole, rest = (rest + chunk).split(b"\n")
        yield from (line[: LINE_BYTES + 1] for line in whole)
        rest = rest[: LINE_BYTES + 1]
    if rest:
        yield rest
