"""Few bytes that would keep a decoder busy for minutes: refused by their headers, and said why."""

import io
import struct
import time
import zlib
from typing import Any, Callable, Dict

import pytest
from PIL import Image
from support import kinds
from test_mutations import originals

from rembg_beam.transforms.pictures import bounds, jpeg2000, tiff
from rembg_beam.transforms.pictures.decode import decode
from rembg_beam.transforms.pictures.errors import BrokenPicture, TooManyParts, TooManyPixels

SECONDS = 2.0


def flat(size: int = 64, mode: str = "RGB") -> Image.Image:
    return Image.new(mode, (size, size), 90 if mode == "L" else (90, 20, 4))


def with_scans(number: int, image: Image.Image, format: str = "JPEG", **more: Any) -> bytes:
    """A progressive JPEG with so many more scans, each of nothing for every block."""
    data = kinds.saved(image, "JPEG", progressive=True, subsampling="4:4:4")
    # A table of codes of four bits for runs of blocks without anything (ITU T.81, G.1.2.2).
    table = b"\xff\xc4" + struct.pack(">H", 34) + b"\x10\0\0\0\x0f" + bytes(12)
    table += bytes(power << 4 for power in range(15))
    blocks = (image.width // 8) * (image.height // 8)
    power = blocks.bit_length() - 1
    assert blocks == 1 << power, "so that one run tells all"
    bits = (f"{power:04b}" + f"{0:0{power}b}").ljust(16, "1")
    run = int(bits, 2).to_bytes(2, "big").replace(b"\xff", b"\xff\0")
    scan = b"\xff\xda" + struct.pack(">H", 8) + bytes([1, 1, 0, 63, 63, 0]) + run
    return data[:-2] + table + scan * number + b"\xff\xd9"


def scans_of(image: Image.Image) -> int:
    return kinds.saved(image, "JPEG", progressive=True, subsampling="4:4:4").count(b"\xff\xda")


def jpeg_segment(marker: int, body: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", 2 + len(body)) + body


def with_segments(number: int, marker: int, body: bytes) -> bytes:
    data = kinds.saved(flat(), "JPEG")
    return data[:2] + jpeg_segment(marker, body) * number + data[2:]


def png_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def with_chunks(number: int, kind: bytes, body: bytes, at_end: bool = False) -> bytes:
    data = kinds.saved(flat(), "PNG")
    at = -12 if at_end else 33
    return data[:at] + png_chunk(kind, body) * number + data[at:]


def gif_with(number: int, block: bytes, at_end: bool = False) -> bytes:
    data = kinds.saved(flat().convert("P"), "GIF")
    at = len(data) - 1 if at_end else 13 + 3 * (2 << (data[10] & 7))
    return data[:at] + block * number + data[at:]


def tiff_of(size: int, part: int, number: int, *, tiles: bool = False, big: bool = False) -> bytes:
    """A TIFF of a byte a pixel whose strips (or tiles) of `part` a side all lie at one place."""
    word, order = ("Q", "<") if big else ("I", ">")
    start, each, few = (16, 20, 8) if big else (8, 12, 2)
    single = {256: size, 257: size, 258: 8, 259: 1, 262: 1, 277: 1}
    single |= {322: part, 323: part} if tiles else {278: part}
    offsets, sizes = (324, 325) if tiles else (273, 279)
    at = start + size * size
    arrays = at + few + each * (len(single) + 2) + struct.calcsize(word)
    listed = {offsets: arrays, sizes: arrays + 4 * number}
    if number == 1:
        single |= {offsets: start, sizes: size * part}
    entries = b""
    for tag in sorted({*single, *listed}):
        count = 1 if tag in single else number
        value = struct.pack(order + ("I" if tag in single else word), (listed | single)[tag])
        value = value.ljust(struct.calcsize(word), b"\0")
        entries += struct.pack(order + "HH" + word, tag, 4, count) + value
    lists = [start] * number + [size * part] * number
    return b"".join(
        [
            b"II\x2b\0\x08\0\0\0" if big else b"MM\0*",
            struct.pack(order + word, at),
            bytes(size * size),
            struct.pack(order + ("Q" if big else "H"), len(single.keys() | listed)),
            entries,
            struct.pack(order + word, 0),
            struct.pack(f"{order}{2 * number}I", *lists),
        ]
    )


def j2k(size: int = 64, *, block: int = 4, precinct: int = 0, layers: int = 1) -> bytes:
    """A codestream that says it has so large a picture, such blocks and layers."""
    data = bytearray(kinds.saved(flat(), "JPEG2000", no_jp2=True))
    data[8:16] = data[24:32] = struct.pack(">II", size, size)  # in one tile
    at = data.index(b"\xff\x52")
    data[at + 6 : at + 8] = struct.pack(">H", layers)
    data[at + 10 : at + 12] = bytes([block, block])
    if precinct:
        levels = data[at + 9]
        data[at + 4] |= 1
        data[at + 2 : at + 4] = struct.pack(">H", 12 + levels + 1)
        data[at + 14 : at + 14] = bytes([precinct * 17]) * (levels + 1)
    return bytes(data)


def bmp_of_runs(width: int, height: int) -> bytes:
    """Of eight bits, each line one pixel and its end."""
    body, start = b"\1\2\0\0" * height + b"\0\1", 54 + 1024
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 1, len(body), 0, 0, 256, 0)
    name = b"BM" + struct.pack("<IHHI", start + len(body), 0, 0, start)
    return name + header + bytes(1024) + body


def avif_of_items(number: int) -> bytes:
    """An AVIF that names so many items that it has not, before its own."""
    data = kinds.saved(flat(), "AVIF", speed=10)
    entry = struct.pack(">I4sI", 21, b"infe", 0x02000000) + b"\0\1\0\0av01\0"
    at = data.index(b"iinf") - 4
    (size,) = struct.unpack_from(">I", data, at)
    more = entry * number
    meta = data.index(b"meta") - 4
    found = bytearray(data[: at + size] + more + data[at + size :])
    found[at : at + 4] = struct.pack(">I", size + len(more))
    found[meta : meta + 4] = struct.pack(">I", struct.unpack_from(">I", data, meta)[0] + len(more))
    return bytes(found)


COSTLY: Dict[str, Callable[[], bytes]] = {
    "scans, in colour": lambda: with_scans(3000, flat()),
    "scans, in grey": lambda: with_scans(3000, flat(mode="L")),
    "EXIF in pieces": lambda: with_segments(200_000, 0xE1, b"Exif\0\0ab"),
    "large EXIF in pieces": lambda: with_segments(400, 0xE1, b"Exif\0\0" + bytes(60_000)),
    "comments of a JPEG": lambda: with_segments(200_000, 0xFE, b""),
    "texts": lambda: with_chunks(500_000, b"tEXt", b"a\0b"),
    "texts at the end": lambda: with_chunks(500_000, b"tEXt", b"a\0b", at_end=True),
    "compressed texts": lambda: with_chunks(20_000, b"zTXt", b"a\0\0" + zlib.compress(b"b")),
    "profiles": lambda: with_chunks(1000, b"iCCP", b"a\0\0" + zlib.compress(bytes(1 << 20))),
    "comments of a GIF": lambda: gif_with(200_000, b"!\xfe\1a\0"),
    "one comment of a GIF": lambda: gif_with(1, b"!\xfe" + b"\1a" * 500_000 + b"\0"),
    "comments after the first frame": lambda: gif_with(200_000, b"!\xfe\1a\0", at_end=True),
    "a BMP in runs": lambda: bmp_of_runs(8000, 8000),
    "the same without the file's header": lambda: bmp_of_runs(8000, 8000)[14:],
    "strips": lambda: tiff_of(64, 1, 200_000),
    "tiles of a pixel": lambda: tiff_of(500, 1, 250_000, tiles=True),
    "strips over each other": lambda: tiff_of(1000, 999, 10_000),
    "the same, a big TIFF": lambda: tiff_of(1000, 999, 10_000, big=True),
    "a tile larger than its picture": lambda: tiff_of(64, 40_000, 1, tiles=True),
    "small code-blocks": lambda: j2k(8000, block=0),
    "small precincts": lambda: j2k(4000, precinct=2),
    "layers": lambda: j2k(4000, block=2, layers=65_535),
    "items": lambda: avif_of_items(20_000),
}


@pytest.mark.parametrize("kind", COSTLY)
def test_what_would_hold_a_decoder_up_is_refused(kind: str) -> None:
    data = COSTLY[kind]()
    start = time.thread_time()
    with pytest.raises(TooManyParts, match=r"more than .* save it anew"):
        decode(data)
    assert time.thread_time() - start < SECONDS


@pytest.mark.parametrize("name", [*originals(), *kinds.KINDS])
def test_usual_pictures_are_within_the_bounds(name: str) -> None:
    bounds.check(originals()[name] if name in originals() else kinds.KINDS[name]())


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_a_hundred_scans_are_read(mode: str) -> None:
    image = flat(mode=mode)
    most = bounds.MAX_SCANS - scans_of(image)
    assert decode(with_scans(most, image)).size == (64, 64)
    with pytest.raises(TooManyParts, match="JPEG with 101 scans"):
        decode(with_scans(most + 1, image))


def test_what_looks_like_scans_inside_other_segments_is_none() -> None:
    data = kinds.saved(flat(), "JPEG", progressive=True)
    notes = jpeg_segment(0xFE, b"\xff\xda" * 1000)
    assert decode(data[:2] + notes + data[2:]).size == (64, 64)


def test_the_scans_of_further_pictures_in_the_file_are_not_counted() -> None:
    first = kinds.saved(flat(), "JPEG", progressive=True)
    assert decode(first + with_scans(3000, flat())).size == (64, 64)


def test_the_bounds_of_other_formats_are_met() -> None:
    assert decode(with_chunks(9_000, b"tEXt", b"a\0b")).size == (64, 64)
    assert decode(with_segments(90, 0xE1, b"Exif\0\0ab")).size == (64, 64)
    assert decode(with_segments(1_000, 0xFE, b"")).size == (64, 64)
    assert decode(gif_with(1_000, b"!\xfe\1a\0")).size == (64, 64)
    assert decode(tiff_of(64, 1, 64)).size == decode(tiff_of(64, 16, 16, tiles=True)).size
    assert decode(tiff_of(64, 16, 4, big=True)).size == (64, 64)
    assert decode(bmp_of_runs(64, 64)).size == decode(bmp_of_runs(64, 64)[14:]).size == (64, 64)
    assert decode(avif_of_items(0)).size == (64, 64)


def test_the_coding_of_a_jpeg_2000_is_counted() -> None:
    """By hand: 3 components of 64x64, blocks of 64x64, five decompositions, six precincts."""
    assert jpeg2000.work(j2k()) == (3 * 6 * (1 + 4), 1)
    boxed = kinds.saved(flat(), "JPEG2000")
    assert jpeg2000.work(boxed) == jpeg2000.work(j2k())
    # 4096 / 4 a side at full size, a quarter of it at each of five smaller ones.
    (blocks, layers) = jpeg2000.work(j2k(4096, block=0, layers=7))
    assert (blocks, layers) == (3 * sum(4**power for power in range(5, 11)) + 3 * 6 * 4, 7)


def test_the_layout_of_a_tiff_is_read() -> None:
    for big in (False, True):
        assert tiff.layout(tiff_of(100, 10, 10, big=big)) == (10, 1000, 10_000)
        assert tiff.layout(tiff_of(100, 50, 4, tiles=True, big=big)) == (4, 2500, 10_000)


def _with_size(format: str, pattern: bytes, replacement: bytes) -> bytes:
    data = kinds.saved(flat(), format)
    assert data.count(pattern) == 1
    return data.replace(pattern, replacement)


def png_of_size(width: int, height: int) -> bytes:
    data = kinds.saved(flat(), "PNG")
    header = struct.pack(">II", width, height) + data[24:29]
    return data[:8] + png_chunk(b"IHDR", header) + data[33:]


def avif_of_size(width: int, height: int) -> bytes:
    ispe = b"ispe\0\0\0\0"
    return _with_size(
        "AVIF", ispe + struct.pack(">II", 64, 64), ispe + struct.pack(">II", width, height)
    )


def jpeg_of_size(width: int, height: int) -> bytes:
    pattern = struct.pack(">BHH", 8, 64, 64)
    return _with_size("JPEG", pattern, struct.pack(">BHH", 8, height, width))


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        (lambda: png_of_size(0, 64), BrokenPicture, "no pixels.*PNG's header"),
        (lambda: png_of_size(64, 0), BrokenPicture, "no pixels.*PNG's header"),
        (lambda: jpeg_of_size(0, 64), BrokenPicture, "no pixels.*JPEG's header"),
        (lambda: avif_of_size(60_000, 60_000), TooManyPixels, "AVIF of 60000x60000 .* max_pixels"),
        (lambda: avif_of_size(40_000, 2), TooManyPixels, "width above 32768"),
        (lambda: avif_of_size(0, 64), BrokenPicture, "AVIF's header"),
        (lambda: jpeg_of_size(65_535, 8), TooManyPixels, "65535x8 has a width above 65500"),
        (lambda: jpeg_of_size(8, 65_501), TooManyPixels, "8x65501 has a height above 65500"),
        (lambda: b"BM" + bytes(60), BrokenPicture, "a header in 62 bytes"),
        (lambda: b"II*\0" + bytes(60), BrokenPicture, "TIFF's header"),
    ],
)
def test_a_picture_of_a_known_format_is_never_called_none(
    data: Callable[[], bytes], error: Any, message: str
) -> None:
    with pytest.raises(error, match=message):
        decode(data())


def test_a_side_at_the_limit_is_read() -> None:
    buffer = io.BytesIO()
    Image.new("L", (65_500, 1)).save(buffer, "JPEG")
    assert decode(buffer.getvalue()).size == (65_500, 1)
