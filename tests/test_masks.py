"""Pictures in which the model found nothing, and soft edges that are bounded."""

import io
from pathlib import Path
from typing import Any, Dict, List

import numpy as np
import pyarrow.dataset
import pytest
from PIL import Image
from support.cutting import through_tiny
from support.options import OPTIONS, named

from rembg_beam.pipelines import cli
from rembg_beam.transforms import RemoveBackground, RemoveOptions, SessionConfig
from rembg_beam.transforms.models import opening
from rembg_beam.transforms.models.batching import Batching


class Fixed:
    """An onnxruntime session that gives the same map for every picture."""

    def __init__(self, inner: Any, map: Any) -> None:
        self.inner, self.map = inner, map

    def get_inputs(self) -> Any:
        return self.inner.get_inputs()

    def run(self, *arguments: Any) -> List[Any]:
        return [self.map[None, None].astype(np.float32)]


def gradient(peak: float) -> Any:
    return np.linspace(0, peak, 320 * 320).reshape(320, 320)


MAPS: Dict[str, Any] = {
    "a subject": gradient(0.99),
    "next to nothing": gradient(0.001),
    "flat and low": np.full((320, 320), 0.01),
    "flat and high": np.full((320, 320), 0.97),
}


def opener_of(map: Any) -> Any:
    def opener(config: SessionConfig) -> opening.Loaded:
        loaded = opening.open_session(config)
        loaded.session.inner_session = Batching(Fixed(loaded.session.inner_session.inner, map))
        return loaded

    return opener


@pytest.mark.parametrize("map", MAPS)
@pytest.mark.parametrize("policy", ["write", "skip", "fail"])
def test_what_becomes_of_an_empty_mask(
    map: str, policy: str, photos: Path, tmp_path: Path, run: Any, tree: Any
) -> None:
    transform = RemoveBackground(
        output=str(tmp_path / "out"),
        session=SessionConfig("tiny"),
        options=RemoveOptions(empty_mask=policy),
        opener=opener_of(MAPS[map]),
    )
    (row,) = run([str(photos / "a.jpg")], transform)
    empty = map != "a subject"
    status = {"write": "written", "skip": "skipped", "fail": "failed"}[policy] if empty else None
    assert row.status == (status or "written")
    assert row.peak == pytest.approx(MAPS[map].max(), rel=1e-6)
    assert (row.width, row.height, row.provider) == (64, 48, "CPUExecutionProvider")
    assert bool(row.outputs) == bool(tree(tmp_path / "out")) == (row.status == "written")
    if row.status == "failed":
        assert (row.step, row.error) == ("remove", "EmptyMask")
        nothing = "peak of its map is 0.0" if MAPS[map].max() < 0.1 else "mask is empty"
        assert nothing in row.message
    if row.status == "skipped":
        assert "found nothing" in row.message and row.error is None
    if row.status == "written":
        with Image.open(row.outputs[0]) as image:
            share = (np.asarray(image)[..., 3] >= 128).mean()
        assert row.foreground == pytest.approx(share)
        assert ("flat" in map) == (share == 0)


def test_the_threshold_is_a_setting(photos: Path, tmp_path: Path, capfd: Any) -> None:
    flags = ["run", "--input", str(photos / "a.jpg"), "--model", "tiny"]
    flags += ["--output", str(tmp_path / "out")]
    assert cli.main([*flags, "--empty_mask", "skip", "--empty-mask-peak", "1"]) == 0
    assert capfd.readouterr().out.startswith("0 written, 1 skipped, 0 failed")
    dataset = pyarrow.dataset.dataset(tmp_path / "out/_manifest", partitioning="hive")
    (row,) = dataset.to_table().to_pylist()
    assert row["status"] == "skipped" and 0 < row["peak"] < 1 and row["foreground"] is not None


def test_alpha_matting_is_bounded(encoded: Any) -> None:
    data = encoded(width=60, height=50)
    asked = OPTIONS["alpha_matting"]
    within = through_tiny(data, options=RemoveOptions(**asked, alpha_matting_max_pixels=3000))
    above = through_tiny(data, options=RemoveOptions(**asked, alpha_matting_max_pixels=2999))
    simpler = through_tiny(data, options=RemoveOptions(decontaminate=True))
    assert within.facts.matting == "alpha_matting"
    assert above.facts.matting == simpler.facts.matting == "decontaminate"
    assert above.parts == simpler.parts != within.parts


def test_the_row_says_when_rembg_gave_up_alpha_matting_by_itself() -> None:
    """A trimap without any background: rembg decontaminates instead, without a word."""
    buffer = io.BytesIO()
    Image.new("RGB", (40, 30), (200, 10, 10)).save(buffer, "PNG")
    options = RemoveOptions(
        alpha_matting=True, alpha_matting_background_threshold=0, alpha_matting_erode_size=40
    )
    assert through_tiny(buffer.getvalue(), options=options).facts.matting == "decontaminate"


@pytest.mark.parametrize("options", named("decontaminate", "alpha_matting"))
def test_a_single_pixel_is_cut_out_plainly(encoded: Any, options: Any) -> None:
    data = encoded(width=1, height=1)
    cutout = through_tiny(data, options=RemoveOptions(**options))
    assert cutout.facts.matting is None
    assert cutout.parts == through_tiny(data, options=RemoveOptions()).parts


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"empty_mask": "drop"}, "one of write, skip, fail"),
        ({"empty_mask_peak": 2}, "from 0 to 1"),
        ({"alpha_matting_max_pixels": -1}, "count of pixels"),
    ],
)
def test_bounds_that_make_no_sense_are_refused(options: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RemoveOptions(**options)
