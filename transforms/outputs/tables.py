"""Tables: rows of values -> a Parquet or CSV file.

In: rows with a value for each column, of the types of `columns`. Out: a file of this machine, made
in a stream; the same rows give the same bytes. Parquet keeps types and nulls. In CSV a null is
empty, and a list is JSON: readers guess types there. Fails with `OSError` where there is no room.
"""

import csv
import itertools
import json
from typing import Any, Callable, Collection, Dict, Iterable, Iterator, List, Mapping, NamedTuple

import pyarrow as pa
import pyarrow.parquet

from ..sources import ours

_SCALARS = {"bool": pa.bool_(), "int": pa.int64(), "float": pa.float64(), "text": pa.string()}

# By the types of `columns`.
ARROW = {**_SCALARS, **{f"{name}s": pa.list_(type) for name, type in _SCALARS.items()}}

# Of a Parquet file's row group, which readers take in one piece.
GROUP_ROWS = 2_000


class Format(NamedTuple):
    """A format of tables: its MIME type, and what writes path, columns' types and rows."""

    mime_type: str
    write: Callable[[str, Mapping[str, str], Iterable[List[Any]], Collection[str]], None]


def write(
    path: str,
    format: str,
    types: Mapping[str, str],
    rows: Iterable[List[Any]],
    made: Collection[str] = (),
) -> None:
    """Writes a table.

    Args:
      path: of the file.
      format: a key of `FORMATS`.
      types: of the columns, by their names; see `columns.Types.stored`.
      rows: a value for each column, in the same order.
      made: columns that are not the user's, which Parquet tells our readers.
    """
    FORMATS[format].write(path, types, rows, made)


def field(name: str, type: pa.DataType, made: Collection[str]) -> pa.Field:
    """A column, and whether a run made it, by its metadata."""
    return pa.field(name, type, metadata=ours.FIELD if name in made else None)


def _parquet(
    path: str, types: Mapping[str, str], rows: Iterable[List[Any]], made: Collection[str]
) -> None:
    schema = pa.schema([field(name, ARROW[type], made) for name, type in types.items()])
    with pa.parquet.ParquetWriter(path, schema, compression="zstd") as writer:
        for group in _groups(iter(rows)):
            columns = [pa.array(each, schema.field(i).type) for i, each in enumerate(zip(*group))]
            writer.write_table(pa.Table.from_arrays(columns, schema=schema))


def _groups(rows: Iterator[List[Any]]) -> Iterator[List[List[Any]]]:
    while group := list(itertools.islice(rows, GROUP_ROWS)):
        yield group


def _csv(
    path: str, types: Mapping[str, str], rows: Iterable[List[Any]], made: Collection[str]
) -> None:
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(types)
        for row in rows:
            writer.writerow([_text(value) for value in row])


def _text(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list) else value


FORMATS: Dict[str, Format] = {
    "parquet": Format("application/vnd.apache.parquet", _parquet),
    "csv": Format("text/csv", _csv),
}
