"""Tables as text -> the pictures of their rows: CSV, TSV and JSON lines.

In: the URI of a table, in UTF-8 or, with a byte order mark, UTF-16; compressed where its suffix
says so. Out: of each row its `Source`, or a `BadRow` that names its line; empty rows are nothing. A
table is read as it comes, and one row of it held. Raises `BadList` for a file that is no such
table, or lacks a column that is needed, and what the storage raises.
"""

import codecs
import contextlib
import csv
import io
import itertools
import os
import re
from dataclasses import dataclass
from typing import Any, Callable, Dict, Iterable, Iterator, List, NamedTuple, Optional, Tuple, Union

from .. import strict_json
from ..elements import Source
from ..store.web import WebOptions
from . import list_formats, lists
from .columns import BadRow, Columns, source_of_row
from .lists import BadLine, BadList, NamesNothing
from .suffixes import PICTURE_SUFFIXES

Found = Iterator[Union[Source, BadRow]]

# Of a table, to see whether it names a picture.
_ROWS_LOOKED_AT = 100

# Of a bad row.
_TEXT_BYTES = 200

# Of a table: quotes that don't end, whose lines are read again, of which each may hold up to
# `csv.field_size_limit`.
_REREAD = 1_000

# The first line of tables that are made for Excel.
_TELLS_DELIMITER = re.compile(rb'(\xef\xbb\xbf)?"?sep=.?"?\s*', re.IGNORECASE)

_OPEN_QUOTE = "a quote begins in it and doesn't end"
_NO_QUOTES = (
    f"a quote begins in it and doesn't end, as in {_REREAD:,} lines before: nothing is read from "
    "here on; write the table with its quotes doubled"
)


class _Record(NamedTuple):
    """A row as it stands in its file: the number of its first line, that line, and its content."""

    number: int
    line: bytes
    content: Any


@dataclass(frozen=True)
class Delimited:
    """Reads rows of cells below a header; cells may be in quotes, and hold line breaks there.

    Attributes:
      delimiters: what may stand between cells; the header tells which one does.
    """

    delimiters: Tuple[str, ...]

    def check(self, uri: str, columns: Columns) -> None:
        check_beginning(self.read(uri, None, columns))

    def read(
        self,
        uri: str,
        name: Optional[str],
        columns: Columns,
        web_options: Optional[WebOptions] = None,
    ) -> Found:
        with lists.opened(uri, web_options) as file:
            beginning = file.read(list_formats.BEGINNING_BYTES)
            if why := list_formats.no_lines(beginning):
                raise BadList(why)
            delimiter = self._delimiter(beginning, columns)
            records = _records(_Lines(lists.lines_of(file, beginning)), delimiter)
            names = _header(records)
            _check_header(names, columns)
            for record in records:
                yield _found(record, lambda cells: _fields(names, cells), uri, name, columns)

    def _delimiter(self, beginning: bytes, columns: Columns) -> str:
        """The first that gives a column of pictures, else the one that gives the most columns."""
        headers = {each: _names(beginning, each) for each in self.delimiters}
        fitting = (each for each, names in headers.items() if columns.has_uri(names))
        return next(fitting, max(headers, key=lambda each: len(headers[each])))


class JsonLines:
    """Reads rows that are JSON objects, one on each line."""

    def check(self, uri: str, columns: Columns) -> None:
        names: Dict[str, None] = {}
        for record in itertools.islice(self._records(uri), _ROWS_LOOKED_AT):
            with contextlib.suppress(BadLine):
                names |= dict.fromkeys(_object(record.content))
        if names:
            columns.require(list(names))
        check_beginning(self.read(uri, None, columns))

    def read(
        self,
        uri: str,
        name: Optional[str],
        columns: Columns,
        web_options: Optional[WebOptions] = None,
    ) -> Found:
        for record in self._records(uri, web_options):
            yield _found(record, _object, uri, name, columns)

    def _records(self, uri: str, web_options: Optional[WebOptions] = None) -> Iterator[_Record]:
        with lists.opened(uri, web_options) as file:
            beginning = file.read(list_formats.BEGINNING_BYTES)
            if why := list_formats.no_lines(beginning) or list_formats.no_json_lines(beginning):
                raise BadList(why)
            for number, line in enumerate(lists.lines_of(file, beginning), 1):
                if line.strip():
                    yield _Record(number, line, line)


def check_beginning(found: Found) -> None:
    """Raises `BadList` unless one of the first rows names a picture."""
    bad: Optional[BadRow] = None
    for each in itertools.islice(found, _ROWS_LOOKED_AT):
        if not isinstance(each, BadRow):
            return
        bad = bad or each
    raise BadList(f"{bad.where}: {bad.error}") if bad else NamesNothing("it names no picture")


