"""Graphs in fp16: valid, run by onnxruntime, made once, or refused with a reason."""

import os
import sys
from pathlib import Path
from typing import Any, Callable, Dict

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from rembg_beam.transforms.models import batch_axis, catalogue, precision

PROBES = np.random.default_rng(0).normal(0, 1, (3, 3, 320, 320)).astype(np.float32)


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REMBG_HOME", str(tmp_path / "home"))


def maps(path: str, pictures: Any) -> Any:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: pictures})[0]


def kinds(path: str) -> Dict[str, int]:
    return {weight.name: weight.data_type for weight in onnx.load(path).graph.initializer}


def written(path: Path, change: Callable[[Any], None] = lambda model: None) -> str:
    """A convolution and a sigmoid; what `change` makes of it."""
    weights = np.random.default_rng(0).normal(0, 1, (1, 3, 3, 3)).astype(np.float32)
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["y"], pads=[1, 1, 1, 1]),
        helper.make_node("Sigmoid", ["y"], ["map"]),
    ]
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, channels, 320, 320])
        for name, channels in (("x", 3), ("map", 1))
    ]
    weight = numpy_helper.from_array(weights, "w")
    graph = helper.make_graph(nodes, "graph", ends[:1], ends[1:], [weight])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    change(model)
    onnx.save(model, str(path))
    return str(path)


def test_the_bundled_models_maps_move_by_few_levels() -> None:
    path = catalogue.bundled_path()
    made = precision.half(path)
    assert os.path.getsize(made) < 0.6 * os.path.getsize(path)
    onnx.checker.check_model(made, full_check=True)
    expected, found = maps(path, PROBES), maps(made, PROBES)
    assert found.dtype == np.float32 and found.shape == expected.shape
    assert 0 < np.abs(found - expected).max() < 4 / 255


def test_it_is_made_once_and_anew_for_another_file(tmp_path: Path) -> None:
    path = written(tmp_path / "model.onnx")
    made = precision.half(path)
    assert kinds(made) == {"w": TensorProto.FLOAT16}
    changed = os.stat(made).st_mtime_ns
    assert (precision.half(path), os.stat(made).st_mtime_ns) == (made, changed)
    assert precision.half(made) == made, "it is fp16 already"
    os.utime(path, (0, 0))
    assert precision.half(path) != made


@pytest.mark.parametrize("first", [precision.half, batch_axis.ensure])
def test_it_takes_batches_in_either_order(tmp_path: Path, first: Any) -> None:
    second = batch_axis.ensure if first is precision.half else precision.half
    path = written(tmp_path / "model.onnx")
    made = second(first(path))
    found = maps(made, PROBES)
    assert found.shape == (3, 1, 320, 320)
    for index in range(3):
        alone = maps(path, PROBES[index : index + 1])
        assert np.abs(found[index] - alone[0]).max() < 1 / 255


def test_weights_among_the_inputs_are_converted_too(tmp_path: Path) -> None:
    def as_long_ago(model: Any) -> None:
        model.ir_version = 3
        model.graph.input.append(
            helper.make_tensor_value_info("w", TensorProto.FLOAT, [1, 3, 3, 3])
        )

    path = written(tmp_path / "model.onnx", as_long_ago)
    made = precision.half(path)
    assert kinds(made) == {"w": TensorProto.FLOAT16}
    assert [value.name for value in onnx.load(made).graph.input] == ["x"]
    assert np.abs(maps(made, PROBES[:1]) - maps(path, PROBES[:1])).max() < 1 / 255


def outside(model: Any) -> None:
    (weight,) = model.graph.initializer
    onnx.external_data_helper.set_external_data(weight, "weights.bin")


def quantised(model: Any) -> None:
    (weight,) = model.graph.initializer
    weight.CopyFrom(numpy_helper.from_array(np.ones((1, 3, 3, 3), np.int8), "w"))


def fp32_alone(model: Any) -> None:
    """An operator that knows no fp16."""
    names = ["quantised", "scale", "zero"]
    model.graph.node.append(helper.make_node("DynamicQuantizeLinear", ["y"], names))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (outside, "has its weights in files of their own"),
        (quantised, "has no fp32 weights"),
        (fp32_alone, "can't be converted to fp16.*DynamicQuantizeLinear"),
    ],
)
def test_a_graph_is_refused_with_the_reason(tmp_path: Path, change: Any, reason: str) -> None:
    path = written(tmp_path / "model.onnx", change)
    with pytest.raises(precision.NoHalf, match=rf"model\.onnx' {reason}"):
        precision.half(path)
    assert list((tmp_path / "home").rglob("*.onnx")) == []


def test_no_graph_and_one_over_2_gb_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"<html>")
    with pytest.raises(precision.NoHalf, match="can't be read as an ONNX file"):
        precision.half(str(path))
    os.truncate(path, 2**31)
    with pytest.raises(precision.NoHalf, match="is over 2 GB"):
        precision.half(str(path))


def test_without_the_package_onnx_the_reason_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(precision.NoHalf, match="the package onnx, which would convert it"):
        precision.half(catalogue.bundled_path())
