"""Thumbnails: rows -> small pictures of them, before and after, as data URIs.

In: rows with their outputs. Out: for each a pair of WebP pictures of at most `SIDE` pixels a side,
the cutout with its transparency; "" in place of one that can't be read, or that lies in a shard on
another machine, beyond the first `SHARDS`: to find it all of the shard is read. Nothing fails.
"""

import base64
import concurrent.futures
import functools
import io
import json
from typing import Any, Dict, List, NamedTuple, Sequence

from PIL import Image

from ...transforms.elements import Source
from ...transforms.folder import layout
from ...transforms.pictures.decode import MAX_PIXELS, decode, open_picture
from ...transforms.read import MAX_BYTES
from ...transforms.sources import readers
from ...transforms.sources.columns import Columns
from ...transforms.store import stores, uris

SIDE = 320

# On another machine, that are read to find the cutouts in them.
SHARDS = 8

_QUALITY = 72
_THREADS = 8


class Pair(NamedTuple):
    """A picture and what became of it, as data URIs."""

    before: str
    after: str


def pairs(rows: Sequence[Dict[str, Any]]) -> List[Pair]:
    """Of each row its pictures."""
    with concurrent.futures.ThreadPoolExecutor(_THREADS) as pool:
        shards = list(dict.fromkeys(filter(_is_shard, map(_output, rows))))
        remote = [uri for uri in shards if not uris.is_local(uri)][SHARDS:]
        looked_into = [uri for uri in shards if uri not in remote]
        members = dict(zip(looked_into, pool.map(_members, looked_into)))
        return list(pool.map(functools.partial(_pair, members), rows))


def _pair(members: Dict[str, Dict[str, str]], row: Dict[str, Any]) -> Pair:
    shown = _output(row)
    if _is_shard(shown):
        shown = members.get(shown, {}).get(row["name"] or "", "")
    return Pair(_small(row["uri"]), _small(shown) if shown else "")


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
        for source in readers.read(shard, None, Columns()):
            if isinstance(source, Source):
                metadata = json.loads(source.metadata)
                cutouts = (value for kind, value in metadata.items() if "cutout" in kind)
                cutout = next(cutouts, source.uri)
                found[metadata["name"]] = cutout["bytes"] if isinstance(cutout, dict) else cutout
    except Exception:  # of any store; the page says that they can't be shown
        return found
    return found


def _small(uri: str) -> str:
    """A picture made small; its profile is left out, since all is shown as sRGB."""
    try:
        data = stores.read(uri, MAX_BYTES).data
        image = decode(data, open_picture(data, MAX_PIXELS)).image
        kind = "RGBA" if image.has_transparency_data else "RGB"
        small = image.convert(kind)
        small.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS, reducing_gap=2.0)
        file = io.BytesIO()
        small.save(file, "WEBP", quality=_QUALITY, method=4)
    except Exception:  # of any store and any decoder; the page says that it can't be shown
        return ""
    return f"data:image/webp;base64,{base64.b64encode(file.getvalue()).decode()}"
