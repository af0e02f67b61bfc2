"""Masks are cleaned up: each step against a slow, obvious twin, and all in their order."""

import io
import itertools
import math
from pathlib import Path
from typing import Any, Callable, Dict, List, Set, Tuple

import cv2
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image
from support.cutting import through_tiny, untimed

from rembg_beam.transforms import Cutout, RemBGModelHandler, RemoveBackground, RemoveOptions
from rembg_beam.transforms.folder import record
from rembg_beam.transforms.pictures import cleanup
from rembg_beam.transforms.pictures.cleanup import MaskCleanup, clean
from rembg_beam.transforms.pictures.postprocessing import PostProcessing

LEVELS = st.sampled_from([0, 0, 10, 25, 26, 60, 127, 128, 200, 255])
MASKS = arrays(np.uint8, array_shapes(min_dims=2, max_dims=2, max_side=9), elements=LEVELS)
SHARES = st.floats(0.01, 1)

Pixels = Set[Tuple[int, int]]


def flooded(wanted: Any, corners: bool) -> List[Pixels]:
    """What is connected of an array of bools, in the order of its first pixels."""
    left = {(y, x) for y, x in np.argwhere(wanted).tolist()}
    found = []
    for start in sorted(left):
        part, edge = set(), {start} & left
        while edge:
            part |= edge
            left -= edge
            edge = {
                (y + dy, x + dx)
                for y, x in edge
                for dy, dx in itertools.product((-1, 0, 1), repeat=2)
                if corners or not (dy and dx)
            } & left
        if part:
            found.append(part)
    return found


def parts_of(mask: Any, corners: bool = True) -> List[Pixels]:
    return flooded(mask >= 26, corners)


def size(mask: Any, part: Pixels) -> float:
    return sum(int(mask[pixel]) for pixel in part) / 255


def largest(mask: Any) -> float:
    return max((size(mask, part) for part in parts_of(mask)), default=0)


def distance(pixel: Tuple[int, int], parts: List[Pixels]) -> float:
    return min((math.dist(pixel, other) for part in parts for other in part), default=math.inf)


def check_dropped(
    mask: Any, found: Any, parts: List[Pixels], goes: Callable[[Pixels], bool]
) -> None:
    """Parts go or stay with what is nearest to them; where that is close, either is right."""
    gone = [part for part in parts if goes(part)]
    kept = [part for part in parts if not goes(part)]
    for pixel in np.ndindex(mask.shape):
        to_gone, to_kept = distance(pixel, gone), distance(pixel, kept)
        if 1.05 * to_gone < to_kept:
            assert found[pixel] == 0, pixel
        elif to_kept * 1.05 < to_gone or not gone:
            assert found[pixel] == mask[pixel], pixel
        else:
            assert found[pixel] in (0, mask[pixel]), pixel


@given(MASKS, SHARES)
def test_specks_are_dropped(mask: Any, share: float) -> None:
    found = cleanup.drop_specks(mask, share)
    limit = share * largest(mask)
    check_dropped(mask, found, parts_of(mask), lambda part: size(mask, part) < limit)


@given(MASKS, st.integers(1, 4))
@example(np.array([[0, 0, 0, 0, 255], [255, 0, 0, 0, 0]], np.uint8), 1)
def test_the_largest_parts_are_kept(mask: Any, count: int) -> None:
    found = cleanup.keep_largest(mask, count)
    parts = parts_of(mask)
    kept = sorted(parts, key=lambda part: -size(mask, part))[:count]
    check_dropped(mask, found, parts, lambda part: part not in kept)


@given(MASKS, SHARES)
def test_holes_are_filled(mask: Any, share: float) -> None:
    found = cleanup.fill_holes(mask, share)
    limit, (height, width) = share * largest(mask), mask.shape

    def is_filled(part: Pixels) -> bool:
        inside = all(0 < y < height - 1 and 0 < x < width - 1 for y, x in part)
        return inside and size(empty, part) < limit

    empty = 255 - mask
    check_dropped(empty, 255 - found, parts_of(empty, corners=False), is_filled)


@given(MASKS, st.integers(-4, 4).filter(bool))
def test_edges_move_by_pixels(mask: Any, pixels: int) -> None:
    best = max if pixels > 0 else min
    found = cleanup.grow(mask, pixels)
    for pixel in np.ndindex(mask.shape):
        near = [
            mask[other]
            for other in np.ndindex(mask.shape)
            if math.dist(pixel, other) <= abs(pixels)
        ]
        assert found[pixel] == best(near)


@given(MASKS, st.floats(0.5, 8))
def test_edges_soften_as_by_a_gaussian(mask: Any, pixels: float) -> None:
    found = cleanup.feather(mask, pixels)
    reach = math.ceil(2 * pixels)
    weights = np.exp(-2 * (np.arange(-reach, reach + 1) / pixels) ** 2)
    weights /= weights.sum()
    expected = np.pad(mask.astype(float), reach, mode="edge")
    for axis in (0, 1):
        expected = np.apply_along_axis(np.convolve, axis, expected, weights, mode="valid")
    assert np.abs(found - expected).max() <= 4


