"""Formats of outputs: what is read back of them, in how many bytes, and with which metadata."""

import io
import itertools
import math
import struct
from typing import Any, Dict, Iterator, List, Optional

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image, features
from support import kinds, profiles
from support.kinds import saved

from rembg_beam.pipelines import values
from rembg_beam.transforms import Encoding, Engine, Output, RemoveOptions, SessionConfig
from rembg_beam.transforms.pictures import exif
from rembg_beam.transforms.pictures.encode import FORMATS, EncodeError, encode
from rembg_beam.transforms.pictures.fit_bytes import DoesNotFit, fitted
from rembg_beam.transforms.pictures.formats import SUFFIXES
from rembg_beam.transforms.pictures.keep import NOTHING, Metadata
from rembg_beam.transforms.pictures.palette import quantized
from rembg_beam.transforms.pictures.postprocessing import check_outputs
from rembg_beam.transforms.setting import settings_of


def read(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def photo(width: int = 96, height: int = 64) -> Image.Image:
    """Smooth, with grain and soft edges, as cutouts have."""
    y, x = np.mgrid[0:height, 0:width]
    levels = np.stack([x * 2.6, y * 3.9, 128 + 60 * np.sin(x / 9), 400 - 9 * abs(x - 48)], -1)
    levels += np.random.default_rng(0).normal(0, 5, (height, width, 1))
    cutout = levels.clip(0, 255).astype(np.uint8)
    cutout[cutout[..., 3] == 0] = 0
    return Image.fromarray(cutout)


def shown(image: Image.Image) -> Any:
    """As it looks on black, and its opacity."""
    levels = np.asarray(image.convert("RGBA"), np.float64)
    return np.dstack([levels[..., :3] * levels[..., 3:] / 255, levels[..., 3]])


def error(a: Image.Image, b: Image.Image) -> float:
    return float(np.sqrt(((shown(a) - shown(b)) ** 2).mean()))


# formats


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_tiff_is_lossless(mode: str) -> None:
    image = photo().convert(mode)
    found = read(encode(image, Encoding(format="tiff")))
    assert (found.format, found.mode, found.tobytes()) == ("TIFF", mode, image.tobytes())
    assert found.info["compression"] == "tiff_adobe_deflate"


@pytest.mark.parametrize("quality", [None, 40, 100])
def test_avif_is_near_and_transparent(quality: Optional[int]) -> None:
    image = photo()
    data = encode(image, Encoding(format="avif", quality=quality))
    found = read(data)
    assert (found.format, found.mode) == ("AVIF", "RGBA")
    assert error(found, image) < {None: 4, 40: 8, 100: 1}[quality]
    # Threads would change the bytes.
    assert data == encode(image, Encoding(format="avif", quality=quality))


def test_avif_has_greys_and_the_smallest_pictures() -> None:
    grey = photo().convert("L")
    found = read(encode(grey, Encoding(format="avif"))).convert("L")
    assert np.abs(np.asarray(found, int) - np.asarray(grey, int)).mean() < 3
    assert read(encode(photo().crop((48, 0, 49, 1)), Encoding(format="avif"))).size == (1, 1)


def test_a_pillow_without_avif_is_refused_before_anything_runs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(features, "check", lambda name: name != "avif")
    with pytest.raises(ValueError, match=r"needs a Pillow with AVIF.*pip install"):
        Encoding(format="avif")
    assert Encoding(format="webp")


@pytest.mark.parametrize("name", FORMATS)
def test_what_is_written_is_of_its_suffix_and_mime_type(name: str) -> None:
    encoding = Encoding(format=name)
    found = read(encode(photo().convert("RGB"), encoding))
    assert Image.registered_extensions()[encoding.suffix] == found.format
    assert Image.MIME[str(found.format)] == encoding.mime_type
    assert SUFFIXES[name] == encoding.suffix


@pytest.mark.parametrize("name", FORMATS)
def test_a_file_has_no_profile_of_other_colours(name: str) -> None:
    for mode, profile in itertools.product(("L", "RGB"), (profiles.SRGB, profiles.of_grey())):
        found = read(encode(photo(9, 9).convert(mode), Encoding(format=name), Metadata(profile)))
        suits = b"GRAY" if found.mode == "L" else b"RGB "
        kept = found.info.get("icc_profile")
        assert kept in (None, profile) and (kept is None or kept[16:20] == suits)
        assert kept or mode == "L" or profile[16:20] == b"GRAY"


# png8


def test_png8_has_a_palette_with_opacity() -> None:
    found = read(encode(photo(), Encoding(format="png8")))
    assert (found.format, found.mode) == ("PNG", "P")
    assert error(found, photo()) < 5
    assert len(encode(photo(), Encoding(format="png8"))) < len(encode(photo(), Encoding())) / 2


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 256), st.integers(1, 12), st.integers(1, 12), st.integers(0, 2**32 - 1))
def test_few_colours_stay_as_they_are(colors: int, width: int, height: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    some = random.integers(0, 256, (colors, 4), np.uint8)
    image = Image.fromarray(some[random.integers(0, colors, (height, width))])
    found = quantized(image, colors)
    assert np.array_equal(shown(found), shown(image))


@settings(max_examples=15, deadline=None)
@given(st.integers(2, 256), st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_a_palette_has_no_more_colours_and_opacity_is_near(
    colors: int, width: int, height: int, seed: int
) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 4), np.uint8)
    pixels[::2, :, 3] = 0
    image = Image.fromarray(pixels)
    found = quantized(image, colors)
    assert len(np.unique(np.asarray(found))) <= colors
    # One mean for all would be no better than this.
    mean = shown(image).reshape(-1, 4).mean(0)
    assert error(found, image) <= np.sqrt(((shown(image) - mean) ** 2).mean()) + 1
    is_seen = np.asarray(found.convert("RGBA"))[..., 3] > 0
    assert np.array_equal(is_seen, pixels[..., 3] > 0)


