"""Thumbnails: rows -> small pictures of them, before and after, as data URIs.

In: rows with their outputs. Out: for each a pair of WebP pictures of at most `SIDE` pixels a side,
the cutout with its transparency; "" in place of one that isn't shown, and why it isn't: it can't be
read, or it lies in a shard on another machine, beyond the first `SHARDS`: to find it all of the
shard is read. A store that lets nothing be read is given up. Nothing fails.
"""

import base64
import concurrent.futures
import functools
import io
import json
import threading
from collections import Counter
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

import pyarrow
import pyarrow.parquet
from PIL import Image

from ...transforms.elements import Source
from ...transforms.folder import layout
from ...transforms.pictures.decode import MAX_PIXELS, decode, open_picture
from ...transforms.read import MAX_BYTES
from ...transforms.sources import readers
from ...transforms.sources.columns import Columns
from ...transforms.store import stores, uris
from ...transforms.store.limits import TooLarge

SIDE = 320

# On another machine, that are read to find the cutouts in them.
SHARDS = 8

# Failures in a row, for want of access or a connection, after which a store is given up.
PATIENCE = 3

_QUALITY = 72
_THREADS = 8


class Pair(NamedTuple):
    """A picture and what became of it, as data URIs; of what isn't shown "", and why not."""

    before: str
    after: str
    missing: Tuple[str, ...] = ()


class _Small(NamedTuple):
    """A data URI, or why there is none."""

    data: str = ""
    why: str = ""


class _GivenUp(OSError):
    """Others of the same store couldn't be read."""


class _Stores:
    """Reads pictures, and asks a store no more that failed `PATIENCE` times in a row; one that says
    that a file is not there, or too large, has answered. Of `closed` schemes none is asked."""

    def __init__(self, closed: Mapping[str, str]) -> None:
        self._closed = closed
        self._failed: Counter = Counter()
        self._lock = threading.Lock()

    def read(self, uri: str) -> bytes:
        """The bytes of a picture; `_GivenUp` if its store isn't asked."""
        if uris.is_local(uri):
            return stores.read(uri, MAX_BYTES).data
        if why := self._closed.get(uris.scheme(uri) or ""):
            raise _GivenUp(why)
        place = "/".join(uri.split("/")[:3])
        if self._failed[place] >= PATIENCE:
            raise _GivenUp(f"not read: other pictures at {uris.without_secrets(place)} couldn't be")
        try:
            data = stores.read(uri, MAX_BYTES).data
        except (FileNotFoundError, TooLarge, ValueError):
            raise
        except Exception:
            with self._lock:
                self._failed[place] += 1
            raise
        with self._lock:
            self._failed[place] = 0
        return data


_NONE: Mapping[str, str] = {}


def pairs(rows: Sequence[Dict[str, Any]], closed: Mapping[str, str] = _NONE) -> List[Pair]:
    """Of each row its pictures.

    Args:
      rows: as `rows.whole` has them.
      closed: schemes whose stores can't be read here, and why not.
    """
    with concurrent.futures.ThreadPoolExecutor(_THREADS) as pool:
        shards = list(dict.fromkeys(filter(_is_shard, map(_output, rows))))
        remote = [uri for uri in shards if not uris.is_local(uri)][SHARDS:]
        looked_into = [uri for uri in shards if uri not in remote]
        members = dict(zip(looked_into, pool.map(_members, looked_into)))
        of_row = functools.partial(_pair, _Stores(closed), members, len(remote))
        return list(pool.map(of_row, rows))


def _pair(
    asked: _Stores, members: Dict[str, Dict[str, str]], unread: int, row: Dict[str, Any]
) -> Pair:
    before, after = _small(asked, row["uri"]), _after(asked, members, unread, row)
    named = (("picture", before), ("cutout", after))
    missing = tuple(f"The {name}: {each.why}." for name, each in named if each.why)
    return Pair(before.data, after.data, missing)


def _after(
    asked: _Stores, members: Dict[str, Dict[str, str]], unread: int, row: Dict[str, Any]
) -> _Small:
    shown = _output(row)
    if not shown:
        return _Small(why="its row names none")
    if not _is_shard(shown):
        return _small(asked, shown)
    if shown not in members:
        only = f"only the first {SHARDS} shards on another machine are read"
        return _Small(why=f"not read, it lies in one of {unread} further shards; {only}")
    member = members[shown].get(row["name"] or "")
    return _small(asked, member) if member else _Small(why="not found in its shard")


def _output(row: Dict[str, Any]) -> str:
    """The cutout of a row, or what there is; "" if nothing is."""
    outputs = row["outputs"] or [""]
    return str(next((uri for uri in outputs if ".cutout." in uri), outputs[0]))


def _is_shard(uri: str) -> bool:
    return layout.is_shard(uri.rpartition("/")[2])


def _members(shard: str) -> Dict[str, str]:
    """The URIs of the cutouts in a shard, by their pictures' names."""
    found = {}
    try:
        columns = Columns(uri_column=_cutout_column(shard), name_column="name")
        for source in readers.read(shard, None, columns):
            if isinstance(source, Source) and source.name:
                metadata = json.loads(source.metadata)
                cutouts = (value for kind, value in metadata.items() if "cutout" in kind)
                found[source.name] = next(cutouts, source.uri)
    except Exception:  # of any store; the page says that they can't be shown
        return found
    return found


def _cutout_column(shard: str) -> Optional[str]:
    """Of a Parquet file the column of cutouts; None if it has none, and of others."""
    if not shard.endswith(".parquet"):
        return None
    with stores.seekable(shard) as file:
        schema = pyarrow.parquet.read_schema(file)
    pictures = (field.name for field in schema if pyarrow.types.is_struct(field.type))
    return next((name for name in pictures if "cutout" in name), None)


def _small(asked: _Stores, uri: str) -> _Small:
    """A picture made small; its profile is left out, since all is shown as sRGB."""
    try:
        data = asked.read(uri)
        image = decode(data, open_picture(data, MAX_PIXELS)).image
        kind = "RGBA" if image.has_transparency_data else "RGB"
        small = image.convert(kind)
        small.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS, reducing_gap=2.0)
        file = io.BytesIO()
        small.save(file, "WEBP", quality=_QUALITY, method=4)
    except _GivenUp as error:
        return _Small(why=str(error))
    except Exception:  # of any store and any decoder; the page says that it can't be shown
        return _Small(why="it can't be read any more")
    return _Small(f"data:image/webp;base64,{base64.b64encode(file.getvalue()).decode()}")
