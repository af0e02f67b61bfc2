"""An input list's name -> what reads it.

In: the URI of a list. Out: its reader, by the suffix of its name; `lists` reads all others. To add
one, write a module with these two functions and give it its row.
"""

import posixpath
from typing import Dict, Iterator, Protocol

from . import lists


class Reader(Protocol):
    """Reads one kind of lists."""

    def check(self, uri: str) -> None:
        """Raises `BadList` for a file that is no such list, or names nothing."""

    def lines(self, uri: str) -> Iterator[bytes]:
        """Lines as `lists.parse` takes them, a URI or a JSON object each; blank ones count."""


READERS: Dict[str, Reader] = {".txt": lists, ".jsonl": lists}


def reader(uri: str) -> Reader:
    """The reader of a list.

    >>> reader("gs://bucket/LIST.TXT") is lists
    True
    """
    return READERS.get(posixpath.splitext(uri)[1].lower(), lists)
