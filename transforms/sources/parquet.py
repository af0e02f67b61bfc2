"""Parquet files -> the pictures of their rows, embedded or named by URIs.

In: the URI of a Parquet file. Out: of each row its `Source`, or a `BadRow` that names it, counted
from 0 as in the names. An embedded picture's URI says in which cell its bytes lie, and its name is
its row's number with the suffix of its `path`; a row without bytes is read from that `path`. How
URIs are read, `columns` says. All other columns are metadata, with cells of bytes by their URIs.
Rows are read in a stream, without the bytes but of row groups in which some rows have none. Of a
row group that is damaged the rest of the rows are lost, which is a `BadRow` too.

Raises `BadList` for a file that is no such table, or lacks what `Columns` name, and what the
storage raises.
"""

import itertools
import os
from dataclasses import replace
from typing import Any, BinaryIO, Dict, Iterator, NamedTuple, Optional, Union

import pyarrow
import pyarrow.parquet

from ..elements import Source
from ..store import stores, uris
from ..store.cells import is_of_content, leaf
from ..store.members import Cell
from ..store.web import WebOptions
from . import tables
from .columns import BadRow, Columns, source_of_row, source_within
from .lists import PICTURES_OF_THE_WEB, BadLine, BadList
from .parquet_layout import PATH, Layout, Leaf, readable
from .suffixes import PICTURE_SUFFIXES

# Read at once, and with their bytes.
_BATCH_ROWS = 1000
_BATCH_PICTURES = 16

# Of a column, before it is unpacked.
_BUFFER_BYTES = 1 << 20

Found = Iterator[Union[Source, BadRow]]


class _Group(NamedTuple):
    """A row group, the number of its first row in the file, and how many of its pictures have no
    bytes; 0 where that is not told."""

    number: int
    start: int
    rows: int
    nulls: int


class Parquet:
    """Reads Parquet files."""

    def check(self, uri: str, columns: Columns) -> None:
        tables.check_beginning(self.read(uri, None, columns))

    def read(
        self,
        uri: str,
        name: Optional[str],
        columns: Columns,
        web_options: Optional[WebOptions] = None,
    ) -> Found:
        with stores.seekable(uri, web_options) as file:
            parquet = _opened(file)
            layout = Layout.of(parquet.schema_arrow, columns)
            if layout.picture and uris.is_web(uri):
                raise BadList(PICTURES_OF_THE_WEB)
            for group in _groups(parquet.metadata, layout):
                sources = _Sources(layout, group, uri, name, columns)
                done = 0
                try:
                    has_bytes = _has_bytes(parquet, group, layout.picture)
                    for fields in _rows(parquet, group.number, layout):
                        yield sources.of(done, fields, next(has_bytes))
                        done += 1
                except (pyarrow.ArrowException, OSError) as error:
                    if not is_of_content(error):
                        raise
                    yield _damaged(uri, group, done, error)


class _Sources(NamedTuple):
    """Makes sources of a row group's rows."""

    layout: Layout
    group: _Group
    uri: str
    name: Optional[str]
    columns: Columns

    def of(
        self, row: int, fields: Union[Dict[str, Any], BadLine], has_bytes: bool
    ) -> Union[Source, BadRow]:
        """Of one row, by its number in the group."""
        try:
            if isinstance(fields, BadLine):
                raise fields
            return self._made(row, fields, has_bytes)
        except BadLine as error:
            number = self.group.start + row
            return BadRow(f"row {number}", f"{self.uri}, row {number}", error)

    def _made(self, row: int, fields: Dict[str, Any], has_bytes: bool) -> Source:
        picture, made = self.layout.picture, self.layout.made
        for each in self.layout.bytes:
            if each != picture:
                _put(fields, each, self._cell(each, row))
        if picture is None:
            return source_of_row(fields, self.columns, self.uri, self.name, made)
        beside = fields.pop(picture.names[0], {}) if picture.names[1:] else {}
        path = beside.get(PATH) if isinstance(beside, dict) else None
        if beside is None or not (has_bytes or path):
            raise BadLine(f"its `{picture.names[0]}` is null: it has no picture")
        if not has_bytes:
            # `datasets` writes no bytes of pictures that lie elsewhere.
            columns = replace(self.columns, uri_column=picture.path)
            fields[picture.path] = path
            return source_of_row(fields, columns, self.uri, self.name, made)
        name = self.name and f"{self.name}/{self.group.start + row:09}{_suffix(path)}"
        return source_within(self._cell(picture, row), name, fields, self.columns, made)

    def _cell(self, column: Leaf, row: int) -> str:
        return Cell(self.uri, column.path, self.group.number, row).uri