def test_kept_parts_keep_their_soft_edges_and_specks_lose_theirs() -> None:
    subject, speck = np.zeros((2, 120, 160), np.uint8)
    cv2.circle(subject, (60, 60), 40, 255, -1)
    cv2.circle(speck, (135, 30), 6, 255, -1)
    subject, speck = (cv2.GaussianBlur(each, (0, 0), 3) for each in (subject, speck))
    for cleaned in (
        cleanup.drop_specks(subject + speck, 0.1),
        cleanup.keep_largest(subject + speck, 1),
    ):
        np.testing.assert_array_equal(cleaned, subject)
    holed = cv2.circle(subject.copy(), (60, 60), 4, 0, -1)
    holed = np.minimum(cv2.GaussianBlur(holed, (0, 0), 1), subject)
    assert cleanup.fill_holes(holed, 0.1)[40:80, 40:80].min() >= 250


def drawn(*discs: Tuple[int, int, int]) -> Any:
    """Discs of (x, radius, level) in a row, later ones over others."""
    mask = np.zeros((100, 240), np.uint8)
    for x, radius, level in discs:
        cv2.circle(mask, (x, 50), radius, level, -1)
    return mask


STEPS: List[Tuple[str, Any, Callable[[Any, Any], Any]]] = [
    ("mask_threshold", 200, lambda mask, level: 255 * (mask >= level).astype(np.uint8)),
    ("mask_drop_specks", 0.1, cleanup.drop_specks),
    ("mask_fill_holes", 0.8, cleanup.fill_holes),
    ("mask_keep_largest", 1, cleanup.keep_largest),
    ("mask_grow", 4, cleanup.grow),
    ("mask_feather", 4.0, cleanup.feather),
]
SHOWN = [
    drawn((50, 40, 255), (160, 40, 150), (160, 6, 255)),  # faint around a small core
    drawn((50, 40, 255), (50, 36, 0), (50, 12, 255), (160, 40, 255)),
    drawn((50, 40, 255), (50, 28, 0), (160, 35, 255)),  # a ring and a disc
    drawn((50, 40, 255), (132, 39, 255)),  # two that nearly touch
    drawn((50, 40, 255), (132, 39, 255)),
]


@pytest.mark.parametrize(("at", "mask"), enumerate(SHOWN))
def test_the_order_is_as_stated(at: int, mask: Any) -> None:
    """Where the order of two steps matters, it is that of the settings."""
    (name, value, first), (later, other, second) = STEPS[at : at + 2]
    found = clean(mask, MaskCleanup(**{later: other, name: value}))
    np.testing.assert_array_equal(found, second(first(mask, value), other))
    assert (found != first(second(mask, other), value)).any()


@settings(max_examples=20)
@given(MASKS)
def test_nothing_is_done_unasked(mask: Any) -> None:
    assert clean(mask, MaskCleanup()) is mask


def test_wrong_settings_say_what_is_right() -> None:
    with pytest.raises(ValueError, match=r"mask_drop_specks=2.0 must be a number from 0 to 1"):
        MaskCleanup(mask_drop_specks=2.0)
    with pytest.raises(ValueError, match=r"mask_keep_largest=0 must be a positive integer"):
        MaskCleanup(mask_keep_largest=0)


def images_of(cutout: Cutout) -> Dict[str, Any]:
    """The pixels of its parts by their suffixes."""
    return {part.suffix: np.asarray(Image.open(io.BytesIO(part.data))) for part in cutout.parts}


def test_the_mask_that_is_used_is_the_cleaned_one(root: Path) -> None:
    data = (root / "examples" / "coffee.jpg").read_bytes()
    options = RemoveOptions(outputs=("cutout", "mask"))
    asked = MaskCleanup(mask_keep_largest=1, mask_fill_holes=0.5, mask_grow=-3)
    plain = through_tiny(data, options=options)
    cut = through_tiny(data, options=options, postprocessing=PostProcessing(cleanup=asked))
    mask = images_of(cut)[".mask"]
    np.testing.assert_array_equal(mask, clean(images_of(plain)[".mask"], asked))
    np.testing.assert_array_equal(images_of(cut)[".cutout"][..., 3], mask)
    assert cut.facts.foreground == (mask >= 128).mean() < plain.facts.foreground
    same = through_tiny(data, options=options, postprocessing=PostProcessing())
    assert same.parts == plain.parts and untimed(same.facts) == untimed(plain.facts)


def test_other_settings_are_another_folder(tmp_path: Path) -> None:
    def settings_of(**more: Any) -> Any:
        return record.settings_of(RemoveBackground(output=str(tmp_path), session="tiny", **more))

    asked = MaskCleanup(mask_grow=2, refine_above=5)
    assert settings_of(postprocessing=PostProcessing()) == settings_of()
    assert settings_of(postprocessing=PostProcessing(cleanup=asked)) == {
        **settings_of(),
        "mask_grow": 2,
        "refine_above": 5,
    }
    assert (
        RemBGModelHandler("tiny", postprocessing=PostProcessing(cleanup=asked))
        .removal.step()
        .engine.postprocessing.cleanup
        == asked
    )
