"""`make eval-tiny`: how good the model is, through rembg's own session.

In: a model file (the bundled one unless told), the photos where there are any, and 200 studio
pictures and 200 of all kinds that the generator makes from a seed no training used. Out: tables;
status 1 where a bar is missed.

A photo's figures compare the session's mask with the alpha that rembg's U²-Net gave, both at
320 x 320. Needs no torch.
"""

import argparse
import sys
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from rembg_beam.transforms.models.config import SessionConfig
from rembg_beam.transforms.models.opening import open_session
from training import batches, measures
from training.colours import Array

SEED = 20261125
PICTURES = 200

# Where the share of the picture that its subject covers parts the table, in percent.
_SHARES = (0, 3, 10, 20, 40, 100)


class Score(NamedTuple):
    """Of one picture: IoU at 0.5, mean absolute error, and the share its subject covers."""

    name: str
    iou: float
    error: float
    share: float = 0.0


class Bar(NamedTuple):
    """What is asked, what was found, whether that is enough."""

    what: str
    bar: str
    found: float
    met: bool


def mask_of(session: Any, picture: Image.Image) -> Array:
    """The session's mask of a picture, float [320, 320] in 0..1."""
    (mask,) = session.predict(picture)
    small = mask.resize((measures.SIDE, measures.SIDE), Image.Resampling.BILINEAR)
    return np.asarray(small) / 255.0


def scores(session: Any, pictures: Iterable[tuple[str, Image.Image, Array]]) -> list[Score]:
    """A score for each picture with its true mask."""
    found = []
    for name, picture, true in pictures:
        mask = mask_of(session, picture)
        share = float((true > 0.5).mean())
        found.append(Score(name, measures.iou(mask, true), measures.error(mask, true), share))
    return found


def fresh(count: int, studio: bool) -> Iterable[tuple[str, Image.Image, Array]]:
    """Pictures that no training saw, with their masks."""
    made = batches.fresh(SEED, count, measures.SIDE, studio)
    for number, (rgb, mask) in enumerate(made):
        yield f"made {number}", Image.fromarray(rgb), mask / 255.0


def by_share(scores: Sequence[Score]) -> list[tuple[str, int, float]]:
    """The share that a subject covers, how many pictures there are of it, their mean IoU."""
    rows = []
    for low, high in pairwise(_SHARES):
        ious = [score.iou for score in scores if low <= 100 * score.share < high]
        if ious:
            rows.append((f"{low} to {high} %", len(ious), float(np.mean(ious))))
    return rows


def bars(photos: Sequence[Score], made: Sequence[Score]) -> list[Bar]:
    """The bars; those of photos are left out where there are none."""
    found = []
    if photos:
        mean, least = np.mean([s.iou for s in photos]), min(s.iou for s in photos)
        error = np.mean([s.error for s in photos])
        found += [
            Bar("photos, mean IoU", "at least 0.80", float(mean), bool(mean >= 0.80)),
            Bar("photos, least IoU", "at least 0.60", least, least >= 0.60),
            Bar("photos, mean absolute error", "at most 0.08", float(error), bool(error <= 0.08)),
        ]
    mean = np.mean([s.iou for s in made])
    found.append(Bar("studio, mean IoU", "at least 0.95", float(mean), bool(mean >= 0.95)))
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m training.evaluate")
    parser.add_argument("--model", type=Path, help="an .onnx file in place of the bundled one")
    parser.add_argument("--photos", type=Path, help="folder of NAME.jpg and NAME.rembg.png")
    parser.add_argument("--pictures", type=int, default=PICTURES, help="how many to make")
    given = parser.parse_args(arguments)
    custom = SessionConfig("u2net_custom", model_path=str(given.model)) if given.model else None
    session = open_session(custom or SessionConfig("tiny")).session
    here = given.photos is not None and given.photos.is_dir()
    photos = scores(session, measures.photos(given.photos)) if here else []
    made = scores(session, fresh(given.pictures, studio=True))
    all_kinds = scores(session, fresh(given.pictures, studio=False))
    print("| picture | IoU | mean absolute error |\n|---|---|---|")
    for score in photos:
        print(f"| {score.name} | {score.iou:.3f} | {score.error:.3f} |")
    for name in sorted(measures.PROMPTED) if here else ():
        if (given.photos / f"{name}.jpg").exists():
            print(f"| {name} | left out: its mask was made by SAM from a click | |")
    if not photos:
        print("| photos | none here: skipped | |")
    ious, error = [s.iou for s in made], np.mean([s.error for s in made])
    print(f"| {len(made)} studio pictures | {np.mean(ious):.3f} | {error:.3f} |")
    print(f"| their median | {np.median(ious):.3f} | |")
    print(f"| the least of them | {min(ious):.3f} | |\n")
    print("| of pictures of all kinds, the subject covers | pictures | IoU |\n|---|---|---|")
    for share, count, iou in by_share(all_kinds):
        print(f"| {share} | {count} | {iou:.3f} |")
    print(f"| any share | {len(all_kinds)} | {np.mean([s.iou for s in all_kinds]):.3f} |\n")
    print("| | bar | found | met |\n|---|---|---|---|")
    found = bars(photos, made)
    for bar in found:
        print(f"| {bar.what} | {bar.bar} | {bar.found:.3f} | {'yes' if bar.met else '**no**'} |")
    return 0 if all(bar.met for bar in found) else 1


if __name__ == "__main__":
    sys.exit(main())
