"""Trimaps and shadows: what they are, by slow twins and by what must hold of any."""

import io
import math
from pathlib import Path
from typing import Any, Tuple
from unittest import mock

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image
from support.cutting import through_tiny

from rembg_beam.testing import FakeModel
from rembg_beam.transforms import (
    Encoding,
    Engine,
    Framing,
    RemoveBackground,
    RemoveOptions,
    SessionConfig,
)
from rembg_beam.transforms.folder import record
from rembg_beam.transforms.pictures import cutout, lengths, shadow, trimap
from rembg_beam.transforms.pictures.postprocessing import PostProcessing, check_outputs
from rembg_beam.transforms.pictures.shadow import Shadow
from rembg_beam.transforms.pictures.trimap import TrimapWidths

LEVELS = st.sampled_from([0, 0, 9, 10, 128, 239, 240, 255, 255])
MASKS = arrays(np.uint8, array_shapes(min_dims=2, max_dims=2, max_side=9), elements=LEVELS)
WIDTHS = st.sampled_from([0.0, 0.5, 1.0, 1.2, 1.7, 2.0, 2.5, 3.0, 4.3, 6.0])


def twin(mask: Any, pixel: Tuple[int, int], inner: float, outer: float) -> int:
    def reaches(width: float, outside: Any) -> bool:
        return any(math.dist(pixel, other) <= width + 1e-4 for other in np.argwhere(outside))

    if mask[pixel] >= 240 and not reaches(inner, mask < 240):
        return 255
    return 0 if mask[pixel] < 10 and not reaches(outer, mask >= 10) else 128


@given(MASKS, WIDTHS, WIDTHS)
def test_a_trimap_is_sure_of_what_lies_deep_enough(mask: Any, inner: float, outer: float) -> None:
    found = trimap.trimap(mask, inner, outer)
    expected = [
        [twin(mask, (y, x), inner, outer) for x in range(mask.shape[1])] for y in range(len(mask))
    ]
    assert found.tolist() == expected


def subject(*, to_the_bottom: bool = False) -> Any:
    mask = np.zeros((240, 320), np.uint8)
    cv2.rectangle(mask, (110, 60), (210, 239 if to_the_bottom else 180), 255, -1)
    return mask


def test_trimaps_of_several_sizes_are_made_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    made = mock.Mock(wraps=trimap.of_mask)
    monkeypatch.setattr(cutout, "of_mask", made)
    options = RemoveOptions(outputs=("trimap", "trimap8", "trimap16"))
    buffer = io.BytesIO()
    Image.new("RGB", (40, 30)).save(buffer, "PNG")
    assert len(through_tiny(buffer.getvalue(), options=options).parts) == 3
    assert made.call_count == 1


def test_stacked_masks_have_a_stacked_trimap() -> None:
    data = io.BytesIO()
    Image.new("RGB", (40, 30)).save(data, "PNG")
    options = RemoveOptions(outputs=("trimap", "mask"), stack_masks=True)
    with Engine(
        SessionConfig("u2net_cloth_seg"),
        options=options,
        opener=FakeModel(lambda image: np.eye(30, 40, dtype=np.uint8) * 255),
    ) as engine:
        sizes = {Image.open(io.BytesIO(p.data)).size for p in engine.remove(data.getvalue()).parts}
    assert sizes == {(40, 90)}


def test_widths_are_pixels_or_shares_of_the_subject() -> None:
    mask = subject()
    assert lengths.longer_side(mask) == 121
    by_pixels = trimap.of_mask(mask, TrimapWidths(trimap_width="12.1"))
    by_share = trimap.of_mask(mask, TrimapWidths(trimap_width="10%"))
    np.testing.assert_array_equal(by_pixels, by_share)
    assert by_share[120, 95:125].tolist() == [0] * 3 + [128] * 24 + [255] * 3
    one_sided = TrimapWidths(trimap_width=4, trimap_outer=0)  # type: ignore[arg-type]
    assert trimap.of_mask(mask, one_sided)[120, 105:118].tolist() == [0] * 5 + [128] * 4 + [255] * 4
    for wrong in ("-1", "wide", "101%", "5 %%", True):
        with pytest.raises(ValueError, match=r"trimap_width=.* must be pixels"):
            TrimapWidths(trimap_width=wrong)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"trimap_outer='0.5' is .*: write a share as 50%"):
        TrimapWidths(trimap_outer="0.5")


