"""Dynamic batching: the calls of many threads in few runs, each with what it gets alone."""

import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, Callable, List, NamedTuple, Tuple, Union

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from support import kinds, standins
from support.cutting import cutout_of

from rembg_beam.transforms import RemBGDoFn, SessionConfig
from rembg_beam.transforms.elements import Cutout, Failure
from rembg_beam.transforms.models import batch_axis, batch_trial, opening, proof
from rembg_beam.transforms.models.batching import Batching
from rembg_beam.transforms.models.predicting import Recording
from rembg_beam.transforms.rembg_dofn import default_threads


class Input(NamedTuple):
    """As much of onnxruntime's `NodeArg`."""

    name: str
    shape: List[int]


class Doubling:
    """As much of an onnxruntime session as `Batching` looks at: twice its input, after a while."""

    def __init__(self, seconds: float = 0.0, noise: float = 0.0) -> None:
        self.seconds = seconds
        self.noise = noise
        self.sizes: List[int] = []

    def get_inputs(self) -> Any:
        return [Input("x", [1, 2])]

    def run(self, names: Any, feeds: Any, run_options: Any = None) -> List[Any]:
        x = feeds["x"]
        self.sizes.append(len(x))
        time.sleep(self.seconds)
        if np.isnan(x).any():
            raise ValueError("a bad picture")
        return [2 * x + (self.noise if len(x) > 1 else 0)]


def call(batch: Union[Batching, Recording], value: float) -> float:
    (result,) = batch.run(None, {"x": np.full((1, 2), value, np.float32)})
    assert result.shape == (1, 2)
    return float(result[0, 0])


@settings(deadline=None, max_examples=30)
@given(
    st.lists(st.integers(-99, 99), min_size=1, max_size=40),
    st.integers(1, 9),
    st.booleans(),
    st.sampled_from([None, 1, 2]),
)
def test_every_caller_gets_its_own(
    values: List[int], max_size: int, fixed: bool, at_once: Any
) -> None:
    sizes = (1, max_size) if fixed else ()
    batch = Batching(
        inner := Doubling(), max_size=max_size, at_once=at_once, wait_msecs=1, sizes=sizes
    )
    with ThreadPoolExecutor(16) as pool:
        results = list(pool.map(lambda value: call(batch, value), values))
    assert results == [2 * value for value in values]
    assert batch.calls == len(values) and batch.runs == len(inner.sizes)
    assert set(inner.sizes) <= (set(sizes) if fixed else set(range(1, max_size + 1)))


def test_sixteen_callers_fill_most_of_a_batch() -> None:
    batch = Batching(Doubling(seconds=0.01), max_size=16, wait_msecs=500)
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda value: call(batch, value), range(480)))
    assert batch.calls / batch.runs >= 8


def test_a_lone_caller_waits_no_longer_than_it_is_told() -> None:
    batch = Batching(Doubling(), max_size=8, wait_msecs=20)
    start = time.monotonic()
    assert call(batch, 3) == 6
    assert 0.015 < time.monotonic() - start < 1


@pytest.mark.parametrize("max_size", [1, 8])
def test_a_run_tells_the_graphs_time_from_that_waited_for_a_batch(max_size: int) -> None:
    batch = Batching(Doubling(seconds=0.05), max_size=max_size, wait_msecs=60)
    start = time.perf_counter()
    run = batch.run_one(None, {"x": np.zeros((1, 2), np.float32)})
    took = time.perf_counter() - start
    assert 0.05 <= run.seconds < took
    assert 0.05 < run.waited <= took - run.seconds if max_size > 1 else run.waited == 0


def test_a_map_that_is_run_again_alone_takes_both_runs() -> None:
    batch = Batching(Doubling(seconds=0.05), max_size=2, wait_msecs=500, error=1.0)
    with ThreadPoolExecutor(2) as pool:
        feeds = [{"x": np.zeros((1, 2), np.float32)}] * 2
        runs = list(pool.map(lambda each: batch.run_one(None, each), feeds))
    assert batch.runs >= 1 and all(run.seconds >= 0.1 for run in runs)


def test_without_batches_calls_run_side_by_side() -> None:
    together = threading.Barrier(4, timeout=60)

    class Meeting(Doubling):
        def run(self, *arguments: Any) -> Any:
            together.wait()
            return super().run(*arguments)

    batch = Batching(Meeting(), max_size=1)
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda value: call(batch, value), range(4))) == [0, 2, 4, 6]


