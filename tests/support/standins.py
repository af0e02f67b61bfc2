"""Stand-ins for every local model: small graphs with a model's true inputs, outputs and sizes.

A few convolutions with fixed random weights and a global average, so that every output pixel
depends on the whole input; rembg's own session classes find and run them.
"""

from pathlib import Path
from typing import Any, List, Sequence, Tuple

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from rembg_beam.transforms import SessionConfig
from rembg_beam.transforms.models import catalogue

FLOAT = TensorProto.FLOAT

# Input, outputs and channels of a model's first output, by the family it belongs to.
U2NET = ("input.1", [str(number) for number in range(1959, 1966)], 1)
CLOTH = ("input.1", [f"{number}" for number in range(1959, 1966)], 4)
ISNET = ("input_image", ["output_image"], 1)
ANIME = ("img", ["mask"], 1)
BIREFNET = ("input_image", ["output_image"], 1)
BRIA = ("pixel_values", ["alphas"], 1)


def signature(model: catalogue.Model) -> Tuple[str, Sequence[str], int]:
    if model.name.startswith("birefnet"):
        return BIREFNET
    named = {"isnet-general-use": ISNET, "isnet-anime": ANIME, "bria-rmbg": BRIA}
    named |= {"dis_custom": ISNET, "ben_custom": ISNET, catalogue.CLOTH: CLOTH}
    return named.get(model.name, U2NET)


def write_all(home: Path) -> None:
    """Makes a home of rembg's with a stand-in for every local model."""
    for model in catalogue.MODELS.values():
        if not model.is_remote and model.name != catalogue.TINY:
            write(home / "models" / model.name, model)
    for model in catalogue.MATTING.values():
        write(home / "models" / "vitmatte", model)


def config(name: str, home: Path, providers: Any = "CPU", **more: Any) -> SessionConfig:
    """The configuration of a stand-in."""
    custom = catalogue.MODELS[name].is_custom
    path = str(home / "models" / name / f"{name}.onnx") if custom else None
    return SessionConfig(name, providers, model_path=path, offline=True, **more)


def write(folder: Path, model: catalogue.Model) -> List[Path]:
    """Writes the stand-ins of a model under the names rembg looks for."""
    folder.mkdir(parents=True, exist_ok=True)
    if model.name == catalogue.SAM:
        graphs = [_encoder(), _decoder()]
    elif model.is_matting:
        graphs = [_segmenter("pixel_values", ["alphas"], 1, 1024, channels=4)]
    else:
        assert model.size is not None
        name, outputs, masks = signature(model)
        logits = model.name.startswith("birefnet") or masks > 1
        graphs = [_segmenter(name, outputs, masks, model.size[0], sigmoid=not logits)]
    names = [file.name for file in model.files] or [f"{model.name}.onnx"]
    for name, graph in zip(names, graphs, strict=True):
        onnx.save(graph, str(folder / name))
    return [folder / name for name in names]


def _weights(name: str, *shape: int) -> Any:
    random = np.random.default_rng(sum(map(ord, name)))
    values = random.normal(0, 1 / np.sqrt(np.prod(shape[1:])), shape)
    return numpy_helper.from_array(values.astype(np.float32), name)


def _segmenter(
    name: str,
    outputs: Sequence[str],
    masks: int,
    size: int,
    *,
    sigmoid: bool = True,
    channels: int = 3,
) -> Any:
    """[1, channels, size, size] -> outputs of [1, masks, size, size]."""
    node = helper.make_node
    nodes = [
        node("Conv", [name, "first"], ["features"], pads=[1, 1, 1, 1]),
        node("Relu", ["features"], ["positive"]),
        node("GlobalAveragePool", ["positive"], ["average"]),
        node("Conv", ["average", "mix"], ["mixed"]),
        node("Add", ["positive", "mixed"], ["sum"]),
        node("Conv", ["sum", "last"], ["map"], pads=[1, 1, 1, 1]),
        node("Sigmoid" if sigmoid else "Identity", ["map"], [outputs[0]]),
        *(node("Identity", [outputs[0]], [other]) for other in outputs[1:]),
    ]
    initializers = [
        _weights("first", 4, channels, 3, 3),
        _weights("mix", 4, 4, 1, 1),
        _weights("last", masks, 4, 3, 3),
    ]
    return _model(
        nodes,
        initializers,
        [(name, [1, channels, size, size])],
        [(output, [1, masks, size, size]) for output in outputs],
    )


