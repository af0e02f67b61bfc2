"""An input's name -> what reads it.

In: the URI of a list, a table or a shard. Out: its reader, by the suffix of its name. `lists` reads
lists of all other suffixes; files of other suffixes are no tables or shards. To add one, write what
its protocol says and give it its row.
"""

import posixpath
from typing import Dict, Iterator, Optional, Protocol, Union

from ..elements import Source
from ..store import uris
from ..store.web import WebOptions
from . import lists, parquet, shards, tables
from .columns import BadRow, Columns
from .suffixes import PICTURE_SUFFIXES


class ListReader(Protocol):
    """Reads one kind of lists."""

    def check(self, uri: str) -> None:
        """Raises `BadList` for a file that is no such list, or names nothing."""

    def lines(self, uri: str, web_options: Optional[WebOptions] = None) -> Iterator[bytes]:
        """Lines as `lists.parse` takes them, a URI or a JSON object each; blank ones count."""


class Reader(Protocol):
    """Reads one kind of tables or shards."""

    def check(self, uri: str, columns: Columns) -> None:
        """Raises `BadList` for a file that is no such thing, or names nothing; reads its beginning
        alone."""

    def read(
        self,
        uri: str,
        name: Optional[str],
        columns: Columns,
        web_options: Optional[WebOptions] = None,
    ) -> Iterator[Union[Source, BadRow]]:
        """Its pictures, and what names none, as they are read; `BadList` as `check` raises it, also
        for what turns out in the middle.

        Args:
          uri: where it lies.
          name: its own name, relative to what names are relative to; None if it has none.
          columns: which of its columns is what.
          web_options: how it is fetched from the web; None for the pipeline's own.
        """


READERS: Dict[str, ListReader] = {".txt": lists, ".jsonl": lists, ".ndjson": lists}

TABLES: Dict[str, Reader] = {
    ".csv": tables.Delimited((",", ";", "\t")),
    ".tsv": tables.Delimited(("\t",)),
    ".jsonl": tables.JsonLines(),
    ".ndjson": tables.JsonLines(),
    ".parquet": parquet.Parquet(),
    ".tar": shards.Shards(),
}

# Refused with what to do about them.
_PACKED: Dict[str, Reader] = {".tgz": shards.Shards()}

_PICTURES = tuple(PICTURE_SUFFIXES)


def reader(uri: str) -> ListReader:
    """The reader of a list.

    >>> reader("gs://bucket/LIST.TXT") is lists
    True
    """
    return READERS.get(_suffix(uri), lists)


def is_table_among_lists(uri: str) -> bool:
    """Whether what is named as a list is a table or shard, and read as such.

    >>> is_table_among_lists("gs://bucket/a.csv.gz"), is_table_among_lists("gs://bucket/a.jsonl.gz")
    (True, False)
    """
    suffix = _suffix(uri)
    return suffix in TABLES and suffix not in READERS and not lists.is_read_once(uri)


def container_reader(uri: str) -> Optional[Reader]:
    """The reader of a table or a shard; None for a file that is neither, a picture say.

    >>> container_reader("gs://bucket/TABLE.CSV.gz") is TABLES[".csv"], container_reader("a.jpg")
    (True, None)
    """
    if uri.lower().endswith(_PICTURES):  # as most do; of a million files each is asked for
        return None
    suffix = _suffix(uri)
    return TABLES.get(suffix) or _PACKED.get(suffix)


def _suffix(uri: str) -> str:
    """In lower case; that of what is compressed."""
    stem, suffix = posixpath.splitext(uris.bare(uri).lower())
    return posixpath.splitext(stem)[1] if suffix in lists.COMPRESSIONS else suffix


def check(uri: str, columns: Columns) -> None:
    """Raises `BadList` for what is no table or shard by its beginning, or can't be read as one."""
    _named_reader(uri).check(uri, columns)


def read(
    uri: str, name: Optional[str], columns: Columns, web_options: Optional[WebOptions] = None
) -> Iterator[Union[Source, BadRow]]:
    """What is in a table or shard; see `Reader`."""
    return _named_reader(uri).read(uri, name, columns, web_options)


def _named_reader(uri: str) -> Reader:
    found = container_reader(uri)
    assert found is not None, uri
    return found
