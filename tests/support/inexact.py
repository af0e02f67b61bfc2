"""An inexact provider, emulated: graphs that round as tensor cores do, run by the CPU provider.

TF32 keeps 10 of the 23 bits of a convolution's operands and adds up in fp32. Which kernel runs
depends on the size of the batch, and with it the order of the sums.
"""

import functools
from dataclasses import replace
from typing import Any, Callable, List, Mapping, Tuple

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper

from rembg_beam.transforms import SessionConfig
from rembg_beam.transforms.models import placement

CUDA = "CUDAExecutionProvider"

# Bits that are rounded off, and a relative error of each sum.
Kernel = Tuple[int, float]

FP32: Kernel = (0, 0.0)
TF32: Kernel = (13, 0.0)
TF32_OTHER_ORDER: Kernel = (13, 2.4e-7)
COARSE: Kernel = (17, 0.0)


class Card:
    """As much of an `InferenceSession` as a provider whose kernel follows from the batch's size."""

    def __init__(self, path: str, kernels: Mapping[int, Kernel]) -> None:
        self.path, self.kernels = path, kernels
        plain = _session(path, FP32)
        self.get_inputs, self.get_outputs = plain.get_inputs, plain.get_outputs

    def run(self, names: Any, feeds: Any, run_options: Any = None) -> List[Any]:
        (tensor,) = feeds.values()
        return list(_session(self.path, self.kernels[len(tensor)]).run(names, feeds))


def placing(kernels: Mapping[int, Kernel]) -> Callable[..., placement.Placed]:
    """In place of `placement.place`: the session of rembg's, on such a card."""
    place = placement.place

    def placed(config: SessionConfig, paths: Tuple[str, ...]) -> placement.Placed:
        session = place(replace(config, provider="CPU"), paths).session
        session.inner_session = Card(paths[0], kernels)
        return placement.Placed(session, CUDA, 1.0)

    return placed


@functools.lru_cache(maxsize=8)
def _session(path: str, kernel: Kernel) -> Any:
    graph = _rounding(onnx.load(path), *kernel).SerializeToString()
    return onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])


def _rounding(model: Any, bits: int, off: float) -> Any:
    """The graph, whose convolutions take rounded operands."""
    graph, nodes, rounded = model.graph, [], {}
    weights = {weight.name: weight for weight in graph.initializer}
    for node in graph.node:  # equal weights are stored once
        if node.op_type == "Identity" and node.input[0] in weights:
            weights[node.output[0]] = weights[node.input[0]]
    if not bits:
        return model
    for name, value in (("split", 2.0**bits + 1), ("off", 1 + off)):
        graph.initializer.append(numpy_helper.from_array(np.array(value, np.float32), name))
    for node in graph.node:
        if node.op_type != "Conv":
            nodes.append(node)
            continue
        taken, weight, made = node.input[0], weights[node.input[1]], node.output[0]
        if taken not in rounded:
            nodes += _round(taken)
            rounded[taken] = f"{taken} rounded"
        weight.CopyFrom(_rounded(weight, bits))
        node.input[0], node.output[0] = rounded[taken], f"{made} sum"
        nodes += [node, helper.make_node("Mul", [f"{made} sum", "off"], [made])]
    del graph.node[:], graph.value_info[:]
    graph.node.extend(nodes)
    return model


def _round(name: str) -> List[Any]:
    """Veltkamp's split: the high bits of a float, rounded to nearest."""
    return [
        helper.make_node("Mul", [name, "split"], [f"{name} large"]),
        helper.make_node("Sub", [f"{name} large", name], [f"{name} low"]),
        helper.make_node("Sub", [f"{name} large", f"{name} low"], [f"{name} rounded"]),
    ]


def _rounded(weight: Any, bits: int) -> Any:
    values = numpy_helper.to_array(weight)
    large = values * np.float32(2.0**bits + 1)
    return numpy_helper.from_array(large - (large - values), weight.name)
