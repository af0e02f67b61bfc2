"""Facts of a subject, against sums one by one."""

import functools
import io
import itertools
import time
from typing import Any, List
from unittest import mock

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from rembg_beam.transforms import RemoveBackground
from rembg_beam.transforms.elements import Cutout, Facts, Part, Source
from rembg_beam.transforms.engine import Engine
from rembg_beam.transforms.fast import subject as by_numpy
from rembg_beam.transforms.folder import manifest
from rembg_beam.transforms.models import proof
from rembg_beam.transforms.models.config import SessionConfig
from rembg_beam.transforms.outcomes import RunColumns, written
from rembg_beam.transforms.pictures import subject, suspect
from rembg_beam.transforms.pictures.picture import Picture


def plainly(pixels: Any, mask: Any) -> Any:
    """All facts but for the number of parts, by Python's own numbers, pixel by pixel."""
    grey = np.asarray(Image.fromarray(pixels).convert("L")).astype(int)
    places = [(y, x) for y, x in np.ndindex(mask.shape) if mask[y, x] >= 128]
    ys, xs = [y for y, _ in places], [x for _, x in places]
    found: Any = dict.fromkeys(("box", "centroid", "color", "blur"))
    found["area"] = len(places)
    if places:
        found["box"] = [min(xs), min(ys), max(xs) + 1, max(ys) + 1]
        found["centroid"] = [round(sum(each) / len(each) + 0.5, 2) for each in (xs, ys)]
    weight = int(mask.sum())
    if places:
        means = [(pixels[..., each].astype(int) * mask).sum() / weight for each in range(3)]
        found["color"] = "#" + "".join(f"{int(mean + 0.5):02x}" for mean in means)
    inside = set(places)
    laplacian: List[int] = []
    for y, x in places:
        around = [(y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)]
        if inside.issuperset(around):
            laplacian.append(int(sum(grey[each] for each in around) - 4 * grey[y, x]))
    if laplacian:
        found["blur"] = round(float(np.var(laplacian)), 2)
    on_white = (grey * mask + 255 * (255 - mask.astype(int))) / 255
    found["dhash"], found["cutout_dhash"] = dhash(grey), dhash(on_white)
    return found


def dhash(levels: Any) -> str:
    height, width = levels.shape
    rows, columns = [
        [slice(i * side // n, -(-(i + 1) * side // n)) for i in range(n)]
        for side, n in ((height, 8), (width, 9))
    ]
    means = [[int(levels[row, column].mean() + 0.5) for column in columns] for row in rows]
    bits = [str(int(right > left)) for row in means for left, right in itertools.pairwise(row)]
    return f"{int(''.join(bits), 2):016x}"


@settings(max_examples=25, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 20), st.integers(1, 20)),
    blocks=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    noise=st.integers(1, 256),
    most=st.sampled_from([1, 128, 256]),
    seed=st.integers(0, 2**32 - 1),
)
def test_they_are_those_of_sums_one_by_one(
    shape: Any, blocks: Any, noise: int, most: int, seed: int
) -> None:
    random = np.random.default_rng(seed)
    pixels = random.integers(0, noise, (*shape, 3), np.uint8)
    mask = cv2.resize(random.integers(0, most, blocks, np.uint8), shape[::-1])
    asked = [name for name in subject.FACTS if name != "parts"]
    expected = plainly(pixels, mask)
    assert subject.twin.fast() is not None
    for loops in (subject.twin.fast(), by_numpy):
        found = subject._found(Picture(pixels=pixels), mask, set(asked), loops)
        assert found == expected


@functools.cache
def drawn(scale: float = 1.0) -> Any:
    """A picture, and the mask of a part of it."""
    image = proof.pictures()[0].resize((round(1000 * scale), round(670 * scale)))
    mask = np.zeros((670, 1000), np.uint8)
    cv2.ellipse(mask, (450, 300), (300, 200), 20, 0, 360, 255, -1, cv2.LINE_AA)
    return image, cv2.resize(mask, image.size, interpolation=cv2.INTER_AREA)


def near(one: str, other: str) -> int:
    return bin(int(one, 16) ^ int(other, 16)).count("1")


