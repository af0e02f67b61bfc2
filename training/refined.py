"""`make eval-refine`: how much nearer to the truth a refined mask is, and what that takes.

In: pictures of the generator's with their true masks, and photos with known masks where there are
any. Each true mask is made as small as a model's map, by the mean of what a point covers, and
enlarged as rembg does it; and of the generator's pictures there is the bundled model's own mask.
Out: a table of the errors of these masks, of the refined ones, and of the milliseconds a megapixel
takes; status 1 where refining makes the mean worse.

Errors are in percent: the mean absolute error of the whole mask, that within two points of the map
of a true edge, and there also the mean error of the gradient, as of matting benchmarks (Rhemann and
others 2009), by derivatives of a Gaussian of 1.4 pixels.
"""

import argparse
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from PIL import Image

from rembg_beam.transforms.models.config import SessionConfig
from rembg_beam.transforms.models.opening import open_session
from rembg_beam.transforms.pictures.refine import refine
from training import batches, measures
from training.doubted import photos

SEED = 20261129
PICTURES = 12

# Pixels of a side: 2.25 megapixels.
_SIDE = 1500

MAPS = (320, 1024)

_OWN = f"tiny's, {measures.SIDE}"


class Errors(NamedTuple):
    """Of a mask, in percent."""

    everywhere: float
    at_edges: float
    gradient: float


class Score(NamedTuple):
    """Of one picture: the errors of the enlarged mask, of the refined one, and what it took."""

    enlarged: Errors
    refined: Errors
    milliseconds: float


def enlarged(true: Any, side: int) -> Any:
    """A mask that was made a square of a side, and large again as rembg does it."""
    small = Image.fromarray(true).resize((side, side), Image.Resampling.BOX)
    return np.asarray(small.resize(true.shape[::-1], Image.Resampling.LANCZOS))


def errors(mask: Any, true: Any, side: int) -> Errors:
    """How far a mask is from the true one."""
    reach = round(2 * max(true.shape) / side)
    window = np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)
    hard = (true >= 128).view(np.uint8)
    near = cv2.dilate(hard, window) != cv2.erode(hard, window)
    wrong = np.abs(mask.astype(np.float32) - true)
    steep = np.abs(_gradient(mask) - _gradient(true))
    found = (wrong, wrong[near], steep[near])
    return Errors(*(float(each.mean()) / 2.55 for each in found))


def _gradient(mask: Any) -> Any:
    smooth = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 1.4)
    across, down = (cv2.Sobel(smooth, -1, *axis) / 8 for axis in ((1, 0), (0, 1)))
    return np.hypot(across, down)


def score(pixels: Any, true: Any, coarse: Any, side: int) -> Score:
    """Of a mask that was made of a map of a side."""
    taken = []
    for _ in range(3):
        start = time.thread_time()
        found = refine(pixels, coarse, (side, side))
        taken.append(time.thread_time() - start)
    milliseconds = 1000 * min(taken) / (true.size / 1e6)
    return Score(errors(coarse, true, side), errors(found, true, side), milliseconds)


def drawn(studio: bool, count: int) -> Iterator[tuple[Any, Any]]:
    """Pictures of the generator's in which something is to be found."""
    for pixels, mask in batches.fresh(SEED, count, _SIDE, studio):
        if (mask >= 128).mean() > 0.001:
            yield pixels, mask


def row(name: str, map: str, scores: list[Score]) -> str:
    """A line of the table: means, and how many pictures come nearer at their edges."""
    before, after = (
        [float(np.mean(each)) for each in zip(*errors, strict=True)]
        for errors in ([s.enlarged for s in scores], [s.refined for s in scores])
    )
    nearer = sum(s.refined.at_edges < s.enlarged.at_edges for s in scores)
    cells = [f"{old:.2f} → {new:.2f}" for old, new in zip(before, after, strict=True)]
    took = float(np.median([s.milliseconds for s in scores]))
    return f"| {name} | {map} | {' | '.join(cells)} | {nearer} of {len(scores)} | {took:.0f} |"


def scored(pictures: Iterable[tuple[Any, Any]], session: Any) -> dict[str, list[Score]]:
    """By the map that masks are made of: true ones of some sides, and the session's own."""
    found: dict[str, list[Score]] = {f"true, {side}": [] for side in MAPS}
    found[_OWN] = []
    for pixels, true in pictures:
        for side in MAPS:
            if 2 * side * side <= true.size:
                found[f"true, {side}"].append(score(pixels, true, enlarged(true, side), side))
        if session is not None:
            (mask,) = session.predict(Image.fromarray(pixels))
            found[_OWN].append(score(pixels, true, np.asarray(mask), measures.SIDE))
    return found


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="refined", description=__doc__)
    parser.add_argument("--photos", type=Path, default=Path("photos"))
    parser.add_argument("--pictures", type=int, default=PICTURES, help="of each kind")
    given = parser.parse_args(arguments)
    cv2.setNumThreads(1)
    tiny = open_session(SessionConfig("tiny")).session
    sets = {name: drawn(name == "studio", given.pictures) for name in ("studio", "all kinds")}
    if any(given.photos.glob("*.rembg.png")):
        sets["photos"] = photos(given.photos)
    print("| pictures | map | error | at edges | gradient | nearer | ms/MP |")
    print("|---|---|---|---|---|---|---|")
    worse = False
    for name, pictures in sets.items():
        for map, scores in scored(pictures, None if name == "photos" else tiny).items():
            if scores:
                print(row(name, map, scores), flush=True)
                edges = [(s.enlarged.at_edges, s.refined.at_edges) for s in scores]
                before, after = np.mean(edges, axis=0)
                worse |= bool(after > before)
    return int(worse)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