def test_the_palette_is_better_than_pillows() -> None:
    image = photo()
    octree = image.quantize(256, Image.Quantize.FASTOCTREE).convert("RGBA")
    assert error(quantized(image), image) < error(octree, image) / 1.5


def test_a_shadow_has_no_bands() -> None:
    """Seen from afar, that is by the means of blocks, it is what it was, but at its ends."""
    picture = Image.new("RGBA", (352, 64))
    picture.paste(photo())
    shadow = np.zeros((64, 256, 4), np.uint8)
    shadow[..., 3] = 40 + np.arange(256) / 4
    picture.paste(Image.fromarray(shadow), (96, 0))
    found, wanted = (
        shown(each)[:, 96:, 3].reshape(64, 32, 8).mean((0, 2))[4:-4]
        for each in (quantized(picture), picture)
    )
    assert np.abs(found - wanted).max() < 1.5


# max_output_bytes


@given(
    st.lists(st.integers(1, 1000), min_size=1, max_size=101).map(sorted),
    st.integers(0, 50),
    st.integers(1, 1000),
)
def test_the_highest_quality_that_fits(sizes: List[int], lowest: int, most: int) -> None:
    tried = []

    def encoded(quality: int) -> bytes:
        tried.append(quality)
        return bytes(sizes[quality - lowest])

    try:
        found = fitted(encoded, lowest, lowest + len(sizes) - 1, most)
    except DoesNotFit as error:
        assert error.size == sizes[0] > most
    else:
        assert len(found) == max(size for size in sizes if size <= most)
    assert len(tried) <= 1 + math.ceil(math.log2(len(sizes) + 1))
    assert len(set(tried)) == len(tried)


