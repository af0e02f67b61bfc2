"""Framing through the doors: what a picture's outputs, and its row, become."""

import dataclasses
import io
import json
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Tuple

import apache_beam as beam
import numpy as np
import pyarrow.dataset
import pytest
from apache_beam.ml.inference.base import RunInference
from apache_beam.testing.util import assert_that
from PIL import Image
from support import kinds
from support.web import LOOPBACK, Server

from rembg_beam.pipelines import cli
from rembg_beam.testing import FakeModel
from rembg_beam.transforms import (
    Cutout,
    Encoding,
    Engine,
    Framing,
    RemBGModelHandler,
    RemoveBackground,
    RemoveOptions,
    SessionConfig,
    WebOptions,
)
from rembg_beam.transforms.folder import record
from rembg_beam.transforms.models import catalogue
from rembg_beam.transforms.pictures import shown
from rembg_beam.transforms.pictures.background import background
from rembg_beam.transforms.pictures.picture import Picture
from rembg_beam.transforms.pictures.postprocessing import PostProcessing
from rembg_beam.transforms.pictures.shadow import Shadow
from rembg_beam.transforms.store import stores

# The subject of all pictures here: left, top, right, bottom.
BOX = (20, 10, 50, 40)


def mask_of(image: Image.Image) -> Any:
    """A soft disc in `BOX`; beside it the mask is below the threshold, and not 0."""
    y, x = np.indices(image.size[::-1]) + 0.5
    distance = np.hypot((x - 35) / 15, (y - 25) / 15)
    mask = np.clip((1.2 - distance) * 5 * 255, 0, 255)
    mask[(distance >= 1.0)] = np.minimum(mask[distance >= 1.0], 90)
    return mask.astype(np.uint8)


def made(
    options: Optional[RemoveOptions] = None,
    framing: Optional[Framing] = None,
    data: Optional[bytes] = None,
    *,
    predict: Callable[[Image.Image], Any] = mask_of,
    encoding: Optional[Encoding] = None,
    model: str = "u2net",
) -> Tuple[Dict[str, Any], Cutout]:
    """The pictures that an engine makes of one, as arrays by their suffixes, and the cutout."""
    fake = FakeModel(predict)
    framed = PostProcessing(framing=framing or Framing())
    more: Any = {"options": options, "postprocessing": framed, "encoding": encoding}
    with Engine(SessionConfig(model), opener=fake, **more) as engine:
        cutout = engine.remove(photo() if data is None else data)
    assert len(fake.calls) == 1
    images = {part.suffix: Image.open(io.BytesIO(part.data)) for part in cutout.parts}
    return {suffix: np.asarray(image) for suffix, image in images.items()}, cutout


def photo(size: Tuple[int, int] = (90, 60), level: Optional[int] = None) -> bytes:
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (size[1], size[0], 3), np.uint8)
    if level is not None:
        pixels[:] = level
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


BOTH = RemoveOptions(outputs=("cutout", "mask"))


def test_cutout_and_mask_are_framed_alike() -> None:
    whole, _ = made(BOTH)
    for framing in (
        Framing(crop="subject"),
        Framing(crop="subject", margin="50%"),
        Framing(aspect="1:1", align="top"),
        Framing(crop="subject", canvas="64x32"),
        Framing(resize=200),
    ):
        framed, cutout = made(BOTH, framing)
        assert np.array_equal(framed[".cutout"][..., 3], framed[".mask"])
        assert cutout.facts.transform is not None
        sx, _, tx, _, sy, ty = cutout.facts.transform[:6]
        assert cutout.facts.transform == [sx, 0, tx, 0, sy, ty] * 2
        if sx == sy == 1:
            by_hand = Image.fromarray(whole[".cutout"]).crop(
                (-tx, -ty, framed[".mask"].shape[1] - tx, framed[".mask"].shape[0] - ty)
            )
            assert np.array_equal(framed[".cutout"], np.asarray(by_hand))
        # Where the subject's box goes, the framed mask has its own.
        rows, columns = np.nonzero(framed[".mask"] >= 128)
        found = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
        moved = [sx * BOX[0] + tx, sy * BOX[1] + ty, sx * BOX[2] + tx, sy * BOX[3] + ty]
        assert np.abs(np.subtract(found, moved)).max() <= max(1, sx)
    assert made(BOTH)[1].facts.transform is None


