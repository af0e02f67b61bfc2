"""A picture within a shard or a table <-> its URI.

    CONTAINER.tar#member=NAME&at=OFFSET+SIZE                a member, and where its bytes lie
    CONTAINER.parquet#column=image.bytes&group=3&row=17     a cell: of a row group, a row in it

In: such a URI, NAME and column percent-encoded, slashes too. Out: what it says; None for any other
URI, a file that merely has a `#` in its name among them. Nothing can fail.
"""

import re
from typing import Any, NamedTuple, Optional, Tuple, Union
from urllib.parse import quote_from_bytes, unquote_to_bytes

from . import uris

# What is read at once of a file elsewhere whose pictures are taken in order, and where it is cut.
BLOCK_BYTES = 8_000_000

_FRAGMENT = re.compile(
    r"(?P<tar>.+\.(?i:tar))#member=(?P<name>[^#&]*)&at=(?P<offset>[0-9]+)\+(?P<size>[0-9]+)"
    r"|(?P<parquet>.+\.(?i:parquet))#column=(?P<column>[^#&]+)"
    r"&group=(?P<group>[0-9]+)&row=(?P<row>[0-9]+)",
    re.DOTALL,
)


class TarMember(NamedTuple):
    """Bytes within a tar file; a byte of its name that isn't UTF-8 is as `os.fsdecode` has it."""

    container: str
    name: str
    offset: int
    size: int

    @property
    def uri(self) -> str:
        return f"{self.container}#member={_quoted(self.name)}&at={self.offset}+{self.size}"

    @property
    def path(self) -> str:
        """Below its container, for a name."""
        return self.name

    @property
    def order(self) -> str:
        return f"{self.container}#{self.offset:020}"

    @property
    def spread_key(self) -> str:
        return f"{self.container}#block={self.offset // BLOCK_BYTES}"


class Cell(NamedTuple):
    """A cell of a Parquet file; `column` is the path of its leaf, as Parquet writes it."""

    container: str
    column: str
    group: int
    row: int

    @property
    def uri(self) -> str:
        column = _quoted(self.column)
        return f"{self.container}#column={column}&group={self.group}&row={self.row}"

    @property
    def path(self) -> str:
        """Below its container, for a name."""
        return f"{self.column}/{self.group}/{self.row}"

    @property
    def order(self) -> str:
        return f"{self.container}#{self.group:010}#{self.row:020}"

    @property
    def spread_key(self) -> str:
        return f"{self.container}#group={self.group}"


Member = Union[TarMember, Cell]


def parse(uri: str) -> Optional[Member]:
    """What a URI says of a picture within a file; None if it is not such a URI.

    >>> parse("gs://b/0.tar#member=x%2Fa.jpg&at=512+99")
    TarMember(container='gs://b/0.tar', name='x/a.jpg', offset=512, size=99)
    >>> parse("a.parquet#column=image.bytes&group=0&row=7")
    Cell(container='a.parquet', column='image.bytes', group=0, row=7)
    >>> parse("a.tar#1.jpg")
    """
    found = _FRAGMENT.fullmatch(uri) if "#" in uri else None
    if found is None:
        return None
    if found["tar"]:
        name = _unquoted(found["name"])
        return TarMember(found["tar"], name, int(found["offset"]), int(found["size"]))
    column = _unquoted(found["column"])
    return Cell(found["parquet"], column, int(found["group"]), int(found["row"]))


def taken_apart(uri: str) -> Tuple[str, str]:
    """The file that a URI names, and what it says of a place within, "" for the whole.

    >>> taken_apart("a.tar#member=b.jpg&at=512+9"), taken_apart("a#b.jpg")
    (('a.tar', '#member=b.jpg&at=512+9'), ('a#b.jpg', ''))
    """
    member = parse(uri)
    file = uri if member is None else member.container
    return file, uri[len(file) :]


def spread_key(uri: str) -> Optional[str]:
    """The same for pictures that are best read by one process: of a block, or of a row group.

    >>> spread_key("a.tar#member=b.jpg&at=16000512+9"), spread_key("b.jpg")
    ('a.tar#block=2', None)
    """
    member = parse(uri)
    return None if member is None else member.spread_key


def order(uri: str) -> Optional[str]:
    """What sorts pictures as they lie in their files; None for a file of its own."""
    member = parse(uri)
    return None if member is None else member.order


def without_secrets(value: Any) -> Any:
    """A JSON value for a row: of members' URIs in it no secrets, all else as it is.

    >>> without_secrets({"wav": "hdfs://me:pw@h/a.tar#member=b.wav&at=512+9", "n": [7]})
    {'wav': 'hdfs://***@h/a.tar#member=b.wav&at=512+9', 'n': [7]}
    """
    if isinstance(value, str):
        return value if parse(value) is None else uris.without_secrets(value)
    if isinstance(value, dict):
        return {key: without_secrets(each) for key, each in value.items()}
    return [without_secrets(each) for each in value] if isinstance(value, list) else value


def _quoted(name: str) -> str:
    return quote_from_bytes(name.encode("utf-8", "surrogateescape"), safe="")


def _unquoted(text: str) -> str:
    return unquote_to_bytes(text).decode("utf-8", "surrogateescape")
