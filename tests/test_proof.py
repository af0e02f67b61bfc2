"""What the masks of inexact providers and of half precision are worth, and batches there."""

import logging
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Callable, Dict, List

import numpy as np
import pytest
from support import inexact, standins
from support.inexact import COARSE, CUDA, FP32, TF32, TF32_OTHER_ORDER

from rembg_beam.transforms import Engine, SessionConfig
from rembg_beam.transforms.models import batch_trial, opening, placement, proof, rembg_session
from rembg_beam.transforms.models.batch_trial import Measured
from rembg_beam.transforms.models.batching import LEVELS, Batching
from rembg_beam.transforms.models.proof import MasksMove, Tried

Emulate = Callable[[Dict[int, inexact.Kernel]], None]


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REMBG_HOME", str(tmp_path / "home"))


@pytest.fixture
def emulate(monkeypatch: pytest.MonkeyPatch, caplog: Any) -> Emulate:
    """Has sessions run with a kernel for each size of batch."""
    caplog.set_level(logging.INFO)

    def emulate(kernels: Dict[int, inexact.Kernel]) -> None:
        monkeypatch.setattr(placement, "place", inexact.placing(kernels))

    return emulate


def test_the_pictures_are_the_same_always_and_show_a_subject_to_a_model() -> None:
    for one, again in zip(proof.pictures(), proof.pictures(), strict=True):
        assert np.array_equal(np.asarray(one), np.asarray(again))
    tried = proof.try_pictures(opening.open_session(SessionConfig("tiny")).session)
    assert len(tried) == 4
    for each in tried:
        assert np.ptp(each.output) > 0.9
        assert 0.05 < np.mean(proof.levels(each.output) > 127) < 0.5


@pytest.mark.long
def test_batches_in_tf32_are_used_as_far_as_they_add_no_more_error_than_there_is(
    emulate: Emulate, encoded: Callable[..., bytes], caplog: Any
) -> None:
    emulate({1: TF32, 2: COARSE, 4: TF32_OTHER_ORDER})
    config = SessionConfig("tiny", "CUDA", max_batch_size=4, max_batch_wait_msecs=200)
    with Engine(config) as engine:
        loaded = engine._held[config]
        assert loaded.level_shift is not None and loaded.batch_shift is not None
        assert LEVELS < loaded.batch_shift <= loaded.level_shift < 5
        batching = loaded.session.inner_session
        assert batching.sizes == (1, 4), "2 is left out, and doesn't take 4 along"
        assert f"masks differ by up to {loaded.level_shift:.3f} levels of 255" in caplog.text
        assert f"4: {loaded.batch_shift:.3f}" in caplog.text
        data = [encoded(seed=seed, width=320, height=240) for seed in range(4)]
        with ThreadPoolExecutor(4) as pool:
            facts = [cutout.facts for cutout in pool.map(engine.remove, data)]
        assert batching.runs < batching.calls == 4
    for each in facts:
        assert (each.provider, each.batched) == (CUDA, True)
        assert (each.level_shift, each.batch_shift) == (loaded.level_shift, loaded.batch_shift)


@pytest.mark.parametrize(
    ("kernels", "more", "sizes"),
    [
        ({1: FP32, 2: FP32, 4: FP32}, {"exact": True}, (1, 2, 4)),
        ({1: TF32, 2: TF32, 4: COARSE}, {"exact": True}, (1, 2)),
        ({1: FP32, 2: COARSE, 4: COARSE}, {}, (1,)),  # where the provider itself is exact
        ({1: COARSE, 2: FP32, 4: COARSE}, {}, (1, 2, 4)),
    ],
)
def test_how_near_batches_must_be(
    kernels: Any, more: Any, sizes: Any, rembg_home: Path, emulate: Emulate, caplog: Any
) -> None:
    emulate(kernels)
    made = standins.config("u2netp", rembg_home, "CUDA", max_batch_size=4, **more)
    loaded = opening.open_session(made)
    assert loaded.session.inner_session.sizes == sizes
    assert (loaded.batch_shift is None) == (len(sizes) == 1)
    if len(sizes) == 1:
        assert "u2netp runs one picture at a time: batches of its graph give other" in caplog.text


def test_nothing_is_compared_on_the_cpu(rembg_home: Path) -> None:
    loaded = opening.open_session(standins.config("u2netp", rembg_home, max_batch_size=4))
    assert loaded.batch == 4 and loaded.level_shift is None
    assert loaded.batch_shift is not None and loaded.batch_shift <= LEVELS
    loaded = opening.open_session(standins.config("u2netp", rembg_home))
    assert (loaded.level_shift, loaded.batch_shift) == (None, None)


