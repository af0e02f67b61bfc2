"""The model card's pictures: `python -m training.card --logs LOG.csv [LOG.csv ...]`.

In: the logs of the runs that made the model, in their order, and the pictures of `examples/`. Out,
in `docs/tiny/`: `course.png`, loss and IoU over steps; `made.jpg` and `examples.jpg`, pictures
above the bundled model's masks and cutouts.
"""

import argparse
import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from PIL import Image, ImageOps

from rembg_beam.transforms.models.config import SessionConfig
from rembg_beam.transforms.models.opening import open_session
from training import evaluate
from training.batches import make

ROOT = Path(__file__).resolve().parent.parent
_SIDE = 192


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
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot(steps, losses)
    left.set(title="Loss on made pictures", xlabel="steps of 16 pictures", ylim=(0, None))
    right.plot(steps, made, label="made pictures, while learning")
    right.plot(steps, photos, label="five photos, mean of the weights")
    right.set(title="Mean IoU at 0.5", xlabel="steps of 16 pictures", ylim=(0.4, 1))
    right.legend(loc="lower right")
    for axes in (left, right):
        axes.grid(alpha=0.3)
        for end in ends[:-1]:
            axes.axvline(end, color="grey", linestyle=":")
    figure.savefig(output, dpi=100)


def sheet(session: object, pictures: Sequence[Image.Image], columns: int) -> Image.Image:
    """Each picture above its mask and its cutout on white."""
    rows = -(-len(pictures) // columns)
    page = Image.new("RGB", (columns * _SIDE, rows * 3 * _SIDE), "white")
    for number, picture in enumerate(pictures):
        small = ImageOps.pad(picture.convert("RGB"), (_SIDE, _SIDE), color="white")
        (mask,) = session.predict(picture.convert("RGB"))  # type: ignore[attr-defined]
        mask = ImageOps.pad(mask, (_SIDE, _SIDE), color=0)
        cutout = Image.composite(small, Image.new("RGB", small.size, "white"), mask)
        left, top = number % columns * _SIDE, number // columns * 3 * _SIDE
        for row, part in enumerate((small, mask.convert("RGB"), cutout)):
            page.paste(part, (left, top + row * _SIDE))
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
    made, _ = make(evaluate.STUDIO_SEED, 10_000, 8, 2 * _SIDE)
    found = sorted([*(ROOT / "examples").rglob("*.jpg"), *(ROOT / "examples").rglob("*.png")])
    sheets: dict[str, list[Image.Image]] = {
        "made.jpg": [Image.fromarray(p) for p in made],
        "examples.jpg": [ImageOps.exif_transpose(Image.open(p)) for p in found],
    }
    for name, pictures in sheets.items():
        sheet(session, pictures, min(len(pictures), 8)).save(given.output / name, quality=88)


if __name__ == "__main__":
    main()
