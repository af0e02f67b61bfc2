"""U²-Net and U²-Netp with random weights: the published architecture (Qin et al., 2020,
arXiv:2005.09007), 119 convolutions, seven outputs, a symbolic batch axis. They cost what the real
ones cost; their masks mean nothing, but cover as much of a photo as a subject does. IS-Net (Qin et
al., 2022, arXiv:2203.03041) is U²-Net behind a convolution of stride 2, for 1024 pixels, with the
first side output alone.

The published counts are of the network in training: 44.01 M (44,009,869) and 1.13 M (1,131,181)
parameters, of which each batch norm's scale and shift are two for every channel of 112
convolutions, 28,800 and 5,696 in all. The released files have these folded into the convolutions'
weights and biases, as any exporter does it, and so have the graphs here: 43,981,069 and 1,125,485
numbers; `facts` tells both counts. The released files, 176.0 and 4.6 MB, are 46,530 bytes larger
than these, the same for both: the exporter's longer names and arithmetic of shapes.

A third graph has their signature and next to no cost: with it a run shows what is not the model.
"""

from pathlib import Path
from typing import Any, Iterable, List, NamedTuple, Sequence, Tuple

import numpy as np
import onnx
import onnxruntime
import photos
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


class Graph(NamedTuple):
    """A network: its blocks, its side in pixels, its names, and how much its input is shrunk."""

    stages: Tuple[Stage, ...]
    size: int = SIZE
    input: str = "input.1"
    outputs: Sequence[str] = OUTPUTS
    stride: int = 1


GRAPHS = {
    "u2net": Graph(U2NET),
    "u2netp": Graph(U2NETP),
    "isnet-general-use": Graph(U2NET, 1024, "input_image", ("output_image",), 2),
}

# What the weights of the side outputs are scaled by. Without batch norms a random network's
# activations grow, and its maps would be 1 nearly everywhere, in which no difference shows.
SIDES = 0.1

# Of a photo: what the mask covers, as far as the cutouts of product photos and people go, and how
# steeply it rises, in deviations of the random network's own map.
FOREGROUND = 0.4
GAIN = 20.0

# rembg's, for U²-Net.
MEAN = np.array([0.485, 0.456, 0.406]).reshape(1, 3, 1, 1)
DEVIATION = np.array([0.229, 0.224, 0.225]).reshape(1, 3, 1, 1)

# The model in the package, `tiny`, which is trained.
BUNDLED = Path(__file__).resolve().parent.parent / "transforms" / "models" / "tiny.onnx"

# The name under which the graph without a model lies in a home of its own.
WITHOUT = "u2netp"


class _Builder:
    def __init__(self) -> None:
        self.nodes: List[Any] = []
        self.weights: List[Any] = []
        self.random = np.random.default_rng(0)
        # Where the weights of the last convolution begin.
        self.last = 0

    def node(self, kind: str, inputs: Sequence[str], **attributes: Any) -> str:
        name = f"{kind}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def constant(self, values: Any, kind: Any = np.float32) -> str:
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.asarray(values, kind), name))
        return name

    def convolve(
        self,
        x: str,
        channels: int,
        out: int,
        dilation: int = 1,
        kernel: int = 3,
        scale: float = 1,
        stride: int = 1,
    ) -> str:
        shape = (out, channels, kernel, kernel)
        spread = scale * np.sqrt(2 / (channels * kernel * kernel))
        self.last = len(self.weights)
        weight = self.constant(self.random.normal(0, spread, shape))
        bias = self.constant(np.zeros(out))
        pad = dilation if kernel == 3 else 0
        own = {"pads": [pad] * 4, "dilations": [dilation] * 2}
        if stride > 1:
            own["strides"] = [stride] * 2
        return self.node("Conv", [x, weight, bias], **own)

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


def home(place: Path) -> Path:
    """The folder that rembg takes for its own, with the graphs that were written."""
    return place / "home"


def write(place: Path, model: str) -> Path:
    """A model's graph in that folder, written when it is first asked for."""
    path = home(place) / "models" / model / f"{model}.onnx"
    if not path.exists():
        graph = GRAPHS[model]
        build = _build(graph)
        _save(path, build, graph)
        _fit(path, build, graph)
        _save(path, build, graph)
    return path


def tensor(graph: Graph, seed: int) -> Any:
    """float32 [1, 3, size, size], of a photo."""
    small = photos.scene((graph.size, graph.size), seed).transpose(2, 0, 1)[None] / 255
    return ((small - MEAN) / DEVIATION).astype(np.float32)


