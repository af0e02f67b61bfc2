"""Counts of several processes of one machine, for the one that starts them.

In: what each process counts, while the one that starts them is inside `gathered`. Out: the sums. A
process has a file of numbers, which it changes in memory: that costs no call, and what it counted
outlives it, however it ends. Beginning fails as files do; a file that can't be read counts nothing.
"""

import contextlib
import functools
import mmap
import os
import shutil
import struct
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any, Dict, Iterator, Optional

# Pictures that are done, and not their shards.
IN_UNFINISHED_SHARDS = "in_unfinished_shards"
NAMES = (
    *("find_pictures", "outcomes_written", "outcomes_skipped", "outcomes_failed"),
    IN_UNFINISHED_SHARDS,
)

# The variable that tells processes the folder of their files.
_FOLDER = "REMBG_BEAM_COUNTS"

_NUMBERS = struct.Struct(f"={len(NAMES)}q")


@contextlib.contextmanager
def gathered() -> Iterator[None]:
    """Gathers the counts of processes that are started inside."""
    os.environ[_FOLDER] = tempfile.mkdtemp(prefix="rembg_beam_counts_")
    try:
        yield
    finally:
        end()


def publish(name: str, count: int) -> None:
    """Says how much of something this process has counted, if anybody gathers it."""
    if name in NAMES and (ours := _ours(os.environ.get(_FOLDER))) is not None:
        ours[NAMES.index(name)] = count


def total() -> Dict[str, int]:
    """What the processes have counted, those that are gone too; nothing where nobody gathers."""
    sums: Counter[str] = Counter()
    for file in _files():
        with contextlib.suppress(OSError, struct.error):
            sums.update(dict(zip(NAMES, _NUMBERS.unpack(file.read_bytes()))))
    return dict(+sums)


def forget() -> None:
    """Leaves out what was counted by processes that are gone."""
    for file in _files():
        with contextlib.suppress(OSError):
            file.unlink()


def end() -> None:
    """Ends the gathering: what was counted is gone."""
    folder = os.environ.pop(_FOLDER, None)
    if folder:
        shutil.rmtree(folder, ignore_errors=True)


def _files() -> Iterator[Path]:
    folder = os.environ.get(_FOLDER)
    with contextlib.suppress(OSError):
        yield from Path(folder).iterdir() if folder else ()


@functools.cache
def _ours(folder: Optional[str]) -> Any:
    """The numbers of this process; None where nobody gathers them."""
    if folder is None:
        return None
    with open(os.path.join(folder, str(os.getpid())), "w+b") as file:
        file.write(bytes(_NUMBERS.size))
        file.flush()
        return memoryview(mmap.mmap(file.fileno(), _NUMBERS.size)).cast("q")