def test_beside_a_crop_the_others_stay_as_they_are() -> None:
    options = RemoveOptions(outputs=("cutout", "mask", "crop", "crop16"))
    _, plain = made(BOTH)
    framed, cutout = made(options, Framing(margin="3"))
    by_name = {part.suffix: part.data for part in cutout.parts}
    assert [(part.suffix, part.data) for part in plain.parts] == [
        (suffix, by_name[suffix]) for suffix in (".cutout", ".mask")
    ]
    alone, _ = made(framing=Framing(crop="subject", margin="3"))
    assert np.array_equal(framed[".crop"], alone[""])
    assert framed[".crop"].shape == (36, 36, 4) and framed[".crop16"].shape == (16, 16, 4)
    order = list(by_name)
    numbers: Any = np.reshape(cutout.facts.transform or (), (-1, 6)).tolist()
    assert numbers[order.index(".cutout")] == [1, 0, 0, 0, 1, 0]
    assert numbers[order.index(".crop")] == [1, 0, -17, 0, 1, -7]
    assert numbers[order.index(".crop16")] == pytest.approx(np.multiply(numbers[2], 16 / 36))


@pytest.mark.parametrize("kind", ["RGBA", "L", "P, transparent", "JPEG turned 6", "RGB JPEG"])
@pytest.mark.parametrize("own", [{}, {"putalpha": True}, {"bgcolor": (9, 8, 7, 99)}], ids=str)
def test_pictures_of_every_kind(kind: str, own: Any) -> None:
    data = kinds.KINDS[kind]()
    is_opaque = kind not in ("RGBA", "P, transparent")
    more: Any = (
        {"putalpha": True} if own.get("bgcolor") and is_opaque else {}
    )  # which keeps colours
    whole, _ = made(RemoveOptions(**own, **more), data=data)
    height, width = whole[""].shape[:2]
    framed, cutout = made(RemoveOptions(**own), Framing(aspect="20:1"), data)
    left = round((cutout.facts.transform or [])[2])
    assert framed[""].shape == (height, 20 * height, 4)
    inside = framed[""][:, left : left + width]
    assert np.array_equal(inside, np.asarray(Image.fromarray(whole[""]).convert("RGBA")))
    assert framed[""][0, 0].tolist() == list(own.get("bgcolor", (0, 0, 0, 0)))


def test_what_a_picture_itself_shows_nothing_of_is_no_subject() -> None:
    """The mask has all of a picture that is transparent but for the disc in `BOX`."""
    image = Image.new("RGB", (90, 60), (200, 0, 0))
    image.putalpha(Image.fromarray(mask_of(image)))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    everything = lambda image: np.full(image.size[::-1], 255, np.uint8)  # noqa: E731
    cases: Any = (
        ({}, BOX),
        ({"post_process_mask": True}, BOX),
        ({"putalpha": True}, (0, 0, 90, 60)),
    )
    for own, box in cases:
        options = RemoveOptions(outputs=("crop", "mask", "trimap"), **own)
        with Engine(
            SessionConfig("u2net"), options=options, opener=FakeModel(everything), facts=["all"]
        ) as engine:
            found = engine.remove(buffer.getvalue())
        parts = {part.suffix: Image.open(io.BytesIO(part.data)) for part in found.parts}
        assert found.facts.transform is not None
        assert tuple(found.facts.box or ()) == box
        assert found.facts.transform[-6:] == [1, 0, -box[0], 0, 1, -box[1]]
        assert parts[".crop"].size == (box[2] - box[0], box[3] - box[1])
        visible = np.asarray(image)[..., 3] if box == BOX else everything(image)
        assert found.facts.area == np.count_nonzero(visible >= 128)
        assert found.facts.centroid == ([35.0, 25.0] if box == BOX else [45.0, 30.0])
        assert (np.asarray(parts[".mask"]) == 255).all()
        assert (np.asarray(parts[".trimap"]) == 255).all()