def _fit(path: Path, build: _Builder, graph: Graph) -> None:
    """Sets the last convolution so that the photos' mask has a subject, a soft edge, a background.

    The time of a PNG follows from how much of its picture is transparent.
    """
    model = onnx.load(str(path))
    fused = model.graph.node[-len(graph.outputs)].input[0]
    model.graph.output.append(onnx.ValueInfoProto(name=fused))
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    (logits,) = session.run([fused], {graph.input: tensor(graph, 0)})
    own = slice(build.last, build.last + 2)
    weight, bias = map(numpy_helper.to_array, build.weights[own])
    gain = GAIN / logits.std()
    fitted = weight * gain, (bias - np.quantile(logits, 1 - FOREGROUND)) * gain
    build.weights[own] = [
        numpy_helper.from_array(values.astype(np.float32), tensor.name)
        for values, tensor in zip(fitted, build.weights[own], strict=True)
    ]


def home_without(place: Path) -> Path:
    """A folder of the same kind, where the model `WITHOUT` costs nothing."""
    return place / "home-without"


def write_without(place: Path) -> Path:
    """The graph without a model in that folder: its mask is always a disc, soft at its edge."""
    path = home_without(place) / "models" / WITHOUT / f"{WITHOUT}.onnx"
    if not path.exists():
        build = _Builder()
        y, x = np.mgrid[0:SIZE, 0:SIZE] - SIZE / 2
        radius = SIZE * np.sqrt(FOREGROUND / np.pi)
        disc = np.clip((radius - np.hypot(x, y)) / 8 + 0.5, 0, 1)
        # The batch axis comes from the input.
        pixel_is = [build.constant([number], np.int64) for number in (0, 1, 1)]
        pixel = build.node("ReduceMean", [build.node("Slice", ["input.1", *pixel_is])], axes=[2, 3])
        nothing = build.node("Mul", [pixel, build.constant([0])])
        mask = build.node("Add", [nothing, build.constant(disc[None, None])])
        build.nodes += [helper.make_node("Identity", [mask], [name]) for name in OUTPUTS]
        _save(path, build, GRAPHS[WITHOUT])
    return path


def facts(place: Path, models: Iterable[str]) -> List[str]:
    """A line on each model's graph."""
    return [_facts(model, write(place, model)) for model in models]


def _facts(model: str, path: Path) -> str:
    graph = onnx.load(str(path)).graph
    sizes = {tensor.name: int(np.prod(tensor.dims)) for tensor in graph.initializer}
    convolutions = [node for node in graph.node if node.op_type == "Conv"]
    normed = {node.input[0] for node in graph.node if node.op_type == "Relu"}
    stored = sum(sizes[name] for node in convolutions for name in node.input[1:])
    norms = sum(2 * sizes[node.input[2]] for node in convolutions if node.output[0] in normed)
    return (
        f"- {model}: {len(convolutions)} convolutions, {(stored + norms) / 1e6:.2f} M parameters "
        f"({stored / 1e6:.2f} M with batch norms folded), {path.stat().st_size / 1e6:.1f} MB, "
        f"{len(GRAPHS[model].outputs)} outputs"
    )


def _build(graph: Graph) -> _Builder:
    build = _Builder()
    stages = graph.stages
    x, channels = graph.input, 3
    if graph.stride > 1:
        x, channels = build.convolve(x, channels, 64, stride=graph.stride), 64
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
        build.enlarge(build.convolve(y, width, 1, scale=SIDES), graph.stride * 2**level)
        for level, (y, width) in enumerate(reversed(decoded[-1:] if graph.stride > 1 else decoded))
    ]
    if len(sides) > 1:
        sides.insert(0, build.convolve(build.join(*sides), 6, 1, kernel=1))
    for name, y in zip(graph.outputs, sides, strict=True):
        build.nodes.append(helper.make_node("Sigmoid", [y], [name]))
    return build


def _save(path: Path, build: _Builder, graph: Graph) -> None:
    def tensor(name: str, channels: int) -> Any:
        shape = ["N", channels, graph.size, graph.size]
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    ends = [tensor(graph.input, 3)], [tensor(name, 1) for name in graph.outputs]
    made = helper.make_graph(build.nodes, "u2net", *ends, build.weights)
    opset = [helper.make_opsetid("", 17)]
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(helper.make_model(made, opset_imports=opset, ir_version=8), str(path))
