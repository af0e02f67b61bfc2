"""EXIF as bytes -> what of it an output may have, as bytes.

In: a picture's EXIF, a TIFF structure (CIPA DC-008, JEITA CP-3451), "Exif" before it or not, or a
whole TIFF file. Out: a structure of the same byte order with the fields that tell of the photo:
who made it, when, with what. Their values stay byte for byte, which Pillow's do not: it writes "?"
for every letter that is not ASCII. What tells of the file is left out, since the output is another
file: sizes, thumbnails, offsets, colours, resolution, and the orientation, which has been applied;
so are a maker's notes, which hold offsets of their own. GPS is there if it is asked for.

Nothing here fails on broken EXIF: a field that lies outside is left out, and what is no EXIF is
None.
"""

import struct
from typing import Dict, List, NamedTuple, Optional, Tuple

import numpy as np

PREFIX = b"Exif\0\0"
_ORDERS = {b"II*\0": "<", b"MM\0*": ">"}
_MAGIC = {order: magic for magic, order in _ORDERS.items()}

# Bytes of a value, and of the numbers in it, by its type (TIFF 6.0, section 2; EXIF 3.0 adds 129).
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 129: 1}
_WORDS = {**_SIZES, 5: 4, 10: 4}
_BYTE, _SHORT, _LONG, _RATIONAL = 1, 3, 4, 5

_XMP, _PHOTO, _GPS = 700, 0x8769, 0x8825
_X_RESOLUTION, _Y_RESOLUTION, _RESOLUTION_UNIT = 282, 283, 296
_INCH = 2

# In inches, by the field for it; none is an inch.
_UNITS: Dict[Optional[float], float] = {None: 1.0, _INCH: 1.0, 3: 2.54}

# Description, maker, model, software, date, artist, copyright; Windows' rating and texts.
_OF_THE_PHOTO = frozenset(
    (270, 271, 272, 305, 306, 315, 33432, 0x4746, 0x4749, *range(0x9C9B, 0x9CA0))
)

# Components, bits a pixel, maker's notes, colour space, width, height, sound, interoperability; and
# where other directories lie, which some writers put here too.
_OF_THE_FILE = frozenset((0x9101, 0x9102, 0x927C, *range(0xA001, 0xA006), 0x014A, _PHOTO, _GPS))

# Of all fields together: a JPEG's segment has room for 65,527, and for no more.
_ROOM = 65_000


class Field(NamedTuple):
    """A field as it lies there: its type, how many values it has, and their bytes."""

    type: int
    values: int
    value: memoryview


Fields = Dict[int, Field]


class Structure(NamedTuple):
    """A byte order, "<" or ">", and the directories: the main one, the photo's and GPS's."""

    order: str
    main: Fields
    photo: Fields
    gps: Fields


def kept(data: Optional[bytes], *, photo: bool, gps: bool) -> Optional[bytes]:
    """What an output has of a picture's EXIF; None if that is nothing.

    Args:
      data: the EXIF, or the TIFF that has it; None if there is none.
      photo: keep what tells of the photo.
      gps: keep where it was taken.
    """
    found = _structure(data)
    if found is None:
        return None
    main = {tag: each for tag, each in found.main.items() if photo and tag in _OF_THE_PHOTO}
    own = {tag: each for tag, each in found.photo.items() if photo and tag not in _OF_THE_FILE}
    return _written(_within(Structure(found.order, main, own, found.gps if gps else {}), _ROOM))


def dots_per_inch(data: Optional[bytes]) -> Optional[Tuple[float, float]]:
    """The resolution that EXIF tells of, across and down; None where it tells none."""
    found = _structure(data)
    if found is None:
        return None
    across, down = (_number(found, tag) for tag in (_X_RESOLUTION, _Y_RESOLUTION))
    unit = _UNITS.get(_number(found, _RESOLUTION_UNIT))
    if across is None or down is None or unit is None:
        return None
    return across * unit, down * unit


def with_resolution(data: Optional[bytes], dpi: Tuple[float, float]) -> bytes:
    """EXIF, or none, with the resolution, for formats that have no other place for it."""
    found = _structure(data) or Structure("<", {}, {}, {})
    numbers = [struct.pack(found.order + "II", round(each * 1000), 1000) for each in dpi]
    inch = struct.pack(found.order + "H", _INCH)
    own = {
        _X_RESOLUTION: Field(_RATIONAL, 1, memoryview(numbers[0])),
        _Y_RESOLUTION: Field(_RATIONAL, 1, memoryview(numbers[1])),
        _RESOLUTION_UNIT: Field(_SHORT, 1, memoryview(inch)),
    }
    return _written(found._replace(main={**found.main, **own})) or b""


