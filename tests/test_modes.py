"""Pictures of every kind: rembg's own result, and ours where rembg is wrong or dies."""

import io
import itertools
from typing import Any, Dict

import numpy as np
import pytest
from PIL import Image
from support import profiles
from support.cutting import rembgs_own, through_tiny
from support.kinds import MODES, ODD, gradient, saved
from support.options import ALONE, OPTIONS

from rembg_beam.pipelines.settings import Settings
from rembg_beam.testing import FakeModel
from rembg_beam.transforms import Encoding, RemoveOptions, SessionConfig
from rembg_beam.transforms.folder import record
from rembg_beam.transforms.models import opening
from rembg_beam.transforms.pictures.decode import decode
from rembg_beam.transforms.pictures.modes import as_rembg_takes_it

SRGB, GREY = profiles.SRGB, profiles.of_grey()


@pytest.fixture(scope="module")
def own() -> Any:
    return rembgs_own()


@pytest.fixture(scope="module")
def session() -> Any:
    return opening.open_session(SessionConfig("tiny")).session


@pytest.mark.parametrize("options", ALONE.values(), ids=ALONE)
@pytest.mark.parametrize("kind", ODD)
def test_odd_pictures_work_with_every_option(kind: str, options: Dict[str, Any]) -> None:
    cutout = through_tiny(ODD[kind](), options=RemoveOptions(**options), opener=FakeModel())
    with Image.open(io.BytesIO(cutout.parts[0].data)) as image:
        assert image.size == (48, 32)
        assert image.mode == "L" if "only_mask" in options else image.mode in ("RGBA", "LA")


def test_sixteen_bits_are_scaled_not_clipped() -> None:
    for kind in ("I;16", "I;16 TIFF"):
        found = np.asarray(decode(ODD[kind]()).image)
        assert np.array_equal(found, np.asarray(gradient("L")))


@pytest.mark.parametrize(
    ("mode", "values", "levels"),
    [
        ("I", [0, 65535, -5], [0, 255, 0]),
        ("I", [0, 1 << 20, 1 << 19], [0, 255, 128]),
        ("F", [0.0, 1.0, 0.5], [0, 255, 128]),
        ("F", [0.0, 200.0, float("nan")], [0, 255, 0]),
        ("F", [50.0, 200.0, float("inf")], [64, 255, 255]),
        ("F", [0.5, float("inf"), float("-inf")], [128, 255, 0]),
        ("F", [float("nan"), float("inf"), float("inf")], [0, 255, 255]),
        ("F", [-float("inf"), -float("inf"), 0.0], [0, 0, 0]),
    ],
)
def test_deep_pictures_are_scaled(mode: str, values: Any, levels: Any) -> None:
    image = Image.fromarray(np.array([values], np.float32 if mode == "F" else np.int32))
    assert image.mode == mode
    assert list(np.asarray(as_rembg_takes_it(image))[0]) == levels


def test_lab_looks_as_it_did() -> None:
    difference = np.asarray(decode(ODD["LAB"]()).image, int) - np.asarray(gradient(), int)
    assert np.abs(difference).mean() < 4


def test_the_first_frame_of_an_animation_counts() -> None:
    decoded = decode(ODD["animation"]())
    assert decoded.animated and not decode(ODD["P"]()).animated
    image = decoded.image
    with Image.open(io.BytesIO(ODD["P"]())) as first:
        assert np.array_equal(np.asarray(image), np.asarray(first.convert(image.mode)))


def test_a_corrupt_exif_block_is_ignored(picture: Any) -> None:
    exif = Image.Exif()
    exif[0x112] = 1
    exif[0x11A] = 72.0
    good = saved(picture(), "JPEG", exif=exif)
    start = good.index(b"Exif\x00\x00")
    broken = good[: start + 6] + b"II*\x00\xff\xff\xff\x7f" + good[start + 14 :]
    for data in (broken, good.replace(b"MM\x00*", b"MM\x00\xff")):
        assert decode(data).size == (48, 32)
        through_tiny(data)


@pytest.mark.parametrize("encoding", ["png", "slow png", "webp", "jpeg"])
@pytest.mark.parametrize("options", [{}, {"putalpha": True}, {"only_mask": True}], ids=str)
@pytest.mark.parametrize("mode", MODES)
def test_a_file_has_no_profile_but_of_its_own_colours(
    picture: Any, mode: str, options: Dict[str, Any], encoding: str
) -> None:
    """PNG forbids an RGB profile with greys and the other way round; so do the others in effect."""
    if encoding == "jpeg" and "only_mask" not in options:
        options = {**options, "bgcolor": (1, 2, 3, 255)}
    png_compression = 6 if encoding == "slow png" else None
    how = Encoding(format=encoding.removeprefix("slow "), png_compression=png_compression)
    containers = ("TIFF", "JPEG") if mode in ("RGB", "L", "CMYK") else ("TIFF",)
    for profile, container in itertools.product((SRGB, GREY, b"\0" * 200), containers):
        data = saved(picture(mode=mode), container, icc_profile=profile)
        made = {"options": RemoveOptions(**options), "encoding": how, "opener": FakeModel()}
        cutout = through_tiny(data, **made)
        with Image.open(io.BytesIO(cutout.parts[0].data)) as image:
            image.load()
            found = image.info.get("icc_profile")
        suits = b"GRAY" if image.mode in ("L", "LA") else b"RGB "
        assert found is None or found[16:20] == suits
        is_kept = "only_mask" not in options and mode != "CMYK" and profile[16:20] == suits
        assert found == (profile if is_kept else None)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("options", ALONE.values(), ids=ALONE)
