"""A graph for one picture at a time -> the same graph for any number.

Models are exported with a batch of 1 written into them: in the shapes of inputs and outputs, and
often in the constants that Reshape and Resize take. In: the path of an ONNX file. Out: the path of
one whose first axis is open, the file itself where it is already, else a copy in rembg's home, made
once per machine. Whether the copy really takes batches shows when it is run (`batching.probe`).

Raises `NoBatchAxis` for a graph whose inputs or outputs have no first axis of 1, for one that is
too large to be copied, and where the package `onnx` is missing.
"""

from typing import Any, Dict, List

from . import derived

# Of protocol buffers.
_MOST_BYTES = 2**31 - 1

_AXIS = "batch"


class NoBatchAxis(ValueError):
    """The graph takes one picture at a time."""


def ensure(path: str) -> str:
    """The path of a graph with an open batch axis."""
    try:
        import onnx
    except ImportError:
        raise NoBatchAxis("the package onnx, which would open its batch axis, is not installed")
    model = onnx.load(path, load_external_data=False)
    if all(_is_open(value) for value in _ends(model)):
        return path
    return derived.once(path, "batch", lambda: _opened(path))


def _opened(path: str) -> Any:
    import onnx

    opened = open_axis(onnx.load(path))
    if opened.ByteSize() > _MOST_BYTES:
        raise NoBatchAxis("it is too large for one ONNX file")
    return opened


def open_axis(model: Any) -> Any:
    """An `onnx.ModelProto`, changed so that the first axis of inputs and outputs is open."""
    for value in _ends(model):
        dimensions = value.type.tensor_type.shape.dim
        if _is_open(value):
            continue
        if dimensions[0].dim_value != 1:
            raise NoBatchAxis(f"{value.name} has no first axis of 1")
        dimensions[0].dim_param = _AXIS
    graph = model.graph
    del graph.value_info[:]
    constants = _constants(graph)
    nodes: List[Any] = []
    for node in graph.node:
        if node.op_type == "Reshape":
            _open_reshape(graph, node, constants)
        elif node.op_type == "Resize" and len(node.input) > 3:
            nodes += _open_resize(graph, node, constants)
        nodes.append(node)
    del graph.node[:]
    graph.node.extend(nodes)
    return model


def _ends(model: Any) -> List[Any]:
    """Inputs and outputs, weights left out."""
    weights = {weight.name for weight in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in weights]
    return [*inputs, *model.graph.output]


def _is_open(value: Any) -> bool:
    """Whether no number stands in its first axis; one without a shape has none either."""
    dimensions = value.type.tensor_type.shape.dim
    return not dimensions or not dimensions[0].HasField("dim_value")


def _constants(graph: Any) -> Dict[str, Any]:
    """Integer constants by name."""
    from onnx import TensorProto, numpy_helper

    tensors = {weight.name: weight for weight in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant" and node.attribute and node.attribute[0].name == "value":
            tensors[node.output[0]] = node.attribute[0].t
    return {
        name: numpy_helper.to_array(tensor)
        for name, tensor in tensors.items()
        if tensor.data_type == TensorProto.INT64 and len(tensor.dims) == 1
    }


def _open_reshape(graph: Any, node: Any, constants: Dict[str, Any]) -> None:
    """A leading 1 becomes -1, what is left; or 0, as in the input, where there is a -1 already."""
    shape = constants.get(node.input[1])
    if shape is not None and len(shape) > 1 and shape[0] == 1:
        node.input[1] = _added(graph, [0 if -1 in shape else -1, *shape[1:]])


def _open_resize(graph: Any, node: Any, constants: Dict[str, Any]) -> List[Any]:
    """Constant sizes take their first from the input: the nodes that find it out."""
    from onnx import helper

    sizes = constants.get(node.input[3])
    if sizes is None or len(sizes) < 2 or sizes[0] != 1:
        return []
    prefix = f"{_AXIS}_{node.output[0]}"
    shape, first, whole = (f"{prefix}_{part}" for part in ("shape", "first", "sizes"))
    rest = _added(graph, sizes[1:])
    zero = _added(graph, [0])
    node.input[3] = whole
    return [
        helper.make_node("Shape", [node.input[0]], [shape]),
        helper.make_node("Gather", [shape, zero], [first], axis=0),
        helper.make_node("Concat", [first, rest], [whole], axis=0),
    ]


def _added(graph: Any, values: Any) -> str:
    """The name of a new constant."""
    import numpy as np
    from onnx import numpy_helper

    name = f"{_AXIS}_constant_{len(graph.initializer)}"
    graph.initializer.append(numpy_helper.from_array(np.asarray(values, np.int64), name))
    return name
