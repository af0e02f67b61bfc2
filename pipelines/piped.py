"""Lists that can be read only once -> files that every worker can read.

    a pipe, a terminal, standard input  ->  a temporary file  ->  OUTPUT/_manifest/_lists/RUN-...txt

In: the URIs that `--input_list` names. Those of files that can be opened again are left alone. The
others are read to their end, once, before anything is written; then their lines are put under the
output folder, where a run's other processes and machines can read them, and removed when the run
has ended: a list may name URLs with passwords. A run that is killed leaves them.

`Lists` raises `UsageError` for what is no list, and for one that is named twice.
"""

import contextlib
import os
import select
import stat
import sys
import tempfile
from typing import BinaryIO, Dict, Iterator, List, NamedTuple, Sequence, Tuple

from ..transforms.folder import layout
from ..transforms.sources import list_formats, lists
from ..transforms.sources.lists import BadList, InputList
from ..transforms.store import stores, uris
from . import logs
from .status import UsageError

# Of a list, in one file; workers may read several at once.
PART_BYTES = 16_000_000

_CHUNK_BYTES = 1 << 16


class _Taken(NamedTuple):
    """A list that was read, whole: what it was called, and a copy of it."""

    shown: str
    copy: BinaryIO


class Lists:
    """The lists of a run.

    Args:
      given: their URIs; those that can be read only once are read now.
    """

    def __init__(self, given: Sequence[str]) -> None:
        self._kept: List[str] = []
        _check_each_named_once(given)
        self._taken = [_take(uri) if lists.is_read_once(uri) else uri for uri in given]

    def __enter__(self) -> "Lists":
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()

    def keep(self, output: str, run: str) -> List[InputList]:
        """Puts under the output folder what was taken; all lists, as workers read them."""
        found = []
        for number, each in enumerate(self._taken):
            if isinstance(each, str):
                found.append(InputList(each, each))
                continue
            for part, (before, data) in enumerate(_parts(each.copy)):
                name = f"{layout.LISTS}/{run}-{number:02}-{part:05}.txt"
                self._kept.append(uris.join(output, name))
                stores.write(output, name, data, "text/plain", durable=True)
                found.append(InputList(self._kept[-1], each.shown, before))
            each.copy.close()
        return found

    def remove(self) -> None:
        """Removes what was kept; says so where it can't."""
        while self._kept:
            uri = self._kept.pop()
            try:
                stores.remove(uri)
            except (OSError, ValueError) as error:
                logs.say(f"the copy of a list stays: {error}")


def _check_each_named_once(given: Sequence[str]) -> None:
    seen: Dict[Tuple[int, int], str] = {}
    for uri in filter(lists.is_read_once, given):
        found = _stat(uri)
        place = found.st_dev, found.st_ino
        if place in seen:
            raise UsageError(
                f"--input_list {uri!r}: it can be read once, and {seen[place]!r} is the same"
            )
        seen[place] = uri


def _stat(uri: str) -> os.stat_result:
    if uri == lists.STDIN and sys.stdin is None:
        raise UsageError(f"--input_list {uri}: standard input is closed")
    try:
        return os.fstat(0) if uri == lists.STDIN else os.stat(uris.local_path(uri))
    except OSError as error:
        raise UsageError(f"--input_list {uri!r}: {error}") from error


def _take(uri: str) -> _Taken:
    """Reads a list to its end; refuses another format as soon as its beginning has come."""
    try:
        return _Taken(uri, _copied(_chunks(uri)))
    except (BadList, OSError) as error:
        raise UsageError(f"--input_list {uri!r}: {error}") from error


def _copied(chunks: Iterator[bytes]) -> BinaryIO:
    with contextlib.ExitStack() as stack:
        copy = stack.enter_context(tempfile.TemporaryFile())
        while copy.tell() < list_formats.BEGINNING_BYTES and (chunk := next(chunks, b"")):
            copy.write(chunk)
        copy.seek(0)
        lists.check_beginning(copy)
        copy.seek(0, os.SEEK_END)
        copy.writelines(chunks)
        copy.seek(0)
        lists.check_names(copy)
        stack.pop_all()
    return copy


def _chunks(uri: str) -> Iterator[bytes]:
    with _descriptor(uri) as descriptor:
        if os.isatty(descriptor):
            windows = sys.platform == "win32"
            end = "Ctrl-Z and Return" if windows else "Ctrl-D on a line of its own"
            logs.say(f"reading the list from the terminal; {end} ends it")
        while chunk := _chunk(descriptor):
            yield chunk


@contextlib.contextmanager
def _descriptor(uri: str) -> Iterator[int]:
    if uri == lists.STDIN:
        yield 0
        return
    path = uris.local_path(uri)
    if stat.S_ISFIFO(os.stat(path).st_mode) and not lists.is_own(path):
        # Opening a named pipe waits for whoever writes to it.
        logs.say(f"reading the list that is written to {path!r}")
    with open(path, "rb", buffering=0) as file:
        yield file.fileno()


def _chunk(descriptor: int) -> bytes:
    while True:
        try:
            return os.read(descriptor, _CHUNK_BYTES)
        except BlockingIOError:  # as whoever opened it has it; the mode is his
            select.select([descriptor], [], [])


def _parts(copy: BinaryIO) -> Iterator[Tuple[int, bytes]]:
    """The list in parts, each with the number of lines before it."""
    copy.seek(0)
    before, lines, size = 0, [], 0
    for number, line in enumerate(lists.lines_of(copy), start=1):
        lines.append(line + b"\n")
        size += len(lines[-1])
        if size >= PART_BYTES:
            yield before, b"".join(lines)
            before, lines, size = number, [], 0
    if lines:
        yield before, b"".join(lines)
