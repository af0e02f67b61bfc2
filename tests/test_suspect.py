"""Why a mask may be wrong."""

import time
from typing import Any, List

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy import ndimage

from rembg_beam.transforms.fast import grid
from rembg_beam.transforms.models import proof
from rembg_beam.transforms.pictures import suspect
from rembg_beam.transforms.pictures.picture import Picture
from rembg_beam.transforms.pictures.suspect import Suspicion


def scene(seed: int = 3) -> Any:
    """A disc of one colour before a textured background, and its true mask."""
    random = np.random.default_rng(seed)
    small = random.integers(0, 90, (12, 18, 3), np.uint8)
    pixels = cv2.resize(small, (600, 400), interpolation=cv2.INTER_CUBIC)
    mask = np.zeros((400, 600), np.uint8)
    cv2.circle(mask, (300, 200), 110, 255, -1, cv2.LINE_AA)
    subject = np.array([220, 190, 160]) * (mask[..., None] / 255)
    return (pixels * (1 - mask[..., None] / 255) + subject).astype(np.uint8), mask


def reasons(pixels: Any, mask: Any, **more: Any) -> Any:
    return suspect.reasons(Picture(pixels=pixels), [mask], Suspicion(**more))


def test_a_good_mask_is_not_doubted() -> None:
    assert reasons(*scene()) == []


@pytest.mark.parametrize(
    ("name", "spoil"),
    [
        ("nothing", lambda mask: mask * 0),
        ("everything", lambda mask: mask * 0 + 255),
        ("unstable", lambda mask: cv2.GaussianBlur(mask, (0, 0), 40)),
        ("soft", lambda mask: cv2.GaussianBlur(mask, (0, 0), 40)),
        ("parts", lambda mask: np.where(np.indices(mask.shape)[0] // 20 % 2, mask, 0)),
        ("holes", lambda mask: cv2.circle(mask.copy(), (300, 200), 70, 0, -1)),
        ("borders", lambda mask: 255 - mask),
        ("low_contrast", lambda mask: np.roll(mask, 200, axis=1)),
        ("cut", lambda mask: np.where(np.indices(mask.shape)[0] < 200, 0, mask)),
    ],
)
def test_each_reason_has_its_name(name: str, spoil: Any) -> None:
    pixels, mask = scene()
    assert name in suspect.REASONS
    assert name in reasons(pixels, spoil(mask).astype(np.uint8))


def test_thresholds_can_be_set() -> None:
    pixels, mask = scene()
    assert reasons(pixels, mask, suspect_low_contrast=100.0) == ["low_contrast"]
    assert reasons(pixels, 255 - mask, suspect_borders=5) == []
    with pytest.raises(ValueError, match=r"suspect_soft=2.* must be"):
        Suspicion(suspect_soft=2.0)


def test_pictures_of_every_mode_and_size() -> None:
    pixels, mask = scene()
    expected = reasons(pixels, np.roll(mask, 200, axis=1))
    image = Image.fromarray(pixels)
    for mode in ("RGBA", "CMYK", "L", "P"):
        picture = Picture(image.convert(mode))
        found = suspect.reasons(picture, [Image.fromarray(np.roll(mask, 200, axis=1))], Suspicion())
        assert found == expected, mode
    for shape in [(1, 1), (1, 5000), (5000, 1), (3, 2), (95, 97)]:
        for level in (0, 255):
            flat = np.full(shape, level, np.uint8)
            assert reasons(np.zeros((*shape, 3), np.uint8), flat)


def test_several_masks_are_taken_together() -> None:
    pixels, mask = scene()
    halves = [np.where(np.indices(mask.shape)[1] < 300, mask, 0).astype(np.uint8)]
    halves.append(mask - halves[0])
    picture = Picture(pixels=pixels)
    assert suspect.reasons(picture, halves, Suspicion()) == []
    assert suspect.reasons(picture, halves[:1], Suspicion()) == ["cut"]


def test_it_takes_next_to_nothing() -> None:
    """It takes a sixth of a millisecond; thirty times that would be noticed."""
    picture = Picture(pixels=np.asarray(proof.pictures()[0].resize((1000, 670))))
    mask = cv2.resize(scene()[1], (1000, 670))
    taken = []
    for _ in range(20):
        start = time.thread_time()
        suspect.reasons(picture, [mask], Suspicion())
        taken.append(time.thread_time() - start)
    assert sorted(taken)[10] < 0.005


def counted(colours: Any, mask: Any) -> Any:
    """`grid.Counts`, the slow and plain way."""
    found, area = mask >= 128, int((mask >= 128).sum())
    levels = {"some": 26, "low": 77, "half": 128, "high": 179, "full": 230}
    parts, _ = ndimage.label(found, np.ones((3, 3)))
    holes = ndimage.binary_fill_holes(found) & ~found
    sides = [found[0], found[-1], found[:, 0], found[:, -1]]
    return grid.Counts(
        **{name: int((mask >= level).sum()) for name, level in levels.items()},
        parts=int((np.bincount(parts[found], minlength=1) > max(0.02 * area, 0)).sum()),
        holes=int(holes.sum()),
        borders=sum(int(side.mean() > 0.15) for side in sides),
        **contrast(colours, found),
    )


def contrast(colours: Any, found: Any) -> Any:
    across: List[int] = []
    beside: List[int] = []
    edges: List[Any] = []
    near = ndimage.maximum_filter(found, 7) & ~ndimage.minimum_filter(found, 7)
    for y, x in np.ndindex(found.shape):
        for axis, there in ((0, (y - 1, x)), (1, (y, x - 1))):
            if min(there) < 0:
                continue
            change = np.abs(colours[y, x].astype(int) - colours[there]).astype(np.uint8)
            grey = int(np.asarray(Image.fromarray(change[None, None]).convert("L"))[0, 0])
            if found[y, x] != found[there]:
                across.append(grey)
                edges.append((grey, (axis, (y, x)[axis])))
            elif near[y, x]:
                beside.append(grey)
    limit = max(2 * sum(beside) / max(len(beside), 1), 12)
    lines = [line for grey, line in edges if grey < limit]
    return {
        **{"across": sum(across), "edges": len(across)},
        **{"beside": sum(beside), "others": len(beside)},
        "flat": max(map(lines.count, lines), default=0),
    }


@settings(max_examples=25, deadline=None)
@given(
    shape=st.tuples(st.integers(2, 16), st.integers(2, 16)),
    blocks=st.tuples(st.integers(1, 24), st.integers(1, 24)),
    smooth=st.booleans(),
    noise=st.integers(1, 255),
    seed=st.integers(0, 2**32 - 1),
)
def test_numpy_and_the_loops_count_what_is_counted_one_by_one(
    shape: Any, blocks: Any, smooth: bool, noise: int, seed: int
) -> None:
    random = np.random.default_rng(seed)
    colours = random.integers(0, noise, (*shape, 3), np.uint8)
    drawn = random.integers(0, 256, blocks, np.uint8)
    mask = cv2.resize(drawn, shape[::-1], interpolation=cv2.INTER_LINEAR if smooth else 0)
    fast = suspect.twin.fast()
    assert fast is not None
    expected = counted(colours, mask)
    assert grid.count(colours, mask) == expected
    assert grid.Counts(*fast(colours, mask)) == expected


def test_loops_that_count_otherwise_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert suspect._load() is not None
    monkeypatch.setattr(grid, "count", lambda colours, mask: grid.Counts(*range(13)))
    assert suspect._load() is None
