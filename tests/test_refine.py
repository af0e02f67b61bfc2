"""Masks of large pictures are refined: against a slow twin, and by what it is good for."""

import io
from pathlib import Path
from typing import Any, Optional, Tuple

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from support.cutting import through_tiny

from rembg_beam.pipelines import values
from rembg_beam.transforms import RemoveOptions
from rembg_beam.transforms.pictures import refine as refinement
from rembg_beam.transforms.pictures.cleanup import MaskCleanup
from rembg_beam.transforms.pictures.encode import Encoding, encode
from rembg_beam.transforms.pictures.postprocessing import PostProcessing
from rembg_beam.transforms.pictures.refine import refine


def scene(height: int = 300, width: int = 400) -> Tuple[Any, Any]:
    """A bright star before a dark, noisy ground, and its true mask."""
    random = np.random.default_rng(5)
    angle = np.linspace(0, 2 * np.pi, 41)
    radius = np.where(np.arange(41) % 2, 0.2, 0.42) * height
    points = np.stack([width / 2 + radius * np.cos(angle), height / 2 + radius * np.sin(angle)], -1)
    mask = cv2.fillPoly(np.zeros((height, width), np.uint8), [points.astype(np.int32)], 255)
    mask = cv2.GaussianBlur(mask, (0, 0), 0.7)
    share = mask[..., None] / 255
    pixels = share * (200, 180, 90) + (1 - share) * (40, 60, 80)
    return np.clip(pixels + random.normal(0, 3, pixels.shape), 0, 255).astype(np.uint8), mask


def enlarged(mask: Any, size: Tuple[int, int]) -> Any:
    """As a model's map of a size comes to be a mask."""
    small = Image.fromarray(mask).resize(size[::-1], Image.Resampling.BOX)
    return np.asarray(small.resize(mask.shape[::-1], Image.Resampling.LANCZOS))


def error(one: Any, other: Any) -> float:
    return float(np.abs(one.astype(float) - other).mean())


def slow_mean(values: Any, reach: int) -> Any:
    """Of a window about each point; outside lies what a mirror at the border shows."""
    height, width = values.shape[:2]
    padded = np.pad(values, [(reach, reach)] * 2 + [(0, 0)] * (values.ndim - 2), "symmetric")
    side = 2 * reach + 1
    return np.array(
        [
            [padded[y : y + side, x : x + side].mean(axis=(0, 1)) for x in range(width)]
            for y in range(height)
        ]
    )