def test_a_picture_without_a_subject_is_framed_as_a_whole() -> None:
    nothing = lambda image: np.full(image.size[::-1], 127, np.uint8)  # noqa: E731
    framed, cutout = made(BOTH, Framing(crop="subject", margin="50%"), predict=nothing)
    assert framed[".mask"].shape == (60, 90)
    assert cutout.facts.transform == [1, 0, 0, 0, 1, 0] * 2


def test_the_masks_of_a_model_have_one_box() -> None:
    names = catalogue.find(catalogue.CLOTH).masks
    framing = Framing(crop="subject", aspect="1:1")
    framed, cutout = made(BOTH, framing, model=catalogue.CLOTH)
    assert {array.shape[:2] for array in framed.values()} == {(30, 30)}
    assert len(framed) == 2 * len(names)
    assert len(cutout.facts.transform or ()) == 6 * len(framed)


def test_masks_that_are_stacked_are_not_framed() -> None:
    with pytest.raises(ValueError, match="stack_masks gives one picture of several masks"):
        Engine(
            SessionConfig(catalogue.CLOTH),
            options=RemoveOptions(stack_masks=True),
            postprocessing=PostProcessing(framing=Framing(resize=9)),
        )
    framing = Framing(resize=9)
    engine = Engine(
        SessionConfig(catalogue.CLOTH),
        postprocessing=PostProcessing(framing=framing),
        opener=FakeModel(),
    )
    with engine, pytest.raises(ValueError, match=r"can't be framed: .* leave out stack_masks"):
        engine.remove(photo(), '{"stack_masks": true}')


# Backgrounds


@pytest.fixture
def behind(tmp_path: Path) -> str:
    """A picture of 40x20: red on its left half, blue on its right."""
    pixels = np.zeros((20, 40, 3), np.uint8)
    pixels[:, :20, 0] = pixels[:, 20:, 2] = 255
    Image.fromarray(pixels).save(tmp_path / "behind.png")
    return str(tmp_path / "behind.png")


def test_a_background_fills_all_behind_cutouts_alone(behind: str) -> None:
    options = RemoveOptions(outputs=("cutout", "mask", "alpha"))
    framed, _ = made(options, Framing(background=behind, canvas="80x80"))
    cutout, mask = framed[".cutout"], framed[".mask"]
    assert (cutout[..., 3] == 255).all()
    assert cutout[0, 0].tolist() == cutout[-1, 0].tolist() == [255, 0, 0, 255]
    assert cutout[0, -1].tolist() == cutout[-1, -1].tolist() == [0, 0, 255, 255]
    assert np.array_equal(mask, framed[".alpha"]) and mask.min() == 0


def test_no_dark_line_lies_between_a_subject_and_its_background(tmp_path: Path) -> None:
    """The plain cutout's own colours are darker where it is less opaque."""
    Image.new("RGB", (4, 4), (255, 255, 255)).save(tmp_path / "white.png")
    for framing in ({}, {"resize": 50}, {"canvas": "200x200"}):
        asked = Framing(background=str(tmp_path / "white.png"), **framing)
        framed, _ = made(framing=asked, data=photo(level=200))
        assert framed[""][..., :3].min() >= 199
        jpeg, _ = made(
            framing=asked,
            data=photo(level=200),
            encoding=Encoding(format="jpeg"),
        )
        assert np.abs(jpeg[""] - framed[""][..., :3].astype(int)).mean() <= 2


@pytest.mark.parametrize("kinds", [None, ("drop", "contact")], ids=str)
@pytest.mark.parametrize("framing", [{"resize": 50}, {"canvas": "200x200"}, {"crop": "subject"}])
def test_no_dark_line_lies_between_a_subject_and_a_colour(framing: Any, kinds: Any) -> None:
    """All is white, and nothing is darker than the shadow."""
    shadow = Shadow(shadow=kinds, shadow_strength=0.1) if kinds else Shadow()
    with Engine(
        SessionConfig("u2net"),
        options=RemoveOptions(bgcolor=(255, 255, 255, 255)),
        opener=FakeModel(mask_of),
        postprocessing=PostProcessing(framing=Framing(**framing), shadow=shadow),
    ) as engine:
        (part,) = engine.remove(photo(level=255)).parts
    darkest = 0.15 if kinds else 0
    assert np.asarray(Image.open(io.BytesIO(part.data))).min() >= 255 * (1 - darkest) - 1


