"""One picture: decoding, rembg's options, encoding."""

import io
import struct
import subprocess
import sys
import textwrap
import zlib
from types import SimpleNamespace
from typing import Any, Callable, Dict, List, Tuple

import numpy as np
import pytest
import rembg
from hypothesis import given, settings
from hypothesis import strategies as st
from isal import isal_zlib
from PIL import Image
from support.cutting import cut, rembgs_own

from rembg_beam.transforms import Encoding, RemoveOptions, SessionConfig
from rembg_beam.transforms.fast import png
from rembg_beam.transforms.models import opening
from rembg_beam.transforms.pictures import errors
from rembg_beam.transforms.pictures.decode import decode
from rembg_beam.transforms.pictures.encode import EncodeError, encode
from rembg_beam.transforms.pictures.picture import Picture
from rembg_beam.transforms.pictures.postprocessing import check_outputs
from rembg_beam.transforms.pictures.shown import cut_out


@pytest.fixture(scope="module")
def own() -> Any:
    return rembgs_own()


@pytest.fixture(scope="module")
def session() -> Any:
    return opening.open_session(SessionConfig("tiny")).session


# decode


@pytest.mark.parametrize(
    ("format", "mode"),
    [
        *[("PNG", mode) for mode in ("RGB", "RGBA", "L", "LA", "P", "1")],
        *[("JPEG", mode) for mode in ("RGB", "L", "CMYK")],
        *[(format, "RGB") for format in ("WEBP", "BMP", "TIFF", "JPEG2000", "AVIF")],
        ("GIF", "P"),
    ],
)
def test_pictures_are_decoded(encoded: Callable[..., bytes], format: str, mode: str) -> None:
    image = decode(encoded(format, mode=mode, width=40, height=30)).image
    assert (image.size, image.mode) == ((40, 30), "RGB" if mode == "P" else mode)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_is_turned_as_its_exif_says(
    picture: Callable[..., Image.Image], orientation: int
) -> None:
    exif = Image.Exif()
    exif[0x112] = orientation
    buffer = io.BytesIO()
    picture(width=40, height=30).save(buffer, "PNG", exif=exif)
    image = decode(buffer.getvalue()).image
    assert image.size == ((40, 30) if orientation < 5 else (30, 40))
    with Image.open(buffer) as stored:
        assert rembg.bg.fix_image_orientation(stored).tobytes() == image.tobytes()


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        (lambda jpeg: b"", errors.EmptyFile, "0 bytes"),
        (lambda jpeg: b"<html>not found", errors.NotAPicture, "<html>"),
        (lambda jpeg: b"%!PS-Adobe-3.0 EPSF-3.0\n", errors.NotAPicture, "PS-Adobe"),
        (lambda jpeg: jpeg[:-20], errors.TruncatedPicture, "JPEG of 48x32"),
        (lambda jpeg: jpeg[: len(jpeg) // 2], errors.TruncatedPicture, "header"),
        (lambda jpeg: jpeg[:4], errors.TruncatedPicture, "ends early: JPEG's header in 4 bytes"),
        (lambda jpeg: b"abc", errors.NotAPicture, "3 bytes are in no known .* start with 'abc'"),
        (lambda jpeg: jpeg[:20], errors.DecodeError, "20 bytes"),
    ],
)
def test_what_is_no_picture_says_what_it_is(
    encoded: Callable[..., bytes], data: Callable[[bytes], bytes], error: Any, message: str
) -> None:
    with pytest.raises(error, match=message):
        decode(data(encoded("JPEG")))


