"""Files that are harmed in every way: one row each, a process that lives, memory within bounds."""

import functools
import random
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Callable, Dict, List

import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import kinds
from support.cutting import cutout_of

from rembg_beam.transforms import Cutout, Failure, RemBGDoFn, SessionConfig
from rembg_beam.transforms.pictures import errors
from rembg_beam.transforms.pictures.decode import decode

# More than a mutated header can ask for within `max_pixels`, in work and in Pillow's own buffers.
MAX_PIXELS = 4_000_000
MAX_BYTES = 600_000_000


@functools.cache
def originals() -> Dict[str, bytes]:
    """A small file of every format that is read."""
    saved, rgb = kinds.saved, kinds.rgb(40, 30)
    frames = [kinds.rgb(40, 30, seed).convert("P") for seed in (1, 2)]
    return {
        "JPEG": saved(rgb, "JPEG"),
        "progressive": saved(rgb, "JPEG", progressive=True, icc_profile=b"\0" * 300),
        "CMYK": saved(rgb.convert("CMYK"), "JPEG"),
        "turned": kinds.oriented(6, "JPEG"),
        "PNG": saved(rgb, "PNG"),
        "P": saved(rgb.convert("P"), "PNG", transparency=3),
        "16 bits": saved(rgb.convert("I;16"), "PNG"),
        "WEBP": saved(rgb, "WEBP"),
        "lossless": saved(kinds.rgba(), "WEBP", lossless=True),
        "AVIF": saved(rgb, "AVIF"),
        "GIF": saved(frames[0], "GIF", save_all=True, append_images=frames[1:]),
        "BMP": saved(rgb, "BMP"),
        "TIFF": saved(rgb, "TIFF"),
        "LZW": saved(rgb, "TIFF", compression="tiff_lzw"),
        "deflate": saved(rgb, "TIFF", compression="tiff_adobe_deflate"),
        "MPO": saved(rgb, "MPO", save_all=True, append_images=[kinds.rgb(40, 30, 1)]),
        "JPEG2000": saved(rgb, "JPEG2000"),
    }


def flip_bits(data: bytes, chance: random.Random) -> bytes:
    harmed = bytearray(data)
    for _ in range(chance.choice([1, 1, 4, 32])):
        harmed[chance.randrange(len(harmed))] ^= 1 << chance.randrange(8)
    return bytes(harmed)


def truncate(data: bytes, chance: random.Random) -> bytes:
    return data[: chance.randrange(len(data))]


def splice(data: bytes, chance: random.Random) -> bytes:
    """The head of one file, the body of another."""
    other = chance.choice(list(originals().values()))
    at = chance.randrange(4, 60)
    return data[:at] + other[chance.randrange(4, 60) :]


def lie_about_numbers(data: bytes, chance: random.Random) -> bytes:
    """Some number in the header becomes another: a width, a height, a length, an offset."""
    harmed = bytearray(data)
    at = chance.randrange(min(len(harmed), 200) - 4)
    number = chance.choice([0, 1, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, chance.getrandbits(32)])
    order = chance.choice(["<I", ">I", "<H", ">H"])
    packed = struct.pack(order, number & (0xFFFFFFFF if order[1] == "I" else 0xFFFF))
    harmed[at : at + len(packed)] = packed
    return bytes(harmed)


def insert(data: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(data))
    return data[:at] + chance.randbytes(chance.randrange(1, 100)) + data[at:]


HARMS: List[Callable[[bytes, random.Random], bytes]] = [
    *(flip_bits, truncate, splice, lie_about_numbers, insert),
]


@pytest.mark.parametrize("number", [300, pytest.param(5000, marks=pytest.mark.long)])
def test_thousands_of_harmed_files_through_one_process(number: int) -> None:
    chance = random.Random(0)
    dofn = RemBGDoFn(SessionConfig("tiny"), max_pixels=MAX_PIXELS)
    dofn.setup()
    files = originals()
    for data in files.values():
        assert isinstance(cutout_of(dofn.work(("key", data))), Cutout)
    process = psutil.Process()
    before, most = process.memory_info().rss, 0
    kinds_of_result: Dict[str, int] = {}
    wholes = list(files.values())
    harmed = [chance.choice(HARMS)(chance.choice(wholes), chance) for _ in range(number)]
    # In threads, as the runner's bundles are worked at.
    with ThreadPoolExecutor(2) as pool:
        for result in pool.map(lambda data: cutout_of(dofn.work(("key", data))), harmed):
            assert isinstance(result, (Cutout, Failure))
            name = result.error if isinstance(result, Failure) else "written"
            kinds_of_result[name] = kinds_of_result.get(name, 0) + 1
            most = max(most, process.memory_info().rss)
    dofn.teardown()
    assert most - before < MAX_BYTES
    decode_errors = {error.__name__ for error in errors.DecodeError.__subclasses__()}
    assert set(kinds_of_result) <= {"written", *decode_errors}, kinds_of_result
    assert min(kinds_of_result["written"], kinds_of_result["BrokenPicture"]) > number / 100


@settings(deadline=None, max_examples=300)
@given(
    st.sampled_from(sorted(originals())),
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 2**32)), min_size=1, max_size=4),
)
def test_decode_gives_a_picture_or_says_what_is_wrong(name: str, harms: Any) -> None:
    data = originals()[name]
    for which, seed in harms:
        if len(data) > 210:
            data = HARMS[which](data, random.Random(seed))
    try:
        picture = decode(data, max_pixels=MAX_PIXELS)
        assert picture.pixels.shape[:2] == picture.size[::-1]
    except errors.DecodeError as error:
        assert str(error)


def test_heic_is_opened_where_pillow_heif_is(tmp_path: Any) -> None:
    pillow_heif = pytest.importorskip("pillow_heif")
    pillow_heif.register_heif_opener()
    data = kinds.saved(kinds.rgb(64, 48), "HEIF", quality=90)
    assert decode(data).size == (64, 48)
    with pytest.raises(errors.DecodeError):
        decode(data[: len(data) // 2])


def png_of(width: int, height: int) -> bytes:
    """A PNG of one flat colour, in few bytes however large it is."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(kind + body))
        return struct.pack(">I", len(body)) + kind + body + checksum

    compressor = zlib.compressobj(9)
    row = b"\0" * (1 + (width + 7) // 8)
    rows = b"".join(compressor.compress(row) for _ in range(height)) + compressor.flush()
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    chunks = [chunk(b"IHDR", header), chunk(b"IDAT", rows), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def test_a_bomb_is_a_failure_and_never_a_warning(recwarn: pytest.WarningsRecorder) -> None:
    bomb = png_of(20_000, 20_000)
    assert len(bomb) < 100_000
    dofn = RemBGDoFn(SessionConfig("tiny"))
    dofn.setup()
    result = cutout_of(dofn.work(("key", bomb)))
    assert isinstance(result, Failure) and result.error == "TooManyPixels"
    assert "20000x20000" in result.message and "max_pixels=178956970" in result.message
    dofn.teardown()
    with pytest.raises(errors.TooManyPixels):
        decode(png_of(10_000, 10_000), max_pixels=99_999_999)
    assert decode(png_of(10_000, 10_000), max_pixels=100_000_000).size == (10_000, 10_000)
    assert not [w for w in recwarn if "DecompressionBomb" in w.category.__name__]
