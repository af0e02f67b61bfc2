"""The net: 1.2 million parameters, a U of inverted residuals over six scales, and its loss.

In: normalised RGB float32 [N, 3, S, S], S a multiple of 32. Out: logits [N, 1, S, S] and those of
four coarser scales, which are there for the loss alone.
"""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# rembg's for U2-Net.
MEAN = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
STD = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)

CHANNELS = (16, 24, 40, 64, 96, 128)


def _conv(
    inputs: int, outputs: int, kernel: int = 3, stride: int = 1, dilation: int = 1, groups: int = 1
) -> nn.Sequential:
    padding = dilation * (kernel // 2)
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, padding, dilation, groups, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


class _Block(nn.Module):
    """An inverted residual with a depthwise convolution (MobileNetV2)."""

    def __init__(self, channels: int, widening: int = 3, dilation: int = 1) -> None:
        super().__init__()
        wide = channels * widening
        self.f = nn.Sequential(
            _conv(channels, wide, 1),
            _conv(wide, wide, 3, 1, dilation, wide),
            nn.Conv2d(wide, channels, 1, bias=False),
            nn.BatchNorm2d(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.f(x)


class Net(nn.Module):
    """See the module."""

    def __init__(self) -> None:
        super().__init__()
        ch, up = CHANNELS, CHANNELS[::-1]
        self.stem = _conv(3, ch[0], 3, 2)
        self.down = nn.ModuleList(_conv(a, b, 3, 2) for a, b in pairwise(ch))
        self.enc = nn.ModuleList(nn.Sequential(_Block(c), _Block(c)) for c in ch[1:])
        self.ctx = nn.Sequential(_Block(ch[-1], 3, 2), _Block(ch[-1]))
        self.gl = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(ch[-1], ch[-1], 1), nn.Sigmoid())
        self.lat = nn.ModuleList(nn.Conv2d(a, b, 1) for a, b in pairwise(up))
        self.dec = nn.ModuleList(nn.Sequential(_conv(2 * c, c), _Block(c, 2)) for c in up[1:])
        self.side = nn.ModuleList(nn.Conv2d(c, 1, 1) for c in up[2:])
        self.fin = nn.Sequential(
            _conv(ch[0] + 3, 12), _conv(12, 12), nn.Conv2d(12, 1, 3, padding=1)
        )

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        scales = [self.stem(x)]
        h = scales[0]
        for down, enc in zip(self.down, self.enc):
            h = enc(down(h))
            scales.append(h)
        h = self.ctx(h)
        h = h * self.gl(h)
        decoded = []
        for lat, dec, skip in zip(self.lat, self.dec, scales[-2::-1]):
            grown = F.interpolate(lat(h), size=skip.shape[2:], mode="bilinear", align_corners=False)
            h = dec(torch.cat([grown, skip], 1))
            decoded.append(h)
        # Not the coarsest, of a few pixels.
        sides = [side(d) for side, d in zip(self.side, decoded[1:])]
        h = F.interpolate(h, size=x.shape[2:], mode="bilinear", align_corners=False)
        return self.fin(torch.cat([h, x], 1)), sides


def normalised(pictures: Tensor) -> Tensor:
    """RGB uint8 [N, S, S, 3] as the net takes it: by the greatest value of each, as in rembg."""
    x = pictures.permute(0, 3, 1, 2).float()
    greatest = x.amax((1, 2, 3), keepdim=True).clamp(min=1)
    return (x / greatest - MEAN) / STD


def _loss(logits: Tensor, masks: Tensor) -> Tensor:
    """Cross entropy, and one minus the soft IoU of each picture, as in BASNet."""
    p = torch.sigmoid(logits)
    common = (p * masks).sum((1, 2, 3))
    either = p.sum((1, 2, 3)) + masks.sum((1, 2, 3)) - common
    iou = 1 - (common + 1) / (either + 1)
    return F.binary_cross_entropy_with_logits(logits, masks) + iou.mean()


def loss(net: Net, pictures: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
    """The loss, sides at 0.3 among it, and the logits; masks float32 [N, 1, S, S] in 0..1."""
    out, sides = net(pictures)
    total = _loss(out, masks)
    for side in sides:
        small = F.interpolate(masks, size=side.shape[2:], mode="area")
        total = total + 0.3 / len(sides) * _loss(side, small)
    return total, out