def _opened(file: BinaryIO) -> Any:
    try:
        return pyarrow.parquet.ParquetFile(
            file, buffer_size=_BUFFER_BYTES, pre_buffer=False, coerce_int96_timestamp_unit="us"
        )
    except (pyarrow.ArrowException, OSError) as error:
        if not is_of_content(error):
            raise
        raise BadList(f"it is no Parquet file, or not whole: {error}") from error


def _groups(metadata: Any, layout: Layout) -> Iterator[_Group]:
    start = 0
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        nulls = 0
        for chunk in map(group.column, range(group.num_columns)):
            if layout.picture and chunk.path_in_schema == layout.picture.path and chunk.statistics:
                nulls = chunk.statistics.null_count or 0
        yield _Group(number, start, group.num_rows, nulls)
        start += group.num_rows


def _has_bytes(parquet: Any, group: _Group, picture: Optional[Leaf]) -> Iterator[bool]:
    """Of each row whether its picture's bytes are there; they are read where only some are, and
    something may lie beside them."""
    if picture is None or not picture.names[1:] or group.nulls in (0, group.rows):
        yield from itertools.repeat(group.nulls < group.rows)
        return
    batches = parquet.iter_batches(
        batch_size=_BATCH_PICTURES,
        row_groups=[group.number],
        columns=[picture.path],
        use_threads=False,
    )
    for batch in batches:
        yield from leaf(batch.column(0)).is_valid().to_pylist()


def _rows(parquet: Any, group: int, layout: Layout) -> Iterator[Union[Dict[str, Any], BadLine]]:
    """The values of each row; why, of one that Python can't have."""
    for batch in parquet.iter_batches(
        batch_size=_BATCH_ROWS, row_groups=[group], columns=list(layout.values), use_threads=False
    ):
        schema = pyarrow.schema([field.with_type(readable(field.type)) for field in batch.schema])
        table = pyarrow.Table.from_batches([batch])
        if schema != batch.schema:
            table = table.cast(schema, safe=False)
        try:
            yield from table.to_pylist()
        except (ValueError, OverflowError):
            yield from (_row(table, index) for index in range(table.num_rows))


def _row(table: Any, index: int) -> Union[Dict[str, Any], BadLine]:
    try:
        (row,) = table.slice(index, 1).to_pylist()
        return dict(row)
    except (ValueError, OverflowError) as error:
        return BadLine(f"it has a value that can't be read ({error})")


def _put(fields: Dict[str, Any], column: Leaf, value: str) -> None:
    """Puts a value where a column is, unless a struct that it belongs to is null."""
    *above, last = column.names
    for name in above:
        below = fields.setdefault(name, {})
        if below is None:
            return
        fields = below
    fields[last] = value


def _suffix(path: Any) -> str:
    """A picture's suffix, as its name there has it; "" for none.

    >>> _suffix("x/a.JPG"), _suffix("a.b/c"), _suffix(None)
    ('.JPG', '', '')
    """
    suffix = os.path.splitext(path)[1] if isinstance(path, str) else ""
    return suffix if suffix.lower() in PICTURE_SUFFIXES else ""


def _damaged(uri: str, group: _Group, done: int, error: Exception) -> BadRow:
    first, last = group.start + done, group.start + group.rows - 1
    rule = f"row group {group.number} is damaged: rows up to {last} are lost ({error})"
    return BadRow(f"row {first}", uri, BadLine(rule))
