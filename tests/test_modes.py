"""Pictures of every kind: rembg's own result, and ours where rembg is wrong or dies."""

import io
from typing import Any, Callable, Dict

import numpy as np
import pytest
from PIL import Image, ImageCms
from support import profiles
from support.cutting import cutout_of, rembgs_own

from rembg_beam.pipelines.settings import Settings
from rembg_beam.transforms import Encoding, RemBGDoFn, RemoveOptions, SessionConfig
from rembg_beam.transforms.elements import Cutout
from rembg_beam.transforms.folder import record
from rembg_beam.transforms.models import opening
from rembg_beam.transforms.pictures.decode import decode
from rembg_beam.transforms.pictures.modes import as_rembg_takes_it

SRGB, GREY = profiles.SRGB, profiles.of_grey()

OPTIONS: Dict[str, Dict[str, Any]] = {
    "none": {},
    "only_mask": {"only_mask": True},
    "putalpha": {"putalpha": True},
    "bgcolor": {"bgcolor": (9, 8, 7, 255)},
    "decontaminate": {"decontaminate": True},
    "post_process_mask": {"post_process_mask": True},
    "alpha_matting": {"alpha_matting": True, "alpha_matting_erode_size": 2},
}


@pytest.fixture(scope="module")
def own() -> Any:
    return rembgs_own()


@pytest.fixture(scope="module")
def session() -> Any:
    return opening.open_session(SessionConfig("tiny")).session


def saved(image: Image.Image, format: str, **more: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **more)
    return buffer.getvalue()


def transparent_palette(picture: Any) -> bytes:
    return saved(picture(mode="P"), "PNG", transparency=3)


ODD: Dict[str, Callable[[Any], bytes]] = {
    "I;16": lambda picture: saved(_sixteen(picture), "PNG"),
    "I;16 TIFF": lambda picture: saved(_sixteen(picture), "TIFF"),
    "I": lambda picture: saved(picture(mode="L").convert("I"), "TIFF"),
    "F": lambda picture: saved(picture(mode="L").convert("F"), "TIFF"),
    "LAB": lambda picture: saved(_lab(picture), "TIFF"),
    "P": lambda picture: saved(picture(mode="P"), "GIF"),
    "P, transparent": transparent_palette,
    "animation": lambda picture: saved(
        picture(mode="P"), "GIF", save_all=True, append_images=[picture(mode="P", seed=50)]
    ),
}


def _sixteen(picture: Any) -> Image.Image:
    grey = np.asarray(picture(mode="L"), np.uint16)
    return Image.fromarray(grey * 257)


def _lab(picture: Any) -> Image.Image:
    profiles = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    transform = ImageCms.buildTransform(*profiles, "RGB", "LAB")
    converted = ImageCms.applyTransform(picture(), transform)
    assert converted is not None
    return converted


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("kind", ODD)
def test_odd_pictures_work_with_every_option(
    picture: Any, kind: str, options: Dict[str, Any]
) -> None:
    dofn = RemBGDoFn(SessionConfig("tiny"), options=RemoveOptions(**options))
    dofn.setup()
    cutout = cutout_of(dofn.work(("key", ODD[kind](picture))))
    assert isinstance(cutout, Cutout), cutout
    with Image.open(io.BytesIO(cutout.parts[0].data)) as image:
        assert image.size == (48, 32)
        assert image.mode == "L" if "only_mask" in options else image.mode in ("RGBA", "LA")
    dofn.teardown()


def test_sixteen_bits_are_scaled_not_clipped(picture: Any) -> None:
    grey = np.asarray(picture(mode="L"))
    assert np.array_equal(np.asarray(decode(ODD["I;16"](picture)).image), grey)
    assert np.array_equal(np.asarray(decode(ODD["I;16 TIFF"](picture)).image), grey)


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


def test_lab_looks_as_it_did(picture: Any) -> None:
    difference = np.asarray(decode(ODD["LAB"](picture)).image, int) - np.asarray(picture(), int)
    assert np.abs(difference).mean() < 4


def test_the_first_frame_of_an_animation_counts(picture: Any) -> None:
    decoded = decode(ODD["animation"](picture))
    assert decoded.animated and not decode(ODD["P"](picture)).animated
    image = decoded.image
    with Image.open(io.BytesIO(ODD["P"](picture))) as first:
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
        dofn = RemBGDoFn(SessionConfig("tiny"))
        dofn.setup()
        assert isinstance(cutout_of(dofn.work(("key", data))), Cutout)
        dofn.teardown()


