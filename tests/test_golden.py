"""Pictures that somebody looked at: what every way to show, clean, frame and shade makes."""

import numpy as np
from PIL import Image
from support import golden

# Levels that another version of Pillow or OpenCV may round elsewhere.
LEVELS = 2


def test_all_ways_make_what_they_made() -> None:
    found, wanted = (np.asarray(each, int) for each in (golden.sheet(), Image.open(golden.PATH)))
    assert found.shape == wanted.shape
    # Premultiplied, since what lies under transparency is nothing that anybody sees.
    found, wanted = (
        np.dstack([each[..., :3] * each[..., 3:] / 255, each[..., 3:]]) for each in (found, wanted)
    )
    apart = np.abs(found - wanted).max(axis=2)
    side = golden.sheet().width // 6
    tiles = {(int(y) // side, int(x) // side) for y, x in np.argwhere(apart > LEVELS)}
    assert not tiles, f"tiles by row and column: {sorted(tiles)}"
