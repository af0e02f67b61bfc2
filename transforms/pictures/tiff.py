"""How the pixels of a TIFF are cut up, by its first directory (TIFF 6.0, sections 2, 8 and 15).

In: the bytes of a file. Out: a `Layout`, None for one that says nothing of strips or tiles. Raises
`struct.error` for a directory that the file ends in.
"""

import struct
from typing import Dict, NamedTuple, Optional, Tuple

_WIDTH, _HEIGHT, _SAMPLES, _ROWS = 256, 257, 277, 278
_STRIPS, _TILE_WIDTH, _TILE_HEIGHT, _TILES = 273, 322, 323, 324
_WANTED = {_WIDTH, _HEIGHT, _SAMPLES, _ROWS, _STRIPS, _TILE_WIDTH, _TILE_HEIGHT, _TILES}

# Format of a value by its field type: BYTE, SHORT, LONG, SLONG, LONG8.
_FORMATS = {1: "B", 3: "H", 4: "I", 9: "i", 16: "Q"}

_BIG = 43


class Layout(NamedTuple):
    """What a directory says of its picture.

    Attributes:
      tiles: how many tiles or strips there are.
      tile_pixels: of each.
      pixels: of the picture, times its samples.
    """

    tiles: int
    tile_pixels: int
    pixels: int


def layout(data: bytes) -> Optional[Layout]:
    """The layout of the first picture.

    >>> layout(b"II*\\0" + b"\\x08\\0\\0\\0" + b"\\0\\0") is None
    True
    """
    fields = _fields(data)
    count = max(fields.get(tag, (0, 0))[0] for tag in (_STRIPS, _TILES))
    width, height = (fields.get(tag, (0, 0))[1] for tag in (_WIDTH, _HEIGHT))
    if not count:
        return None
    rows = min(fields.get(_ROWS, (1, height))[1], height)
    tile_width, tile_height = width, rows
    if _STRIPS not in fields:
        tile_width, tile_height = (fields.get(t, (0, 0))[1] for t in (_TILE_WIDTH, _TILE_HEIGHT))
    samples = fields.get(_SAMPLES, (1, 1))[1]
    return Layout(count, tile_width * tile_height, width * height * samples)


def _fields(data: bytes) -> Dict[int, Tuple[int, int]]:
    """Of each field that is looked for, how many values it has and the first, if it lies there."""
    order = "<" if data[:2] == b"II" else ">"
    is_big = struct.unpack_from(order + "H", data, 2)[0] == _BIG
    (at,) = struct.unpack_from(order + ("Q" if is_big else "I"), data, 8 if is_big else 4)
    (number,) = struct.unpack_from(order + ("Q" if is_big else "H"), data, at)
    entry = struct.Struct(order + ("HHQ" if is_big else "HHI"))
    size = 20 if is_big else 12
    start = at + (8 if is_big else 2)
    found = {}
    for place in range(start, min(start + number * size, len(data) - size + 1), size):
        tag, kind, count = entry.unpack_from(data, place)
        if tag in _WANTED:
            value = struct.unpack_from(order + _FORMATS.get(kind, "I"), data, place + entry.size)
            found[tag] = (count, *value)
    return found
