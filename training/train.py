"""Trains the net: `python -m training.train --output DIR`.

In: a seed, and weights to start from where some are given. Out, in `--output`: `checkpoint.pt`, the
mean of the weights, which is what gets exported, and `log.csv`: step, seconds, loss and IoU on made
pictures since the last row, IoU of the mean on the photos. Photos are watched, never learnt from,
and change nothing here.
"""

import argparse
import csv
import math
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from training import measures, start
from training.batches import batches, make
from training.network import Net, loss, normalised

BATCH = 16
COARSE, FINE = 160, 256
_WARM_UP = 100


def sides(steps: int, fine: int) -> list[int]:
    """The side of each step's pictures: coarse ones first, then `fine` fine ones."""
    return [COARSE] * (steps - fine) + [FINE] * fine


def rate_at(step: int, steps: int, highest: float) -> float:
    """The learning rate: a short rise, then half a cosine to a hundredth."""
    fall = 0.5 * (1 + math.cos(math.pi * step / steps))
    return highest * min(1.0, (step + 1) / _WARM_UP) * (0.01 + 0.99 * fall)


def _iou_of_photos(net: Net, folder: Path) -> float:
    """The mean IoU at the net's own size; NaN where there are no photos."""
    net.eval()
    found = []
    for _, photo, true in measures.photos(folder):
        small = np.array(photo.resize((FINE, FINE), Image.Resampling.LANCZOS))
        with torch.no_grad():
            logits = net(normalised(torch.from_numpy(small)[None]))[0]
        mask = measures.stretched(torch.sigmoid(logits)[0, 0].numpy())
        mask = np.asarray(Image.fromarray(mask).resize(true.shape, Image.Resampling.BILINEAR))
        found.append(measures.iou(mask, true))
    net.train()
    return float(np.mean(found)) if found else math.nan


def train(
    output: Path,
    steps: int,
    fine: int,
    seed: int,
    rate: float,
    start_from: Path | None = None,
    photos: Path | None = None,
    every: int = 100,
    workers: int = 1,
) -> Net:
    """Runs `steps` steps and returns the mean of the weights."""
    output.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(seed)
    net = Net()
    if start_from is not None:
        first, _ = make(seed + 1, 0, 4 * BATCH, COARSE)
        start.load(net, start_from, normalised(torch.from_numpy(first)))
    net.train()
    # Of about the last tenth of the steps.
    decay = max(0.0, 1 - 10 / steps)
    mean = AveragedModel(net, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True)
    optimizer = torch.optim.AdamW(net.parameters(), rate, weight_decay=1e-3)
    began, losses, ious = time.monotonic(), [], []
    with (output / "log.csv").open("w", newline="") as log:
        rows = csv.writer(log, lineterminator="\n")
        rows.writerow(["step", "seconds", "loss", "iou_made", "iou_photos"])
        for step, (pictures, masks) in enumerate(batches(seed, BATCH, sides(steps, fine), workers)):
            for group in optimizer.param_groups:
                group["lr"] = rate_at(step, steps, rate)
            x = normalised(torch.from_numpy(pictures))
            y = torch.from_numpy(masks)[:, None].float() / 255
            total, out = loss(net, x, y)
            optimizer.zero_grad()
            total.backward()
            torch.nn.utils.clip_grad_norm_(net.parameters(), 5.0)
            optimizer.step()
            mean.update_parameters(net)
            losses.append(float(total.detach()))
            ious += [measures.iou(p, m) for p, m in zip(out.detach()[:, 0].sigmoid(), y[:, 0])]
            if (step + 1) % every == 0 or step + 1 == steps:
                watched = _iou_of_photos(mean.module, photos) if photos else math.nan
                seconds = time.monotonic() - began
                row = [
                    step + 1,
                    f"{seconds:.0f}",
                    *(f"{v:.4f}" for v in (np.mean(losses), np.mean(ious), watched)),
                ]
                rows.writerow(row)
                log.flush()
                print(*row, flush=True)
                losses, ious = [], []
                torch.save(mean.module.state_dict(), output / "checkpoint.pt")
    mean.module.eval()
    return mean.module


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(
        prog="python -m training.train", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--output", type=Path, required=True, help="folder for checkpoint and log")
    parser.add_argument("--steps", type=int, default=10_000, help=f"of {BATCH} pictures each")
    parser.add_argument("--fine", type=int, default=2_500, help=f"the last of them at {FINE} px")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--rate", type=float, default=2e-3, help="the highest learning rate")
    parser.add_argument("--start_from", type=Path, help="a checkpoint.pt or an exported .onnx")
    parser.add_argument("--photos", type=Path, help="folder of photos to watch the IoU on")
    parser.add_argument("--workers", type=int, default=1, help="processes that make pictures")
    parser.add_argument("--threads", type=int, default=1, help="threads that train")
    given = vars(parser.parse_args(arguments))
    torch.set_num_threads(given.pop("threads"))
    train(**given)


if __name__ == "__main__":
    main()
