"""Pictures that are decoded already, and cutouts that aren't encoded."""

import io
from typing import Any, Callable

import numpy as np
import pytest
import rembg
from PIL import Image
from support.cutting import rembgs_own, untimed

from rembg_beam.transforms import Engine, RemoveOptions, SessionConfig
from rembg_beam.transforms.elements import CutoutArrays
from rembg_beam.transforms.engine import Refused, Removed
from rembg_beam.transforms.runtime import memory


def arrays_of(picture: Any, engine: Engine, extras: str = "{}") -> Any:
    result = engine.attempt(picture, extras, "a picture", as_arrays=True)
    assert isinstance(result, Removed), result
    result.lease.release()
    assert isinstance(result.cutout, CutoutArrays)
    return result.cutout


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "P", "1", "CMYK", "I;16", "F"])
@pytest.mark.parametrize("options", [{}, {"putalpha": True}], ids=str)
def test_an_image_gives_what_its_file_gives(
    picture: Callable[..., Image.Image], mode: str, options: Any
) -> None:
    buffer = io.BytesIO()
    image = picture(width=40, height=30).convert("L" if mode in ("I;16", "F") else mode)
    image = image.convert("I").convert(mode) if mode == "I;16" else image.convert(mode)
    before = image.tobytes()
    image.save(buffer, "TIFF")
    with Engine(SessionConfig("tiny"), options=RemoveOptions(**options)) as engine:
        ours = arrays_of(image, engine)
        expected = arrays_of(buffer.getvalue(), engine)
        (part,) = engine.remove(buffer.getvalue()).parts
    np.testing.assert_array_equal(ours.arrays[""], expected.arrays[""])
    assert untimed(ours.facts) == untimed(expected.facts)
    assert (image.mode, image.tobytes()) == (mode, before)
    with Image.open(io.BytesIO(part.data)) as stored:
        as_stored = np.asarray(stored if stored.mode == "L" else stored.convert("RGBA"))
    np.testing.assert_array_equal(as_stored, expected.arrays[""])


@pytest.mark.parametrize("shape", [(30, 40), (30, 40, 3), (30, 40, 4)], ids=str)
@pytest.mark.parametrize("laid", ["as usual", "read-only", "in a larger one", "backwards"])
def test_an_array_gives_what_rembg_gives(shape: Any, laid: str) -> None:
    array = np.random.default_rng(7).integers(0, 256, shape, np.uint8)
    if laid == "read-only":
        array.flags.writeable = False
    if laid == "in a larger one":
        array = np.repeat(array, 2, axis=1)[:, ::2]
    if laid == "backwards":
        array = array[::-1, ::-1]
    before = array.copy()
    with Engine(SessionConfig("tiny")) as engine:
        cutout = arrays_of(array, engine)
    theirs = rembg.remove(Image.fromarray(array), session=rembgs_own())
    np.testing.assert_array_equal(cutout.arrays[""], np.asarray(theirs.convert("RGBA")))
    np.testing.assert_array_equal(array, before)
    assert (cutout.facts.width, cutout.facts.height, cutout.model) == (40, 30, "tiny")


def test_an_image_is_turned_as_its_exif_says_and_stays_as_it_is(
    encoded: Callable[..., bytes],
) -> None:
    turned = Image.Exif()
    turned[0x112] = 6
    data = encoded("JPEG", exif=turned, width=40, height=20)
    with Image.open(io.BytesIO(data)) as image, Engine(SessionConfig("tiny")) as engine:
        ours, expected = arrays_of(image, engine), arrays_of(data, engine)
        assert image.size == (40, 20) and image.getexif()[0x112] == 6
    assert ours.arrays[""].shape == (40, 20, 4)
    np.testing.assert_array_equal(ours.arrays[""], expected.arrays[""])


def test_an_array_of_a_mask_may_be_asked_for_by_a_picture(encoded: Callable[..., bytes]) -> None:
    with Engine(SessionConfig("tiny")) as engine:
        assert arrays_of(encoded(), engine, '{"only_mask": true}').arrays[""].shape == (32, 48)


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        (np.zeros((2, 3)), "NotAPicture", r"float64 \[2, 3\] is no picture: give uint8"),
        (np.zeros((2, 3, 2), np.uint8), "NotAPicture", r"uint8 \[2, 3, 2\] is no picture"),
        (np.zeros((0, 3, 3), np.uint8), "NotAPicture", "an array of 3x0 has no pixels"),
        (Image.new("L", (0, 5)), "NotAPicture", "an image of mode L of 0x5 has no pixels"),
        (np.zeros((20, 30), np.uint8), "TooManyPixels", "an array of 30x20 has 600 pixels"),
        (Image.new("RGB", (30, 20)), "TooManyPixels", "mode RGB of 30x20 has 600 pixels"),
        ("a.jpg", "TypeError", "str is no picture: give the bytes of a file"),
    ],
)
def test_what_is_no_picture_is_refused(given: Any, error: str, message: str) -> None:
    with Engine(SessionConfig("tiny"), max_pixels=500) as engine:
        result = engine.attempt(given, "{}", "a picture")
    assert isinstance(result, Refused) and type(result.error).__name__ == error
    with pytest.raises(type(result.error), match=message):
        raise result.error
    assert not any(memory.budget().held().values())


def test_an_image_whose_file_ends_early(encoded: Callable[..., bytes]) -> None:
    data = encoded("JPEG", width=300, height=300)
    half = io.BytesIO(data[: len(data) // 2])
    with Image.open(half) as image, Engine(SessionConfig("tiny")) as engine:
        result = engine.attempt(image, "{}", "a picture")
    assert isinstance(result, Refused) and type(result.error).__name__ == "TruncatedPicture"
