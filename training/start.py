"""Weights to start from: a checkpoint (`.pt`), or an exported model (`.onnx`).

An exported model has its batch normalisation folded into its convolutions. To train on, they are
taken apart again: each normalisation's statistics are those of its input on made pictures, and the
net computes what the model did.
"""

from pathlib import Path

import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from training.network import Net


def _in_order(net: Net, example: Tensor) -> list[nn.Conv2d]:
    """The convolutions that the model keeps, in the order in which they are computed."""
    order: list[nn.Conv2d] = []
    hooks = [
        module.register_forward_hook(lambda m, *_: order.append(m))
        for name, module in net.named_modules()
        if isinstance(module, nn.Conv2d) and not name.startswith("side.")
    ]
    with torch.no_grad():
        net.eval()(example)
    for hook in hooks:
        hook.remove()
    return order


def _normalisers(net: Net) -> dict[nn.Conv2d, nn.BatchNorm2d]:
    pairs = {}
    for module in net.modules():
        if isinstance(module, nn.Sequential):
            for conv, norm in zip(list(module)[:-1], list(module)[1:]):
                if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                    pairs[conv] = norm
    return pairs


def from_onnx(net: Net, path: Path, pictures: Tensor) -> None:
    """Fills `net` with the model's weights; `pictures` [N, 3, S, S] give the statistics.

    Raises `ValueError` when the model is not an export of this net.
    """
    graph = onnx.load(str(path)).graph
    weights = {w.name: torch.from_numpy(numpy_helper.to_array(w).copy()) for w in graph.initializer}
    nodes = [node for node in graph.node if node.op_type == "Conv"]
    order, norms = _in_order(net, pictures[:1]), _normalisers(net)
    if len(nodes) != len(order):
        raise ValueError(f"{path} has {len(nodes)} convolutions, this net has {len(order)}")
    for node, conv in zip(nodes, order):
        weight = weights[node.input[1]]
        if weight.shape != conv.weight.shape:
            raise ValueError(
                f"{path}: {node.name} is {tuple(weight.shape)}, not {tuple(conv.weight.shape)}"
            )
        conv.weight.data.copy_(weight)
        shift = weights[node.input[2]]
        if conv.bias is not None:
            conv.bias.data.copy_(shift)
            continue
        norm = norms[conv]
        norm.running_mean.zero_()
        norm.running_var.fill_(1 - norm.eps)
        norm.weight.data.fill_(1)
        norm.bias.data.copy_(shift)

    seen: dict[nn.BatchNorm2d, tuple[Tensor, Tensor]] = {}

    def measure(norm: nn.BatchNorm2d, inputs: tuple[Tensor]) -> None:
        seen[norm] = (inputs[0].mean((0, 2, 3)), inputs[0].var((0, 2, 3)))

    hooks = [norm.register_forward_pre_hook(measure) for norm in norms.values()]
    with torch.no_grad():
        net.eval()(pictures)
    for hook in hooks:
        hook.remove()
    for norm, (mean, variance) in seen.items():
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(variance)
        norm.weight.data.copy_((variance + norm.eps).sqrt())
        norm.bias.data.add_(mean)


def load(net: Net, path: Path, pictures: Tensor) -> None:
    """Fills `net` from a checkpoint or a model."""
    if path.suffix == ".onnx":
        from_onnx(net, path, pictures)
    else:
        net.load_state_dict(torch.load(path, weights_only=True))
