"""A graph that computes in fp32 -> the same graph in fp16, half as large.

In: the path of an ONNX file. Out: the path of one whose weights and arithmetic are fp16, in rembg's
home, made once per machine and version of onnxruntime, whose converter does the work; the file
itself where it is such a one already. Inputs and outputs stay fp32: rembg reads both alike. How far
its masks move is for who runs it to judge.

Raises `NoHalf`, with the reason, for a graph that can't be converted: it is over 2 GB or no ONNX
file, its weights lie in files of their own or are not fp32, the converter leaves a graph that isn't
valid, or the package `onnx` is missing.
"""

import os
from typing import Any

from . import derived

# Of protocol buffers.
_MOST_BYTES = 2**31 - 1


class NoHalf(ValueError):
    """The graph can't be converted to fp16."""


def half(path: str) -> str:
    """The path of a model's graph in fp16."""
    try:
        import onnx
        import onnxruntime
    except ImportError as missing:
        raise NoHalf(f"the package {missing.name}, which would convert it to fp16, is missing")
    if os.path.getsize(path) > _MOST_BYTES:
        raise NoHalf(f"{path!r} is over 2 GB, too large to be converted in one piece")
    try:
        model = onnx.load(path, load_external_data=False)
    except Exception as error:
        raise NoHalf(f"{path!r} can't be read as an ONNX file: {error}")
    if _is_half(model, path):
        return path
    kind = f"fp16-{onnxruntime.__version__}"
    return derived.once(path, kind, lambda: _converted(model, path))


def _is_half(model: Any, path: str) -> bool:
    """Whether its weights are fp16 already; `NoHalf` if they are neither that nor fp32."""
    from onnx import TensorProto, external_data_helper

    if any(map(external_data_helper.uses_external_data, model.graph.initializer)):
        raise NoHalf(f"{path!r} has its weights in files of their own; save it as one file")
    kinds = {weight.data_type for weight in model.graph.initializer if len(weight.dims) > 1}
    if TensorProto.FLOAT in kinds:
        return False
    if TensorProto.FLOAT16 in kinds:
        return True
    raise NoHalf(f"{path!r} has no fp32 weights: it is quantised, or has none")


def _converted(model: Any, path: str) -> Any:
    """The graph in fp16, valid."""
    import onnx
    from onnxruntime.transformers import float16, onnx_model

    _hide_weights(model)
    try:
        converted = float16.convert_float_to_float16(model, keep_io_types=True)
        # The converter puts its casts behind all other nodes.
        onnx_model.OnnxModel.graph_topological_sort(converted.graph)
        onnx.checker.check_model(converted, full_check=True)
    except Exception as error:
        raise NoHalf(f"{path!r} can't be converted to fp16: {' '.join(str(error).split())}")
    return converted


def _hide_weights(model: Any) -> None:
    """Takes weights out of the inputs, where old exporters list them too: there they stay fp32."""
    weights = {weight.name for weight in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in weights]
    del model.graph.input[:]
    model.graph.input.extend(inputs)
    model.ir_version = max(model.ir_version, 4)
