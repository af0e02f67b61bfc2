"""The schema of a Parquet file -> where its pictures lie, and how its other columns are read.

In: an opened Parquet file and what the user says of its columns. Out: `Layout`. Pictures lie in a
column of structs with `bytes`, as Hugging Face embeds them, or in one of plain bytes; without such
a column another holds their URIs. Raises `BadList` for a file that has neither, or lacks a column.
"""

import json
from typing import Any, Iterator, List, NamedTuple, Optional, Sequence, Tuple

import pyarrow
from pyarrow import types

from . import ours
from .columns import Columns
from .lists import BadList

# Columns of plain bytes, or of structs, that are taken for pictures rather than others.
PICTURE_COLUMNS = ("image", "img", "jpg", "jpeg", "png", "webp", "photo", "picture", "bytes")

# What such structs have.
BYTES, PATH = "bytes", "path"


class Leaf(NamedTuple):
    """A column of plain bytes, or one within structs, by its names from outside in."""

    names: Tuple[str, ...]

    @property
    def path(self) -> str:
        return ".".join(self.names)


class Layout(NamedTuple):
    """What is where in a Parquet file.

    Attributes:
      picture: the column whose bytes are the pictures; None where another holds URIs.
      bytes: all columns of bytes.
      values: the columns of all else, as pyarrow selects them.
      made: columns that a run of ours made.
    """

    picture: Optional[Leaf]
    bytes: Sequence[Leaf]
    values: Sequence[str]
    made: Sequence[str]

    @classmethod
    def of(cls, schema: Any, columns: Columns) -> "Layout":
        if twice := {name for name in schema.names if schema.names.count(name) > 1}:
            raise BadList(f"it has several columns {min(twice)!r}: give one another name")
        leaves = [leaf for field in schema for leaf in _bytes(field, ())]
        picture = _picture(schema, leaves, columns)
        there = [*schema.names, columns.uri_column or "uri"] if picture else schema.names
        columns.require(there)
        values = [name for field in schema for name in _values(field, "")]
        return cls(picture, leaves, values, ours.of_schema(schema))


def _bytes(field: Any, above: Tuple[str, ...]) -> Iterator[Leaf]:
    names = (*above, field.name)
    if types.is_struct(field.type):
        for below in field.type:
            yield from _bytes(below, names)
    elif _is_bytes(field.type):
        yield Leaf(names)


def _values(field: Any, above: str) -> Iterator[str]:
    """The columns without bytes; lists that hold bytes have no place to tell, and are left out."""
    path = above + field.name
    if types.is_struct(field.type):
        for below in field.type:
            yield from _values(below, f"{path}.")
    elif not _holds_bytes(field.type):
        yield path


def _is_bytes(kind: Any) -> bool:
    return types.is_binary(kind) or types.is_large_binary(kind) or types.is_binary_view(kind)


def _holds_bytes(kind: Any) -> bool:
    below = [kind.field(index).type for index in range(kind.num_fields)]
    return _is_bytes(kind) or any(map(_holds_bytes, below))


def _picture(schema: Any, leaves: List[Leaf], columns: Columns) -> Optional[Leaf]:
    """The bytes that are the pictures, as the user says, or by names and kinds."""
    embedded = [leaf for leaf in leaves if leaf.names[1:] in ((), (BYTES,))]
    if columns.uri_column is not None:
        wanted = _folded(columns.uri_column)
        named = (each for each in leaves if _folded(each.path) == wanted)
        return next(named, None) or next(
            (each for each in embedded if _folded(each.names[0]) == wanted), None
        )
    images = _images(schema)
    embedded = [each for each in embedded if each.names[0] in images] or embedded
    for name in PICTURE_COLUMNS:
        if found := next((each for each in embedded if _folded(each.names[0]) == name), None):
            return found
    if found := next((each for each in embedded if each.names[1:]), None):
        return found
    # What bytes may be besides a URI nobody knows.
    return embedded[0] if len(embedded) == 1 and not columns.has_uri(schema.names) else None


def _images(schema: Any) -> List[str]:
    """The columns that Hugging Face's `datasets` has noted to be pictures."""
    try:
        noted = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        return [name for name, feature in noted.items() if feature.get("_type") == "Image"]
    except (AttributeError, KeyError, TypeError, ValueError):
        return []


def readable(kind: Any) -> Any:
    """The type, with microseconds where it has nanoseconds, which Python has not."""
    if types.is_timestamp(kind):
        return pyarrow.timestamp("us", kind.tz) if kind.unit == "ns" else kind
    if types.is_time64(kind):
        return pyarrow.time64("us")
    if types.is_duration(kind):
        return pyarrow.duration("us") if kind.unit == "ns" else kind
    if types.is_struct(kind):
        return pyarrow.struct([each.with_type(readable(each.type)) for each in kind])
    if types.is_list(kind):
        return pyarrow.list_(kind.value_field.with_type(readable(kind.value_type)))
    return kind


def _folded(name: str) -> str:
    return name.strip().casefold()
