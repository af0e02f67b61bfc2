"""The model card's pictures: `python -m training.card --logs LOG.csv [LOG.csv ...]`.

In: the logs of the runs that made the model, in their order, and the pictures of `examples/`. Out,
in `docs/tiny/`: `course.png`, loss and IoU over steps; `made.jpg` and `examples.jpg`, pictures
above their true masks, where these are known, the bundled model's masks and cutouts.
"""

import argparse
import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from rembg_beam.transforms.models.config import SessionConfig
from rembg_beam.transforms.models.opening import open_session
from training import evaluate
from training.batches import make

ROOT = Path(__file__).resolve().parent.parent
_SIDE = 192
# Seed and number of a batch that no training saw, its pictures, and how many of them are posed.
_MADE = {"seed": evaluate.SEED, "number": 10_000, "count": 8, "posed": 2}


def course(logs: Iterable[Path], output: Path) -> None:
    """Draws loss and IoU over the steps of all runs, a line where one ends."""
    rows: list[tuple[float, ...]] = []
    ends = []
    for path in logs:
        first = rows[-1][0] if rows else 0.0
        with path.open(newline="") as log:
            for row in csv.DictReader(log):
                values = (float(row[name]) for name in ("loss", "iou_made", "iou_photos"))
                rows.append((first + float(row["step"]), *values))
        ends.append(rows[-1][0])
    steps, losses, made, photos = np.array(rows).T
    from matplotlib.figure import Figure  # of the extra `training`

    figure = Figure(figsize=(9, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot(steps, losses)
    left.set(title="Loss on made pictures", xlabel="steps of 16 pictures", ylim=(0, None))
    right.plot(steps, made, label="made pictures, while learning")
    right.plot(steps, photos, label="photos at 256 px, mean of the weights")
    right.set(title="Mean IoU at 0.5", xlabel="steps of 16 pictures", ylim=(0.4, 1))
    right.legend(loc="lower right")
    for axes in (left, right):
        axes.grid(alpha=0.3)
        for end in ends[:-1]:
            axes.axvline(end, color="grey", linestyle=":")
    figure.savefig(output, dpi=100)


def sheet(
    session: Any, pictures: Sequence[Image.Image], true: Sequence[Image.Image] = ()
) -> Image.Image:
    """Each picture above its true mask, where there are any, its mask and its cutout on white."""
    rows = 4 if true else 3
    page = Image.new("RGB", (len(pictures) * _SIDE, rows * _SIDE), "white")
    for number, picture in enumerate(pictures):
        small = ImageOps.pad(picture.convert("RGB"), (_SIDE, _SIDE), color="white")
        (mask,) = session.predict(picture.convert("RGB"))
        mask = ImageOps.pad(mask, (_SIDE, _SIDE), color=0)
        cutout = Image.composite(small, Image.new("RGB", small.size, "white"), mask)
        known = [true[number].resize((_SIDE, _SIDE))] if true else []
        for row, part in enumerate((small, *known, mask, cutout)):
            page.paste(part.convert("RGB"), (number * _SIDE, row * _SIDE))
    return page


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m training.card")
    parser.add_argument("--logs", type=Path, nargs="+", required=True)
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "tiny")
    given = parser.parse_args(arguments)
    given.output.mkdir(parents=True, exist_ok=True)
    course(given.logs, given.output / "course.png")
    session = open_session(SessionConfig("tiny")).session
    made, masks = ([Image.fromarray(a) for a in arrays] for arrays in make(**_MADE, side=2 * _SIDE))
    sheet(session, made, masks).save(given.output / "made.jpg", quality=88)
    found = sorted([*(ROOT / "examples").rglob("*.jpg"), *(ROOT / "examples").rglob("*.png")])
    examples = [ImageOps.exif_transpose(Image.open(path)) for path in found]
    sheet(session, examples).save(given.output / "examples.jpg", quality=88)


if __name__ == "__main__":
    main()