def test_full_batches_run_two_at_once_and_no_more() -> None:
    """What comes meanwhile gathers; one that is not full waits until nothing runs."""
    running: List[int] = []
    most: List[List[int]] = []
    together = threading.Barrier(2)

    class Meeting(Doubling):
        def run(self, names: Any, feeds: Any, options: Any = None) -> Any:
            running.append(len(feeds["x"]))
            most.append(list(running))
            if len(feeds["x"]) == 4:
                together.wait(60)
            time.sleep(0.02)
            running.remove(len(feeds["x"]))
            return super().run(names, feeds)

    batch = Batching(inner := Meeting(), max_size=4, at_once=2, wait_msecs=1000, sizes=(1, 2, 4))
    with ThreadPoolExecutor(18) as pool:
        assert list(pool.map(lambda value: call(batch, value), range(18))) == [*range(0, 36, 2)]
    assert inner.sizes == [4, 4, 4, 4, 2]
    assert max(map(len, most)) == 2 and [2] in most


@pytest.mark.parametrize("at_once", [1, 2])
def test_single_runs_of_a_gpu_are_as_few_at_once(at_once: int) -> None:
    """Each takes the memory of its activations."""
    running: List[int] = []
    most: List[int] = []
    together = threading.Barrier(at_once)

    class Watched(Doubling):
        def run(self, *arguments: Any) -> Any:
            running.append(1)
            most.append(len(running))
            together.wait(60)
            found = super().run(*arguments)
            running.pop()
            return found

    batch = Batching(Watched(seconds=0.005), max_size=1, at_once=at_once)
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda value: call(batch, value), range(16))) == [*range(0, 32, 2)]
    assert max(most) == at_once


def test_a_failed_batch_is_rerun_one_by_one() -> None:
    batch = Batching(inner := Doubling(seconds=0.01), max_size=8, wait_msecs=50)

    def one(value: float) -> Any:
        try:
            return call(batch, value)
        except ValueError as error:
            return str(error)

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(one, [1, 2, float("nan"), 4, 5, 6, 7, 8]))
    assert results == [2, 4, "a bad picture", 8, 10, 12, 14, 16]
    assert max(inner.sizes) > 1


def test_different_shapes_never_share_a_batch() -> None:
    batch = Batching(Doubling(seconds=0.005), max_size=8, wait_msecs=20)

    def one(width: int) -> Any:
        (result,) = batch.run(None, {"x": np.ones((1, width), np.float32)})
        return result.shape

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(one, [2, 3] * 12)) == [(1, 2), (1, 3)] * 12


def test_who_records_learns_of_its_own_run_only() -> None:
    batch = Batching(Doubling(seconds=0.005), max_size=4, wait_msecs=20)

    def one(value: float) -> Tuple[int, float]:
        recording = Recording(batch)
        call(recording, value)
        return len(recording.runs), float(recording.runs[0].outputs[0][0, 0])

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(one, range(16))) == [(1, 2 * value) for value in range(16)]


# what a graph makes of batches


def probe(inner: Any, sizes: Tuple[int, ...], original: Any = None) -> batch_trial.Batches:
    """The sizes that are used of a session of a graph with a map, where the CPU runs it."""
    tried = proof.try_pictures(original or inner)
    sizes = sizes if original else tuple(size for size in sizes if size > 1)
    return batch_trial.judge(batch_trial.measure(inner, sizes, tried, np.asarray), 0.1)


def test_a_probe_takes_the_sizes_that_work() -> None:
    assert probe(Doubling(), (1, 4, 16)) == ((1, 4, 16), 0, True, 0, 0.1)

    class Small(Doubling):
        def run(self, names: Any, feeds: Any, run_options: Any = None) -> Any:
            if len(feeds["x"]) > 4:
                raise MemoryError("no room")
            return super().run(names, feeds)

    assert probe(Small(), (1, 4, 16)).sizes == (1, 4)

    class Fixed(Doubling):
        def run(self, names: Any, feeds: Any, run_options: Any = None) -> Any:
            return [super().run(names, feeds)[0][:1]]

    assert probe(Fixed(), (1, 4)).sizes == (1,)