def test_the_row_says_what_matting_was_done(
    picture: Any, mode: str, options: Dict[str, Any], recwarn: pytest.WarningsRecorder
) -> None:
    data = saved(picture(mode=mode), "TIFF")
    cutout = through_tiny(data, options=RemoveOptions(**options))
    asked = [name for name in ("alpha_matting", "decontaminate") if name in options]
    assert cutout.facts.matting == (asked[0] if asked else None)
    assert not [w for w in recwarn if "RGB" in str(w.message)]


@pytest.mark.parametrize("mode", ["L", "LA", "1"])
def test_greys_are_matted_as_the_same_picture_in_rgb(picture: Any, mode: str) -> None:
    options = RemoveOptions(**OPTIONS["alpha_matting"])
    grey = picture(mode=mode)
    ours = through_tiny(saved(grey, "TIFF"), options=options)
    assert ours.parts == through_tiny(saved(grey.convert("RGB"), "TIFF"), options=options).parts


# to_srgb


def wide() -> bytes:
    """sRGB with red and green exchanged, which shows."""
    swapped = SRGB.replace(b"rXYZ", b"tmpZ").replace(b"gXYZ", b"rXYZ").replace(b"tmpZ", b"gXYZ")
    assert swapped != SRGB
    return swapped


# A level of each mode, by a profile, and what it is in sRGB.
CONVERTED: Dict[str, Any] = {
    "RGB": (wide, (200, 90, 20), (90, 200, 20)),
    "RGBA": (wide, (200, 90, 20, 77), (90, 200, 20, 77)),
    "L": (profiles.of_grey, 128, (188, 188, 188)),  # of linear light
    "LA": (profiles.of_grey, (128, 77), (188, 188, 188, 77)),
    "1": (profiles.of_grey, 255, (255, 255, 255)),
    "P": (wide, 0, (90, 200, 20)),
    "I;16": (profiles.of_grey, 128 * 257, (188, 188, 188)),
    "CMYK": (profiles.of_inks, (255, 0, 0, 0), (164, 182, 159)),
}


def _of(mode: str) -> Image.Image:
    image = Image.new(mode, (8, 6), CONVERTED[mode][1])
    if mode == "P":
        image.putpalette([200, 90, 20])
    return image


@pytest.mark.parametrize("mode", CONVERTED)
def test_pictures_are_converted_to_srgb_by_their_profile(mode: str) -> None:
    profile, _, expected = CONVERTED[mode]
    data = saved(_of(mode), "TIFF", icc_profile=profile())
    picture = decode(data, to_srgb=True)
    assert picture.image.mode == ("RGBA" if mode in ("RGBA", "LA") else "RGB")
    level = np.asarray(picture.image)[3, 3].astype(int)
    assert np.abs(level - expected).max() <= 2
    assert picture.icc_profile is None
    plain = decode(data)
    assert mode == "1" or plain.image.convert("RGBA").tobytes() != (
        picture.image.convert("RGBA").tobytes()
    )


@pytest.mark.parametrize("mode", CONVERTED)
@pytest.mark.parametrize(
    "profile",
    [
        *(b"\0" * 200, SRGB[:200], SRGB[:128] + b"\xff" * 500, profiles.of_inks()[:132]),
        profiles.of_grey() + b"no more",
    ],
    ids=["zeros", "cut", "nonsense", "no tags", "other colours"],
)
def test_without_a_usable_profile_levels_are_taken_as_they_are(mode: str, profile: bytes) -> None:
    if mode in ("L", "LA", "1", "I;16") and profile[16:20] == b"GRAY":
        profile = SRGB
    data = saved(_of(mode), "TIFF", icc_profile=profile)
    ours, plain = decode(data, to_srgb=True), decode(saved(_of(mode), "TIFF"))
    assert (ours.image.mode, ours.image.tobytes()) == (plain.image.mode, plain.image.tobytes())
    assert ours.icc_profile is None


def test_a_colour_that_is_transparent_stays_so(picture: Any) -> None:
    data = saved(picture(), "PNG", transparency=(250, 240, 20), icc_profile=wide())
    image = decode(data, to_srgb=True).image
    assert image.mode == "RGBA"
    alpha = np.asarray(picture().convert("RGB")) == (250, 240, 20)
    assert np.array_equal(np.asarray(image)[..., 3] == 0, alpha.all(-1))


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_a_cutout_is_made_of_the_converted_picture(mode: str, picture: Any) -> None:
    profile = CONVERTED[mode][0]()
    data = saved(picture(mode=mode), "JPEG", quality=95, icc_profile=profile)
    ours = through_tiny(data, options=RemoveOptions(to_srgb=True))
    converted = saved(decode(data, to_srgb=True).image, "PNG")
    assert ours.parts == through_tiny(converted).parts
    assert b"iCCP" not in ours.parts[0].data
    assert ours.parts != through_tiny(data).parts


def test_a_picture_without_a_profile_is_as_it_was(picture: Any) -> None:
    data = saved(picture(), "JPEG")
    assert through_tiny(data, options=RemoveOptions(to_srgb=True)).parts == through_tiny(data).parts


def test_an_output_folder_remembers_it() -> None:
    """Files made without it are not done for a run with it."""
    with_it, without = (
        record.settings_of(Settings(model="tiny", output="out", to_srgb=given).job().remove)
        for given in (True, False)
    )
    assert with_it == {**without, "to_srgb": True}
    with pytest.raises(ValueError, match="to_srgb='yes' must be True or False"):
        RemoveOptions(to_srgb="yes")  # type: ignore[arg-type]