def test_a_png_with_a_broken_chunk(encoded: Callable[..., bytes]) -> None:
    data = bytearray(encoded("PNG", width=200, height=200))
    data[len(data) // 2] ^= 0xFF
    with pytest.raises(errors.DecodeError):
        decode(bytes(data))


# cut out


def test_a_picture_may_have_arguments_of_its_own(
    session: Any, picture: Callable[..., Image.Image]
) -> None:
    mask = cut(picture(), session, RemoveOptions(), '{"only_mask": true}')
    assert mask.mode == "L"
    with pytest.raises(ValueError, match="makes no sense"):
        cut(picture(), session, RemoveOptions(), '{"only_mask": true, "putalpha": true}')


@pytest.mark.parametrize(
    "options",
    [
        {"bgcolor": (255, 0, 0, 128)},
        {"putalpha": True, "bgcolor": (0, 0, 255, 255), "post_process_mask": True},
        {"alpha_matting": True, "alpha_matting_erode_size": 3},
        {"decontaminate": True},
        {"vitmatte": True, "vitmatte_model": "small-composition-1k"},
    ],
    ids=str,
)
def test_a_mask_of_its_own_is_rembgs_whatever_the_runs_cutouts_have(
    session: Any, picture: Callable[..., Image.Image], options: Dict[str, Any]
) -> None:
    image = picture()
    expected = rembg.remove(image, session=session, only_mask=True, **options)
    for own in ('{"only_mask": true}', '{"outputs": ["mask"]}'):
        mask = cut(image, session, RemoveOptions(**options), own)
        assert (mask.mode, mask.tobytes()) == ("L", expected.tobytes())
    both = RemoveOptions(**options).with_extras({"outputs": ["mask", "cutout"]})
    assert all(getattr(both, name) == value for name, value in options.items())


WORKQUEUE = """
    import contextlib, os, sys, threading
    os.environ |= {"NUMBA_THREADING_LAYER": "workqueue", "NUMBA_NUM_THREADS": "2"}
    from PIL import Image
    import numba, numpy as np
    from rembg_beam.transforms.pictures import foreground, options, shown
    from rembg_beam.transforms.pictures.picture import Picture

    if sys.argv[1] == "unguarded":
        foreground._turn = contextlib.nullcontext
    pixels = np.random.default_rng(0).integers(0, 256, (300, 300, 3), np.uint8)
    image = Image.fromarray(pixels)
    asked = options.RemoveOptions(decontaminate=True)
    mask = image.convert("L")
    work = lambda: [shown.cut_out(Picture(image), [mask], asked) for _ in range(4)]
    threads = [threading.Thread(target=work) for _ in range(4)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert numba.threading_layer() == "workqueue"
    print("done")
"""


@pytest.mark.long
def test_pymatting_under_threads_and_numbas_workqueue_does_not_abort() -> None:
    command = [sys.executable, "-c", textwrap.dedent(WORKQUEUE)]
    guarded = subprocess.run([*command, "guarded"], capture_output=True, text=True)
    assert guarded.stdout == "done\n", guarded.stderr
    unguarded = subprocess.run([*command, "unguarded"], capture_output=True, text=True)
    assert "terminating" in unguarded.stderr, "then the guard is not needed any more"


def test_what_a_call_puts_into_rembgs_globals_is_its_own(
    picture: Callable[..., Image.Image],
) -> None:
    modules = (rembg.bg, rembg.matting)
    before = [dict(vars(module)) for module in modules]

    def nothing(variant: str) -> Any:
        raise LookupError(variant)

    options = RemoveOptions(vitmatte=True, vitmatte_model="base-composition-1k")
    mask = Image.new("L", picture().size, 100)
    with pytest.raises(LookupError, match="base-composition-1k"):
        cut_out(Picture(picture()), [mask], options, vitmatte=nothing)
    for module, held in zip(modules, before, strict=True):
        assert vars(module).keys() == held.keys()
        assert all(value is held[name] for name, value in vars(module).items())


def test_extras_reach_the_model(picture: Callable[..., Image.Image]) -> None:
    class Session:
        def predict(self, image: Image.Image, **arguments: Any) -> Any:
            self.arguments = arguments
            return [Image.new("L", image.size)]

    session = Session()
    options = RemoveOptions(extras={"cc": "upper", "cloth_category": "lower"})
    cut(picture(), session, options, '{"cloth_category": "full"}')
    assert session.arguments == {"cc": "upper", "cloth_category": "full"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"only_mask": True, "bgcolor": (0, 0, 0, 255)}, "only_mask with bgcolor"),
        ({"only_mask": True, "putalpha": True}, "only_mask with putalpha"),
        ({"only_mask": True, "alpha_matting": True}, "only_mask with alpha_matting"),
        ({"vitmatte": True, "alpha_matting": True}, "vitmatte with alpha_matting"),
        ({"vitmatte": True, "decontaminate": True}, "vitmatte with decontaminate"),
        ({"alpha_matting": True, "decontaminate": True}, "alpha_matting with decontaminate"),
        ({"putalpha": True, "decontaminate": True}, "putalpha with decontaminate"),
        ({"vitmatte_model": "base-composition-1k"}, "needs vitmatte"),
        ({"vitmatte": True, "vitmatte_model": "large"}, "must be one of small-"),
        ({"alpha_matting_erode_size": 5}, "needs alpha_matting"),
        ({"alpha_matting": True, "alpha_matting_foreground_threshold": 256}, "0 to 255"),
        ({"alpha_matting": True, "alpha_matting_background_threshold": 240}, "must be below"),
        ({"bgcolor": (0, 0, 0, 256)}, "from 0 to 255"),
        ({"bgcolor": (0, 0)}, "four integers"),
        ({"extras": {"session": 1}}, "extras holds session"),
        ({"extras": {"sam_promt": []}}, "did you mean 'sam_prompt'"),
        ({"extras": {"only_mask": True}}, "give options as options"),
        ({"only_mask": "no"}, "must be True or False"),
        ({"extras": {"cloth_category": "shoes"}}, "one of upper, lower, full, attire"),
        ({"extras": {"sam_prompt": []}}, "list of marks, such as"),
        ({"extras": {"sam_prompt": [{"type": "circle"}]}}, "point or rectangle"),
        ({"extras": {"sam_prompt": [{"type": "point", "data": [1]}]}}, "2 numbers"),
        ({"extras": {"sam_prompt": [{"type": "point", "data": [1, 2]}]}}, "label 0 or 1"),
        ({"extras": {"sam_prompt": [{"type": "rectangle", "data": [1, 2]}]}}, "4 numbers"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: Dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RemoveOptions(**options)


# encode


@pytest.mark.parametrize(
    ("encoding", "format", "same"),
    [
        (Encoding(), "PNG", True),
        (Encoding(format="webp"), "WEBP", True),
        (Encoding(format="webp", quality=80), "WEBP", False),
        (Encoding(format="webp", lossless=False), "WEBP", False),
    ],
)
def test_cutouts_keep_their_pixels(
    picture: Callable[..., Image.Image], encoding: Encoding, format: str, same: bool
) -> None:
    cutout = picture(mode="RGBA")
    cutout.putalpha(picture(mode="L", seed=7))
    data = encode(cutout, encoding)
    with Image.open(io.BytesIO(data)) as image:
        assert (image.format, image.mode, image.size) == (format, "RGBA", cutout.size)
        assert (image.tobytes() == cutout.tobytes()) == same


MODES = st.sampled_from(["L", "LA", "RGB", "RGBA"])


@settings(max_examples=200, deadline=None)
@given(MODES, st.integers(1, 40), st.integers(1, 40), st.binary(max_size=40), st.integers(0, 5))
def test_the_fast_png_holds_the_pixels_of_pillows(
    mode: str, width: int, height: int, seed: bytes, flat: int
) -> None:
    random = np.random.default_rng(list(seed) or [0])
    channels = len(mode)
    pixels = random.integers(0, 256, (height, width, channels), np.uint8)
    pixels[:flat] = pixels[0, 0]
    image = Image.fromarray(pixels.squeeze(-1) if channels == 1 else pixels, mode)
    data = encode(image, Encoding())
    with Image.open(io.BytesIO(data)) as ours:
        assert (ours.format, ours.mode, ours.size) == ("PNG", image.mode, image.size)
        ours.load()
        assert ours.tobytes() == image.tobytes()


def chunks_of(data: bytes) -> Tuple[List[bytes], bytes]:
    """The kinds of a PNG's chunks, whose checksums must be right, and what it holds compressed."""
    kinds, at, compressed = [], 8, b""
    while at < len(data):
        (size,) = struct.unpack(">I", data[at : at + 4])
        kind, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + size]
        (checksum,) = struct.unpack(">I", data[at + 8 + size : at + 12 + size])
        assert checksum == zlib.crc32(kind + body)
        kinds.append(kind)
        compressed += body if kind == b"IDAT" else b""
        at += size + 12
    return kinds, compressed