class Map(Doubling):
    """A map whose batches are off by something."""

    def __init__(self, off: float, share: float = 1.0) -> None:
        super().__init__()
        self.off, self.share = off, share

    def get_inputs(self) -> Any:
        return [Input("x", [1, 3, 40, 40])]

    def run(self, names: Any, feeds: Any, run_options: Any = None) -> Any:
        x = feeds["x"]
        found = 1 / (1 + np.exp(-x[:, :1]))
        if len(x) > 1:
            found[..., : int(40 * self.share)] += self.off
        return [found.astype(np.float32)]


@pytest.mark.parametrize(
    ("off", "share", "sizes"),
    [
        (0.0, 1.0, (1, 4)),
        (1e-7, 1.0, (1, 4)),  # a GPU's rounding
        (2e-4, 0.5, (1, 4)),  # less than a tenth of a level
        (1e-2, 0.9, (1,)),  # several levels
        (3e-3, 0.04, (1,)),  # most of a level
    ],
)
def test_batches_may_move_few_pixels_by_one_level(off: float, share: float, sizes: Any) -> None:
    found = probe(Map(off, share), (1, 4))
    assert found.sizes == sizes
    if len(sizes) > 1:
        assert found.error == pytest.approx(off, rel=0.2, abs=1e-7) and found.alone_exact


def test_a_faint_map_is_run_again_alone() -> None:
    """rembg would stretch the error of its batch with it."""
    inner = Map(off=1e-4, share=0.5)
    batch = Batching(inner, max_size=2, wait_msecs=100, error=1e-4)
    strong = np.random.default_rng(0).normal(0, 1, (1, 3, 40, 40)).astype(np.float32)
    pictures = {"strong": strong, "faint": strong / 1000}

    def one(name: str) -> Tuple[str, bool, bool]:
        found = batch.run_one(None, {"x": pictures[name]})
        (alone,) = inner.run(None, {"x": pictures[name]})
        return name, found.exact, np.array_equal(found.outputs[0], alone)

    with ThreadPoolExecutor(2) as pool:
        assert set(pool.map(one, pictures)) == {("strong", False, False), ("faint", True, True)}


def test_who_is_interrupted_takes_nobody_along(monkeypatch: pytest.MonkeyPatch) -> None:
    batch = Batching(Doubling(seconds=0.01), max_size=4, wait_msecs=1)
    take = batch._queue._take

    def interrupted_take(taken: List[Any]) -> Any:
        if threading.current_thread().name == "interrupted":
            raise KeyboardInterrupt
        return take(taken)

    monkeypatch.setattr(batch._queue, "_take", interrupted_take)
    ended: List[BaseException] = []

    def interrupted() -> None:
        try:
            call(batch, 1)
        except KeyboardInterrupt as error:
            ended.append(error)

    thread = threading.Thread(target=interrupted, name="interrupted")
    thread.start()
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda value: call(batch, value), range(8))) == [*range(0, 16, 2)]
    thread.join(60)
    assert len(ended) == 1 and not batch._queue._waiting and not batch._queue._is_led
    with pytest.raises(AttributeError):
        batch.run(None, {"x": [1]})
    assert call(batch, 5) == 10


def test_batches_that_keep_failing_get_smaller(caplog: Any) -> None:
    class Full(Doubling):
        def run(self, names: Any, feeds: Any, run_options: Any = None) -> Any:
            if len(feeds["x"]) > 2:
                raise MemoryError("no room")
            return super().run(names, feeds)

    batch = Batching(Full(seconds=0.002), max_size=8, wait_msecs=20, sizes=(1, 2, 8))
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda value: call(batch, value), range(80))) == [*range(0, 160, 2)]
    assert batch.max_size == 2
    assert caplog.text.count("failed and was run one by one") == 1


