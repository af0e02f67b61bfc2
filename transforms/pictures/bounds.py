"""The bytes of a file -> nothing, or `TooManyParts`: before a decoder meets what would hold it up.

The time of a decode is bounded by the file's bytes and pixels, but for formats in which a few bytes
make a decoder go over all pixels again (the scans of a JPEG, overlapping strips of a TIFF, the
layers of JPEG 2000), or over all that it has read so far (comments of a GIF, EXIF in pieces, items
of an AVIF), or ask for a structure each (code-blocks of JPEG 2000). Those parts are counted in
headers alone, and a file with more of them than cameras and tools write is refused. What is cut
short or contradicts itself is left to its decoder, which says so better.
"""

import functools
import re
import struct
from contextlib import suppress
from typing import Callable, Dict, Iterator, Tuple

from . import jpeg2000, tiff
from .boxes import boxes
from .errors import TooManyParts

# Cameras and web tools write 1 to 20; Chrome's and libtiff's decoders stop at 100 too.
MAX_SCANS = 100

# Before the first scan of a JPEG: EXIF, profiles, depth maps, of 64 KB each at most.
MAX_SEGMENTS = 2000

# Of a JPEG's EXIF, which has one, or some for what is larger than a segment.
MAX_EXIF = 100

# Of a PNG, other than those of pixels.
MAX_CHUNKS = 10_000

# A PNG has one; each may unpack to a megabyte.
MAX_PROFILES = 10

# Of 255 bytes, in what a GIF has beside its first frame: comments, profiles, metadata.
MAX_BLOCKS = 5000

# Of a BMP in runs, which Pillow fills up in Python, byte by byte.
MAX_RUN_PIXELS = 1 << 24

# Of tiles and strips of a TIFF.
MAX_TILES = 100_000

# The pixels of a TIFF's tiles may be as many times its own, and as many more for small pictures.
TILE_EXCESS = 4
SMALL_PIXELS = 1 << 22

# Code-blocks and precincts of a JPEG 2000, each of which takes half a kilobyte and more in work.
MAX_CODE_BLOCKS = 2_000_000

# Code-blocks times layers.
MAX_LAYERED_BLOCKS = 100_000_000

# What describes the items of an AVIF or HEIC, in bytes: 30 to 50 for each tile of a grid.
MAX_ITEM_BYTES = 100_000

_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
_SOI, _EOI, _SOS, _TEM = 0xD8, 0xD9, 0xDA, 0x01
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_PROGRESSIVE = (0xC2, 0xC6, 0xCA, 0xCE)
_SCAN = b"\xff\xda"
_EXIF = b"Exif\0\0"

# BMP's kinds of compression, 8 and 4 bits.
_RUNS = (1, 2)

_GIF_BLOCK = re.compile(rb"[!,;]")


def check(data: bytes) -> None:
    """Raises `TooManyParts` for a file that would take its decoder out of all proportion.

    >>> check(b"no picture")
    """
    for start, check_format in _CHECKS.items():
        if data.startswith(start):
            with suppress(struct.error, IndexError):
                check_format(data)
    if data[4:8] == b"ftyp":
        with suppress(struct.error, IndexError):
            _check_items(data)


def _refuse(number: str, what: str, most: int) -> None:
    raise TooManyParts(
        f"{number} {what}, more than {most}, which no camera or tool writes and which cost its "
        "decoder time out of all proportion: save it anew with a picture editor, or leave it out"
    )


def _check_jpeg(data: bytes) -> None:
    scans = segments = components = exif = 0
    for marker, body in _jpeg_markers(data):
        segments += not scans
        if segments > MAX_SEGMENTS:
            _refuse("JPEG with", f"{segments} segments before its pixels", MAX_SEGMENTS)
        exif += data.startswith(_EXIF, body)
        if exif > MAX_EXIF:
            _refuse("JPEG with", f"{exif} segments of EXIF", MAX_EXIF)
        if marker in _FRAMES:
            components = 0 if marker in _PROGRESSIVE else data[body + 5]
        if marker == _SOS:
            scans += 1
            if scans == 1 and not _may_have_many(data, data[body], components):
                return
        if scans > MAX_SCANS:
            _refuse("JPEG with", f"{scans} scans and more", MAX_SCANS)


def _may_have_many(data: bytes, of_scan: int, components: int) -> bool:
    """Whether a JPEG has many scans, from what its first has: hardly a file is walked further."""
    # Pixels never hold a scan's marker; other segments may, by chance.
    return of_scan != components and data.count(_SCAN) > MAX_SCANS


