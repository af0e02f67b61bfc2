"""Cells of Parquet files -> their bytes, decoded once where rows are taken nearly in order.

In: a cell, and how its file is opened. Out: its bytes. A cursor per column and row group streams
the column in small batches, so that no row group is held, but for the pages in work, which are as
large as who wrote them made them; of the rows that it passes over on its way a bounded number is
kept for those who ask a little later. A row that is neither ahead nor kept makes it begin again at
the group's first, and then all rows are kept, in a file of this machine without a name; only a
group that is larger than such files may be begins again for each such row. What nobody asks for in
a minute is given up, so that a file that is replaced is seen. Safe to use from any thread.

Fails with `BadCell` for a cell that is empty, is not there or can't be decoded, and as opening and
reading the file do.
"""

import contextlib
import tempfile
import threading
import time
from collections import OrderedDict
from typing import (
    Any,
    BinaryIO,
    Callable,
    ContextManager,
    Dict,
    Iterator,
    NamedTuple,
    Optional,
    Tuple,
    Union,
)

from . import uris
from .members import Cell
from .retrying import is_transient

# In this process: cursors that stream, and the rows that they keep; files, and the rows in these.
CURSORS = 16
KEPT_BYTES = 128_000_000
SPOOLS = 128
SPOOLED_BYTES = 1_000_000_000
KEPT_SECONDS = 60.0

# Of so many row groups it is known that a cursor was given up too soon.
_KNOWN_GROUPS = 1024

# Decoded at once, about.
_BATCH_BYTES = 2_000_000
_BATCH_ROWS = 1024

# Of the file, before it is unpacked.
_BUFFER_BYTES = 1 << 20

Opening = Callable[[str], ContextManager[BinaryIO]]


class BadCell(ValueError):
    """A cell of a Parquet file that holds no bytes."""


_Key = Tuple[str, str, int]


class Cursors:
    """The cursors that a process keeps.

    Args:
      clock: tells the seconds; a test may give its own.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._cursors: OrderedDict[_Key, _Cursor] = OrderedDict()
        self._given_up: OrderedDict[_Key, None] = OrderedDict()

    def read(self, cell: Cell, opening: Opening) -> bytes:
        """The bytes of a cell."""
        try:
            with self._cursor(cell, opening) as cursor:
                streams = min(len(self._cursors), CURSORS)
                data = cursor.take(cell.row, KEPT_BYTES // streams)
            if data is None:
                raise BadCell("it is null: there is no picture in it")
            return data
        except BadCell as error:
            shown = uris.without_secrets(cell.uri)
            raise BadCell(f"{shown!r} can't be read: {error}") from None

    @contextlib.contextmanager
    def _cursor(self, cell: Cell, opening: Opening) -> "Iterator[_Cursor]":
        key = cell[:3]
        with self._lock:
            self._give_up_some()
            cursor = self._cursors.pop(key, None)
            if cursor is None:
                cursor = _Cursor(cell, opening, again=key in self._given_up)
            self._cursors[key] = cursor
            cursor.users += 1
        try:
            yield cursor
        finally:
            with self._lock:
                cursor.users -= 1
                cursor.used = self._clock()
                self._give_up_some()

    def _give_up_some(self) -> None:
        """Closes cursors that are too old, and those that are too many, the oldest first."""
        now = self._clock()
        bytes_there = sum(each.spooled for each in self._cursors.values())
        spools = sum(each.spooled > 0 for each in self._cursors.values())
        streams = len(self._cursors) - spools
        for key, cursor in list(self._cursors.items()):
            is_spool = cursor.spooled > 0
            is_full = spools > SPOOLS or bytes_there > SPOOLED_BYTES
            too_many = is_full if is_spool else streams > CURSORS
            too_old = now - cursor.used >= KEPT_SECONDS
            if cursor.users or not (too_many or too_old):
                continue
            bytes_there -= cursor.spooled
            spools -= is_spool
            streams -= not is_spool
            if not (too_old or cursor.is_used_up):
                self._given_up[key] = None
                if len(self._given_up) > _KNOWN_GROUPS:
                    self._given_up.popitem(last=False)
            self._cursors.pop(key).close()


class _Spool:
    """Rows in a file, which stay there."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile(prefix="rembg_beam_")  # noqa: SIM115
        self._places: Dict[int, Optional[Tuple[int, int]]] = {}
        self.size = 0

    def __contains__(self, row: int) -> bool:
        return row in self._places

    def __setitem__(self, row: int, data: Optional[bytes]) -> None:
        self._places[row] = None if data is None else (self.size, len(data))
        if data:
            self._file.seek(self.size)
            self.size += self._file.write(data)

    def pop(self, row: int) -> Optional[bytes]:
        """The bytes of a row."""
        if (place := self._places[row]) is None:
            return None
        self._file.seek(place[0])
        return self._file.read(place[1])

    def close(self) -> None:
        self._file.close()