def windowed(path: Path) -> str:
    """Swin's windows: a Reshape whose first axis is not the batch, and which fits all the same."""
    node = helper.make_node
    constants = {
        "split": np.array([1, 2, 8, 2, 8, 8], np.int64),
        "windows": np.array([-1, 8, 8, 8], np.int64),
        "merge": np.array([1, 2, 2, 8, 8, -1], np.int64),
        "whole": np.array([1, 16, 16, 8], np.int64),
        "kernel": np.random.default_rng(0).normal(0, 0.5, (8, 3, 3, 3)).astype(np.float32),
        "mix": np.linspace(-1, 1, 8, dtype=np.float32).reshape(1, 8, 1, 1),
    }
    nodes = [
        node("Conv", ["input.1", "kernel"], ["a"], pads=[1, 1, 1, 1]),
        node("Transpose", ["a"], ["b"], perm=[0, 2, 3, 1]),
        node("Reshape", ["b", "split"], ["c"]),
        node("Transpose", ["c"], ["d"], perm=[0, 1, 3, 2, 4, 5]),
        node("Reshape", ["d", "windows"], ["e"]),
        node("Reshape", ["e", "merge"], ["f"]),
        node("Transpose", ["f"], ["g"], perm=[0, 1, 3, 2, 4, 5]),
        node("Reshape", ["g", "whole"], ["h"]),
        node("Transpose", ["h"], ["i"], perm=[0, 3, 1, 2]),
        node("Conv", ["i", "mix"], ["j"]),
        node("Sigmoid", ["j"], ["map"]),
    ]
    return _saved(path, nodes, constants, 16)


def segmenter(path: Path, *, baked: bool, size: int = 32) -> str:
    """A graph for one picture, with the shapes written into constants as exporters do it."""
    node = helper.make_node
    weight = np.random.default_rng(0).normal(0, 0.5, (4, 3, 3, 3)).astype(np.float32)
    half = size // 2
    rest = [2, 2, half * half] if baked else [1, 4, -1]
    constants = {
        "flat": np.array(rest, np.int64),
        "square": np.array([1, 4, half, half], np.int64),
        "sizes": np.array([1, 4, size, size], np.int64),
        "kernel": weight,
        "mix": np.ones((1, 4, 1, 1), np.float32),
    }
    nodes = [
        node("Conv", ["input.1", "kernel"], ["a"], pads=[1, 1, 1, 1], strides=[2, 2]),
        node("Reshape", ["a", "flat"], ["b"]),
        node("Reshape", ["b", "square"], ["c"]),
        node("Resize", ["c", "", "", "sizes"], ["d"], mode="linear"),
        node("Conv", ["d", "mix"], ["e"]),
        node("Sigmoid", ["e"], ["map"]),
    ]
    return _saved(path, nodes, constants, size)