def test_transparency_of_its_own_shows_the_background(behind: str) -> None:
    pixels = np.full((60, 90, 4), 255, np.uint8)
    pixels[:, 40:, 3] = 0
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    framed, _ = made(framing=Framing(background=behind), data=buffer.getvalue())
    assert framed[""][25, 30].tolist() == [255] * 4
    assert framed[""][25, 46].tolist() == [0, 0, 255, 255]


@pytest.mark.parametrize("resize", [30, 200])
def test_colours_under_transparency_stay_with_putalpha(resize: int) -> None:
    options = RemoveOptions(putalpha=True, outputs=("cutout", "mask"))
    framed, _ = made(options, Framing(resize=resize), data=photo(level=200))
    assert (framed[".cutout"][..., :3] == 200).all() and framed[".cutout"][..., 3].min() == 0
    assert np.array_equal(framed[".cutout"][..., 3], framed[".mask"])


def test_a_picture_may_ask_for_its_mask_alone_where_others_get_a_background(behind: str) -> None:
    behinds = PostProcessing(framing=Framing(background=behind))
    with Engine(
        SessionConfig("u2net"), opener=FakeModel(mask_of), postprocessing=behinds
    ) as engine:
        for extras in ({"only_mask": True}, {"outputs": ["mask"]}, {"outputs": ["trimap"]}):
            (part,) = engine.remove(photo(), json.dumps(extras)).parts
            assert Image.open(io.BytesIO(part.data)).mode == "L"


