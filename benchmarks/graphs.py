"""U²-Net and U²-Netp with random weights, as the paper has them: the published architecture
(Qin et al., 2020, arXiv:2005.09007), batch norms folded into the convolutions, 119 of these, seven
outputs, a symbolic batch axis. They cost what the real ones cost; their masks mean nothing."""

from pathlib import Path
from typing import Any, List, NamedTuple, Sequence, Tuple

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SIZE = 320
OUTPUTS = [str(name) for name in range(1959, 1966)]


class Stage(NamedTuple):
    """A residual U-block: its depth (0 for the dilated one), and its channels."""

    depth: int
    inside: int
    out: int


# Encoder, then decoder; the input channels follow.
U2NET = (
    *(Stage(7, 32, 64), Stage(6, 32, 128), Stage(5, 64, 256), Stage(4, 128, 512)),
    *(Stage(0, 256, 512), Stage(0, 256, 512)),
    *(Stage(0, 256, 512), Stage(4, 128, 256), Stage(5, 64, 128), Stage(6, 32, 64)),
    Stage(7, 16, 64),
)
U2NETP = (
    *(Stage(depth, 16, 64) for depth in (7, 6, 5, 4, 0, 0)),
    *(Stage(depth, 16, 64) for depth in (0, 4, 5, 6, 7)),
)
GRAPHS = {"u2net": U2NET, "u2netp": U2NETP}


class _Builder:
    def __init__(self) -> None:
        self.nodes: List[Any] = []
        self.weights: List[Any] = []
        self.convolutions = 0
        self.parameters = 0
        self.random = np.random.default_rng(0)

    def node(self, kind: str, inputs: Sequence[str], **attributes: Any) -> str:
        name = f"{kind}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def constant(self, values: Any) -> str:
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.asarray(values, np.float32), name))
        return name

    def convolve(self, x: str, channels: int, out: int, dilation: int = 1, kernel: int = 3) -> str:
        shape = (out, channels, kernel, kernel)
        spread = np.sqrt(2 / (channels * kernel * kernel))
        weight = self.constant(self.random.normal(0, spread, shape))
        bias = self.constant(np.zeros(out))
        self.convolutions += 1
        self.parameters += int(np.prod(shape)) + out
        pad = dilation if kernel == 3 else 0
        return self.node("Conv", [x, weight, bias], pads=[pad] * 4, dilations=[dilation] * 2)

    def block(self, x: str, channels: int, out: int, dilation: int = 1) -> str:
        return self.node("Relu", [self.convolve(x, channels, out, dilation)])

    def pool(self, x: str) -> str:
        return self.node("MaxPool", [x], kernel_shape=[2, 2], strides=[2, 2])

    def enlarge(self, x: str, times: int) -> str:
        if times == 1:
            return x
        return self.node("Resize", [x, "", self.constant([1, 1, times, times])], mode="linear")

    def stage(self, x: str, channels: int, stage: Stage) -> str:
        """One residual U-block: [N, channels, H, W] -> [N, stage.out, H, W]."""
        top = self.block(x, channels, stage.out)
        inside = stage.inside
        if stage.depth == 0:
            found = [self.block(top, stage.out, inside)]
            for dilation in (2, 4, 8):
                found.append(self.block(found[-1], inside, inside, dilation))
            y = found.pop()
            for dilation, out in ((4, inside), (2, inside), (1, stage.out)):
                y = self.block(self.join(y, found.pop()), 2 * inside, out, dilation)
            return self.node("Add", [y, top])
        found = [self.block(top, stage.out, inside)]
        for _ in range(stage.depth - 2):
            found.append(self.block(self.pool(found[-1]), inside, inside))
        y = self.block(found[-1], inside, inside, 2)
        for level in range(stage.depth - 1):
            last = level == stage.depth - 2
            y = self.block(self.join(y, found.pop()), 2 * inside, stage.out if last else inside)
            if not last:
                y = self.enlarge(y, 2)
        return self.node("Add", [y, top])

    def join(self, *parts: str) -> str:
        return self.node("Concat", parts, axis=1)


def write(path: Path, stages: Tuple[Stage, ...]) -> Tuple[int, int]:
    """Writes a graph, and returns its numbers of convolutions and parameters."""
    build = _Builder()
    x, channels = "input.1", 3
    encoded: List[Tuple[str, int]] = []
    for index, stage in enumerate(stages[:6]):
        x = build.stage(build.pool(x) if index else x, channels, stage)
        channels = stage.out
        encoded.append((x, channels))
    decoded = [encoded[-1]]
    for stage, (skip, width) in zip(stages[6:], reversed(encoded[:-1]), strict=True):
        joined = build.join(build.enlarge(decoded[-1][0], 2), skip)
        decoded.append((build.stage(joined, decoded[-1][1] + width, stage), stage.out))
    sides = [
        build.enlarge(build.convolve(y, width, 1), 2**level)
        for level, (y, width) in enumerate(reversed(decoded))
    ]
    fused = build.convolve(build.join(*sides), 6, 1, kernel=1)
    for name, y in zip(OUTPUTS, [fused, *sides], strict=True):
        build.nodes.append(helper.make_node("Sigmoid", [y], [name]))
    _save(path, build)
    return build.convolutions, build.parameters


def _save(path: Path, build: _Builder) -> None:
    def tensor(name: str, channels: int) -> Any:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", channels, SIZE, SIZE])

    outputs = [tensor(name, 1) for name in OUTPUTS]
    graph = helper.make_graph(build.nodes, "u2net", [tensor("input.1", 3)], outputs, build.weights)
    opset = [helper.make_opsetid("", 17)]
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), str(path))
