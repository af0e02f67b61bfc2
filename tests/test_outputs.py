"""Models whose output is no mask: a failed row that says so, or a right mask; never a black one."""

import functools
import io
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Callable, Dict

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from PIL import Image
from support import standins
from support.cutting import through
from support.options import OPTIONS, VITMATTE

from rembg_beam.transforms import RemBGDoFn, RemoveOptions
from rembg_beam.transforms.elements import Cutout, Failure
from rembg_beam.transforms.models import catalogue, opening, outputs
from rembg_beam.transforms.models.batching import Batching

NAN, INF = float("nan"), float("inf")


def changed(path: Path, *, scale: Any = None, shape: Any = None, to: Any = None) -> None:
    """Makes a stand-in give its first output times a value, of another shape or another type."""
    model = onnx.load(str(path))
    output = model.graph.output[0]
    for node in model.graph.node:
        for names in (node.input, node.output):
            names[:] = ["plain" if name == output.name else name for name in names]
    constant = np.float32(scale) if scale is not None else np.array(shape or [], np.int64)
    model.graph.initializer.append(numpy_helper.from_array(np.array(constant), "change"))
    node = functools.partial(helper.make_node, inputs=["plain", "change"], outputs=[output.name])
    if to is not None:
        node = functools.partial(node, inputs=["plain"], to=to)
        output.type.tensor_type.elem_type = to
    kind = "Cast" if to is not None else "Mul" if scale is not None else "Reshape"
    model.graph.node.append(node(kind))
    output.type.tensor_type.ClearField("shape")
    onnx.save(model, str(path))


@pytest.fixture
def work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoded: Callable[..., bytes]
) -> Callable[..., Any]:
    """Runs a picture through a model whose stand-in is changed, by rembg's own session class."""
    monkeypatch.setenv("REMBG_HOME", str(tmp_path))
    monkeypatch.setenv("MODEL_CHECKSUM_DISABLED", "1")

    def run(name: str, options: Any = None, *, of: str = "", **change: Any) -> Any:
        for each in {name, of} - {""}:
            model = {**catalogue.MODELS, **catalogue.MATTING}[each]
            folder = "vitmatte" if model.is_matting else each
            paths = standins.write(tmp_path / "models" / folder, model)
            if each == (of or name):
                changed(paths[-1], **change)
        # An opener of its own, so that no session of another test's is found.
        opener = functools.partial(opening.open_session)
        dofn = RemBGDoFn(standins.config(name, tmp_path), options=options, opener=opener)
        return through(dofn, encoded())

    return run


# One of each kind of `predict`: maps, logits, classes, prompts, and files of one's own.
MODELS = ["u2netp", "birefnet-general", catalogue.CLOTH, catalogue.SAM]
MORE = [
    pytest.param(name, marks=pytest.mark.long)
    for name in ("isnet-anime", "u2net_custom", "dis_custom")
]

CHANGES: Dict[str, Dict[str, Any]] = {
    "NaN": {"scale": NAN},
    "three axes": {"shape": [1, -1, 64]},
    "a batch": {"shape": [2, -1, 4, 8]},
    "a row": {"shape": [1, 1, 1, -1]},
    "a number of axes": {"shape": [1, 1, 8, -1, 4]},
    "truths": {"to": onnx.TensorProto.BOOL},
    "texts": {"to": onnx.TensorProto.STRING},
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("name", [*MODELS, *MORE])
def test_an_output_that_is_no_mask_is_a_failure(
    work: Callable[..., Any], name: str, change: str
) -> None:
    failure = work(name, **CHANGES[change])
    assert isinstance(failure, Failure), failure
    assert (failure.step, failure.error) == ("remove", "BadOutput")
    assert "NaN" in failure.message or "output is" in failure.message or "nan" in failure.message
    assert "--provider CPU" in failure.message


@pytest.mark.parametrize("scale", [INF, -INF])
def test_a_map_that_is_infinite_is_a_failure(work: Callable[..., Any], scale: float) -> None:
    failure = work("u2netp", scale=scale)
    assert isinstance(failure, Failure) and failure.error == "BadOutput"
    assert "can't be stretched" in failure.message


def mask_of(cutout: Any) -> Any:
    assert isinstance(cutout, Cutout), cutout
    with Image.open(io.BytesIO(cutout.parts[0].data)) as image:
        return np.asarray(image)


MASK = RemoveOptions(**OPTIONS["only_mask"])


@pytest.mark.parametrize("scale", [1e30, 1e-30, -1.0])
def test_a_map_that_is_huge_or_tiny_is_stretched(work: Callable[..., Any], scale: float) -> None:
    mask = mask_of(work("u2netp", MASK, scale=scale))
    plain = mask_of(work("u2netp", MASK, scale=1.0))
    expected = 255 - plain.astype(int) if scale < 0 else plain
    assert np.abs(mask.astype(int) - expected).max() <= 1


def test_a_map_of_another_size_is_enlarged(work: Callable[..., Any]) -> None:
    mask = mask_of(work("u2netp", MASK, shape=[1, 1, 160, 640]))
    assert mask.shape == (32, 48) and len(np.unique(mask)) > 2


def test_logits_without_bounds_are_sure(work: Callable[..., Any]) -> None:
    mask = mask_of(work("birefnet-general", MASK, scale=3e38))
    assert {0, 255} <= set(np.unique(mask))


def test_classes_that_are_too_few_are_a_failure(work: Callable[..., Any]) -> None:
    failure = work(catalogue.CLOTH, shape=[1, 1, 768, -1])
    assert isinstance(failure, Failure) and "must be numbers of [1, 4, " in failure.message


def test_masks_of_sam_of_another_size_are_a_failure(work: Callable[..., Any]) -> None:
    failure = work(catalogue.SAM, shape=[1, 1, 1024, 684])
    assert isinstance(failure, Failure) and "must be of [684, 1024]" in failure.message


@pytest.mark.parametrize("change", [{"scale": NAN}, {"shape": [1, 1, 1, -1]}])
def test_soft_edges_that_are_none_are_a_failure(work: Callable[..., Any], change: Any) -> None:
    refiner = next(iter(catalogue.MATTING))
    failure = work("u2netp", RemoveOptions(**VITMATTE["vitmatte"]), of=refiner, **change)
    assert isinstance(failure, Failure) and failure.error == "BadOutput", failure


def test_neighbours_of_a_bad_output_do_not_notice(encoded: Callable[..., bytes]) -> None:
    """One batch, of which one picture has no map."""

    class Some:
        def run(self, names: Any, feeds: Any, options: Any = None) -> Any:
            return [np.where(feeds["x"] < 0, np.nan, feeds["x"])]

    batching = Batching(
        Some(), max_size=3, wait_msecs=200, check=outputs.checker(catalogue.find("u2netp"))
    )
    pictures = [np.full((1, 1, 4, 4), value, np.float32) for value in (1, -1, 2)]
    with ThreadPoolExecutor(3) as pool:
        futures = [pool.submit(batching.run, None, {"x": each}) for each in pictures]
    assert isinstance(futures[1].exception(), outputs.BadOutput)
    for index in (0, 2):
        assert np.array_equal(futures[index].result()[0], pictures[index])
    assert batching.runs == 1