def with_work(data: bytes, **more: Any) -> Cutout:
    dofn = RemBGDoFn(SessionConfig("tiny"), **more)
    dofn.setup()
    cutout = cutout_of(dofn.work(("key", data)))
    dofn.teardown()
    assert isinstance(cutout, Cutout), cutout
    return cutout


PROFILED = ["RGB", "RGBA", "L", "LA", "1", "P", "CMYK"]


@pytest.mark.parametrize("encoding", ["png", "slow png", "webp", "jpeg"])
@pytest.mark.parametrize("options", [{}, {"putalpha": True}, {"only_mask": True}], ids=str)
@pytest.mark.parametrize("mode", PROFILED)
def test_a_file_has_no_profile_but_of_its_own_colours(
    picture: Any, mode: str, options: Dict[str, Any], encoding: str
) -> None:
    """PNG forbids an RGB profile with greys and the other way round; so do the others in effect."""
    if encoding == "jpeg" and "only_mask" not in options:
        options = {**options, "bgcolor": (1, 2, 3, 255)}
    png_compression = 6 if encoding == "slow png" else None
    how = Encoding(format=encoding.removeprefix("slow "), png_compression=png_compression)
    for profile in (SRGB, GREY):
        data = saved(picture(mode=mode), "TIFF", icc_profile=profile)
        cutout = with_work(data, options=RemoveOptions(**options), encoding=how)
        with Image.open(io.BytesIO(cutout.parts[0].data)) as image:
            image.load()
            found = image.info.get("icc_profile")
        suits = b"GRAY" if image.mode in ("L", "LA") else b"RGB "
        assert found is None or found[16:20] == suits
        is_kept = "only_mask" not in options and mode != "CMYK" and profile[16:20] == suits
        assert found == (profile if is_kept else None)


@pytest.mark.parametrize("mode", PROFILED)
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_the_row_says_what_matting_was_done(
    picture: Any, mode: str, options: Dict[str, Any], recwarn: pytest.WarningsRecorder
) -> None:
    data = saved(picture(mode=mode), "TIFF")
    cutout = with_work(data, options=RemoveOptions(**options))
    asked = [name for name in ("alpha_matting", "decontaminate") if name in options]
    assert cutout.facts.matting == (asked[0] if asked else None)
    assert not [w for w in recwarn if "RGB" in str(w.message)]


@pytest.mark.parametrize("mode", ["L", "LA", "1"])
def test_greys_are_matted_as_the_same_picture_in_rgb(picture: Any, mode: str) -> None:
    options = RemoveOptions(alpha_matting=True, alpha_matting_erode_size=2)
    grey = picture(mode=mode)
    ours = with_work(saved(grey, "TIFF"), options=options)
    assert ours.parts == with_work(saved(grey.convert("RGB"), "TIFF"), options=options).parts


@pytest.mark.parametrize("encoding", ["png", "webp", "jpeg"])
def test_the_icc_profile_of_an_rgb_picture_is_kept(picture: Any, encoding: str) -> None:
    options = RemoveOptions(bgcolor=(1, 2, 3, 255))
    dofn = RemBGDoFn(SessionConfig("tiny"), options=options, encoding=Encoding(format=encoding))
    dofn.setup()
    for mode, kept in (("RGB", SRGB), ("CMYK", None)):
        data = saved(picture(mode=mode), "JPEG", icc_profile=SRGB if kept else b"\0" * 200)
        cutout = cutout_of(dofn.work(("key", data)))
        assert isinstance(cutout, Cutout), cutout
        with Image.open(io.BytesIO(cutout.parts[0].data)) as image:
            image.load()
            assert image.info.get("icc_profile") == kept
    dofn.teardown()


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
    ours = with_work(data, options=RemoveOptions(to_srgb=True))
    converted = saved(decode(data, to_srgb=True).image, "PNG")
    assert ours.parts == with_work(converted).parts
    assert b"iCCP" not in ours.parts[0].data
    assert ours.parts != with_work(data).parts


def test_a_picture_without_a_profile_is_as_it_was(picture: Any) -> None:
    data = saved(picture(), "JPEG")
    assert with_work(data, options=RemoveOptions(to_srgb=True)).parts == with_work(data).parts


def test_an_output_folder_remembers_it() -> None:
    """Files made without it are not done for a run with it."""
    with_it, without = (
        record.settings_of(Settings(model="tiny", output="out", to_srgb=given).remove_background())
        for given in (True, False)
    )
    assert with_it == {**without, "to_srgb": True}
    with pytest.raises(ValueError, match="to_srgb='yes' must be True or False"):
        RemoveOptions(to_srgb="yes")  # type: ignore[arg-type]
