"""A row of a table -> the picture that it names, as a `Source`.

In: the cells of one row by the names of their columns, as a reader of tables has them. Out: its
source. Which column is what follows from `Columns` and the names; all others are the user's own
metadata, as JSON. `source_of_row` raises `BadLine` for a row that names no picture,
`Columns.require` `BadList` for a table that lacks a column.
"""

import base64
import datetime
import functools
import math
import os
import posixpath
import re
from dataclasses import dataclass
from typing import Any, Collection, Dict, Iterable, Mapping, NamedTuple, Optional, Tuple
from urllib.parse import quote

from .. import strict_json
from ..elements import Source
from ..setting import check, did_you_mean, documented, setting
from ..store import uris
from .lists import BadLine, BadList

# Columns that hold a picture's URI, if `uri_column` says no other; the first that is there.
URI_COLUMNS = ("uri", "url", "image_url", "file_name", "path")
EXTRAS_COLUMN = "extras"

# Of the names of a table's columns, in a message.
_SHOWN_CHARACTERS = 500


class BadRow(NamedTuple):
    """A row, or a sample, that names no picture.

    Attributes:
      where: its place in its file, such as "line 7", "row 7" or "byte 51200".
      text: what stands there, or its beginning.
      error: why it can't be used.
    """

    where: str
    text: str
    error: Exception


@documented
@dataclass(frozen=True, kw_only=True)
class Columns:
    """Which columns of a table, or members of a shard, are what.

    Names are compared without case and blanks around them.
    """

    uri_column: Optional[str] = setting(
        None,
        "the column of tables that holds a picture's URI, path or bytes, and of shards the suffix "
        "of a sample's picture; default: of URIs and paths the first that is there of "
        f"{', '.join(URI_COLUMNS)}",
        metavar="NAME",
    )
    name_column: Optional[str] = setting(
        None,
        "the column of tables that outputs are named after; default: the picture's path",
        metavar="NAME",
    )
    extras_column: Optional[str] = setting(
        None,
        "the column of tables with arguments of rembg.remove for one picture, a JSON object; "
        "default: extras, if it is there",
        metavar="NAME",
    )

    def __post_init__(self) -> None:
        check(self)

    def has_uri(self, names: Collection[str]) -> bool:
        """Whether one of these columns holds the pictures' URIs."""
        return _find(self.uri_columns, names) is not None

    def require(self, names: Collection[str]) -> None:
        """Raises `BadList` for a table of these columns, if one that is needed is not there."""
        shown = uris.without_secrets_in(", ".join(names))[:_SHOWN_CHARACTERS]
        for flag, wanted in vars(self).items():
            if wanted is not None and _find([wanted], names) is None:
                near = did_you_mean(wanted, names, "")
                raise BadList(f"it has no column {wanted!r} (--{flag}){near}; it has {shown}")
        if not self.has_uri(names):
            raise BadList(
                f"none of its columns is called {', '.join(URI_COLUMNS)}: say by --uri_column "
                f"which one holds the pictures' URIs or paths; it has {shown}"
            )

    @property
    def uri_columns(self) -> Tuple[str, ...]:
        return URI_COLUMNS if self.uri_column is None else (self.uri_column,)


def source_of_row(
    fields: Mapping[str, Any],
    columns: Columns,
    table_uri: Optional[str] = None,
    table_name: Optional[str] = None,
    made: Collection[str] = (),
) -> Source:
    """The source of one row; `BadLine` for one that names no picture.

    A relative path belongs to the table's folder, and is its own name there.

    Args:
      fields: the row's values by column, as `plain` takes them.
      columns: which column is what.
      table_uri: where the table lies; None for one without a folder.
      table_name: its own name, relative to what names are relative to; None if it has none, so that
        a relative path has none either.
      made: columns that a run of ours made, which are no metadata of the user's.

    >>> row = {"File_Name": "x/a.jpg", "price": 7}
    >>> source_of_row(row, Columns(), "gs://b/train/table.csv", "train/table.csv")[:2]
    ('gs://b/train/x/a.jpg', 'train/x/a.jpg')
    """
    uri_at, name_at, extras_at = places(tuple(fields), columns)
    path = _path(fields, uri_at, columns)
    name = _name(fields, name_at)
    if is_relative(path):
        if table_uri is None:
            raise BadLine(f"its `{uri_at}` is {_shown(path)} and must be a URI or an absolute path")
        name = name or (table_name and _own_name(path, table_name))
        path = _beside(table_uri, path)
    return _source(path, name, fields, (uri_at, name_at, extras_at), made)


def source_within(
    uri: str,
    name: Optional[str],
    fields: Mapping[str, Any],
    columns: Columns,
    made: Collection[str] = (),
) -> Source:
    """The source of a picture whose bytes lie in the table or shard itself; `BadLine` as above.

    Args:
      uri: of the picture, as `store.members` has them.
      name: what its output is named after, unless a column says it.
      fields: what else its row holds; a URI there is the user's own.
      columns: which column is what.
      made: as above.
    """
    _, name_at, extras_at = places(tuple(fields), columns)
    return _source(uri, _name(fields, name_at) or name, fields, (name_at, extras_at), made)