def test_a_background_is_read_once_in_a_process(
    behind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: List[str] = []
    real = stores.try_read

    def counted(uri: str, *more: Any) -> Any:
        read.append(uri)
        return real(uri, *more)

    monkeypatch.setattr(stores, "try_read", counted)
    first, _ = made(framing=Framing(background=behind))
    again, _ = made(framing=Framing(background=behind))
    assert read == [behind] and np.array_equal(first[""], again[""])


def test_a_background_is_fetched_from_the_web_as_pictures_are(
    behind: str, server: Server, tmp_path: Path
) -> None:
    server.pictures["/behind.png"] = Path(behind).read_bytes()
    framing = Framing(background=f"{server.url}/behind.png", canvas="80x80")

    def removing(web_options: WebOptions) -> Engine:
        remove = RemoveBackground(
            output=str(tmp_path / "out"),
            session="u2net",
            postprocessing=PostProcessing(framing=framing),
            web_options=web_options,
            opener=FakeModel(mask_of),
        )
        return remove.steps(remove.columns())[1].engine

    with pytest.raises(ValueError, match=r"background=.* can't be read: .*allow_private_hosts"):
        removing(WebOptions()).open()
    assert not server.paths
    with removing(dataclasses.replace(LOOPBACK, web_user_agent="me/1")) as engine:
        (part,) = engine.remove(photo()).parts
    assert np.asarray(Image.open(io.BytesIO(part.data)))[0, 0].tolist() == [255, 0, 0, 255]
    assert server.headers["User-Agent"] == "me/1" and server.paths == ["/behind.png"]


def test_a_background_that_can_not_be_read_says_so(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no picture")
    for uri, message in (
        (f"{tmp_path}/nowhere.png", "nowhere.png' can't be read: .*No such file"),
        (f"{tmp_path}/text.png", "text.png' is no picture that can be read: its 10 bytes"),
    ):
        with pytest.raises(ValueError, match="background='.*" + message):
            made(framing=Framing(background=uri))


def test_no_secret_of_a_background_is_shown(tmp_path: Path) -> None:
    uri = "https://user:word@example.com/a.jpg?X-Goog-Signature=abc"
    asked: Any = {"postprocessing": PostProcessing(framing=Framing(background=uri))}
    remove = RemoveBackground(output=str(tmp_path), session="tiny", **asked)
    shown = [remove.columns().options, json.dumps(record.settings_of(remove))]
    with pytest.raises(ValueError, match="outputs=mask has none") as raised:
        Engine(SessionConfig("tiny"), options=RemoveOptions(only_mask=True), **asked)
    for text in (*shown, str(raised.value)):
        assert "example.com/a.jpg" in text and "word" not in text and "abc" not in text


# Settings


@pytest.mark.parametrize(
    ("options", "framing", "message"),
    [
        ({}, {"margin": "5%"}, "margin='5%' is one around the subject: add crop='subject'"),
        ({"bgcolor": (1, 2, 3)}, {"background": "a.jpg"}, "leave one out"),
        ({"only_mask": True}, {"background": "a.jpg"}, "outputs=mask has none"),
        ({"outputs": ("mask", "alpha")}, {"background": "a.jpg"}, "outputs=mask,alpha has none"),
        ({"stack_masks": True}, {"crop": "subject"}, "which can't be framed"),
        ({"stack_masks": True, "outputs": ("crop",)}, {}, "which can't be framed"),
    ],
)
def test_options_and_framing_that_make_no_sense(options: Any, framing: Any, message: str) -> None:
    framed = PostProcessing(framing=Framing(**framing))
    asked: Any = {"options": RemoveOptions(**options), "postprocessing": framed}
    for door in (
        lambda: RemoveBackground(output="out", session="tiny", **asked),
        lambda: RemBGModelHandler("tiny", **asked),
        lambda: Engine(SessionConfig("tiny"), **asked),
    ):
        with pytest.raises(ValueError, match=message):
            door()


def test_a_run_frames_and_says_so_and_other_framing_is_another_run(
    photos: Path, tmp_path: Path, capfd: Any
) -> None:
    output = tmp_path / "out"
    words = ["run", "--input", str(photos / "a.jpg"), "--output", str(output), "--model", "tiny"]
    words += ["--outputs", "cutout,crop20.webp"]
    assert cli.main([*words, "--margin", "10%", "--aspect", "4:5"]) == 0
    with Image.open(output / "a.jpg.crop20.webp") as image:
        assert image.size == (16, 20)
    dataset = pyarrow.dataset.dataset(output / "_manifest", partitioning="hive")
    (row,) = dataset.to_table().to_pylist()
    transform = np.reshape(row["transform"], (2, 6))
    assert transform[0].tolist() == [1, 0, 0, 0, 1, 0] and transform[1, 0] < 1
    said = json.loads(row["options"])
    assert (said["margin"], said["aspect"]) == ("10%", "4:5")
    capfd.readouterr()
    assert cli.main([*words, "--margin", "10%", "--aspect", "1:1"]) == 2
    assert 'aspect was "4:5" and is "1:1"' in capfd.readouterr().err


def test_inference_frames_too() -> None:
    def check(results: List[Any]) -> None:
        (result,) = results
        assert result.inference.arrays[""].shape == (32, 32, 4)
        assert len(result.inference.facts.transform) == 6

    framing = Framing(crop="subject", canvas="32x32")
    handler = RemBGModelHandler(
        "u2net",
        postprocessing=PostProcessing(framing=framing),
        as_arrays=True,
        opener=FakeModel(mask_of),
    )
    with beam.Pipeline("FnApiRunner") as pipeline:
        assert_that(pipeline | beam.Create([photo()]) | RunInference(handler), check)


def test_each_part_of_a_stack_before_a_background_has_its_own_mask(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8), "blue").save(tmp_path / "blue.png")
    masks = [Image.new("L", (70, 50), level) for level in (0, 128, 255)]
    found = shown.cut_out(
        Picture(Image.new("RGB", (70, 50), "white")),
        masks,
        RemoveOptions(stack_masks=True),
        mask_names=("a", "b", "c"),
        background=background(str(tmp_path / "blue.png"), 10**6),
    )
    stack = found.pictures[""][..., :3]
    assert stack.shape == (150, 70, 3)
    assert stack[:50, :, 0].max() == 0 and stack[100:].min() == 255
    assert 0 < stack[50:100, :, 0].min() <= stack[50:100, :, 0].max() < 255
