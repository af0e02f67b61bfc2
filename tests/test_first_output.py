"""rembg reads a graph's first output: the others are not fetched, and there for who reads them."""

import copy
from pathlib import Path
from typing import Any, List

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper
from support import kinds, standins

from rembg_beam.transforms.models import catalogue, opening, rembg_session
from rembg_beam.transforms.models.batching import Batching
from rembg_beam.transforms.models.first_output import FirstOutput
from rembg_beam.transforms.models.predicting import predict
from rembg_beam.transforms.models.stand_in import StandIn
from rembg_beam.transforms.pictures.decode import decode, open_picture

MODELS = [model.name for model in catalogue.MODELS.values() if not model.is_remote]


class Fetching(StandIn):
    """Keeps the names of outputs that are asked for."""

    def __init__(self, inner: Any) -> None:
        super().__init__(inner)
        self.asked: List[Any] = []

    def run_one(self, *arguments: Any) -> Any:
        self.asked.append(arguments[0])
        return super().run_one(*arguments)


def three(path: Path) -> Any:
    """A session of x -> x, 2x and 3x, for any batch."""
    node, value = helper.make_node, helper.make_tensor_value_info
    graph = helper.make_graph(
        [
            node("Identity", ["x"], ["one"]),
            node("Add", ["x", "one"], ["two"]),
            node("Add", ["x", "two"], ["three"]),
        ],
        "three",
        [value("x", TensorProto.FLOAT, ["N", 2])],
        [value(name, TensorProto.FLOAT, ["N", 2]) for name in ("one", "two", "three")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, str(path))
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


@pytest.mark.parametrize("name", [name for name in MODELS if name != catalogue.SAM])
def test_of_every_model_the_first_alone_is_fetched(rembg_home: Path, name: str) -> None:
    config = standins.config(name, rembg_home)
    session = opening.open_session(config).session
    (graph,) = rembg_session.inner_sessions(session)
    fetching = graph.inner.inner = Fetching(graph.inner.inner)
    data = kinds.saved(kinds.rgb(60, 40), "PNG")
    picture = decode(data, open_picture(data, 10_000), to_srgb=False)
    masks, _ = predict(session, picture, {})
    assert fetching.asked == [[graph.get_outputs()[0].name]] or len(graph.get_outputs()) == 1

    plain = copy.copy(session)
    plain.inner_session = fetching.inner
    expected = type(session).predict(plain, picture.image)
    assert [mask.tobytes() for mask in masks] == [mask.tobytes() for mask in expected]


@pytest.mark.parametrize("read", [1, -1, slice(1, 3), slice(None, None, -1), slice(0)])
def test_who_reads_another_gets_what_a_run_for_all_gives(tmp_path: Path, read: Any) -> None:
    session = three(tmp_path / "three.onnx")
    feeds = {"x": np.array([[3.0, 4.0]], np.float32)}
    expected = session.run(None, feeds)
    fetching = Fetching(session)
    outputs = FirstOutput(Batching(fetching)).run(None, feeds)
    assert len(outputs) == 3 and np.array_equal(outputs[0], expected[0])
    assert fetching.asked == [["one"]]
    assert np.array_equal(outputs[read], expected[read])
    assert fetching.asked[1:] == ([] if read == slice(0) else [None])
    with pytest.raises(IndexError):
        outputs[3]


def test_from_then_on_all_are_fetched_at_once(tmp_path: Path) -> None:
    fetching = Fetching(three(tmp_path / "three.onnx"))
    first = FirstOutput(Batching(fetching))
    feeds = {"x": np.array([[3.0, 4.0]], np.float32)}
    for _ in range(3):
        one, two, three_ = first.run(None, feeds)
        assert np.array_equal([one, two, three_], [feeds["x"], 2 * feeds["x"], 3 * feeds["x"]])
    assert fetching.asked == [["one"], None, None, None]


def test_names_are_passed_on(tmp_path: Path) -> None:
    fetching = Fetching(three(tmp_path / "three.onnx"))
    feeds = {"x": np.array([[3.0, 4.0]], np.float32)}
    (found,) = FirstOutput(Batching(fetching)).run(["three"], feeds)
    assert np.array_equal(found, 3 * feeds["x"]) and fetching.asked == [["three"]]