def plain(value: Any) -> Any:
    """A cell's value as JSON has it: times in ISO 8601, decimals as text, bytes in Base64.

    >>> from decimal import Decimal
    >>> plain([datetime.date(2026, 1, 2), Decimal("7.10"), float("nan"), b"a"])
    ['2026-01-02', '7.10', None, 'YQ==']
    """
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, (bytes, bytearray)):
        return base64.b64encode(value).decode()
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    return str(value)


def is_relative(path: str) -> bool:
    """Whether a path belongs to the folder of its table.

    >>> is_relative("x/a.jpg"), is_relative("/x/a.jpg"), is_relative("gs://b/a.jpg")
    (True, False, False)
    """
    return uris.scheme(path) is None and not os.path.isabs(path)


@functools.lru_cache(maxsize=64)
def places(
    names: Tuple[str, ...], columns: Columns
) -> Tuple[Optional[str], Optional[str], Optional[str]]:
    """The columns of URI, name and extras in rows of these columns; None where there is none."""
    return (
        _find(columns.uri_columns, names),
        _find([columns.name_column], names),
        _find([columns.extras_column or EXTRAS_COLUMN], names),
    )


def _find(wanted: Iterable[Optional[str]], names: Collection[str]) -> Optional[str]:
    """The first of the wanted that is there, as it is written there."""
    there: Dict[str, str] = {}
    for name in names:
        there.setdefault(_folded(name), name)
    for one in wanted:
        if one is not None and (found := one if one in names else there.get(_folded(one))):
            return found
    return None


def _folded(name: str) -> str:
    return name.strip().casefold()


def _source(
    uri: str,
    name: Optional[str],
    fields: Mapping[str, Any],
    own: Tuple[Optional[str], ...],
    made: Collection[str],
) -> Source:
    """One whose columns are metadata, but for its own and those that a run made; the last of its
    own holds its extras."""
    no_metadata = {*own, *made}
    metadata = {key: plain(value) for key, value in fields.items() if key not in no_metadata}
    extras = _extras(fields, own[-1])
    try:
        return Source.of(uri, name=name, extras=extras, metadata=metadata)
    except (ValueError, RecursionError) as error:
        raise BadLine(f"can't be kept as UTF-8 and JSON ({error})") from error


def _path(fields: Mapping[str, Any], place: Optional[str], columns: Columns) -> str:
    if place is None:
        raise BadLine(
            f"it has none of {', '.join(columns.uri_columns)}; --uri_column names another"
        )
    path = fields[place]
    if not isinstance(path, str) or not path.strip():
        raise BadLine(f"its `{place}` is {_shown(path)} and must be a URI or a path")
    return path.strip()


def _name(fields: Mapping[str, Any], place: Optional[str]) -> Optional[str]:
    name = fields[place] if place is not None else None
    if isinstance(name, int) and not isinstance(name, bool):
        return str(name)
    if name is None or name == "":
        return None
    if not isinstance(name, str):
        raise BadLine(f"its `{place}` is {_shown(name)} and must be a text or an integer")
    return name


def _extras(fields: Mapping[str, Any], place: Optional[str]) -> Optional[Mapping[str, Any]]:
    extras = fields[place] if place is not None else None
    if isinstance(extras, str) and extras.strip():
        try:
            extras = strict_json.loads(extras)
        except ValueError as error:
            raise BadLine(f"its `{place}` is no JSON object ({error})") from error
    if extras is None or isinstance(extras, dict):
        return extras
    if isinstance(extras, str):
        return None
    raise BadLine(f"its `{place}` is {_shown(extras)} and must be a JSON object")


def _own_name(path: str, table_name: str) -> Optional[str]:
    """The name of a path relative to its table's folder; None if it leads out of that."""
    if ".." in path.split("/"):
        return None
    return posixpath.normpath(posixpath.join(posixpath.dirname(table_name), path))


def _beside(table_uri: str, path: str) -> str:
    """The URI of a path relative to a table's folder; no store but a local one knows `..`.

    >>> _beside("https://me:pw@host/x/table.csv?sig=1", "a b.jpg")
    'https://me:pw@host/x/a%20b.jpg'
    """
    if uris.is_local(table_uri):
        folder = os.path.dirname(uris.local_path(table_uri))
        return uris.local_uri(os.path.join(folder, path))
    if uris.is_web(table_uri):
        table_uri, path = (
            re.split("[?#]", table_uri, maxsplit=1)[0],
            quote(path, errors="surrogatepass"),
        )
    uri = uris.join(table_uri.rpartition("/")[0], path)
    if not {".", ".."} & set(path.split("/")):
        return uri
    scheme, _, place = uri.partition("://")
    bucket, _, below = place.partition("/")
    return f"{scheme}://{bucket}{posixpath.normpath('/' + below)}"


def _shown(value: Any) -> str:
    return repr(value)[:60]