def into_tiff(tiff: bytes, data: Optional[bytes], xmp: Optional[bytes] = None) -> bytes:
    """A TIFF of one picture, with EXIF and XMP besides: a new directory at its end, its pixels in
    place.

    Pillow leaves a photo's directory out of a TIFF that it compresses.
    """
    own = _structure(tiff)
    assert own is not None
    added = _structure(data) or Structure(own.order, {}, {}, {})
    main = {tag: _in_order(each, own.order, added.order) for tag, each in own.main.items()}
    if xmp:
        main[_XMP] = Field(_BYTE, len(xmp), memoryview(xmp))
    body = tiff + bytes(len(tiff) % 2)
    directories = _directories(added._replace(main={**added.main, **main}), len(body))
    return _header(added.order, len(body)) + body[8:] + directories


def _structure(data: Optional[bytes]) -> Optional[Structure]:
    """What the bytes hold that can be read; None of what is no EXIF."""
    data = data.removeprefix(PREFIX) if data else b""
    order = _ORDERS.get(data[:4])
    if order is None or len(data) < 8:
        return None
    (at,) = struct.unpack_from(order + "I", data, 4)
    main = _fields(memoryview(data), order, at)
    below = []
    for pointer in (_PHOTO, _GPS):
        field = main.pop(pointer, None)
        is_one = field is not None and (field.type, field.values) == (_LONG, 1)
        at = struct.unpack(order + "I", field.value)[0] if field and is_one else len(data)
        below.append(_fields(memoryview(data), order, at))
    return Structure(order, main, *below)


def _fields(data: memoryview, order: str, at: int) -> Fields:
    """The fields of a directory that lie inside; of those of one name the first."""
    found: Fields = {}
    if at + 2 > len(data):
        return found
    (number,) = struct.unpack_from(order + "H", data, at)
    for place in range(at + 2, min(at + 2 + 12 * number, len(data) - 11), 12):
        tag, type, count = struct.unpack_from(order + "HHI", data, place)
        size = _SIZES.get(type, 0) * count
        start = place + 8 if size <= 4 else struct.unpack_from(order + "I", data, place + 8)[0]
        if size and start + size <= len(data):
            found.setdefault(tag, Field(type, count, data[start : start + size]))
    return found


def _number(found: Structure, tag: int) -> Optional[float]:
    """The value of a field of the main directory that is one positive number."""
    field = found.main.get(tag)
    if field is None or field.values != 1 or field.type not in (_SHORT, _LONG, _RATIONAL):
        return None
    code = {_SHORT: "H", _LONG: "I", _RATIONAL: "II"}[field.type]
    number, *below = struct.unpack(found.order + code, field.value)
    return number / (below[0] if below else 1) if number and all(below) else None


def _within(structure: Structure, room: int) -> Structure:
    """Without the fields for which there is no room in so many bytes."""
    order, *directories = structure
    fitting: List[Fields] = []
    for directory in directories:
        fitting.append({})
        for tag, field in directory.items():
            if 13 + len(field.value) <= room:
                room -= 13 + len(field.value)
                fitting[-1][tag] = field
    return Structure(order, *fitting)


def _in_order(field: Field, order: str, wanted: str) -> Field:
    if order == wanted:
        return field
    words = np.frombuffer(field.value, f"u{_WORDS[field.type]}")
    return field._replace(value=memoryview(words.byteswap().tobytes()))


def _written(structure: Structure) -> Optional[bytes]:
    """The bytes of it; None if it has no field."""
    order, *directories = structure
    return _header(order, 8) + _directories(structure, 8) if any(directories) else None


def _header(order: str, at: int) -> bytes:
    return _MAGIC[order] + struct.pack(order + "I", at)


def _directories(structure: Structure, at: int) -> bytes:
    """Those directories that have fields, the main one first, as they lie from `at` on."""
    order, main, *below = structure
    main = dict(main)
    pointers = {tag: fields for tag, fields in zip((_PHOTO, _GPS), below) if fields}
    for tag in pointers:
        main[tag] = Field(_LONG, 1, memoryview(bytes(4)))
    end, parts = at + len(_directory(order, main, at)), []
    for tag, fields in pointers.items():
        main[tag] = Field(_LONG, 1, memoryview(struct.pack(order + "I", end)))
        parts.append(_directory(order, fields, end))
        end += len(parts[-1])
    return b"".join([_directory(order, main, at), *parts])


def _directory(order: str, fields: Fields, at: int) -> bytes:
    """A directory, and behind it the values that have no room in it (TIFF 6.0, section 2)."""
    values = at + 6 + 12 * len(fields)
    entries, behind = [struct.pack(order + "H", len(fields))], []
    for tag, (type, count, value) in sorted(fields.items()):
        padded = bytes(value) + bytes(_padding(len(value)))
        entries.append(struct.pack(order + "HHI", tag, type, count))
        entries.append(padded if len(value) <= 4 else struct.pack(order + "I", values))
        if len(value) > 4:
            behind.append(padded)
            values += len(padded)
    return b"".join([*entries, bytes(4), *behind])


def _padding(size: int) -> int:
    """Values lie at even places, and short ones fill the four bytes of theirs."""
    return max(4 - size, size % 2)
