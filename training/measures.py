"""How near a mask is to another: both float [H, W] in 0..1."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from training.colours import Array

SIDE = 320
# Its mask was made by SAM from a click, not by a model that looks for the subject.
PROMPTED = {"plants-1"}


def iou(found: Array, true: Array) -> float:
    """Intersection over union of what is above 0.5; 1 where neither has anything."""
    a, b = found > 0.5, true > 0.5
    either = int((a | b).sum())
    return float((a & b).sum()) / either if either else 1.0


def error(found: Array, true: Array) -> float:
    """The mean absolute difference."""
    return float(np.abs(found - true).mean())


def stretched(mask: Array) -> Array:
    """Least to 0 and greatest to 1, as rembg's U2-Net session does it."""
    low, high = float(mask.min()), float(mask.max())
    return (mask - low) / max(high - low, 1e-6)


def photos(folder: Path) -> Iterator[tuple[str, Image.Image, Array]]:
    """Name, picture and recorded mask [320, 320] of each `NAME.jpg` with a `NAME.rembg.png`."""
    for path in sorted(folder.glob("*.jpg")):
        recorded = path.with_suffix(".rembg.png")
        if recorded.exists() and path.stem not in PROMPTED:
            alpha = Image.open(recorded).getchannel("A")
            small = alpha.resize((SIDE, SIDE), Image.Resampling.BILINEAR)
            yield path.stem, Image.open(path).convert("RGB"), np.asarray(small) / 255.0