@pytest.mark.parametrize("level", [0, 255])
def test_a_flat_mask_has_no_band_and_an_empty_one_no_shadow(level: int) -> None:
    mask = np.full((5, 4), level, np.uint8)
    np.testing.assert_array_equal(trimap.of_mask(mask, TrimapWidths()), mask)
    if not level:
        assert not shadow.opacity(mask, Shadow(shadow=("contact", "drop"))).any()


def cut(mask: Any, color: Tuple[int, int, int] = (200, 120, 40)) -> Image.Image:
    image = Image.new("RGB", mask.shape[::-1], color)
    image.putalpha(Image.fromarray(mask))
    return image


@pytest.mark.parametrize("kinds", [("contact",), ("drop",), ("contact", "drop")])
def test_a_shadow_lies_below_the_subject_and_is_black(kinds: Tuple[str, ...]) -> None:
    mask = cv2.GaussianBlur(subject(), (0, 0), 2)
    cutout, settings = cut(mask), Shadow(shadow=kinds)
    found = shadow.with_shadow(cutout, settings)
    opaque = shadow.opacity(mask, settings).astype(float) / 255
    # On any colour it is as if the shadow were drawn first, then the subject.
    for color in ((255, 255, 255), (10, 200, 90)):
        on = np.asarray(Image.alpha_composite(Image.new("RGBA", cutout.size, color), found))
        alpha = (mask / 255)[..., None]
        shaded = np.array(color) * (1 - opaque[..., None])
        expected = shaded * (1 - alpha) + np.array((200, 120, 40)) * alpha
        assert np.abs(on[..., :3] - expected).max() <= 3
    pixels = np.asarray(found)
    np.testing.assert_array_equal(pixels[mask == 255], np.asarray(cutout)[mask == 255])
    assert 60 < pixels[182:196, 130:190, 3].max() < 200
    assert not pixels[:40, :, 3].any() and not pixels[:, :60, 3].any()


def test_a_drop_shadow_moves_by_offset_and_angle_and_softens_by_blur() -> None:
    def box(**more: Any) -> Any:
        settings = Shadow(shadow=("drop",), shadow_strength=1.0, **more)
        rows, columns = np.nonzero(shadow.opacity(subject(), settings) >= 128)
        return [int(n) for n in (columns.min(), rows.min(), columns.max(), rows.max())]

    sharp = {"shadow_blur": "0"}
    assert box(shadow_offset="0", **sharp) == [110, 60, 210, 180]
    assert box(shadow_offset="20", **sharp) == [110, 80, 210, 200]
    assert box(shadow_offset="20", shadow_angle=180.0, **sharp) == [90, 60, 190, 180]
    assert box(shadow_offset="10%", shadow_angle=0.0, **sharp) == [122, 60, 222, 180]
    soft = Shadow(shadow=("drop",), shadow_blur="40", shadow_offset="0")
    levels = shadow.opacity(subject(), soft)[120].astype(int)
    assert np.all(np.diff(levels[:160]) >= 0) and 20 < np.count_nonzero(np.diff(levels[:160])) < 100
    assert abs(levels.max() - 0.4 * 255) < 4


def test_a_contact_shadow_lies_where_the_subject_stands() -> None:
    mask = subject()
    mask[120:181, 130:190] = 0  # two legs
    mask[60:70, 20:110] = 255  # and an arm
    dark = shadow.opacity(mask, Shadow(shadow=("contact",)))
    line = dark[183]
    assert line[120] > 80 and line[200] > 80 and line[160] < line[120] / 4
    assert not dark[71:120, 20:90].any()
    assert not shadow.opacity(subject(to_the_bottom=True), Shadow(shadow=("contact",))).any()


