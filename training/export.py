"""Checkpoints -> ONNX with U²-Net's signature: `python -m training.export IN.pt [IN.pt] OUT.onnx`.

In: `input.1` float32 [N, 3, 320, 320], normalised as rembg's U²-Net session does it. Out: `d0`
float32 [N, 1, 320, 320] in 0..1. Of several checkpoints it has the mean of the weights. Inside, the
net sees the picture twice, at the sides of `INSIDE` and mirrored at the second; the mean of the
logits times `STEEP`, within `CERTAIN`, becomes the map. `RuntimeError` when onnxruntime's answer
differs from torch's by more than `TOLERANCE`.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from training.measures import SIDE
from training.network import Net

TOLERANCE = 1e-4
INSIDE = (160, 256)
# From 3 on the mean absolute error on made pictures of all kinds hardly falls any more.
STEEP = 3.0
# More would round to a map of 1, whose peak says nothing.
CERTAIN = 9.0


def _resized(x: Tensor, side: int) -> Tensor:
    return F.interpolate(x, size=(side, side), mode="bilinear", align_corners=False)


class _AtU2NetSize(nn.Module):
    """The net between bilinear changes of size."""

    def __init__(self, net: Net) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        small, large = (_resized(x, side) for side in INSIDE)
        logits = self.net(small)[0], self.net(large.flip(3))[0].flip(3)
        mean = sum(_resized(seen, SIDE) for seen in logits) / len(logits)
        return torch.sigmoid((mean * STEEP).clamp(-CERTAIN, CERTAIN))


def export(net: Net, path: Path) -> None:
    """Writes the model and compares it with the net on a batch of three."""
    model = _AtU2NetSize(net).eval()
    x = torch.randn(3, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    torch.onnx.export(
        model,
        (x,),
        str(path),
        input_names=["input.1"],
        output_names=["d0"],
        opset_version=17,
        dynamic_axes={"input.1": {0: "N"}, "d0": {0: "N"}},
        dynamo=False,
    )
    _state_shape(path)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"input.1": x.numpy()})
    with torch.no_grad():
        apart = float(np.abs(found - model(x).numpy()).max())
    if apart > TOLERANCE:
        raise RuntimeError(
            f"onnxruntime and torch differ by {apart:.1e}, more than {TOLERANCE:.0e}"
        )


def _state_shape(path: Path) -> None:
    """Writes down the output's channels and sides, which the exporter leaves open."""
    model = onnx.load(str(path))
    for dimension, size in zip(
        model.graph.output[0].type.tensor_type.shape.dim[1:], (1, SIDE, SIDE)
    ):
        dimension.dim_value = size
    onnx.checker.check_model(model)
    onnx.save(model, str(path))


def mean_of(checkpoints: Sequence[Path]) -> Net:
    """The net with the mean of the weights of runs that began at one another's ends."""
    states = [torch.load(path, weights_only=True) for path in checkpoints]
    net = Net()
    net.load_state_dict(
        {name: torch.stack([s[name].float() for s in states]).mean(0) for name in states[0]}
    )
    return net


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m training.export")
    parser.add_argument("checkpoints", type=Path, nargs="+")
    parser.add_argument("model", type=Path)
    given = parser.parse_args(arguments)
    export(mean_of(given.checkpoints), given.model)


if __name__ == "__main__":
    main()
