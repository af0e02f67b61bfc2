"""Parquet shards with embedded pictures, as Hugging Face's datasets have them.

In: a file that is open, and samples. Out: Parquet; pictures are structs of bytes and path, which
the metadata `huggingface` calls `Image`; the user's columns have their types, and nulls. A column
whose name a picture has gets a `_` behind it. A row group holds `GROUP_BYTES` or little more, so
that readers and this writer hold no more than that. Fails as the file's `write` does.
"""

import json
from typing import Any, BinaryIO, Dict, List, Set, Tuple

import pyarrow as pa
import pyarrow.parquet

from .samples import Fields, Sample, column, is_cutout, member, record, stored
from .tables import ARROW, field

# Of a row group: it is held whole here, and often by who reads it.
GROUP_BYTES = 32 << 20

# For a row besides its pictures; what it is exactly shows when the group is written.
_ROW_BYTES = 500

# After so many rows a page may end, which it does at 1 MB: readers of one picture read a page.
_PAGE_ROWS = 4

_IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])

# Of the file's metadata, by which shards are told from others' files.
_MARK = "rembg_beam"

# As the metadata names them.
_FEATURES = {"bool": "bool", "int": "int64", "float": "float64", "text": "string"}


def is_marked(file: BinaryIO) -> bool:
    """Whether a file was written here."""
    try:
        return _MARK.encode() in (pa.parquet.read_metadata(file).metadata or {})
    except (pa.ArrowException, OSError):
        return False


class EmbeddedParquet:
    """Writes samples to Parquet; `writers.ShardWriter` says what each function means."""

    def __init__(self, file: BinaryIO, fields: Fields) -> None:
        self._file = file
        self._fields = fields
        self._names, self._schema = _schema(fields)
        leaves = [leaf for column in self._schema for leaf in _leaves(column)]
        plain = [leaf for leaf in leaves if leaf not in _embedded(fields)]
        self._writer = pa.parquet.ParquetWriter(
            file,
            self._schema,
            compression={leaf: "zstd" if leaf in plain else "none" for leaf in leaves},
            use_dictionary=plain,
            write_statistics=plain,
            write_page_index=True,
            write_batch_size=_PAGE_ROWS,
        )
        self._rows: List[Dict[str, Any]] = []
        self._held = 0

    def add(self, sample: Sample) -> None:
        self._rows.append(self._row(sample))
        self._held += _ROW_BYTES + len(sample.row.metadata) + _embedded_bytes(sample)
        if self._held >= GROUP_BYTES:
            self._write()

    def size(self) -> int:
        return self._file.tell() + self._held

    def close(self) -> None:
        self._write()
        self._writer.close()

    def _row(self, sample: Sample) -> Dict[str, Any]:
        row: Dict[str, Any] = dict(sample.others)
        if sample.original:
            suffix, data = sample.original
            row["image"] = {"bytes": data, "path": f"{sample.key}.image{suffix}"}
        for part in sample.parts:
            path = f"{sample.key}.{member(part)}"
            row[column(part.suffix)] = {"bytes": part.data, "path": path}
        about = record(sample, self._fields)
        return {**row, **{self._names[name]: value for name, value in about.items()}}

    def _write(self) -> None:
        if self._rows:
            self._writer.write_table(pa.Table.from_pylist(self._rows, schema=self._schema))
            self._rows.clear()
            self._held = 0


def _schema(fields: Fields) -> Tuple[Dict[str, str], pa.Schema]:
    """The names that columns get, where a picture's has theirs already; and the schema."""
    pictures = ["image"] * fields.keep_original + [column(suffix) for suffix in _suffixes(fields)]
    types = stored(fields)
    taken = {*pictures, *fields.others}
    names = {name: name for name in types}
    for name in types:
        while names[name] in taken:
            names[name] += "_"
        taken.add(names[name])
    columns = {
        **dict.fromkeys(pictures, _IMAGE),
        **dict.fromkeys(fields.others, pa.binary()),
        **{names[name]: ARROW[type] for name, type in types.items()},
    }
    features = {
        **{name: {"_type": "Image"} for name in pictures},
        **{name: {"dtype": "binary", "_type": "Value"} for name in fields.others},
        **{names[name]: _feature(type) for name, type in types.items()},
    }
    about = json.dumps({"info": {"features": features}})
    own = fields.types.stored()
    made = {*pictures, *(names[name] for name in types if name not in own)}
    columns_of = [field(name, type, made) for name, type in columns.items()]
    return names, pa.schema(columns_of, {"huggingface": about, _MARK: "shard"})


def _feature(type: str) -> Dict[str, Any]:
    if type in _FEATURES:
        return {"dtype": _FEATURES[type], "_type": "Value"}
    # Which all versions of `datasets` know; `List` is new in 4.
    return {"feature": _feature(type[:-1]), "_type": "Sequence"}


def _suffixes(fields: Fields) -> List[str]:
    return sorted(fields.parts, key=is_cutout)


def _leaves(column: pa.Field) -> List[str]:
    """The paths of a column as Parquet has them."""
    if pa.types.is_struct(column.type):
        return [f"{column.name}.{field.name}" for field in column.type]
    return [f"{column.name}.list.element" if pa.types.is_list(column.type) else column.name]


def _embedded(fields: Fields) -> Set[str]:
    """The paths of columns that hold files, which aren't packed again."""
    pictures = ["image", *map(column, fields.parts)]
    return {*(f"{name}.bytes" for name in pictures), *fields.others}


def _embedded_bytes(sample: Sample) -> int:
    held = [part.data for part in sample.parts] + [data for _, data in sample.others]
    return sum(map(len, held)) + (len(sample.original[1]) if sample.original else 0)