@pytest.mark.parametrize("name", ["webp", "jpeg", "avif", "png8"])
def test_outputs_have_no_more_bytes_than_asked(name: str) -> None:
    image = photo(48, 32).convert("RGB" if name == "jpeg" else "RGBA")
    top = {"webp": 100, "jpeg": 95, "avif": 100, "png8": 40}[name]
    scale = "colors" if name == "png8" else "quality"

    def size(value: int) -> int:
        more: Dict[str, Any] = {scale: value}
        return len(encode(image, Encoding(format=name, **more)))

    most = (size(top) + size(2)) // 2
    highest: Dict[str, Any] = {} if name != "png8" else {scale: top}
    data = encode(image, Encoding(format=name, max_output_bytes=most, **highest))
    assert most / 2 < len(data) <= most
    roomy = Encoding(format=name, max_output_bytes=size(top), **highest)
    assert len(encode(image, roomy)) == size(top)
    lower: Dict[str, Any] = {scale: 30, "max_output_bytes": size(top)}
    assert len(encode(image, Encoding(format=name, **lower))) == size(30)
    message = rf"48x32 as {name} has \d+ bytes at {scale}=[02], the lowest, .*raise it"
    with pytest.raises(EncodeError, match=message):
        encode(image, Encoding(format=name, max_output_bytes=40, **highest))