def _saved(path: Path, nodes: Any, constants: Any, size: int) -> str:
    graph = helper.make_graph(
        nodes,
        "baked",
        [helper.make_tensor_value_info("input.1", TensorProto.FLOAT, [1, 3, size, size])],
        [helper.make_tensor_value_info("map", TensorProto.FLOAT, [1, 1, size, size])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, str(path))
    return str(path)


def session_of(path: str) -> Any:
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("REMBG_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_a_graph_for_one_picture_is_opened_for_many(cache: Path, tmp_path: Path) -> None:
    path = segmenter(tmp_path / "one.onnx", baked=False)
    with pytest.raises(Exception, match="Got: 2 Expected: 1"):
        session_of(path).run(None, {"input.1": np.zeros((2, 3, 32, 32), np.float32)})
    opened = batch_axis.ensure(path)
    assert opened != path and batch_axis.ensure(path) == opened
    assert batch_axis.ensure(opened) == opened
    found = probe(session_of(opened), (1, 2, 5))
    assert found.sizes == (1, 2, 5)
    pictures = np.random.default_rng(1).normal(0, 1, (5, 3, 32, 32)).astype(np.float32)
    (batch,) = session_of(opened).run(None, {"input.1": pictures})
    for index in range(5):
        (alone,) = session_of(path).run(None, {"input.1": pictures[index : index + 1]})
        assert np.abs(batch[index] - alone[0]).max() < 1e-6


def test_a_graph_that_cannot_be_opened_runs_one_by_one(
    cache: Path, tmp_path: Path, caplog: Any
) -> None:
    path = segmenter(tmp_path / "one.onnx", baked=True, size=320)
    assert probe(session_of(batch_axis.ensure(path)), (1, 2)).sizes == (1,)
    made = SessionConfig("u2net_custom", model_path=path, max_batch_size=4)
    loaded = opening.open_session(made)
    assert loaded.session.inner_session.max_size == 1
    assert "u2net_custom runs one picture at a time: its graph takes no batches" in caplog.text


def test_an_opened_graph_is_compared_with_the_one_it_was_made_of(
    cache: Path, tmp_path: Path
) -> None:
    path = windowed(tmp_path / "swin.onnx")
    original, opened = session_of(path), session_of(batch_axis.ensure(path))
    assert probe(opened, (1, 4)).sizes == (1, 4), "by itself it looks right"
    assert probe(opened, (1, 4), original=original).sizes == (1,)


def test_without_the_package_onnx_the_reason_is_said(
    rembg_home: Path, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    loaded = opening.open_session(standins.config("u2netp", rembg_home, max_batch_size=4))
    assert loaded.batch == 1 and "the package onnx" in caplog.text


def test_clothes_whose_batches_are_not_bit_equal_run_one_by_one(
    rembg_home: Path, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    """Their masks are of categories: a little more or less is another one."""
    found = {size: batch_trial.Measured(1e-6, 1e-3) for size in (1, 4)}
    monkeypatch.setattr(batch_trial, "measure", lambda *arguments, **more: found)
    made = standins.config("u2net_cloth_seg", rembg_home, max_batch_size=4)
    assert opening.open_session(made).batch == 1
    assert "not bit-equal" in caplog.text
    assert opening.open_session(replace(made, model="u2netp")).batch == 4


@pytest.mark.parametrize(
    "name",
    [
        "u2netp",
        pytest.param("isnet-general-use", marks=pytest.mark.long),
        pytest.param("u2net_cloth_seg", marks=pytest.mark.long),
    ],
)
def test_pictures_of_many_threads_share_runs(
    rembg_home: Path, name: str, encoded: Callable[..., bytes]
) -> None:
    made = standins.config(name, rembg_home, max_batch_size=4, max_batch_wait_msecs=200)
    dofn = RemBGDoFn(made)
    dofn.setup()
    batch = dofn.engine._held[made].session.inner_session
    data = [encoded(seed=seed, width=40 + seed) for seed in range(7)] + [b"no picture"]
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda one: cutout_of(dofn.work(("key", one))), data))
    assert [type(result) for result in results] == [Cutout] * 7 + [Failure]
    assert batch.calls == 7 and batch.runs <= 4
    assert {result.facts.batched for result in results[:7]} <= {batch.error > 0, False}
    dofn.teardown()


def test_batches_are_padded_to_few_sizes_where_a_provider_pays_for_each() -> None:
    gpu = SessionConfig("u2net", "CUDA")
    assert gpu.batch_sizes() == (1, 4, 8, 16) and gpu.has_fixed_sizes()
    assert SessionConfig("isnet-general-use", "CUDA").batch_sizes() == (1, 2, 4)
    assert SessionConfig("u2net", "CUDA", max_batch_size=1).batch_sizes() == (1,)
    assert SessionConfig("u2net").batch_sizes() == (1,)
    assert not SessionConfig("u2net", max_batch_size=8).has_fixed_sizes()


def test_threads_follow_from_what_really_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "1")
    loaded = opening.Loaded(None, "CPUExecutionProvider", 1.0)
    assert default_threads(loaded) == 1
    assert default_threads(loaded._replace(batch=4)) == 9
    assert default_threads(loaded._replace(provider="CUDAExecutionProvider", batch=16)) == 49


@pytest.mark.parametrize("name", ["birefnet-general", "u2netp", "sam", "u2net_cloth_seg"])
def test_the_peak_is_that_of_the_map_before_it_is_stretched(rembg_home: Path, name: str) -> None:
    made = standins.config(name, rembg_home)
    dofn = RemBGDoFn(made)
    dofn.setup()
    cutout = cutout_of(dofn.work(("key", kinds.KINDS["RGB"]())))
    peak = cutout.facts.peak
    if name in ("sam", "u2net_cloth_seg"):
        assert peak is None
    else:
        session = dofn.engine._held[made].session
        inner = session.inner_session
        assert 0 < peak < 1
        calls, session.inner_session = inner.calls, (recording := Recording(inner))
        dofn.work(("key", kinds.KINDS["RGB"]()))
        session.inner_session = inner
        raw = recording.runs[-1].outputs[0].max()
        assert inner.calls == calls + 1
        wanted = 1 / (1 + np.exp(-raw)) if name.startswith("birefnet") else raw
        assert peak == pytest.approx(wanted, rel=1e-6)
    dofn.teardown()