def _encoder() -> Any:
    """SAM's encoder: [684, 1024, 3] -> [1, 256, 64, 64]."""
    node = helper.make_node
    nodes = [
        node("Transpose", ["input_image"], ["planes"], perm=[2, 0, 1]),
        node("Unsqueeze", ["planes", "zero"], ["batch"]),
        node("Pad", ["batch", "pads"], ["square"]),
        node("Mul", ["square", "scale"], ["scaled"]),
        node("Conv", ["scaled", "patches"], ["image_embeddings"], strides=[16, 16]),
    ]
    initializers = [
        numpy_helper.from_array(np.array([0], np.int64), "zero"),
        numpy_helper.from_array(np.array([0, 0, 0, 0, 0, 0, 340, 0], np.int64), "pads"),
        numpy_helper.from_array(np.array(1 / 255, np.float32), "scale"),
        _weights("patches", 256, 3, 16, 16),
    ]
    return _model(
        nodes,
        initializers,
        [("input_image", [684, 1024, 3])],
        [("image_embeddings", [1, 256, 64, 64])],
    )


def _decoder() -> Any:
    """SAM's decoder: an embedding and points -> [1, 1, 684, 1024] and two more."""
    node = helper.make_node
    nodes = [
        node("Conv", ["image_embeddings", "flatten"], ["low"]),
        node("Resize", ["low", "", "", "sizes"], ["wide"], mode="linear"),
        node("ReduceMean", ["point_coords"], ["place"], keepdims=0),
        node("Mul", ["place", "small"], ["shift"]),
        node("Sin", ["shift"], ["wave"]),
        node("ReduceMean", ["wide"], ["middle"]),
        node("Sub", ["wide", "middle"], ["centered"]),
        node("Mul", ["wave", "large"], ["weight"]),
        node("Add", ["centered", "weight"], ["masks"]),
        node("ReduceMean", ["point_labels"], ["iou_predictions"], axes=[1]),
        node("Add", ["mask_input", "has_mask_input"], ["low_res_masks"]),
        node("Identity", ["orig_im_size"], ["unused"]),
    ]
    initializers = [
        _weights("flatten", 1, 256, 1, 1),
        numpy_helper.from_array(np.array([1, 1, 684, 1024], np.int64), "sizes"),
        numpy_helper.from_array(np.array(0.001, np.float32), "small"),
        numpy_helper.from_array(np.array(0.1, np.float32), "large"),
    ]
    inputs: List[Tuple[str, List[Any]]] = [
        ("image_embeddings", [1, 256, 64, 64]),
        ("point_coords", [1, "points", 2]),
        ("point_labels", [1, "points"]),
        ("mask_input", [1, 1, 256, 256]),
        ("has_mask_input", [1]),
        ("orig_im_size", [2]),
    ]
    outputs: List[Tuple[str, List[Any]]] = [
        ("masks", [1, 1, 684, 1024]),
        ("iou_predictions", [1, 1]),
        ("low_res_masks", [1, 1, 256, 256]),
    ]
    return _model(nodes, initializers, inputs, outputs)


def _model(nodes: Any, initializers: Any, inputs: Any, outputs: Any) -> Any:
    graph = helper.make_graph(
        nodes,
        "standin",
        [helper.make_tensor_value_info(name, FLOAT, shape) for name, shape in inputs],
        [helper.make_tensor_value_info(name, FLOAT, shape) for name, shape in outputs],
        initializers,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return model