@pytest.mark.parametrize(
    ("encoding", "message"),
    [
        ({"format": "avif", "quality": 101}, "0 to 100"),
        ({"format": "avif", "lossless": True}, "WebP's choice; avif has none"),
        ({"format": "tiff", "quality": 80}, "quality belongs to jpeg and lossy webp or avif"),
        ({"format": "png8", "quality": 80}, "png8 has colors"),
        ({"format": "png8", "colors": 1}, "colors=1 must be an integer from 2 to 256"),
        ({"colors": 16}, "PNG-8's choice; png has none"),
        ({"max_output_bytes": 9}, "this png is lossless: use webp without lossless, avif, png8"),
        ({"format": "tiff", "max_output_bytes": 9}, "this tiff is lossless"),
        ({"format": "webp", "lossless": True, "max_output_bytes": 9}, "this webp is lossless"),
        ({"format": "webp", "max_output_bytes": 0}, "max_output_bytes=0 must be"),
        ({"keep": ("none", "exif")}, "keep=exif,none makes no sense"),
        ({"keep": ("iptc",)}, "keep=.* must be one or more of icc, exif, gps, dpi, xmp, none"),
    ],
)
def test_what_makes_no_sense_is_refused(encoding: Dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Encoding(**encoding)


def test_what_is_kept_is_said_in_one_way() -> None:
    assert Encoding(keep=("icc",)) == Encoding()
    assert Encoding(keep=("dpi", "exif")) == Encoding(keep=("exif", "dpi"))


# keep

PLACES = {
    **{270: "Eine Küche", 271: "Canon", 315: "Jürgen Müller"},
    **{282: 300.0, 283: 150.0, 296: 2, 274: 6, 305: "Lightroom"},
}
OF_THE_PHOTO = {0x9003: "2020:01:02 03:04:05", 0xA434: "50mm f/1.8", 0x829A: 0.01}


def a_photos_exif(order: str = "<") -> bytes:
    """As a camera writes it: with a thumbnail, a maker's notes, GPS and an orientation."""
    made = Image.Exif()
    made.endian = order
    for tag, value in PLACES.items():
        made[tag] = value.encode() if isinstance(value, str) else value
    notes = {0x927C: bytes(range(99)), 0xA002: 4000, 0xA003: 3000, 0x9286: b"ASCII\0\0\0hello"}
    notes |= {0x8825: 26, 0x8769: 26, 0x014A: 26}  # where nothing will lie
    made.get_ifd(0x8769).update({**OF_THE_PHOTO, **notes})
    made.get_ifd(0x8825).update({1: "N", 2: (52.0, 31.0, 12.0), 3: "E", 4: (13.0, 24.0, 18.0)})
    return made.tobytes()


def tags(image: Image.Image) -> Dict[int, Any]:
    """What readers see of its EXIF; of a TIFF, without what makes it one."""
    found = image.getexif()
    skipped = {256, 257, 258, 259, 262, 273, 277, 278, 279, 284, 317, 338, 0x8769, 0x8825}
    main = {tag: value for tag, value in found.items() if tag not in skipped}
    return {
        **main,
        **found.get_ifd(0x8769),
        **{-tag: v for tag, v in found.get_ifd(0x8825).items()},
    }


@pytest.fixture(scope="module", autouse=True)
def session() -> Iterator[None]:
    """Held, so that no test opens it."""
    with Engine(SessionConfig("tiny")):
        yield


def through(data: bytes, **encoding: Any) -> Image.Image:
    options = RemoveOptions(bgcolor=(1, 2, 3, 255))
    with Engine(SessionConfig("tiny"), options=options, encoding=Encoding(**encoding)) as engine:
        return read(engine.remove(data).parts[0].data)


def latin(text: str) -> str:
    """How Pillow reads UTF-8."""
    return text.encode().decode("latin-1")


WAYS: List[Dict[str, Any]] = [
    *({"format": name} for name in FORMATS),
    {"format": "png", "png_compression": 1},
    {"format": "jpeg", "max_output_bytes": 5000},
]


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("container", ["JPEG", "TIFF", "PNG", "WEBP"])
def test_exif_is_of_the_photo_alone(container: str, order: str) -> None:
    data = saved(kinds.rgb(), container, exif=a_photos_exif(order))
    told = tags(through(data, keep=("exif",)))
    if container == "TIFF":  # Pillow writes "?"
        told |= {315: latin("Jürgen Müller"), 270: latin("Eine Küche")}
    assert told.pop(315) == latin("Jürgen Müller") and told.pop(270) == latin("Eine Küche")
    assert told.pop(0x9286) == b"ASCII\0\0\0hello"
    assert told == {271: "Canon", 305: "Lightroom", **OF_THE_PHOTO}


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_every_format_has_what_is_asked(way: Dict[str, Any]) -> None:
    more = {"icc_profile": profiles.SRGB, "dpi": (300, 150)}
    data = saved(kinds.rgb(), "JPEG", exif=a_photos_exif(">"), **more)
    everything = through(data, keep=("icc", "exif", "gps", "dpi"), **way)
    found = tags(everything)
    assert found[315] == latin("Jürgen Müller") and found[0xA434] == "50mm f/1.8"
    assert found[-2] == (52.0, 31.0, 12.0) and found[0x829A] == 0.01
    assert 274 not in found and 0x927C not in found
    assert everything.info["icc_profile"] == profiles.SRGB
    # The picture lies on its side.
    dpi = everything.info.get("dpi") or (found[282], found[283])
    assert [float(each) for each in dpi] == pytest.approx([150, 300], rel=1e-3)
    plain = through(data, keep=("exif",), **way)
    assert not {282, 283, -2} & {*tags(plain)} and "icc_profile" not in plain.info
    bare = through(data, keep=("none",), **way)
    assert not tags(bare) and not {"icc_profile", "exif"} & {*bare.info}
    assert bare.info.get("dpi", (1, 1)) == (1, 1)


def test_by_default_outputs_are_as_they_were() -> None:
    bare = saved(kinds.rgb(), "JPEG", quality=90, icc_profile=profiles.SRGB)
    more = {"icc_profile": profiles.SRGB, "exif": a_photos_exif().replace(b"\x12\x01", b"\x13\x01")}
    told = saved(kinds.rgb(), "JPEG", quality=90, dpi=(300, 300), **more)
    for name in FORMATS:
        assert through(told, format=name).info == through(bare, format=name).info


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_resolution_alone(way: Dict[str, Any]) -> None:
    data = saved(kinds.rgb(), "PNG", dpi=(72, 300))
    found = through(data, keep=("dpi",), **way)
    assert (found.info.get("dpi") or tuple(map(tags(found).get, (282, 283)))) == pytest.approx(
        (72, 300), abs=0.01
    )
    again = through(saved(found, str(found.format), exif=found.getexif()), keep=("dpi",), **way)
    assert again.size == found.size


@pytest.mark.parametrize("dpi", [(0, 0), (math.nan, 1), (1e9, 1e9), "300", (1,), None])
def test_a_resolution_out_of_bounds_is_none(dpi: Any) -> None:
    image = kinds.rgb()
    image.info["dpi"] = dpi
    encoding = Encoding(keep=("dpi",))
    with Engine(SessionConfig("tiny"), encoding=encoding) as engine:
        result: Any = engine.attempt(image, "{}", "an image")
    assert "dpi" not in read(result.cutout.parts[0].data).info


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=80), st.booleans(), st.data())
@example(b"II*\0\x08\0\0\0\xff\xff", True, None)
def test_broken_exif_never_fails(noise: bytes, gps: bool, data: Any) -> None:
    """Noise, and good EXIF with some bytes changed or cut off: what comes out can be read."""
    blocks = [noise, b"II*\0" + noise, b"MM\0*\0\0\0\x08" + noise]
    if data is not None:
        whole = bytearray(a_photos_exif(data.draw(st.sampled_from("<>"))))
        for at in data.draw(st.lists(st.integers(6, len(whole) - 1), max_size=8)):
            whole[at] = data.draw(st.integers(0, 255))
        blocks.append(bytes(whole[: data.draw(st.integers(0, len(whole)))]))
    for block in blocks:
        exif.dots_per_inch(block)
        found = exif.kept(block, photo=True, gps=gps)
        for each in (found, exif.with_resolution(found, (72, 72))):
            if each is not None:
                assert len(each) <= 65_527
                assert exif.kept(each, photo=True, gps=gps) == found or each != found
                Image.Exif().load(each)


