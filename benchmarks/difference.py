"""The largest difference that a provider makes to a graph's first output, over a folder's photos.
Run as `python difference.py GRAPH FOLDER PROVIDER`; prints it as JSON.
"""

import json
import sys
from pathlib import Path
from typing import Any

import floor
import numpy as np
from PIL import Image

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def main(path: str, folder: str, provider: str) -> None:
    sessions = [floor.open_session(path, 1, name) for name in ("CPU", provider)]
    largest = 0.0
    for photo in sorted(Path(folder).iterdir()):
        feeds = {"input.1": _tensor(photo)}
        right, found = (session.run(None, feeds)[0] for session in sessions)
        largest = max(largest, float(np.abs(right - found).max()))
    print(json.dumps(largest))


def _tensor(photo: Path) -> "np.ndarray[Any, np.dtype[np.float32]]":
    """float32 [1, 3, 320, 320], as U²-Net takes it."""
    with Image.open(photo) as image:
        pixels = np.asarray(image.resize((320, 320), Image.Resampling.LANCZOS))
    return ((pixels / pixels.max() - MEAN) / STD).transpose(2, 0, 1)[np.newaxis].astype(np.float32)


if __name__ == "__main__":
    main(*sys.argv[1:])