def test_the_fast_png_is_a_png_by_its_own_checksums(picture: Callable[..., Image.Image]) -> None:
    kinds, compressed = chunks_of(encode(picture(mode="RGBA", width=300, height=200), Encoding()))
    assert kinds == [b"IHDR", b"IDAT", b"IEND"]
    assert len(zlib.decompress(compressed)) == 200 * (300 * 4 + 1)


def test_a_png_too_large_for_one_chunk_has_several(
    picture: Callable[..., Image.Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    image = picture(mode="RGBA", width=300, height=200)
    monkeypatch.setattr(png, "_PIECE_BYTES", 1000)
    data = encode(image, Encoding())
    kinds, _ = chunks_of(data)
    assert kinds.count(b"IDAT") > 2
    with Image.open(io.BytesIO(data)) as ours:
        assert ours.tobytes() == image.tobytes()


@pytest.mark.parametrize("region", [0, 1, 2])
def test_the_same_rows_give_the_same_png_wherever_isal_works_on_them(
    region: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ISA-L takes the third byte for what the address of its stream has above 64 KiB."""
    at_one, at_other = (isal_zlib.compressobj(png.LEVEL) for _ in range(2))
    as_address = struct.pack("<I", (id(at_one) >> 16) + region & 0xFFFFFFFF)
    rows = np.frombuffer(8 * (as_address + bytes(60) + b"picture"), np.uint8)
    found = []
    for packer in (at_one, at_other):
        isal = SimpleNamespace(compressobj=lambda level, it=packer: it, Z_SYNC_FLUSH=2)
        monkeypatch.setattr(png, "isal_zlib", isal)
        found.append(b"".join(png._compressed(rows)))
    assert found[0] == found[1] and zlib.decompress(found[0]) == rows.tobytes()


def test_png_compression_makes_smaller_files(picture: Callable[..., Image.Image]) -> None:
    image = picture(mode="RGBA", width=300, height=200)
    small, stored = (encode(image, Encoding(png_compression=level)) for level in (9, 0))
    assert len(small) < len(encode(image, Encoding())) < len(stored)


def test_without_isal_pillow_encodes(
    picture: Callable[..., Image.Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(png, "isal_zlib", None)
    image = picture(mode="RGBA")
    with Image.open(io.BytesIO(encode(image, Encoding()))) as ours:
        assert ours.tobytes() == image.tobytes()


def test_jpeg_holds_what_is_opaque(picture: Callable[..., Image.Image]) -> None:
    for mode in ("L", "RGBA"):
        with Image.open(io.BytesIO(encode(picture(mode=mode), Encoding(format="jpeg")))) as image:
            assert (image.format, image.mode) == ("JPEG", "L" if mode == "L" else "RGB")
    with pytest.raises(EncodeError, match="no transparency"):
        encode(Image.new("RGBA", (4, 4)), Encoding(format="jpeg"))


@pytest.mark.parametrize(("format", "most"), [("webp", 16_383), ("jpeg", 65_500)])
def test_a_picture_too_large_for_the_format_says_so(format: str, most: int) -> None:
    encoding = Encoding(format=format)
    assert encode(np.zeros((1, most), np.uint8), encoding)
    message = f"{most + 1}x1 can't be written as {format}: its width is above the {most} pixels"
    with pytest.raises(EncodeError, match=f"{message}.*png holds any size"):
        encode(np.zeros((1, most + 1), np.uint8), encoding)
    with pytest.raises(EncodeError, match="its height is above"):
        encode(np.zeros((most + 1, 1), np.uint8), encoding)
    assert encode(np.zeros((1, most + 1), np.uint8), Encoding())


@pytest.mark.parametrize(
    ("encoding", "message"),
    [
        ({"format": "gif"}, "must be one of png, webp, jpeg"),
        ({"quality": 80}, "lossless"),
        ({"format": "webp", "lossless": True, "quality": 80}, "lossless"),
        ({"format": "jpeg", "lossless": True}, "WebP's"),
        ({"format": "jpeg", "quality": 100}, "0 to 95"),
        ({"format": "webp", "png_compression": 1}, "PNG's"),
        ({"png_compression": 10}, "0 to 9"),
    ],
)
def test_encodings_that_make_no_sense_are_refused(encoding: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Encoding(**encoding)


def test_jpeg_needs_options_that_leave_nothing_transparent() -> None:
    jpeg = Encoding(format="jpeg")
    check_outputs(RemoveOptions(only_mask=True), jpeg)
    check_outputs(RemoveOptions(bgcolor=(1, 2, 3, 255)), jpeg)
    for options in (RemoveOptions(), RemoveOptions(bgcolor=(1, 2, 3, 254))):
        with pytest.raises(ValueError, match="jpeg"):
            check_outputs(options, jpeg)