def test_fields_that_overlap_take_no_more_than_a_segment_has_room_for() -> None:
    """Each of 5,000 fields claims the same 60,000 bytes."""
    fields = [struct.pack("<HHII", tag, 7, 60_000, 8) for tag in range(5000)]
    photo_at = 60_100
    main = struct.pack("<HHHII", 1, 0x8769, 4, 1, photo_at)
    data = b"II*\0" + struct.pack("<I", 60_050) + bytes(60_042) + main
    data = data.ljust(photo_at, b"\0") + struct.pack("<H", 5000) + b"".join(fields)
    found = exif.kept(data, photo=True, gps=False)
    assert found and 60_000 < len(found) <= 65_527
    assert read(encode(kinds.rgb(), Encoding(format="jpeg"), Metadata(exif=found)))


def test_nothing_is_kept_of_what_has_nothing() -> None:
    assert exif.kept(None, photo=True, gps=True) is None
    assert exif.kept(a_photos_exif(), photo=False, gps=False) is None
    assert encode(kinds.rgb(), Encoding(), NOTHING) == encode(kinds.rgb(), Encoding())


# outputs of their own


def test_an_output_with_a_format_of_its_own_keeps_to_the_runs_quality_and_bytes() -> None:
    data = saved(photo(48, 32), "PNG")
    tight = Encoding(format="webp", quality=90, max_output_bytes=700)

    def sizes(*outputs: Any) -> Dict[str, int]:
        options = RemoveOptions(outputs=outputs, putalpha=True)
        with Engine(SessionConfig("tiny"), options=options, encoding=tight) as engine:
            return {part.suffix: len(part.data) for part in engine.remove(data).parts}

    own = Output("cutout", suffix="own", format="webp", max_output_bytes=2000)
    found = sizes("cutout", "crop.avif", own)
    assert max(found[".cutout"], found[".crop"]) <= 700 < found[".own"] <= 2000
    told = Output("cutout", format="avif").encoding(tight)
    assert (told.quality, told.max_output_bytes) == (90, 700)
    told = Output("cutout", format="avif", quality=95).encoding(tight)
    assert (told.quality, told.max_output_bytes) == (95, 700)
    for outputs in (("mask.png",), (Output("cutout", lossless=True),), ("cutout", "alpha.tiff")):
        with pytest.raises(ValueError, match=r"the output '.*': max_output_bytes needs a quality"):
            Engine(SessionConfig("tiny"), options=RemoveOptions(outputs=outputs), encoding=tight)
    of_run = Encoding(format="webp", quality=20)
    assert Output("mask", format="png").encoding(of_run) == Encoding()
    assert Output("mask", lossless=True).encoding(of_run) == Encoding(format="webp", lossless=True)


