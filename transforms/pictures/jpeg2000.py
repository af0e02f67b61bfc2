"""How many pieces the coding of a JPEG 2000 has, by its headers (ISO 15444-1, annex A and B).

In: the bytes of a JP2 file or a codestream. Out: an estimate of its code-blocks and precincts, for
the finest coding that any header of it names, and its layers. Raises `struct.error` for a header
that the file ends in.
"""

import struct
from typing import Iterator, NamedTuple, Sequence, Tuple

from .boxes import boxes

_START = b"\xff\x4f\xff\x51"
_COD, _COC, _SOT, _SOD, _EOC = 0x52, 0x53, 0x90, 0x93, 0xD9

# What a precinct takes of time and memory, in code-blocks.
_PRECINCT = 4

# As if it had none: 2 to the power of 15 a side.
_NO_PRECINCTS = 0xFF


class _Size(NamedTuple):
    width: int
    height: int
    components: int


def work(data: bytes) -> Tuple[int, int]:
    """Code-blocks, with precincts counted as `_PRECINCT` of them, and layers.

    >>> work(b"no picture")
    (0, 1)
    """
    start = _codestream(data)
    if not data.startswith(_START, start):
        return 0, 1
    x, y, x0, y0 = struct.unpack_from(">IIII", data, start + 8)
    (components,) = struct.unpack_from(">H", data, start + 40)
    size = _Size(x - x0, y - y0, components)
    blocks, layers = 0, 1
    for marker, at in _segments(data, start + 2):
        if marker == _COD:
            layers = max(layers, struct.unpack_from(">H", data, at + 2)[0])
            blocks = max(blocks, _blocks(size, data[at] & 1, data, at + 5))
        if marker == _COC:
            own = at + (1 if components < 257 else 2)
            blocks = max(blocks, _blocks(size, data[own] & 1, data, own + 1))
    return blocks, layers


def _codestream(data: bytes) -> int:
    """Where it starts in a JP2 file; 0 for a codestream alone."""
    return next((at for kind, at, _ in boxes(data, 0, len(data)) if kind == b"jp2c"), 0)


def _segments(data: bytes, at: int) -> Iterator[Tuple[int, int]]:
    """Marker and body of each segment of the main header and those of tile-parts."""
    part = length_of_part = 0
    while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] != _EOC:
        marker = data[at + 1]
        if marker == _SOD:
            if part + length_of_part <= at:  # until the end, or nonsense
                return
            at = part + length_of_part
            continue
        if marker == _SOT:
            part, length_of_part = at, struct.unpack_from(">I", data, at + 6)[0]
        yield marker, at + 4
        at += 2 + struct.unpack_from(">H", data, at + 2)[0]


def _blocks(size: _Size, has_precincts: int, data: bytes, at: int) -> int:
    """Those of the coding style whose number of decompositions lies there."""
    levels, *block = data[at : at + 3]
    precincts = data[at + 4 : at + 5 + levels] if has_precincts else []
    each = (*precincts, *[_NO_PRECINCTS] * (levels + 1 - len(precincts)))
    found = (
        _of_resolution(size, levels - index, index > 0, block, precinct)
        for index, precinct in enumerate(each)
    )
    return size.components * sum(found)


def _of_resolution(
    size: _Size, shrunk: int, has_bands: bool, block: Sequence[int], precinct: int
) -> int:
    """Of one component at 1 / 2 ** `shrunk` of the size, its code-blocks and precincts."""
    precincts = blocks = 1
    for side, exponent, power in zip(size, block, (precinct & 15, precinct >> 4), strict=False):
        length = -(-side >> shrunk)
        precincts *= -(-length >> power)
        blocks *= -(-length >> min((exponent & 15) + 2, max(power - has_bands, 0)))
    return blocks + _PRECINCT * precincts
