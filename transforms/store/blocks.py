"""Pieces of files elsewhere -> few requests: those taken in order come in whole blocks.

In: a URI, an offset, a size, and how its store reads a range. Out: the bytes, fewer where the file
ends before. A file is cut into blocks of `members.BLOCK_BYTES`. What lies in the block of the last
piece or in the next one is taken from its whole block, which is fetched once, whoever waits for it;
of what is taken here and there only the range itself. The last few blocks are kept for a minute, so
that a file that is replaced is seen. Where more is read at once than blocks are kept, whoever finds
its block gone before it was used up takes ranges alone for a while. Fails as the store does.
"""

import io
import threading
import time
from collections import OrderedDict
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Callable, NamedTuple, Optional, Tuple

from .members import BLOCK_BYTES
from .retrying import Tried

# In this process: 128 MB. Raise it where many files, or columns of wide tables, are read at once.
KEPT_BLOCKS = 16
KEPT_SECONDS = 60.0

# For which a reader that has lost a block asks for none.
LOST_SECONDS = 60.0

# Of so many files it is known which piece was the last.
_KNOWN_FILES = 256

Reading = Callable[[str, int, int], Tried[bytes]]


class _Block(NamedTuple):
    """A block that is there or on its way, and since when."""

    future: "Future[Tried[bytes]]"
    since: float


@dataclass
class _Reader:
    """Who reads on in a file.

    Attributes:
      last: the block of its last piece; None before the first.
      given: the last block that it was given whole.
      lost: when it found that block gone; None if it did not.
    """

    last: Optional[int] = None
    given: Optional[int] = None
    lost: Optional[float] = None


class Blocks:
    """The blocks that a process keeps; safe to use from any thread.

    Args:
      clock: tells the seconds; a test may give its own.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: OrderedDict[Tuple[str, int], _Block] = OrderedDict()
        self._readers: OrderedDict[str, _Reader] = OrderedDict()

    def read(self, uri: str, offset: int, size: int, reading: Reading) -> Tried[bytes]:
        """A range of a file: of its block, or alone; see the module's docstring."""
        with self._lock:
            reader = self._readers.pop(uri, None) or _Reader()
            self._readers[uri] = reader
            if len(self._readers) > _KNOWN_FILES:
                self._readers.popitem(last=False)
            reads_on = reader.last in (_ends(offset, size)[0] - 1, _ends(offset, size)[0])
        return self.read_for(reader, uri, offset, size, reading, whole=reads_on)

    def read_for(
        self, reader: _Reader, uri: str, offset: int, size: int, reading: Reading, *, whole: bool
    ) -> Tried[bytes]:
        """The same for one reader: of blocks that are kept, or, if `whole`, may be fetched."""
        first, last = _ends(offset, size)
        with self._lock:
            reader.last = last
            kept = all((uri, number) in self._kept for number in range(first, last + 1))
            if reader.given == first and (uri, first) not in self._kept:
                reader.given, reader.lost = None, self._clock()
            barred = reader.lost is not None and self._clock() - reader.lost < LOST_SECONDS
        if not (kept or (whole and not barred)):
            return reading(uri, offset, size)
        found = self._of_blocks(uri, offset, size, reading)
        if found.error is None:
            reader.given = last
        return found

    def _of_blocks(self, uri: str, offset: int, size: int, reading: Reading) -> Tried[bytes]:
        first, last = _ends(offset, size)
        pieces, attempts = [], 1
        for number in range(first, last + 1):
            found = self._block(uri, number, reading)
            if found.error is not None:
                return found
            start = number * BLOCK_BYTES
            pieces.append(found.get()[max(offset - start, 0) : offset + size - start])
            attempts = max(attempts, found.attempts)
        return Tried(pieces[0] if len(pieces) == 1 else b"".join(pieces), attempts)

    def _block(self, uri: str, number: int, reading: Reading) -> Tried[bytes]:
        key, now = (uri, number), self._clock()
        with self._lock:
            there = self._kept.pop(key, None)
            if there is not None and now - there.since < KEPT_SECONDS:
                self._kept[key] = there
            else:
                there, mine = None, _Block(Future(), now)
                self._kept[key] = mine
                if len(self._kept) > KEPT_BLOCKS:
                    self._kept.popitem(last=False)
        return self._fetched(key, mine, reading) if there is None else there.future.result()

    def _fetched(self, key: Tuple[str, int], mine: _Block, reading: Reading) -> Tried[bytes]:
        try:
            found = reading(key[0], key[1] * BLOCK_BYTES, BLOCK_BYTES)
        except BaseException as error:
            self._forget(key, mine)
            mine.future.set_exception(error)
            raise
        if found.error is not None:
            self._forget(key, mine)
        mine.future.set_result(found)
        return found

    def _forget(self, key: Tuple[str, int], mine: _Block) -> None:
        with self._lock:
            if self._kept.get(key) is mine:
                del self._kept[key]


class BlockFile(io.RawIOBase):
    """A file elsewhere, to be read here and there in whole blocks.

    Args:
      uri: where it lies.
      size: in bytes.
      reading: how its store reads a range.
      blocks: that are kept.
    """

    def __init__(self, uri: str, size: int, reading: Reading, blocks: Blocks) -> None:
        super().__init__()
        self._uri = uri
        self._size = size
        self._reading = reading
        self._blocks = blocks
        self._reader = _Reader()
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(start + offset, 0)
        return self._at

    def readinto(self, buffer: Any) -> int:
        asked = min(len(buffer), self._size - self._at)
        if asked <= 0:
            return 0
        found = self._blocks.read_for(
            self._reader, self._uri, self._at, asked, self._reading, whole=True
        ).get()
        buffer[: len(found)] = found
        self._at += len(found)
        return len(found)


def _ends(offset: int, size: int) -> Tuple[int, int]:
    """The first and the last block of a range."""
    return offset // BLOCK_BYTES, (offset + max(size, 1) - 1) // BLOCK_BYTES