def test_the_cpus_masks_are_computed_once_and_kept_where_they_can_be(
    rembg_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = str(rembg_home / "models/u2netp/u2netp.onnx")
    session = opening.open_session(standins.config("u2netp", rembg_home)).session
    feeds = [each.feeds for each in proof.try_pictures(session)]
    expected = [session.inner_session.run(None, each)[0] for each in feeds]
    monkeypatch.setenv("REMBG_HOME", str(tmp_path / "home"))
    assert np.array_equal(proof._once_on_the_cpu(path, feeds), expected)
    with monkeypatch.context() as patched:
        patched.setattr(proof, "_on_the_cpu", None)
        assert np.array_equal(proof._once_on_the_cpu(path, feeds), expected)
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("REMBG_HOME", str(tmp_path / "file"))
    assert np.array_equal(proof._once_on_the_cpu(path, feeds), expected)


class Off:
    """A graph whose input is its map; batches are off by something."""

    def __init__(self, off: float) -> None:
        self.off = off

    def run(self, names: Any, feeds: Any, run_options: Any = None) -> List[Any]:
        return [feeds["x"] + (self.off if len(feeds["x"]) > 1 else 0) * (feeds["x"] > 0)]


def maps(*peaks: float) -> List[Any]:
    steps = np.linspace(0, 1, 64, dtype=np.float32).reshape(1, 1, 8, 8)
    return [peak * np.sin(40 * steps) ** 2 for peak in peaks]


def test_a_faint_picture_condemns_nobody_and_is_run_alone() -> None:
    strong, faint = maps(1.0, 0.004)
    tried = [Tried({"x": each}, each) for each in (strong, faint)]
    inner = Off(3e-3)
    inner_map = np.array([[3e-3]])
    assert proof.level_shift([faint + inner_map * np.eye(8)], [faint]) > 10
    measured = batch_trial.measure(inner, (2,), tried, np.asarray)
    assert measured[2].error == pytest.approx(3e-3, rel=0.01) and measured[2].level_shift < 1
    assert batch_trial.judge(measured, 1.0).sizes == (1, 2)
    assert batch_trial.judge(measured, LEVELS).sizes == (1,)
    batching = Batching(inner, max_size=2, wait_msecs=500, error=3e-3, most=1.0)
    with ThreadPoolExecutor(2) as pool:
        runs = list(pool.map(lambda each: batching.run_one(None, each.feeds), tried))
    assert [run.exact for run in runs] == [False, True]
    assert np.array_equal(runs[1].outputs[0], faint)


def test_a_map_with_no_number_is_good_nowhere() -> None:
    (right,) = maps(1.0)
    wrong = np.where(right > 0.5, np.nan, right)
    assert np.isnan(proof.level_shift([wrong], [right]))
    assert np.isnan(proof.level_shift([right], [wrong]))
    found = {1: Measured(0.0, 0.0), 4: Measured(float("nan"), float("nan")), 2: Measured(0.0, 0.0)}
    for most in (0.0, 1.0):
        assert batch_trial.judge(found, most).sizes == (1, 2)


def test_where_the_opened_graph_is_another_no_batch_is_good() -> None:
    found = {1: Measured(0.1, 20.0), 4: Measured(0.0, 0.0)}
    assert batch_trial.judge(found, 1.0).sizes == (1,)


def test_half_precision_is_refused_with_figures_where_it_moves_masks_too_far(
    encoded: Callable[..., bytes],
) -> None:
    config = SessionConfig("tiny", precision="fp16", max_level_shift=0.01)
    refused = r"moves masks of 'tiny' by up to \d\.\d\d levels of 255 .* max_level_shift is 0\.01"
    with pytest.raises(MasksMove, match=refused):
        opening.open_session(config)
    with (
        Engine(SessionConfig("tiny")) as full,
        Engine(SessionConfig("tiny", precision="fp16")) as half,
    ):
        one, other = full.remove(encoded()), half.remove(encoded())
    assert one.facts.level_shift is None and 0.1 < (other.facts.level_shift or 0) < 4
    assert one.parts != other.parts
    assert one.facts.model_checksum == other.facts.model_checksum


def test_what_cuda_is_told_unless_the_user_says_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    import onnxruntime

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [CUDA])
    own = {"cudnn_conv_algo_search": "EXHAUSTIVE", "device_id": 1}
    told = {"cudnn_conv_algo_search": "HEURISTIC", "arena_extend_strategy": "kSameAsRequested"}
    assert rembg_session._usable(SessionConfig("u2net", "CUDA")) == [(CUDA, told)]
    exact = SessionConfig("u2net", ("CUDA", own), exact=True)
    assert rembg_session._usable(exact) == [(CUDA, {**told, "use_tf32": "0", **own})]
    for provider, threads in (("CPU", 1), ("CUDA", 1), ("Tensorrt", 1), ("OpenVINO", 0)):
        options = rembg_session._session_options(SessionConfig("u2net", provider))
        assert options.intra_op_num_threads == threads
    asked = SessionConfig("u2net", "CUDA", session_option={"intra_op_num_threads": 3})
    assert rembg_session._session_options(asked).intra_op_num_threads == 3


def test_exact_on_tensorrt_needs_what_only_the_environment_can_say(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = SessionConfig("tiny", ["Tensorrt", "CUDA"], exact=True)
    with pytest.raises(ValueError, match="NVIDIA_TF32_OVERRIDE=0 in the workers"):
        opening.open_session(config)
    monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", "0")
    with pytest.raises(placement.ProviderNotInUse):
        opening.open_session(config)