def test_a_picture_made_smaller_and_compressed_again_has_nearly_the_same_hashes() -> None:
    image, mask = drawn()
    found = subject.facts(Picture(image), [mask], ["hash"])
    small, its_mask = drawn(0.6)
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=75)
    again = subject.facts(Picture(Image.open(buffer)), [its_mask], ["hash"])
    other = subject.facts(Picture(image.transpose(Image.Transpose.ROTATE_90)), [mask.T], ["hash"])
    assert set(found) == {"dhash", "cutout_dhash"}
    for name in found:
        assert near(found[name], again[name]) <= 2 < 8 < near(found[name], other[name])


def test_a_blurred_subject_has_a_lower_blur() -> None:
    image, mask = drawn()
    sharp, soft = (
        subject.facts(Picture(each), [mask], ["blur"])["blur"]
        for each in (image, Image.fromarray(cv2.GaussianBlur(np.asarray(image), (0, 0), 2)))
    )
    assert soft < sharp / 5


def test_masks_are_taken_together_and_modes_are_all_the_same() -> None:
    image, mask = drawn()
    halves = [np.where(np.indices(mask.shape)[1] < 400, mask, 0).astype(np.uint8)]
    halves.append(mask - halves[0])
    whole = subject.facts(Picture(image), [mask], ["all"], 1)
    assert set(whole) == {*Facts._fields} & {*whole} and whole["parts"] == 1
    images = [Image.fromarray(half) for half in halves]
    assert subject.facts(Picture(image.convert("RGBA")), images, ["all"], 1) == whole


def test_what_is_nowhere_the_subject_has_no_colour() -> None:
    picture = Picture(pixels=np.full((9, 9, 3), 200, np.uint8))
    for level, color in ((127, None), (128, "#c8c8c8")):
        masks = [np.full((9, 9), level, np.uint8)]
        assert subject.facts(picture, masks, ["color"]) == {"color": color}


def test_it_takes_next_to_nothing() -> None:
    """It takes 0.8 ms; ten times that would be noticed."""
    image, mask = drawn()
    picture = Picture(pixels=np.asarray(image))
    taken = []
    for _ in range(20):
        start = time.thread_time()
        subject.facts(picture, [mask], ["all"], 1)
        taken.append(time.thread_time() - start)
    assert sorted(taken)[10] < 0.008


def test_other_sums_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert subject._load() is not None
    monkeypatch.setattr(by_numpy, "colour_sums", lambda pixels, mask: (1, 2, 3, 4))
    assert subject._load() is None


def test_only_what_is_asked_for_is_in_the_row(rembg_home: Any) -> None:
    image, _ = drawn()
    buffer = io.BytesIO()
    image.save(buffer, "JPEG")
    columns = ("box", "area", "centroid", "parts", "color", "dhash", "cutout_dhash", "blur")
    for asked, known in [(None, ()), (["area", "parts"], ("area", "parts")), (["all"], columns)]:
        with Engine(SessionConfig("u2netp"), facts=asked) as engine:
            facts = engine.remove(buffer.getvalue()).facts
        assert {name for name in columns if getattr(facts, name) is not None} == set(known)
    row = manifest.table([_row(facts)]).to_pylist()[0]
    assert {name: row[name] for name in columns} == {name: getattr(facts, name) for name in columns}


def test_a_mask_that_is_not_cleaned_is_measured_once(monkeypatch: pytest.MonkeyPatch) -> None:
    measured = mock.Mock(wraps=suspect.measured)
    monkeypatch.setattr(suspect, "measured", measured)
    image, _ = drawn()
    for asked, times in [(None, 1), (["parts"], 2)]:
        with Engine(SessionConfig("tiny"), facts=asked) as engine:
            engine.attempt(image, "{}", "a picture")
        assert measured.call_count == times


def _row(facts: Facts) -> Any:
    cutout = Cutout([Part("", b"")], "u2netp", facts)
    return written(Source("a.jpg"), cutout, ["a.png"], RunColumns("u2netp"))


def test_unknown_facts_are_refused() -> None:
    for make in (
        Engine,
        lambda config, **more: RemoveBackground(session=config, output="x", **more),
    ):
        with pytest.raises(ValueError, match=r"facts=.*must be one or more of box, area"):
            make(SessionConfig("u2netp"), facts=("bocks",))
