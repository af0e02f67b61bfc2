"""Framed outputs: geometry and pixels against slow, obvious twins."""

import math
from typing import Any, Dict, Optional, Sequence, Tuple
from unittest import mock

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from rembg_beam.transforms.fast import shrink
from rembg_beam.transforms.fast.plain import PlainCutout
from rembg_beam.transforms.pictures import framing, geometry, resampling
from rembg_beam.transforms.pictures.framing import Framing, frame_of
from rembg_beam.transforms.pictures.geometry import Box, Frame


@pytest.fixture(scope="module", autouse=True)
def _fast() -> None:
    assert shrink.twin.load()


SIZES = st.tuples(st.integers(1, 40), st.integers(1, 40))


@st.composite
def subjects(draw: Any) -> Tuple[Tuple[int, int], Box]:
    """A picture's size, and the box of its subject."""
    size = draw(SIZES)
    (left, right), (top, bottom) = (
        sorted(draw(st.lists(st.integers(0, side), min_size=2, max_size=2, unique=True)))
        for side in size
    )
    return size, Box(left, top, right, bottom)


@st.composite
def framings(draw: Any) -> Framing:
    margin = draw(st.sampled_from([None, "0", "5%", "7", "200%"]))
    asked: Dict[str, Any] = {"crop": draw(st.sampled_from([None, "subject"])), "margin": margin}
    kind = draw(st.sampled_from(["", "aspect", "canvas"]))
    if kind == "aspect":
        asked["aspect"] = draw(st.sampled_from(["1:1", "16:9", "3:20", "1.5:1"]))
    if kind == "canvas":
        asked["canvas"] = "{}x{}".format(*draw(SIZES))
    if kind:
        asked["fit"] = draw(st.sampled_from([None, "contain", "cover"]))
        asked["align"] = draw(st.sampled_from([None, *geometry.ALIGNMENTS]))
    if kind != "canvas":
        asked["resize"] = draw(st.sampled_from([None, 1, 17, 64]))
    return Framing(**asked)


@given(subjects(), framings())
def test_a_frame_shows_what_it_should(found: Any, asked: Framing) -> None:
    size, subject = found
    frame = frame_of(size, subject, asked)
    box = subject if asked.crop else Box(0, 0, *size)
    if asked.crop:
        number = float((asked.margin or "0").rstrip("%"))
        share = number / 100 * max(subject.size) if "%" in (asked.margin or "") else number
        box = box.grown(round(share))
    sx, _, tx, _, sy, ty = frame.transform
    left, top, right, bottom = (
        *(sx * box.left + tx, sy * box.top + ty),
        *(sx * box.right + tx, sy * box.bottom + ty),
    )
    width, height = frame.size
    covers = asked.fit == "cover"
    for low, high, side in ((left, right, width), (top, bottom, height)):
        spare = side - (high - low)
        assert (spare <= 1.001) if covers else (spare >= -0.001)
        # Nothing is stretched by more than a pixel of either side.
        assert low >= -0.001 or covers
        assert high <= side + 0.001 or covers
        # Some of it is always seen.
        assert high > 0 and low < side
    # Each side is a whole number of pixels, and one at least.
    assert abs(sx - sy) * min(*box.size, width / sx, height / sy) <= 1.501
    _check_size(frame.size, box, asked)
    _check_alignment((left, top, right, bottom), frame, asked)
    assert width * height <= framing.most_pixels(size, asked)


def _check_size(size: Tuple[int, int], box: Box, asked: Framing) -> None:
    if asked.canvas:
        assert "{}x{}".format(*size) == asked.canvas
    if asked.resize:
        assert max(size) == asked.resize
    if asked.aspect and not asked.resize:
        width, height = map(float, asked.aspect.split(":"))
        assert abs(size[0] - size[1] * width / height) <= 1 + width / height or 1 in size
    if not (asked.canvas or asked.resize or asked.aspect):
        assert size == box.size


def _check_alignment(seen: Sequence[float], frame: Frame, asked: Framing) -> None:
    (left, top, right, bottom), size = seen, frame.size
    if not (asked.canvas or asked.aspect):
        return
    scale = max(size) / 20
    if asked.align == "bottom":
        assert bottom == pytest.approx(size[1], abs=1e-6)
    if asked.align == "top":
        assert top == pytest.approx(0, abs=1e-6)
    if asked.align == "left":
        assert left == pytest.approx(0, abs=1e-6)
    if asked.align == "right":
        assert right == pytest.approx(size[0], abs=1e-6)
    if asked.align in (None, "center"):
        # A frame begins with a whole pixel of the picture.
        assert left == pytest.approx(size[0] - right, abs=1 + scale + frame.transform[0])


