"""Trains the net: `python -m training.train --output DIR`.

In: a seed, and a checkpoint where one is refined. Out, in `--output`: `checkpoint.pt`,
the mean of the weights, which is what gets exported, and `log.csv`: step, seconds, loss and IoU on
made pictures since the last row, IoU of the mean on the photos. Photos are watched, never learnt
from, and change nothing here. A training that was stopped goes on from `state.pt`, as if it had not
been.
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

from training import measures
from training.batches import batches
from training.network import Net, loss, normalised

BATCH = 16
# The side of pictures in each stage, and the share of the steps that ends with it.
STAGES = ((128, 0.70), (192, 0.88), (256, 1.0))
FINE = STAGES[-1][0]
# How many pictures of a batch are in a studio for sure when a checkpoint is refined.
STUDIO = 6
_WARM_UP = 100
COLUMNS = ["step", "seconds", "loss", "iou_made", "iou_photos"]


def side_at(step: int, steps: int) -> int:
    """The side of a step's pictures: coarse ones first."""
    return next(side for side, end in STAGES if step < end * steps)


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


class State:
    """A training between two steps, which can be kept in a file.

    Attributes:
      net, mean: the net, and the mean of its weights over about the last tenth of the steps.
      optimizer: of the net.
      step: how many steps are done.
      seconds: how long they took.
      rows: of the log.
    """

    def __init__(
        self,
        steps: int,
        seed: int,
        rate: float,
        start: Path | None = None,
        posed: int = 0,
        sides: Sequence[int] = (),
    ) -> None:
        torch.manual_seed(seed)
        self.told = [steps, seed, rate, str(start), posed, list(sides)]
        # A step at 256 px takes a quarter less on CPUs.
        self.net = Net().to(memory_format=torch.channels_last)
        if start:
            self.net.load_state_dict(torch.load(start, weights_only=True))
        decay = get_ema_multi_avg_fn(max(0.0, 1 - 10 / steps))
        self.mean = AveragedModel(self.net, multi_avg_fn=decay, use_buffers=True)
        self.optimizer = torch.optim.AdamW(self.net.parameters(), rate, weight_decay=1e-3)
        self.step, self.seconds = 0, 0.0
        self.rows: list[list[str]] = []

    def save(self, path: Path) -> None:
        """Writes it, whole or not at all."""
        parts = {name: getattr(self, name).state_dict() for name in ("net", "mean", "optimizer")}
        plain = {name: getattr(self, name) for name in ("told", "step", "seconds", "rows")}
        temporary = path.with_suffix(".part")
        torch.save({**parts, **plain}, temporary)
        temporary.replace(path)

    def load(self, path: Path) -> None:
        """Goes on from a file; `ValueError` if it is of a training that was told otherwise."""
        kept = torch.load(path, weights_only=True)
        if kept["told"] != self.told:
            raise ValueError(
                f"{path} is of a training of other steps, seed, rate, start, posed or sides, "
                f"{kept['told']}, not {self.told}: give another --output, or remove it"
            )
        for name in ("net", "mean", "optimizer"):
            getattr(self, name).load_state_dict(kept[name])
        self.step, self.seconds, self.rows = kept["step"], kept["seconds"], kept["rows"]


def train(
    output: Path,
    steps: int,
    seed: int,
    rate: float,
    photos: Path | None = None,
    every: int = 100,
    workers: int = 1,
    start: Path | None = None,
    posed: int = 0,
    sides: Sequence[int] = (),
) -> Net:
    """Runs the steps that `output` doesn't hold yet, of `steps`; the mean of the weights.

    From `start`, a checkpoint, all steps are fine, on batches with more studio pictures. `posed`
    pictures of each batch are still lives, portraits and pets. Where `sides` are given, batches
    have them in turn.
    """
    output.mkdir(parents=True, exist_ok=True)
    state = State(steps, seed, rate, start, posed, sides)
    if (output / "state.pt").exists():
        state.load(output / "state.pt")
    net = state.net.train()
    coming = [FINE if start else side_at(step, steps) for step in range(steps)]
    if sides:
        coming = [sides[step % len(sides)] for step in range(steps)]
    studio = STUDIO if start else 0
    began, losses, ious = time.monotonic() - state.seconds, [], []
    for pictures, masks in batches(seed, BATCH, coming, workers, state.step, studio, posed):
        for group in state.optimizer.param_groups:
            group["lr"] = rate_at(state.step, steps, rate)
        x = normalised(torch.from_numpy(pictures)).contiguous(memory_format=torch.channels_last)
        y = torch.from_numpy(masks)[:, None].float() / 255
        total, out = loss(net, x, y)
        state.optimizer.zero_grad()
        total.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        state.optimizer.step()
        state.mean.update_parameters(net)
        state.step += 1
        losses.append(float(total.detach()))
        ious += [measures.iou(p, m) for p, m in zip(out.detach()[:, 0].sigmoid(), y[:, 0])]
        if state.step % every == 0 or state.step == steps:
            watched = _iou_of_photos(state.mean.module, photos) if photos else math.nan
            state.seconds = time.monotonic() - began
            values = (np.mean(losses), np.mean(ious), watched)
            row = [str(state.step), f"{state.seconds:.0f}", *(f"{v:.4f}" for v in values)]
            state.rows.append(row)
            print(*row, flush=True)
            losses, ious = [], []
            state.save(output / "state.pt")
    with (output / "log.csv").open("w", newline="") as log:
        csv.writer(log, lineterminator="\n").writerows([COLUMNS, *state.rows])
    torch.save(state.mean.module.state_dict(), output / "checkpoint.pt")
    return state.mean.module.eval()


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(
        prog="python -m training.train", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--output", type=Path, required=True, help="folder for checkpoint and log")
    parser.add_argument("--steps", type=int, default=7_000, help=f"of {BATCH} pictures each")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--rate", type=float, default=2e-3, help="the highest learning rate")
    parser.add_argument("--start", type=Path, help="checkpoint to refine, at fine sides")
    parser.add_argument("--posed", type=int, default=0, help="posed pictures in a batch")
    parser.add_argument("--sides", type=int, nargs="+", default=(), help="of batches, in turn")
    parser.add_argument("--photos", type=Path, help="folder of photos to watch the IoU on")
    parser.add_argument("--workers", type=int, default=1, help="processes that make pictures")
    parser.add_argument("--threads", type=int, default=1, help="threads that train")
    given = vars(parser.parse_args(arguments))
    torch.set_num_threads(given.pop("threads"))
    train(**given)


if __name__ == "__main__":
    main()
