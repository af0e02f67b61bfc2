"""Rows: an output folder's manifests -> the last row of each picture, a batch at a time.

In: the URI of an output folder. Out: tables of the columns that a report needs, each with where its
rows lie; and of chosen rows all columns. Of several runs the last that has a row of a picture
counts. Fails as `stores.read` does, with `NoRows` where there is no manifest, and with
`earlier.BadManifest` for a file that holds no rows.
"""

import io
from typing import Any, Dict, Iterable, Iterator, List, NamedTuple, Set, Tuple

import numpy as np
import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet

from ...transforms.folder import earlier
from ...transforms.folder.earlier import Manifest
from ...transforms.folder.manifest import SCHEMA
from ...transforms.store import stores, uris

MSECS = tuple(name for name in SCHEMA.names if name.endswith("_msecs"))

# What the numbers are made of; absent ones, of an earlier version, are null.
COLUMNS = (
    *("uri", "name", "status", "error", "suspect", "foreground", "peak", "width", "height"),
    *("bytes_in", "bytes_out", *MSECS, "model", "model_checksum", "provider"),
)
_SCHEMA = pa.schema([SCHEMA.field(name).with_nullable(True) for name in COLUMNS])


class NoRows(ValueError):
    """The folder has no manifest."""


class Batch(NamedTuple):
    """Rows of one manifest file.

    Attributes:
      manifest: the file.
      places: of each row, which of the file's it is.
      table: their `COLUMNS`.
    """

    manifest: Manifest
    places: Any
    table: pa.Table


def last(output: str) -> Iterator[Batch]:
    """The last row of each picture."""
    found = sorted(earlier.manifests(output), key=lambda each: (each.run_id, each.uri))
    if not found:
        raise NoRows(
            f"{uris.without_secrets(output)!r} has no rows: name the output folder of a run that "
            "ended"
        )
    several = len({each.run_id for each in found}) > 1
    seen: Set[int] = set()
    for manifest in reversed(found):
        table = _table(manifest)
        places = np.arange(table.num_rows)
        if several:
            places = np.array(_new(table, seen), np.int64)
            table = table.take(places)
        if table.num_rows:  # of none, Arrow's kernels end the process
            yield Batch(manifest, places, table)


def whole(chosen: Iterable[Tuple[Manifest, int]]) -> List[Dict[str, Any]]:
    """All columns of the rows at these places, in their order."""
    wanted = list(chosen)
    found: Dict[Tuple[str, int], Dict[str, Any]] = {}
    for uri in dict.fromkeys(manifest.uri for manifest, _ in wanted):
        places = sorted({place for manifest, place in wanted if manifest.uri == uri})
        table = pa.parquet.read_table(io.BytesIO(stores.read(uri).data)).take(places)
        found |= {(uri, place): row for place, row in zip(places, table.to_pylist())}
    return [{"run": manifest.run_id, **found[manifest.uri, place]} for manifest, place in wanted]


def _table(manifest: Manifest) -> pa.Table:
    data = stores.read(manifest.uri).data
    try:
        file = pa.parquet.ParquetFile(io.BytesIO(data))
        there = [name for name in COLUMNS if name in file.schema_arrow.names]
        table = file.read(columns=there)
        for name in COLUMNS:
            if name not in there:
                nothing = pa.nulls(table.num_rows, _SCHEMA.field(name).type)
                table = table.append_column(name, nothing)
        return table.select(COLUMNS).cast(_SCHEMA)
    except (pa.ArrowException, OSError) as error:
        shown = uris.without_secrets(manifest.uri)
        raise earlier.BadManifest(f"the manifest {shown!r} can't be read ({error})") from error


def _new(table: pa.Table, seen: Set[int]) -> List[int]:
    """Which rows are of pictures that were not seen before; a row without a name is its URI's."""
    names = pa.compute.coalesce(table["name"], table["uri"]).to_pylist()
    places = []
    for place, name in enumerate(names):
        key = hash(name)
        if key not in seen:
            seen.add(key)
            places.append(place)
    return places