def _jpeg_markers(data: bytes) -> Iterator[Tuple[int, int]]:
    """Markers of the first picture, not those inside its pixels, and where their bodies lie."""
    at = 2
    while found := _MARKER.search(data, at):
        at = found.end()
        marker = data[at - 1]
        if marker == _EOI:
            return
        yield marker, at + 2
        if marker not in (_SOI, _TEM):
            at += struct.unpack_from(">H", data, at)[0]


def _check_png(data: bytes) -> None:
    at, chunks, profiles = 8, 0, 0
    while at + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        at += length + 12
        if kind == b"IEND":
            return
        chunks += kind not in (b"IDAT", b"fdAT")
        profiles += kind == b"iCCP"
        if chunks > MAX_CHUNKS:
            _refuse("PNG with", f"{chunks} chunks beside its pixels", MAX_CHUNKS)
        if profiles > MAX_PROFILES:
            _refuse("PNG with", f"{profiles} colour profiles", MAX_PROFILES)


def _check_gif(data: bytes) -> None:
    """Up to the second frame, which is looked for to know of an animation."""
    at, frames, blocks = 13 + _palette_bytes(data[10]), 0, 0
    while frames < 2 and (found := _GIF_BLOCK.search(data, at)):
        at = found.end()
        is_extension = found[0] == b"!"
        if found[0] == b";":
            return
        if not is_extension:
            frames += 1
            at += 9 + _palette_bytes(data[at + 8])
        at += 1
        while size := data[at]:
            at += size + 1
            blocks += is_extension
            if blocks > MAX_BLOCKS:
                _refuse("GIF with", f"{blocks} blocks beside its pixels", MAX_BLOCKS)
        at += 1


def _palette_bytes(flags: int) -> int:
    return 3 * (2 << (flags & 7)) if flags & 0x80 else 0


def _check_bmp(data: bytes, header: int = 14) -> None:
    width, height = struct.unpack_from("<ii", data, header + 4)
    (compression,) = struct.unpack_from("<I", data, header + 16)
    pixels = abs(width * height)
    if compression in _RUNS and pixels > MAX_RUN_PIXELS:
        _refuse("BMP in runs with", f"{pixels} pixels", MAX_RUN_PIXELS)


def _check_tiff(data: bytes) -> None:
    layout = tiff.layout(data)
    if layout is None:
        return
    if layout.tiles > MAX_TILES:
        _refuse("TIFF with", f"{layout.tiles} tiles or strips", MAX_TILES)
    most = TILE_EXCESS * layout.pixels + SMALL_PIXELS
    if layout.tiles * layout.tile_pixels > most:
        number = f"TIFF whose {layout.tiles} tiles or strips have"
        _refuse(number, f"{layout.tiles * layout.tile_pixels} samples in all", most)


def _check_jpeg2000(data: bytes) -> None:
    blocks, layers = jpeg2000.work(data)
    if blocks > MAX_CODE_BLOCKS:
        _refuse("JPEG 2000 with", f"{blocks} code-blocks and precincts", MAX_CODE_BLOCKS)
    if blocks * layers > MAX_LAYERED_BLOCKS:
        what = f"{blocks} code-blocks in {layers} layers, {blocks * layers} in all"
        _refuse("JPEG 2000 with", what, MAX_LAYERED_BLOCKS)


def _check_items(data: bytes) -> None:
    for kind, start, end in boxes(data, 0, len(data)):
        if kind == b"meta":
            size = sum(_description_bytes(data, start + 4, end))
            if size > MAX_ITEM_BYTES:
                _refuse("picture of items that take", f"{size} bytes to describe", MAX_ITEM_BYTES)


def _description_bytes(data: bytes, start: int, end: int) -> Iterator[int]:
    """The sizes of the boxes that name items and what belongs to them, without their contents."""
    for kind, inner, last in boxes(data, start, end):
        if kind == b"iprp":
            yield from (z - a for name, a, z in boxes(data, inner, last) if name != b"ipco")
        elif kind != b"idat":
            yield last - inner


_CHECKS: Dict[bytes, Callable[[bytes], None]] = {
    b"\xff\xd8": _check_jpeg,
    b"\x89PNG": _check_png,
    b"GIF8": _check_gif,
    b"BM": _check_bmp,
    **{
        bytes([size, 0, 0, 0]): functools.partial(_check_bmp, header=0)
        for size in (40, 52, 56, 64, 108, 124)
    },
    b"II": _check_tiff,
    b"MM": _check_tiff,
    b"\xff\x4f\xff\x51": _check_jpeg2000,
    b"\0\0\0\x0cjP": _check_jpeg2000,
}