class _Lines:
    """Lines as `csv` takes them, which goes on behind one that can't be read.

    Attributes:
      number: of the last line.
      taken: the lines since this was emptied.
      ended: whether more were asked for than there are.
    """

    def __init__(self, lines: Iterable[bytes]) -> None:
        self._lines = iter(lines)
        self._again: List[bytes] = []
        self.number = 0
        self.taken: List[bytes] = []
        self.ended = False

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        line = self._again.pop() if self._again else next(self._lines, None)
        if line is None:
            self.ended = True
            raise StopIteration
        self.number += 1
        self.taken.append(line)
        if len(line) > lists.LINE_BYTES:
            raise BadLine(f"longer than {lists.LINE_BYTES} bytes")
        try:
            return line.removeprefix(codecs.BOM_UTF8 if self.number == 1 else b"").decode() + "\n"
        except UnicodeDecodeError as error:
            raise BadLine(
                f"not UTF-8 ({error}); save the table as UTF-8, which spreadsheets offer as a kind "
                "of CSV, or as UTF-16 with a byte order mark"
            ) from error

    def put_back(self) -> None:
        """All lines that were taken come again, but for the first."""
        again = self.taken[1:]
        self._again.extend(reversed(again))
        self.number -= len(again)
        self.ended = False


def _records(lines: _Lines, delimiter: str) -> Iterator[_Record]:
    """The rows that are not empty; the content of one that can't be read is its `BadLine`.

    A quote that doesn't end costs the line in which it begins; those behind are read again.
    """
    rows = csv.reader(lines, delimiter=delimiter)
    cells: Optional[int] = None
    rereads = 0
    while not lines.ended:
        lines.taken, number = [], lines.number + 1
        content = _content(rows, lines)
        if cells is None and any(map(_TELLS_DELIMITER.fullmatch, lines.taken)):
            continue
        if cells is not None and len(lines.taken) > 1:
            if _has_open_quote(content, lines.taken, delimiter, cells):
                content = BadLine(_OPEN_QUOTE)
            if isinstance(content, BadLine):
                if rereads == _REREAD:
                    yield _Record(number, lines.taken[0], BadLine(_NO_QUOTES))
                    return
                lines.put_back()
                rereads += 1
        if isinstance(content, BadLine) or any(map(str.strip, content)):
            yield _Record(number, lines.taken[0], content)
            if cells is None:
                cells = len(content) if isinstance(content, list) else 0


def _content(rows: Iterator[List[str]], lines: _Lines) -> Union[List[str], BadLine]:
    """The next row's cells, or what is wrong with it."""
    try:
        content = next(rows, [])
    except (csv.Error, BadLine) as error:
        return error if isinstance(error, BadLine) else BadLine(f"it is no CSV ({error})")
    return BadLine(_OPEN_QUOTE) if content and lines.ended else content


def _has_open_quote(
    content: Union[List[str], BadLine], taken: List[bytes], delimiter: str, cells: int
) -> bool:
    """Whether a row of several lines is one whose quote was ended by the quote of another row."""
    if isinstance(content, BadLine):
        return False
    texts = [line.decode() + "\n" for line in taken]
    try:
        list(csv.reader(texts, delimiter=delimiter, strict=True))
    except csv.Error:
        return True
    second = texts[1]
    is_whole = not second.count('"') % 2 and len(second.split(delimiter)) == cells
    return len(content) != cells and is_whole


def _header(records: Iterator[_Record]) -> List[str]:
    """The names of the columns, "" for one without."""
    first = next(records, None)
    if first is None:
        raise NamesNothing("it names no picture")
    if isinstance(first.content, BadLine):
        raise BadList(f"line {first.number}: {first.content}")
    return [cell.strip() for cell in first.content]


def _names(beginning: bytes, delimiter: str) -> List[str]:
    """The names of the columns, if this stands between them; none where it can't be that."""
    try:
        return _header(_records(_Lines(lists.lines_of(io.BytesIO(beginning))), delimiter))
    except BadList:
        return []


def _check_header(names: List[str], columns: Columns) -> None:
    if twice := next((each for each in names if each and names.count(each) > 1), None):
        raise BadList(f"its header has {twice!r} twice: give one another name")
    if not columns.has_uri(names) and any(map(_is_place, names)):
        raise BadList(
            "its first line has no names of columns: give it a heading such as uri; or, if its "
            "lines are URIs, another suffix such as .txt, and name it by --input_list"
        )
    columns.require([each for each in names if each])


def _is_place(cell: str) -> bool:
    return "/" in cell or os.path.splitext(cell)[1].lower() in PICTURE_SUFFIXES


def _found(
    record: _Record,
    fields: Callable[[Any], Dict[str, Any]],
    uri: str,
    name: Optional[str],
    columns: Columns,
) -> Union[Source, BadRow]:
    try:
        if isinstance(record.content, BadLine):
            raise record.content
        return source_of_row(fields(record.content), columns, uri, name)
    except BadLine as error:
        text = record.line[:_TEXT_BYTES].strip().decode("utf-8", "backslashreplace")
        return BadRow(f"line {record.number}", text, error)


def _fields(names: List[str], cells: List[str]) -> Dict[str, str]:
    if any(map(str.strip, cells[len(names) :])):
        raise BadLine(f"it has {len(cells)} cells, and the header {len(names)}")
    # Excel leaves out delimiters behind a row's last cell, in the middle of a file.
    return {name: cell for name, cell in itertools.zip_longest(names, cells, fillvalue="") if name}


def _object(line: bytes) -> Dict[str, Any]:
    try:
        fields = strict_json.loads(lists.text_of(line).strip())
    except BadLine:
        raise
    except ValueError as error:
        raise BadLine(f"not a JSON object ({error})") from error
    if not isinstance(fields, dict):
        raise BadLine("not a JSON object, as the rows of such a table are")
    return fields