def twin(pixels: Any, mask: Any, size: Tuple[int, int]) -> Any:
    """The guided filter as its papers tell it, point by point, in float64."""
    guide, map = (
        cv2.resize(each, size[::-1], interpolation=cv2.INTER_AREA).astype(float) / 255
        for each in (pixels, mask)
    )
    pairs = np.concatenate([guide, map[..., None]], -1)
    mean = slow_mean(pairs, 3)
    products = slow_mean(pairs[..., :, None] * pairs[..., None, :], 3)
    covariance = products - mean[..., :, None] * mean[..., None, :]
    factors = np.linalg.solve(
        covariance[..., :3, :3] + 1e-4 * np.eye(3), covariance[..., :3, 3][..., None]
    )[..., 0]
    added = mean[..., 3] - (factors * mean[..., :3]).sum(-1)
    explained = (factors * covariance[..., :3, 3]).sum(-1) / (covariance[..., 3, 3] + 1e-3)
    trust = np.clip((explained - 0.7) / 0.2, 0, 1)
    for y, x in np.ndindex(map.shape):
        near = map[max(y - 2, 0) : y + 3, max(x - 2, 0) : x + 3]
        trust[y, x] *= near.max() - near.min() > 0.1
    weight = slow_mean(trust, 1)
    told = np.concatenate([factors, added[..., None]], -1) * trust[..., None]
    told = slow_mean(told, 1)
    planes = [cv2.resize(plane, mask.shape[::-1]) for plane in (*np.moveaxis(told, -1, 0), weight)]
    found = sum(planes[n] * pixels[..., n] for n in range(3)) + 255 * planes[3]
    found = found / np.maximum(planes[4], 1e-6)
    found = np.clip(1.2 * (found - 127.5) + 127.5, 0, 255)
    return mask + (found - mask) * planes[4]


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1), st.integers(16, 40), st.integers(16, 40))
def test_it_is_the_guided_filter(seed: int, height: int, width: int) -> None:
    random = np.random.default_rng(seed)
    mask = cv2.resize(random.integers(0, 256, (3, 4), np.uint8), (width, height))
    pixels = np.clip(mask[..., None] * random.uniform(-1, 1, 3) + random.uniform(0, 255, 3), 0, 255)
    pixels = np.clip(pixels + random.normal(0, 4, pixels.shape), 0, 255).astype(np.uint8)
    size = (int(random.integers(6, height // 2 + 1)), int(random.integers(6, width // 2 + 1)))
    found = refine(pixels, mask, size)
    expected = twin(pixels, mask, size)
    assert np.abs(found - expected).max() <= 1.0 and np.abs(found - expected).mean() <= 0.3


def test_edges_come_nearer_to_the_truth() -> None:
    pixels, true = scene()
    coarse = enlarged(true, (60, 60))
    found = refine(pixels, coarse, (60, 60))
    assert error(found, true) < error(coarse, true) / 2
    inside = cv2.erode(true, np.ones((41, 41))) == 255
    assert inside.any() and found[inside].min() >= 250


def test_where_colours_tell_nothing_the_mask_stays() -> None:
    pixels, true = scene()
    coarse = enlarged(true, (60, 60))
    grey = np.full_like(pixels, 127)
    np.testing.assert_array_equal(refine(grey, coarse, (60, 60)), coarse)
    elsewhere = np.random.default_rng(1).integers(0, 256, pixels.shape, np.uint8)
    assert error(refine(elsewhere, coarse, (60, 60)), coarse) < 0.05


def test_blocks_of_rows_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    pixels, true = scene()
    whole = refine(pixels, enlarged(true, (60, 60)), (60, 60))
    monkeypatch.setattr(refinement, "_BLOCK", 1700)
    np.testing.assert_array_equal(refine(pixels, enlarged(true, (60, 60)), (60, 60)), whole)


@pytest.mark.parametrize("shape", [(1, 1), (1, 3000), (3000, 1), (2, 700), (900, 3)])
def test_pictures_of_every_shape(shape: Tuple[int, int]) -> None:
    random = np.random.default_rng(2)
    pixels, mask = (random.integers(0, 256, (*shape, n), np.uint8) for n in (3, 1))
    found = refine(pixels, mask[..., 0], (320, 320))
    assert found.shape == shape and found.dtype == np.uint8


def test_a_map_that_is_as_large_has_nothing_to_refine() -> None:
    pixels, true = scene()
    assert refine(pixels, true, (300, 400)) is true


def test_pictures_above_a_count_of_pixels_are_refined(root: Path) -> None:
    small = Image.open(root / "examples" / "coffee.jpg")
    image = small.resize((1000, 1500), Image.Resampling.BICUBIC)

    def mask(above: Optional[int]) -> Any:
        asked = MaskCleanup(refine_above=above)
        cut = through_tiny(
            encode(image, Encoding()),
            options=RemoveOptions(only_mask=True),
            postprocessing=PostProcessing(cleanup=asked),
        )
        return np.asarray(Image.open(io.BytesIO(cut.parts[0].data)))

    plain, refined = mask(None), mask(1_499_999)
    np.testing.assert_array_equal(mask(1_500_000), plain)
    assert (refined != plain).any()
    np.testing.assert_array_equal(refined, refine(np.asarray(image), plain, (320, 320)))


@pytest.mark.parametrize(("text", "count"), [("2MP", 2_000_000), ("1.5 mp", 1_500_000), (7, 7)])
def test_a_number_of_pixels(text: Any, count: int) -> None:
    assert values.KINDS["pixels"](text) == count
    assert MaskCleanup(refine_above=count).refine_above == count


@pytest.mark.parametrize("text", ["2GB", "1.5", "-1", "", "MP", "2 M P", None])
def test_what_is_no_number_of_pixels(text: Any) -> None:
    with pytest.raises(ValueError, match="must be a number of pixels, such as 2000000 or 2MP"):
        values.KINDS["pixels"](text)
