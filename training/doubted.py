"""`make eval-suspect`: how many spoiled masks `suspect` finds, and how many good ones it doubts.

In: the photos with known masks where there are any, and 200 studio pictures and 200 of all kinds
that the generator makes. Each mask is spoiled in five ways. Out: a table; status 1 where of the
photos' masks less than `FOUND` of the spoiled are found, or more than `DOUBTED` of the good are
doubted.
"""

import argparse
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from rembg_beam.transforms.pictures.picture import Picture
from rembg_beam.transforms.pictures.suspect import Suspicion, reasons
from training import batches

SEED = 20261128
PICTURES = 200
_SIDE = 512

FOUND, DOUBTED = 0.90, 0.05

KINDS = ("true", "shifted", "inverted", "blurred", "halved", "emptied")


def spoiled(mask: Any) -> dict[str, Any]:
    """A mask, uint8 [height, width], and what it becomes in five ways."""
    height, width = mask.shape
    shifted = np.zeros_like(mask)
    shift = round(0.15 * width)
    shifted[:, shift:] = mask[:, :-shift]
    rows = np.flatnonzero((mask >= 128).any(axis=1))
    halved = mask.copy()
    halved[: (rows[0] + rows[-1]) // 2] = 0
    blurred = cv2.GaussianBlur(mask, (0, 0), 0.06 * max(height, width))
    every = (mask, shifted, 255 - mask, blurred, halved, np.zeros_like(mask))
    return dict(zip(KINDS, every, strict=True))


def shares(pictures: Iterable[tuple[Any, Any]]) -> dict[str, float]:
    """Of pixels and true masks: the share of each kind that is suspect."""
    doubted: dict[str, list[bool]] = {kind: [] for kind in KINDS}
    for pixels, mask in pictures:
        for kind, each in spoiled(mask).items():
            doubted[kind].append(bool(reasons(Picture(pixels=pixels), [each], Suspicion())))
    return {kind: float(np.mean(found)) for kind, found in doubted.items()}


def photos(folder: Path) -> Iterator[tuple[Any, Any]]:
    """Photos with the alpha that rembg's U²-Net gave them."""
    for path in sorted(folder.glob("*.rembg.png")):
        with (
            Image.open(path) as cutout,
            Image.open(f"{str(path)[: -len('.rembg.png')]}.jpg") as own,
        ):
            alpha = cutout.getchannel("A") if cutout.mode == "RGBA" else cutout.convert("L")
            yield np.asarray(own.convert("RGB").resize(alpha.size)), np.asarray(alpha)


def drawn(studio: bool) -> Iterator[tuple[Any, Any]]:
    """Pictures of the generator's in which something is to be found."""
    for pixels, alpha in batches.fresh(SEED, PICTURES, _SIDE, studio):
        mask = _bytes(alpha)
        if (mask >= 128).mean() > 0.001:
            yield _bytes(pixels), mask


def _bytes(array: Any) -> Any:
    scaled = array if array.dtype == np.uint8 else np.clip(array, 0, 1) * 255
    return np.ascontiguousarray(scaled.astype(np.uint8))


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="doubted", description=__doc__)
    parser.add_argument("--photos", type=Path, default=Path("photos"))
    folder = parser.parse_args(arguments).photos
    sets = {"studio": shares(drawn(True)), "all kinds": shares(drawn(False))}
    if any(folder.glob("*.rembg.png")):
        sets = {"photos": shares(photos(folder)), **sets}
    print("| pictures | " + " | ".join(KINDS) + " |")
    print("|---" * (len(KINDS) + 1) + "|")
    for name, found in sets.items():
        print(f"| {name} | " + " | ".join(f"{100 * found[kind]:.0f} %" for kind in KINDS) + " |")
    if "photos" not in sets:
        return 0
    found = sets["photos"]
    spoilt = float(np.mean([found[kind] for kind in KINDS[1:]]))
    print(f"photos: {spoilt:.1%} of the spoiled are found, {found['true']:.1%} of the good doubted")
    return int(spoilt < FOUND or found["true"] > DOUBTED)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