class _Cursor:
    """A column of a row group, and how far it is read.

    Args:
      cell: one of the column's.
      opening: opens the file.
      again: whether the group was begun before, so that all rows are to be kept.

    Attributes:
      users: how many are at work with it; its owner counts them.
      used: when the last of them was done; the owner says it.
      spooled: the bytes of its file, if it has one.
    """

    def __init__(self, cell: Cell, opening: Opening, again: bool) -> None:
        self._cell = cell
        self._opening = opening
        self._lock = threading.Lock()
        self._open = contextlib.ExitStack()
        self._rows: Union[Dict[int, Optional[bytes]], _Spool] = {}
        self._again = again
        self.users = self.spooled = 0
        self.used = 0.0
        self._restart()

    @property
    def is_used_up(self) -> bool:
        """Whether all rows were taken."""
        return self._next == self._end and self._rows == {}

    def take(self, row: int, kept_bytes: int) -> Optional[bytes]:
        """The bytes of a row, which is kept no longer but in a file; None for a null."""
        with self._lock:
            if row not in self._rows and row < self._next:
                self._again = True
                self._restart()
            while row not in self._rows:
                self._advance(row, kept_bytes)
            data = self._rows.pop(row)
            if isinstance(self._rows, _Spool):
                self._spool_the_rest(self._rows)
            else:
                self._size -= len(data or b"")
            return data

    def close(self) -> None:
        with self._lock:
            self._restart()

    def _restart(self, one_by_one: bool = False) -> None:
        self._open.close()
        if isinstance(self._rows, _Spool):
            self._rows.close()
        self._batches: Optional[Iterator[Any]] = None
        self._rows = {}
        self._next = self._size = self.spooled = 0
        self._end: Optional[int] = None
        self._one_by_one = one_by_one
        self._broken: Optional[BadCell] = None

    def _spool_the_rest(self, spool: _Spool) -> None:
        # Of a damaged group what can be read; whoever asks for more is told.
        with contextlib.suppress(BadCell):
            while self._next != self._end:
                self._advance(self._next, 0)
        self.spooled = spool.size

    def _advance(self, row: int, kept_bytes: int) -> None:
        """Reads the next batch, on the way to a row."""
        if self._broken is not None:
            raise self._broken
        if self._next == self._end:
            raise BadCell(f"its row group has {self._end} rows")
        try:
            cells = self._batch()
        except Exception as error:
            if isinstance(error, BadCell) or not is_of_content(error):
                self._restart()
                raise
            # Of a batch some rows may be whole.
            if not self._one_by_one:
                self._restart(one_by_one=True)
            else:
                self._broken = BadCell(f"row {self._next} and those behind it are damaged: {error}")
            return
        for data in cells.to_pylist():
            self._rows[self._next] = data
            self._size += len(data or b"")
            self._next += 1
        if self._next == self._end:
            self._batches = None  # and the pages that it holds
            self._open.close()
        self._drop(row, kept_bytes)

    def _batch(self) -> Any:
        if self._batches is None:
            file = self._open.enter_context(self._opening(self._cell.container))
            group = _batches(file, self._cell, self._one_by_one)
            self._end, self._batches = group.rows, group.batches
            if self._again and group.size <= SPOOLED_BYTES:
                self._rows = _Spool()
        return next(self._batches)

    def _drop(self, before: int, kept_bytes: int) -> None:
        """Keeps no more of the rows passed over than may be in memory."""
        if isinstance(self._rows, _Spool):
            return
        while self._size > kept_bytes and (oldest := next(iter(self._rows))) < before:
            self._size -= len(self._rows.pop(oldest) or b"")


def is_of_content(error: Exception) -> bool:
    """Whether pyarrow can't make sense of the bytes; no system call gave the error its number."""
    import pyarrow

    if isinstance(error, OSError):
        return error.errno is None and not is_transient(error)
    return isinstance(error, pyarrow.ArrowException)


class _Group(NamedTuple):
    """A column of a row group: its rows, their bytes about, and its leaf, batch by batch."""

    rows: int
    size: int
    batches: Iterator[Any]


def _batches(file: BinaryIO, cell: Cell, one_by_one: bool) -> _Group:
    import pyarrow.parquet

    parquet = pyarrow.parquet.ParquetFile(file, buffer_size=_BUFFER_BYTES, pre_buffer=False)
    if cell.group >= parquet.num_row_groups:
        raise BadCell(f"it has {parquet.num_row_groups} row groups")
    group = parquet.metadata.row_group(cell.group)
    chunks = map(group.column, range(group.num_columns))
    chunk = next((each for each in chunks if each.path_in_schema == cell.column), None)
    if chunk is None:
        raise BadCell(f"it has no column {cell.column!r}")
    row_bytes = chunk.total_uncompressed_size // max(group.num_rows, 1) + 1
    batches = parquet.iter_batches(
        batch_size=1 if one_by_one else min(max(_BATCH_BYTES // row_bytes, 1), _BATCH_ROWS),
        row_groups=[cell.group],
        columns=[cell.column],
        use_threads=False,
    )
    leaves = (leaf(batch.column(0)) for batch in batches)
    return _Group(group.num_rows, chunk.total_uncompressed_size, leaves)


def leaf(array: Any) -> Any:
    """What lies in structs of one field each, and is bytes; else `BadCell`."""
    from pyarrow import types

    while types.is_struct(array.type):
        array = array.flatten()[0]
    if not (types.is_binary(array.type) or types.is_large_binary(array.type)):
        raise BadCell(f"its column is not binary, but {array.type}")
    return array