@pytest.mark.parametrize("more", [{"canvas": "150x150"}, {}, {"canvas": "500x400"}], ids=str)
@pytest.mark.parametrize("color", [None, (255, 255, 255, 255)])
def test_a_framed_shadow_is_not_cut_off_where_the_photo_ends(more: Any, color: Any) -> None:
    """It is that of a photo with more around the subject."""
    near = 10
    mask = subject()[60 - near : 181 + near, 110 - near : 211 + near]

    def crop(around: int) -> Any:
        data = io.BytesIO()
        padded = np.pad(mask, around)
        Image.new("RGB", padded.shape[::-1], (200, 120, 40)).save(data, "PNG")
        settings = PostProcessing(
            framing=Framing(margin="40%", **more),
            shadow=Shadow(shadow=("drop", "contact"), shadow_blur="10%"),
        )
        with Engine(
            SessionConfig("u2net"),
            options=RemoveOptions(outputs=("crop",), bgcolor=color),
            postprocessing=settings,
            opener=FakeModel(lambda image: padded),
        ) as engine:
            (part,) = engine.remove(data.getvalue()).parts
        return np.asarray(Image.open(io.BytesIO(part.data))).astype(int)

    cut, whole = crop(0), crop(150)
    assert np.abs(cut - whole).max() <= 2
    height, width, _ = whole.shape
    beyond = whole[round(height * 0.81), width // 2]  # below the photo's lower border
    assert beyond[3] > 40 if color is None else beyond[0] < 215


def test_wrong_shadows_say_what_is_right() -> None:
    with pytest.raises(
        ValueError, match=r"shadow=\('long',\) must be one or more of contact, drop"
    ):
        Shadow(shadow=("long",))
    with pytest.raises(ValueError, match=r"shadow_blur='x' must be pixels, such as 10"):
        Shadow(shadow=("drop",), shadow_blur="x")


@pytest.mark.parametrize(
    "more", [{"shadow_blur": "5%"}, {"shadow_offset": "9"}, {"shadow_strength": 0.5}]
)
def test_what_is_of_a_shadow_needs_one(more: Any) -> None:
    (name,) = more
    with pytest.raises(ValueError, match=f"{name}=.* is of a shadow, and there is none: add sha"):
        Shadow(**more)


@pytest.mark.parametrize("more", [{"trimap_width": "5%"}, {"trimap_outer": "3"}])
def test_widths_of_a_trimap_need_one(more: Any) -> None:
    postprocessing = PostProcessing(trimap=TrimapWidths(**more))
    (name,) = more
    for outputs in (None, ("cutout", "mask")):
        with pytest.raises(ValueError, match=f"{name}=.* is of a trimap, and none is made: add tr"):
            check_outputs(RemoveOptions(outputs=outputs), Encoding(), postprocessing)
    check_outputs(RemoveOptions(outputs=("trimap",)), Encoding(), postprocessing)


def test_outputs_of_one_picture_show_what_they_are_asked_for(root: Path) -> None:
    data = (root / "examples" / "coffee.jpg").read_bytes()

    def made(**more: Any) -> Any:
        options = RemoveOptions(outputs=("cutout", "mask", "trimap", "alpha"), **more)
        found = through_tiny(
            data,
            options=options,
            postprocessing=PostProcessing(
                trimap=TrimapWidths(trimap_width="5"), shadow=Shadow(shadow=("drop",))
            ),
        )
        return {part.suffix: Image.open(io.BytesIO(part.data)) for part in found.parts}

    files = made()
    assert list(files) == [".cutout", ".mask", ".trimap", ".alpha"]
    mask = np.asarray(files[".mask"])
    np.testing.assert_array_equal(files[".alpha"], mask)
    np.testing.assert_array_equal(files[".trimap"], trimap.trimap(mask, 5, 5))
    alone = Image.open(io.BytesIO(through_tiny(data).parts[0].data))
    expected = shadow.with_shadow(alone, Shadow(shadow=("drop",)))
    np.testing.assert_array_equal(files[".cutout"], expected)
    on_white = made(bgcolor=(255, 255, 255, 255))
    white = Image.new("RGBA", alone.size, "white")
    np.testing.assert_array_equal(on_white[".cutout"], Image.alpha_composite(white, expected))
    np.testing.assert_array_equal(on_white[".alpha"], mask)


def test_a_shadow_that_nothing_shows_is_refused(tmp_path: Path) -> None:
    asked = Shadow(shadow=("drop",))
    for options, message in (
        (RemoveOptions(only_mask=True), "shadow with outputs=mask makes no sense"),
        (RemoveOptions(putalpha=True), "shadow with putalpha makes no sense"),
    ):
        with pytest.raises(ValueError, match=message):
            Engine(
                SessionConfig("tiny"), options=options, postprocessing=PostProcessing(shadow=asked)
            )
        with pytest.raises(ValueError, match=message):
            RemoveBackground(
                output=str(tmp_path),
                session="tiny",
                options=options,
                postprocessing=PostProcessing(shadow=asked),
            )
    remove = RemoveBackground(
        output=str(tmp_path), session="tiny", postprocessing=PostProcessing(shadow=asked)
    )
    assert record.settings_of(remove)["shadow"] == ["drop"]
