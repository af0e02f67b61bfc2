"""`training/`: pictures with their masks from a seed, measures that count right, the bundled model,
and, where torch is installed (`make test-training`), a net that learns and is exported."""

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import standins
from PIL import Image

from rembg_beam.transforms.models import catalogue


@pytest.fixture
def module(root: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Imports a module of `training/`."""
    monkeypatch.syspath_prepend(root)
    return lambda name: importlib.import_module(f"training.{name}")


def test_a_seed_makes_the_same_pictures_anywhere(module: Any) -> None:
    batches = module("batches")
    here = [batches.make(5, number, 2, side) for number, side in enumerate((64, 64, 96))]
    there = list(batches.batches(5, 2, [64, 64, 96], workers=2))
    assert [pictures.shape for pictures, _ in there] == [(2, 64, 64, 3)] * 2 + [(2, 96, 96, 3)]
    for (pictures, masks), (again, masks_again) in zip(here, there, strict=True):
        assert pictures.dtype == masks.dtype == np.uint8
        assert np.array_equal(pictures, again) and np.array_equal(masks, masks_again)
    assert not np.array_equal(here[0][0], here[1][0])
    other, _ = batches.make(6, 0, 2, 64)
    assert not np.array_equal(here[0][0], other)


@pytest.mark.parametrize("studio", [True, False])
def test_every_picture_has_a_subject_that_can_be_seen(module: Any, studio: bool) -> None:
    pictures, masks = module("batches").make(11, 0, 40, 96, studio)
    for picture, mask in zip(pictures, masks):
        inside = mask > 127
        assert 0.003 < inside.mean() < 0.97
        apart = np.abs(picture[inside].mean(0) - picture[~inside].mean(0)).sum()
        spread = np.abs(picture[inside].std(0) - picture[~inside].std(0)).sum()
        assert apart + spread > 2


def test_no_picture_of_the_demo_is_a_texture(module: Any, root: Path) -> None:
    shown = {path.stem for path in (root / "examples").rglob("*.*")}
    assert shown and not shown & set(module("textures").SAMPLES)


def test_measures(module: Any) -> None:
    measures = module("measures")
    found, true = np.array([[0.9, 0.6, 0.4, 0.0]]), np.array([[1.0, 0.0, 1.0, 0.0]])
    assert measures.iou(found, true) == pytest.approx(1 / 3)
    assert measures.error(found, true) == pytest.approx((0.1 + 0.6 + 0.6) / 4)
    assert measures.iou(true * 0, true * 0) == 1
    assert measures.stretched(np.array([0.2, 0.3, 0.4])).tolist() == pytest.approx([0, 0.5, 1])


def test_recorded_photos_are_found_but_for_the_prompted(module: Any, tmp_path: Path) -> None:
    for name in ("cat", "plants-1", "alone"):
        Image.new("RGB", (40, 30), "red").save(tmp_path / f"{name}.jpg")
    for name in ("cat", "plants-1"):
        Image.new("RGBA", (40, 30), (1, 2, 3, 255)).save(tmp_path / f"{name}.rembg.png")
    ((name, picture, mask),) = module("measures").photos(tmp_path)
    assert (name, picture.size, mask.shape, mask.min()) == ("cat", (40, 30), (320, 320), 1)


def test_evaluate_prints_what_it_found_and_fails_below_a_bar(
    module: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    evaluate = module("evaluate")
    Image.new("RGB", (40, 30), "red").save(tmp_path / "wall.jpg")
    Image.new("RGBA", (40, 30), (1, 2, 3, 255)).save(tmp_path / "wall.rembg.png")
    status = evaluate.main(["--photos", str(tmp_path / "absent"), "--pictures", "2"])
    absent = capsys.readouterr().out
    assert "| photos | none here: skipped |" in absent and "photos, mean IoU" not in absent
    assert status == ("**no**" in absent)
    # Nothing in it to find.
    (tmp_path / "plants-1.jpg").write_bytes((tmp_path / "wall.jpg").read_bytes())
    assert evaluate.main(["--photos", str(tmp_path), "--pictures", "2"]) == 1
    found = capsys.readouterr().out
    assert "| wall | 0." in found and "| plants-1 | left out" in found
    assert "| photos, least IoU | at least 0.60 | 0." in found


def test_scores_by_the_share_that_a_subject_covers(module: Any) -> None:
    evaluate = module("evaluate")
    scores = [evaluate.Score("", iou, 0.0, share) for iou, share in ((0.2, 0.0), (0.6, 0.0299))]
    scores += [evaluate.Score("", 0.9, 0.0, share) for share in (0.03, 0.2, 0.999)]
    found = evaluate.by_share(scores)
    assert [(share, count) for share, count, _ in found] == [
        *(("0 to 3 %", 2), ("3 to 10 %", 1), ("20 to 40 %", 1), ("40 to 100 %", 1)),
    ]
    assert [iou for *_, iou in found] == pytest.approx([0.4, 0.9, 0.9, 0.9])


def test_bars_judge_strictly(module: Any) -> None:
    evaluate = module("evaluate")
    good, bad = evaluate.Score("a", 0.80, 0.08), evaluate.Score("b", 0.5999, 0.0801)
    made = evaluate.Score("c", 0.95, 0.0)
    assert [bar.met for bar in evaluate.bars([good], [made])] == [True] * 4
    assert [bar.met for bar in evaluate.bars([bad], [bad])] == [False] * 4
    assert [bar.what for bar in evaluate.bars([], [made])] == ["studio, mean IoU"]


def test_the_bundled_model(module: Any) -> None:
    path = Path(catalogue.bundled_path())
    assert path.stat().st_size <= 5_000_000
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (taken,), (given, *_) = session.get_inputs(), session.get_outputs()
    assert (taken.name, taken.shape[1:], taken.type) == ("input.1", [3, 320, 320], "tensor(float)")
    assert given.shape[1:] == [1, 320, 320] and isinstance(taken.shape[0], str)
    x = np.random.default_rng(0).normal(0, 1, (3, 3, 320, 320)).astype(np.float32)
    (batch,) = session.run([given.name], {"input.1": x})
    alone = [session.run([given.name], {"input.1": one[None]})[0][0] for one in x]
    assert batch.shape == (3, 1, 320, 320) and batch.min() >= 0 and batch.max() <= 1
    assert np.abs(batch - np.stack(alone)).max() < 1e-4


def test_the_bundled_model_finds_what_stands_in_a_studio(module: Any) -> None:
    evaluate = module("evaluate")
    session = evaluate.open_session(evaluate.SessionConfig("tiny")).session
    scores = evaluate.scores(session, evaluate.fresh(12, studio=True))
    assert np.mean([score.iou for score in scores]) >= 0.9


def test_two_steps_and_what_comes_of_them(module: Any, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch", reason="make test-training")
    train, export, start, network = (module(n) for n in ("train", "export", "start", "network"))
    photo = Image.fromarray(np.full((30, 40, 3), 99, np.uint8))
    photo.save(tmp_path / "wall.jpg")
    photo.convert("RGBA").save(tmp_path / "wall.rembg.png")
    arguments = ["--steps", "2", "--fine", "1", "--photos", str(tmp_path)]
    train.main([*arguments, "--output", str(tmp_path / "one")])
    train.main([*arguments, "--output", str(tmp_path / "again")])
    head, row = (tmp_path / "one" / "log.csv").read_text().splitlines()
    assert head == "step,seconds,loss,iou_made,iou_photos" and row.startswith("2,")
    assert all(np.isfinite(float(value)) for value in row.split(","))
    weights = [
        torch.load(tmp_path / run / "checkpoint.pt", weights_only=True) for run in ("one", "again")
    ]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])

    model = tmp_path / "model.onnx"
    export.main([str(tmp_path / "one" / "checkpoint.pt"), str(model)])
    assert model.stat().st_size <= 5_000_000
    net = network.Net()
    net.load_state_dict(weights[0])
    pictures, _ = module("batches").make(1, 0, 8, train.FINE)
    x = network.normalised(torch.from_numpy(pictures))
    again = network.Net()
    start.load(again, model, x)
    with torch.no_grad():
        assert torch.allclose(net.eval()(x)[0], again.eval()(x)[0], atol=1e-3)


def test_a_model_of_another_kind_is_no_start(module: Any, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch", reason="make test-training")
    (path,) = standins.write(tmp_path, catalogue.find("u2netp"))
    with pytest.raises(ValueError, match="convolutions"):
        module("start").load(module("network").Net(), path, torch.zeros(2, 3, 64, 64))