def test_subject_boxes_are_those_of_all_masks_together() -> None:
    random = np.random.default_rng(0)
    for _ in range(200):
        shape = tuple(random.integers(1, 9, 2))
        masks = [random.integers(0, 140, shape, np.uint8) for _ in range(random.integers(1, 4))]
        points = np.argwhere(np.max(masks, axis=0) >= 128)
        found = geometry.subject_box(masks)
        if not len(points):
            assert found is None
            continue
        (top, left), (bottom, right) = points.min(axis=0), points.max(axis=0) + 1
        assert found == (left, top, right, bottom)
    assert geometry.subject_box([Image.new("L", (3, 2), 255)]) == (0, 0, 3, 2)


def _weights(before: int, scale: float, offset: float, after: int, support: float) -> Any:
    """float [after, before]: of how much of each pixel each of a frame's is made."""
    wide = max(1.0, 1 / scale)
    edges = offset, offset + scale * before
    # An edge on a pixel of the frame, or outside of it, is sharp: nothing lies beyond it.
    low, high = (
        abs(edge - round(edge)) < 1e-6 or outside
        for edge, outside in zip(edges, (edges[0] <= 0, edges[1] >= after), strict=True)
    )
    pixels = np.arange(after) + 0.5
    around = math.ceil(max(after / scale, 2 * wide)) + 2
    places = np.arange(0 if low else -around, before if high else before + around)
    found = _filter((places + 0.5 - (pixels[:, None] - offset) / scale) / wide, support)
    found /= np.maximum(found.sum(axis=1, keepdims=True), 1e-9)
    found[(low & (pixels < edges[0])) | (high & (pixels > edges[1]))] = 0
    return found[:, (places >= 0) & (places < before)]


def _filter(x: Any, support: float) -> Any:
    """Hamming's, or the bicubic."""
    if support == 1:
        return np.where(abs(x) < 1, np.sinc(x) * (0.54 + 0.46 * np.cos(math.pi * x)), 0)
    x = abs(x)
    near, far = 1.5 * x**3 - 2.5 * x**2 + 1, -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return np.where(x < 1, near, np.where(x < 2, far, 0))


def _slowly_framed(pixels: Any, frame: Frame) -> Any:
    """The same as `framed`: sums over all pixels of the picture, in floating point."""
    height, width, *channels = pixels.shape
    support = 2.0 if frame.enlarges else 1.0
    x = _weights(width, frame.scale[0], frame.offset[0], frame.size[0], support)
    y = _weights(height, frame.scale[1], frame.offset[1], frame.size[1], support)
    cells = pixels.reshape(height, width, -1).astype(float)
    cells[..., :-1] *= cells[..., -1:] / 255
    framed = np.einsum("ya,xb,abc->yxc", y, x, cells, optimize=True)
    alpha = framed[..., -1:]
    framed[..., :-1] *= 255 / np.maximum(alpha, 0.5)
    return framed.clip(0, 255).reshape(*framed.shape[:2], *channels)


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(subjects(), framings(), st.integers(0, 2**31))
def test_pixels_are_those_of_a_slow_twin(found: Any, asked: Framing, seed: int) -> None:
    size, subject = found
    frame = frame_of(size, subject, asked)
    random = np.random.default_rng(seed)
    mask = (random.integers(0, 2, size[::-1]) * 255).astype(np.uint8)
    framed = resampling.framed(mask, frame)
    assert np.abs(framed - _slowly_framed(mask, frame)).max() <= 2
    colours = random.integers(0, 256, (*size[::-1], 3), np.uint8)
    cutout = resampling.framed(np.dstack([colours, mask]), frame)
    assert cutout.shape == (*frame.size[::-1], 4)
    assert np.array_equal(cutout[..., 3], framed)
    expected = _slowly_framed(np.dstack([colours, mask]), frame)
    # Premultiplied colours of 8 bits are as exact as they are opaque.
    assert (np.abs(cutout - expected)[..., :3] * (framed[..., None] / 255)).max() <= 3