@pytest.mark.parametrize(
    "encoding",
    [
        {"format": "jpeg"},
        {"format": "webp", "quality": 80},
        {"format": "webp", "lossless": False},
        {"format": "avif"},
        {"format": "png8", "colors": 2},
        {"format": "png8", "max_output_bytes": 20_000},
    ],
)
def test_a_trimap_has_no_other_levels(encoding: Dict[str, Any]) -> None:
    told = Encoding(**encoding)
    message = "the output 'trimap': a trimap's levels, .*: ask for trimap.png"
    with pytest.raises(ValueError, match=message):
        check_outputs(RemoveOptions(outputs=("trimap",)), told)
    own = Output("trimap", **encoding)
    with pytest.raises(ValueError, match=message):
        check_outputs(RemoveOptions(outputs=(own,)), Encoding())
    options = RemoveOptions(bgcolor=(1, 2, 3, 255))
    says = pytest.raises(ValueError, match=r"ask for trimap\.png")
    with Engine(SessionConfig("tiny"), options=options, encoding=told) as engine, says:
        engine.remove(saved(photo(48, 32), "PNG"), '{"outputs": ["trimap"]}')


@pytest.mark.parametrize("format", ["png", "png8", "tiff", "webp"])
def test_a_trimap_keeps_its_levels(format: str) -> None:
    encoding = Output("trimap", format=format).encoding(Encoding())
    levels = np.random.default_rng(0).choice(np.array([0, 128, 255], np.uint8), (32, 48))
    found = read(encode(levels, encoding)).convert("RGB").convert("L")
    assert np.array_equal(np.asarray(found), levels)


def test_jpg_is_jpeg_wherever_a_format_is_named() -> None:
    assert Encoding(format="jpg") == Encoding(format="jpeg")
    assert values.checked(settings_of(Encoding)["format"], "jpg") == "jpeg"
    outputs = values.checked(settings_of(RemoveOptions)["outputs"], "mask.jpg,alpha9.jpg")
    assert RemoveOptions(outputs=outputs).outputs == ("mask.jpeg", "alpha9.jpeg")
    assert Output("mask", format="jpg") == Output("mask", format="jpeg")
    said = values.checked(
        settings_of(RemoveOptions)["outputs"], '{"shows": "mask", "format": "jpg"}'
    )
    assert RemoveOptions(outputs=("cutout", *said)).outputs == ("cutout", "mask.jpeg")


def test_each_output_has_its_own_size_and_metadata() -> None:
    said: Any = '[{"shows": "cutout", "format": "webp", "max_output_bytes": "1.5KB"}]'
    small = values.checked(settings_of(RemoveOptions)["outputs"], [said, "mask.png8", "alpha.tiff"])
    assert small[0]["max_output_bytes"] == 1500
    with pytest.raises(ValueError, match="can't be: max_output_bytes='many' must be a number of"):
        values.checked(settings_of(RemoveOptions)["outputs"], said.replace("1.5KB", "many"))
    more = {"icc_profile": profiles.SRGB, "dpi": (300, 300)}
    data = saved(kinds.rgb(), "JPEG", exif=a_photos_exif(), **more)
    outputs = (*small, Output("cutout", suffix="own", keep=("icc",)))
    options = RemoveOptions(outputs=outputs)
    encoding = Encoding(format="tiff", keep=("icc", "exif"))
    with Engine(SessionConfig("tiny"), options=options, encoding=encoding) as engine:
        parts = {part.suffix: part.data for part in engine.remove(data).parts}
    tight = RemoveOptions(outputs=("mask", Output("cutout", format="webp", max_output_bytes=99)))
    says = pytest.raises(EncodeError, match=r"the output 'cutout': 48x32 as webp has .* more than")
    with Engine(SessionConfig("tiny"), options=tight) as engine, says:
        engine.remove(saved(kinds.rgb(), "PNG"))
    found = {suffix: read(each) for suffix, each in parts.items()}
    formats = {suffix: each.format for suffix, each in found.items()}
    assert formats == {".cutout": "WEBP", ".mask": "PNG", ".alpha": "TIFF", ".own": "TIFF"}
    assert len(parts[".cutout"]) <= 1500
    told = {
        suffix: (271 in tags(each), "icc_profile" in each.info) for suffix, each in found.items()
    }
    assert told == {
        **{".cutout": (True, True), ".own": (False, True)},
        **{".mask": (True, False), ".alpha": (True, False)},
    }
    assert found[".mask"].convert("RGBA").convert("L").tobytes() == found[".alpha"].tobytes()
