"""`training/`: pictures with their masks from a seed, measures that count right, the bundled model,
and, where torch is installed (`make test-training`), a net that learns and is exported."""

import importlib
from pathlib import Path
from typing import Any, Dict, List

import numpy as np
import onnxruntime
import pytest
from PIL import Image
from support import cutting

from rembg_beam.transforms.models import catalogue

pytestmark = pytest.mark.training


@pytest.fixture
def module(root: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Imports a module of `training/`."""
    monkeypatch.syspath_prepend(root)
    return lambda name: importlib.import_module(f"training.{name}")


def edges(image: Any) -> Any:
    """How much an image changes at each pixel."""
    return np.hypot(*np.gradient(image.astype(float)))


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


def test_a_part_of_a_batch_is_in_a_studio_and_a_part_posed(module: Any) -> None:
    batches, compose = module("batches"), module("compose")
    ((mixed, _),) = batches.batches(5, 2, [64], studio=1)
    ((both, masks),) = batches.batches(5, 3, [64], studio=1, posed=1)
    rng = np.random.default_rng([5, 0])
    parts = [compose.picture(rng, 64, True), compose.posed_picture(rng, 64)]
    parts.append(compose.picture(rng, 64))
    assert np.array_equal(both, [rgb for rgb, _ in parts])
    assert np.array_equal(masks, [mask for _, mask in parts])
    (paper,), _ = batches.make(5, 0, 1, 64, studio=1)
    (any_scene, _), _ = batches.make(5, 0, 2, 64)
    assert np.array_equal(mixed[0], paper) and not np.array_equal(mixed[0], any_scene)


@pytest.mark.parametrize(("studio", "posed"), [(40, 0), (0, 0), (0, 40)])
def test_every_picture_has_a_subject_that_can_be_seen(module: Any, studio: int, posed: int) -> None:
    pictures, masks = module("batches").make(11, 0, 40, 96, studio, posed)
    for picture, mask in zip(pictures, masks):
        inside = mask > 127
        assert 0.003 < inside.mean() < 0.97
        apart = np.abs(picture[inside].mean(0) - picture[~inside].mean(0)).sum()
        spread = np.abs(picture[inside].std(0) - picture[~inside].std(0)).sum()
        assert apart + spread > 2
    # Pictures change at the edges of their own masks more than at those of others.
    strength = [edges(picture.mean(2)) for picture in pictures]
    own = np.mean([s[edges(m) > 60].mean() for s, m in zip(strength, masks)])
    others = np.mean([s[edges(m) > 60].mean() for s, m in zip(strength, np.roll(masks, 1, 0))])
    assert own > 1.5 * others


def test_a_shadow_is_no_subject_and_what_hides_it_is_none(module: Any) -> None:
    compose = module("compose")
    rng = np.random.default_rng(3)
    scene = np.full((96, 96, 3), 0.5, np.float32)
    subject, alpha = np.zeros((96, 96, 3), np.float32), np.zeros((96, 96), np.float32)
    subject[..., 0], alpha[30:60, 30:60] = 1, 1
    for _ in range(20):
        picture, mask = compose._set(rng, scene, subject, alpha, shadow=True)
        assert mask[38:52, 38:52].min() > 0.5 and mask[:20].max() == mask[70:].max() == 0
        assert picture[45, 45, 0] > picture[45, 45, 1]
        hidden, left = compose._occluded(rng, picture, mask)
        lost = mask - left
        changed = np.abs(hidden - picture).max(2)[lost > 0.1] > 0.004
        assert lost.min() >= 0 and changed.sum() >= 0.9 * changed.size


def test_what_stands_behind_a_portrait_is_no_subject(module: Any, monkeypatch: Any) -> None:
    posed, compose = module("posed"), module("compose")
    shown: List[Any] = []

    def red(rng: Any, picture: Any) -> Any:
        shown.append(picture)
        return np.broadcast_to(np.array([1, 0, 0], np.float32), picture.shape)

    monkeypatch.setattr(posed, "_shown", red)
    monkeypatch.setattr(compose, "any_posed", posed.portrait)
    for seed in range(12):
        scene, _, alpha = posed.portrait(np.random.default_rng(seed), 64)
        # Down to the lower edge; whatever is shown is the scene's.
        assert 0.05 < (alpha > 0.5).mean() < 0.97 and alpha[-1].max() > 0.5
        _, mask = compose.posed_picture(np.random.default_rng(seed), 64)
        assert np.abs(mask / 255 - alpha).mean() < 0.1
        if shown:
            assert np.allclose(scene[alpha == 0], [1, 0, 0], atol=1e-4)
        shown.clear()


def test_planks_reach_into_every_corner(module: Any) -> None:
    textures = module("textures")
    for seed in range(20):
        wood = textures.planks(np.full(3, 0.6, np.float32), np.full(3, 0.5, np.float32))
        board = wood(np.random.default_rng(seed), 48)
        assert board.shape == (48, 48, 3) and board.min() >= 0 and board.max() <= 1
        assert board[[0, 0, -1, -1], [0, -1, 0, -1]].min() > 0.02


def test_a_figure_joined_to_another_lies_over_it(module: Any) -> None:
    figures, textures = module("figures"), module("textures")
    white, black = (textures.plain(np.full(3, shade, np.float32)) for shade in (1.0, 0.0))
    large, small = figures.Figure(), figures.Figure()
    square = [(-1, -1), (1, -1), (1, 1), (-1, 1)]
    large.polygon(square, white)
    small.polygon(square, black)
    large.join(small, 0.5, (0.5, 0.5))
    assert [end.tolist() for end in large.box()] == [[-1, -1], [1, 1]]
    rgb, alpha = large.render(np.random.default_rng(0), 32, 10, np.array([16, 16]))
    assert alpha[8:24, 8:24].min() == 1
    assert rgb[8:14, 8:14].mean() > 0.6 and rgb[18:24, 18:24].max() < 0.05


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
    train, export, network = (module(name) for name in ("train", "export", "network"))
    photo = Image.fromarray(np.full((30, 40, 3), 99, np.uint8))
    photo.save(tmp_path / "wall.jpg")
    photo.convert("RGBA").save(tmp_path / "wall.rembg.png")
    arguments = ["--steps", "2", "--seed", "3", "--photos", str(tmp_path)]
    train.main([*arguments, "--output", str(tmp_path / "one")])
    train.main([*arguments, "--output", str(tmp_path / "again")])
    head, row = (tmp_path / "one" / "log.csv").read_text().splitlines()
    assert head == "step,seconds,loss,iou_made,iou_photos" and row.startswith("2,")
    assert all(np.isfinite(float(value)) for value in row.split(","))
    one, again = (
        torch.load(tmp_path / run / "checkpoint.pt", weights_only=True) for run in ("one", "again")
    )
    assert all(torch.equal(one[name], again[name]) for name in one)
    torch.manual_seed(3)
    untrained = dict(network.Net().named_parameters())
    assert not any(torch.equal(one[name], untrained[name]) for name in untrained)

    model = tmp_path / "model.onnx"
    export.main([str(tmp_path / "one" / "checkpoint.pt"), str(model)])
    assert model.stat().st_size <= 5_000_000


def test_a_model_has_the_mean_of_its_checkpoints_and_sees_a_picture_twice(
    module: Any, tmp_path: Path
) -> None:
    torch = pytest.importorskip("torch", reason="make test-training")
    export, network, functional = module("export"), module("network"), torch.nn.functional
    nets = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        nets.append(network.Net())
        torch.save(nets[-1].state_dict(), tmp_path / f"{seed}.pt")
    export.main([*(str(tmp_path / f"{seed}.pt") for seed in (1, 2)), str(tmp_path / "mean.onnx")])
    net = export.mean_of([tmp_path / "1.pt", tmp_path / "2.pt"]).eval()
    one, two, mean = (dict(net.named_parameters()) for net in (*nets, net))
    assert all(torch.allclose(mean[name], (one[name] + two[name]) / 2) for name in mean)

    def at(x: Any, side: int) -> Any:
        return functional.interpolate(x, (side, side), mode="bilinear", align_corners=False)

    x = torch.randn(1, 3, 320, 320)
    with torch.no_grad():
        small = at(net(at(x, 160))[0], 320)
        large = at(net(at(torch.flip(x, [3]), 256))[0], 320)
    logits = (small + torch.flip(large, [3])) / 2 * export.STEEP
    wanted = torch.sigmoid(torch.clamp(logits, -export.CERTAIN, export.CERTAIN))
    session = onnxruntime.InferenceSession(
        str(tmp_path / "mean.onnx"), providers=["CPUExecutionProvider"]
    )
    (found,) = session.run(None, {"input.1": x.numpy()})
    assert np.abs(found - wanted.numpy()).max() < export.TOLERANCE


def test_a_training_that_was_stopped_goes_on(module: Any, tmp_path: Path, monkeypatch: Any) -> None:
    torch = pytest.importorskip("torch", reason="make test-training")
    train = module("train")
    told: Dict[str, Any] = {"steps": 3, "seed": 3, "rate": 1e-3, "every": 1}
    whole = train.train(tmp_path / "whole", **told).state_dict()
    update = train.AveragedModel.update_parameters
    calls: List[int] = []

    def stop(mean: Any, net: Any) -> None:
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        update(mean, net)

    monkeypatch.setattr(train.AveragedModel, "update_parameters", stop)
    with pytest.raises(KeyboardInterrupt):
        train.train(tmp_path / "stopped", **told)
    again = train.train(tmp_path / "stopped", **told).state_dict()
    assert len(calls) == 4 and all(torch.equal(whole[name], again[name]) for name in whole)
    logs = [(tmp_path / run / "log.csv").read_text() for run in ("whole", "stopped")]
    without_seconds = [[row.split(",")[::2] for row in log.splitlines()] for log in logs]
    assert without_seconds[0] == without_seconds[1] and len(without_seconds[0]) == 4
    with pytest.raises(ValueError, match="other steps, seed, rate, start, posed or sides"):
        train.train(tmp_path / "stopped", **{**told, "seed": 4})


def test_a_checkpoint_is_refined_at_the_finest_side_or_at_sides_in_turn(
    module: Any, tmp_path: Path, monkeypatch: Any
) -> None:
    torch = pytest.importorskip("torch", reason="make test-training")
    train, network = module("train"), module("network")
    torch.manual_seed(9)
    start = network.Net()
    torch.save(start.state_dict(), tmp_path / "start.pt")
    told: List[Any] = []

    def batches(seed: int, count: int, sides: List[int], *more: int) -> Any:
        told.extend([sides, more])
        return module("batches").batches(seed, 2, [64] * len(sides), *more[:2], 1)

    monkeypatch.setattr(train, "batches", batches)
    # Steps of no size: what comes out is the start.
    given: Dict[str, Any] = {"seed": 3, "rate": 0.0, "start": tmp_path / "start.pt", "posed": 2}
    refined = train.train(tmp_path / "finest", 1, **given)
    assert told == [[256], (1, 0, train.STUDIO, 2)]
    train.train(tmp_path / "mixed", 3, **given, sides=(64, 96))
    assert told[2] == [64, 96, 64]
    for name, parameter in start.named_parameters():
        assert torch.equal(dict(refined.named_parameters())[name], parameter), name


def test_the_net_learns_a_batch_by_heart(module: Any) -> None:
    torch = pytest.importorskip("torch", reason="make test-training")
    network = module("network")
    pictures, masks = module("batches").make(1, 0, 4, 64)
    x = network.normalised(torch.from_numpy(pictures))
    y = torch.from_numpy(masks)[:, None].float() / 255
    torch.manual_seed(0)
    net = network.Net()
    optimizer = torch.optim.AdamW(net.parameters(), 3e-3)
    losses = []
    for _ in range(40):
        total, _ = network.loss(net, x, y)
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        losses.append(float(total.detach()))
    assert losses[-1] < losses[0] / 3


def test_pictures_are_normalised_as_rembg_does_it(module: Any) -> None:
    torch = pytest.importorskip("torch", reason="make test-training")
    picture = (np.random.default_rng(0).random((320, 320, 3)) * 180).astype(np.uint8)
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    normalize = cutting.rembgs_own().normalize
    (theirs,) = normalize(Image.fromarray(picture), mean, std, (320, 320)).values()
    ours = module("network").normalised(torch.from_numpy(picture[None]))
    assert np.abs(ours.numpy() - theirs).max() < 1e-5


def test_sides_grow(module: Any) -> None:
    pytest.importorskip("torch", reason="make test-training")
    train = module("train")
    sides = [train.side_at(step, 100) for step in range(100)]
    assert sides == [128] * 70 + [192] * 18 + [256] * 12
    assert train.side_at(0, 1) == 128 and train.side_at(1, 2) == 128