@settings(max_examples=60, deadline=None)
@given(subjects(), framings(), st.integers(0, 2**31))
def test_the_fast_loop_gives_the_bits_of_pillow(found: Any, asked: Framing, seed: int) -> None:
    size, subject = found
    pixels = np.random.default_rng(seed).integers(0, 256, (*size[::-1], 4), np.uint8)
    frame = frame_of(size, subject, asked)
    for picture in (pixels, PlainCutout(pixels[..., :3], pixels[..., 3])):
        fast = resampling.framed(picture, frame)
        with mock.patch.object(shrink.twin, "fast", return_value=None):
            assert np.array_equal(fast, resampling.framed(np.asarray(picture), frame))


def test_colours_are_divided_by_opacity_as_pillow_does_it() -> None:
    from rembg_beam.transforms.fast import shrink_kernels

    level, alpha = np.meshgrid(np.arange(256, dtype=np.uint8), np.arange(256, dtype=np.uint8))
    pixels = np.stack([level, 255 - level, level // 2, alpha], -1)
    premultiplied = Image.frombytes("RGBa", (256, 256), pixels.tobytes())
    straight = np.empty(256 * 256, np.uint32)
    shrink_kernels._straighten(pixels.view(np.uint32).reshape(-1), straight)
    wanted = np.asarray(premultiplied.convert("RGBA"))
    assert np.array_equal(straight.view(np.uint8).reshape(pixels.shape), wanted)


def test_a_part_of_a_part_of_a_plain_cutout_is_the_arrays() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 50, 4), np.uint8)
    cutout = PlainCutout(pixels[..., :3], pixels[..., 3])
    whole, parts = (
        np.asarray(cutout),
        ((slice(3, 37), slice(5, 41)), (slice(2, None), slice(4, 30))),
    )
    for part in parts:
        cutout, whole = cutout[part], whole[part]
        assert cutout.shape == whole.shape and np.array_equal(cutout, whole)
        assert np.array_equal(cutout.alpha, whole[..., 3])
        rows = np.cumsum(cutout.up_filtered()[:, 1:], axis=0, dtype=np.uint8)
        assert np.array_equal(rows.reshape(whole.shape), whole)


@settings(max_examples=60)
@given(subjects(), st.integers(0, 30), st.integers(0, 2**31))
def test_without_a_size_pixels_are_those_of_the_picture(found: Any, margin: int, seed: int) -> None:
    size, subject = found
    pixels = np.random.default_rng(seed).integers(0, 256, (*size[::-1], 4), np.uint8)
    frame = frame_of(size, subject, Framing(crop="subject", margin=str(margin)))
    by_hand = Image.new("RGBA", frame.size)
    by_hand.paste(Image.fromarray(pixels), (margin - subject.left, margin - subject.top))
    assert np.array_equal(resampling.framed(pixels, frame), np.asarray(by_hand))


