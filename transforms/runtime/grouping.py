"""Grouping: pairs of keys and values -> the values of each key, sorted on this machine's disk.

In: pairs in any order, each of a kind. Out: for each key, in the keys' order, its values by kind.
They lie in an SQLite database without a name, which the system removes however the process ends; a
few megabytes of it are in memory. Fails with `OSError` where there is no room for it.
"""

import itertools
import marshal
import operator
import sqlite3
from typing import Any, Dict, Iterator, List, Tuple

# Of the database in memory, and of what is sorted there at once.
CACHE_KILOBYTES = 16_384

# Stored at once.
_PAIRS = 1_000

# Nothing of it is to outlive this process.
_SETTINGS = f"""
    PRAGMA journal_mode = OFF;
    PRAGMA synchronous = OFF;
    PRAGMA temp_store = FILE;
    PRAGMA cache_size = -{CACHE_KILOBYTES};
    CREATE TABLE pairs (key TEXT, kind TEXT, value BLOB);
"""


class Groups:
    """Values by key and kind: `add` all, then iterate; `with` removes them at its end.

    Values are tuples of what `marshal` knows: numbers, strings, None, and tuples,
    lists and dictionaries of these.
    """

    def __init__(self) -> None:
        # Of a pipeline that failed another thread may let go.
        self._database = sqlite3.connect("", check_same_thread=False)
        self._database.executescript(_SETTINGS)
        self._held: List[Tuple[str, str, bytes]] = []

    def __enter__(self) -> "Groups":
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()

    def add(self, kind: str, key: str, value: Tuple[Any, ...]) -> None:
        """Adds a value to those of a key."""
        self._held.append((key, kind, marshal.dumps(value)))
        if len(self._held) >= _PAIRS:
            self._store()

    def __iter__(self) -> Iterator[Tuple[str, Dict[str, List[Tuple[Any, ...]]]]]:
        try:
            self._store()
            pairs = self._database.execute("SELECT key, kind, value FROM pairs ORDER BY key")
            for key, group in itertools.groupby(pairs, key=operator.itemgetter(0)):
                values: Dict[str, List[Tuple[Any, ...]]] = {}
                for _, kind, value in group:
                    values.setdefault(kind, []).append(marshal.loads(value))
                yield key, values
        except sqlite3.OperationalError as error:
            raise _no_room(error) from error

    def _store(self) -> None:
        try:
            self._database.executemany("INSERT INTO pairs VALUES (?, ?, ?)", self._held)
        except sqlite3.OperationalError as error:
            raise _no_room(error) from error
        self._held.clear()


def _no_room(error: sqlite3.Error) -> OSError:
    return OSError(
        f"the names of all pictures are sorted in a temporary file, and that failed ({error}): it "
        "takes two kilobytes for each; name a folder with more room by the environment variable "
        "SQLITE_TMPDIR"
    )
