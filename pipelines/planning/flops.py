"""A model's graph -> the floating-point operations that it takes for a picture.

In: an ONNX file and the size of its input. Out: operations of its convolutions and matrix products,
each multiplication and each addition one, counted by the shapes that onnxruntime notes in a run of
the graph on the CPU. Raises what onnxruntime raises.
"""

import json
import math
import os
import tempfile
from typing import Any, Dict, List, Tuple

Shape = List[int]

_DTYPES = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(double)": "float64",
    "tensor(uint8)": "uint8",
    "tensor(int64)": "int64",
}


def of_graph(path: str, size: Tuple[int, int]) -> float:
    """Operations for one picture of (width, height), as the model has it."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    # As it is written: what onnxruntime makes of it may have other shapes.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    # Of weights that a kernel has packed for itself no shape is noted.
    options.add_session_config_entry("session.disable_prepacking", "1")
    options.enable_profiling = True
    with tempfile.TemporaryDirectory() as folder:
        options.profile_file_prefix = os.path.join(folder, "run")
        session = onnxruntime.InferenceSession(path, options, ["CPUExecutionProvider"])
        session.run(None, {each.name: _zeros(each, size) for each in session.get_inputs()})
        with open(session.end_profiling(), encoding="utf-8") as file:
            events = json.load(file)
    return float(sum(_of_node(each["args"]) for each in events if each["cat"] == "Node"))


def _zeros(tensor: Any, size: Tuple[int, int]) -> Any:
    """An input of one picture; of its shape what is not said is the picture's."""
    import numpy as np

    told = [1, 3, size[1], size[0]]
    known = [
        each if isinstance(each, int) else told[axis] for axis, each in enumerate(tensor.shape)
    ]
    return np.zeros(known, _DTYPES[tensor.type])


def _of_node(noted: Dict[str, Any]) -> int:
    """Operations of what a profile notes of a node; 0 of all but those that do the work.

    >>> shapes = [{"float": [1, 3, 8, 8]}, {"float": [16, 3, 3, 3]}]
    >>> _of_node({"op_name": "Conv", "input_type_shape": shapes,
    ...     "output_type_shape": [{"float": [1, 16, 8, 8]}]}) == 2 * 16 * 8 * 8 * 3 * 3 * 3
    True
    """
    name = noted.get("op_name")
    if name not in ("Conv", "ConvTranspose", "MatMul", "Gemm") or "output_type_shape" not in noted:
        return 0
    first, second, *_ = _shapes(noted["input_type_shape"])
    (out,) = _shapes(noted["output_type_shape"])
    if name == "Conv":
        return 2 * math.prod(out) * math.prod(second[1:])
    if name == "ConvTranspose":
        return 2 * math.prod(first) * math.prod(second[1:])
    if name == "MatMul":
        return 2 * math.prod(out) * first[-1]
    return 2 * math.prod(first) * out[-1]


def _shapes(noted: List[Dict[str, Shape]]) -> List[Shape]:
    return [shape for each in noted for shape in each.values()]