@pytest.mark.parametrize("canvas", ["50x50", "97x97", "300x300"])
@pytest.mark.parametrize("level", [0, 77, 128, 201, 255])
def test_no_light_and_no_dark_line_surrounds_a_subject(canvas: str, level: int) -> None:
    """Of one colour, whatever lies under the transparency around it."""
    mask = np.zeros((97, 121), np.uint8)
    mask[20:70, 30:90] = 255
    mask[(np.indices(mask.shape).sum(0) // 9 % 5 == 0) & (mask == 255)] = 0
    frame = frame_of((121, 97), Box(30, 20, 90, 70), Framing(crop="subject", canvas=canvas))
    for under in (0, 255):
        pixels = np.full((97, 121, 4), under, np.uint8)
        pixels[mask == 255] = level
        pixels[..., 3] = mask
        framed = resampling.framed(pixels, frame).astype(int)
        seen = framed[..., 3] >= 128
        assert np.abs(framed[seen][:, :3] - level).max() <= 2


def test_a_mask_stays_empty_beside_its_subject() -> None:
    """A filter with lobes leaves a faint line there."""
    mask = np.zeros((200, 200), np.uint8)
    mask[40:160, 40:160] = 255
    for canvas in ("60x60", "77x77"):
        frame = frame_of((200, 200), None, Framing(canvas=canvas))
        framed = resampling.framed(mask, frame)
        edge = math.floor(40 * frame.scale[0]) - 1
        assert not framed[:, :edge].any() and not framed[:edge].any()


def test_a_trimap_keeps_its_levels_and_is_never_surer() -> None:
    random = np.random.default_rng(0)
    trimap = np.repeat(np.repeat(random.choice([0, 128, 255], (20, 30)), 4, 0), 4, 1)
    trimap = trimap.astype(np.uint8)
    for asked in (Framing(resize=50), Framing(canvas="300x300"), Framing(canvas="31x77")):
        frame = frame_of((120, 80), None, asked)
        framed = resampling.framed_trimap(trimap, frame)
        assert set(np.unique(framed)) <= {0, 128, 255}
        share = _slowly_framed((trimap > 0).astype(np.uint8) * 255, frame)
        assert (share[framed == 255] >= 252).all()


def test_what_lies_around_is_transparent() -> None:
    pixels = np.full((10, 20, 4), 255, np.uint8)
    frame = frame_of((20, 10), None, Framing(canvas="7x7", align="top"))
    framed = resampling.framed(pixels, frame)
    assert framed[-1].tolist() == [[0, 0, 0, 0]] * 7
    assert framed[0].tolist() == [[255] * 4] * 7


def test_a_plain_cutout_is_made_of_what_is_shown_alone() -> None:
    random = np.random.default_rng(0)
    colours = random.integers(0, 256, (60, 80, 3), np.uint8)
    mask = random.integers(0, 256, (60, 80), np.uint8)
    cutout = PlainCutout(colours, mask)
    for asked in (Framing(crop="subject", margin="50%"), Framing(crop="subject", resize=9)):
        frame = frame_of((80, 60), Box(30, 10, 50, 40), asked)
        expected = resampling.framed(np.asarray(cutout), frame)
        assert np.array_equal(resampling.framed(cutout, frame), expected)


def test_a_frame_beside_the_picture_is_empty() -> None:
    frame = Frame((1.0, 1.0), (-50.0, 0.0), (5, 5))
    assert not resampling.framed(np.full((9, 9, 4), 255, np.uint8), frame).any()


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"margin": "abc"}, r"margin='abc' must be a share from 0% to 200%, or pixels"),
        ({"margin": "201%"}, "margin='201%' must be"),
        ({"margin": "-1"}, "margin='-1' must be"),
        (
            {"margin": 0.05},
            "margin='0.05' is less than a pixel: write a share as 5%, or pixels from",
        ),
        ({"aspect": "1x1"}, r"aspect='1x1' must be two numbers, such as 16:9"),
        ({"aspect": "0:1"}, "aspect='0:1' must be"),
        ({"aspect": "21:1"}, "at most 20 times"),
        ({"canvas": "1024"}, r"canvas='1024' must be two counts of pixels, such as 1024x1024"),
        ({"canvas": "0x5"}, "canvas='0x5' must be"),
        ({"canvas": "99999x5"}, "each from 1 to 16383"),
        ({"canvas": "10.5x5"}, "canvas='10.5x5' must be"),
        ({"canvas": "8x8", "aspect": "1:1"}, "leave out aspect"),
        ({"canvas": "8x8", "resize": 8}, "leave out resize"),
        ({"fit": "cover"}, "fit='cover' needs aspect or canvas"),
        ({"align": "bottom", "resize": 5}, "align='bottom' needs aspect or canvas"),
        ({"align": "middle"}, "align='middle' must be one of center, bottom"),
        ({"crop": "face"}, "crop='face' must be one of subject"),
        ({"resize": 0}, "resize=0 must be"),
        ({"background": "#fff"}, "background='#fff' is a colour"),
        ({"background": "white"}, "is a colour, and a picture goes there: take bgcolor"),
    ],
)
def test_framing_refuses_what_makes_no_sense(asked: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Framing(**asked)


def test_margins_are_texts_or_numbers() -> None:
    assert Framing(margin=20) == Framing(margin="20")  # type: ignore[arg-type]
    asked = Framing(crop="subject", margin="2.5 %")
    assert frame_of((90, 90), Box(0, 0, 80, 40), asked).size == (84, 44)


@pytest.mark.parametrize("longest", [None, 30])
def test_an_output_has_a_size_of_its_own(longest: Optional[int]) -> None:
    frame = frame_of((40, 20), None, Framing(canvas="60x90"), longest=longest)
    assert frame.size == ((20, 30) if longest else (60, 90))
