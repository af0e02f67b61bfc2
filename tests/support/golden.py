"""A drawn picture and its mask -> what every way to show, clean, frame and shade makes of them.

In: nothing. Out: `sheet()`, and `golden.png` beside the tests, which `python -m support.golden` in
their folder writes anew: look at it before you commit it.
"""

import io
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any, Dict, List

import numpy as np
from PIL import Image, ImageDraw

from rembg_beam.testing import FakeModel
from rembg_beam.transforms import Engine, Framing, MaskCleanup, RemoveOptions, Shadow, TrimapWidths
from rembg_beam.transforms.models.config import SessionConfig
from rembg_beam.transforms.pictures.postprocessing import PostProcessing

PATH = Path(__file__).resolve().parent.parent / "golden.png"

SIZE = (96, 64)
_TILE, _GAP, _IN_A_ROW = 100, 4, 6

# Options of rembg's and the outputs, and what is done beyond.
WAYS: List[Dict[str, Any]] = [
    {},
    {"outputs": ("mask",)},
    {"outputs": ("alpha",)},
    {"bgcolor": (255, 255, 255, 255)},
    {"post_process_mask": True, "outputs": ("mask",)},
    {"outputs": ("trimap",), "trimap": TrimapWidths(trimap_width="4")},
    {"outputs": ("mask",), "cleanup": MaskCleanup(mask_threshold=128)},
    {"outputs": ("mask",), "cleanup": MaskCleanup(mask_drop_specks=0.05)},
    {"outputs": ("mask",), "cleanup": MaskCleanup(mask_fill_holes=0.1)},
    {"outputs": ("mask",), "cleanup": MaskCleanup(mask_keep_largest=1)},
    {"outputs": ("mask",), "cleanup": MaskCleanup(mask_grow=3)},
    {"outputs": ("mask",), "cleanup": MaskCleanup(mask_feather=3)},
    {"framing": Framing(crop="subject")},
    {"framing": Framing(crop="subject", margin="10%", aspect="1:1")},
    {"framing": Framing(canvas="100x100")},
    {"framing": Framing(canvas="100x100", fit="cover", align="left")},
    {"framing": Framing(crop="subject", canvas="60x100", align="bottom")},
    {"framing": Framing(resize=50)},
    {"framing": Framing(crop="subject", canvas="100x100"), "bgcolor": (255, 255, 255, 255)},
    {"framing": Framing(crop="subject", margin="10%", background="stripes.png")},
    {"shadow": Shadow(shadow=("contact",))},
    {"shadow": Shadow(shadow=("drop",))},
    {
        "shadow": Shadow(shadow=("contact", "drop")),
        "framing": Framing(crop="subject", margin="30%", canvas="100x100"),
        "bgcolor": (255, 255, 255, 255),
    },
    {"framing": Framing(crop="subject", resize=40), "outputs": ("mask",)},
]


def picture() -> Image.Image:
    """A bright ball and a small one before dark stripes."""
    y, x = np.indices(SIZE[::-1])
    pixels = np.stack([x % 16 * 6, np.full_like(x, 40), y % 16 * 6], 2).astype(np.uint8)
    image = Image.fromarray(pixels)
    draw = ImageDraw.Draw(image)
    draw.ellipse((24, 8, 68, 52), "#ffd24a")
    draw.ellipse((40, 24, 50, 34), "#1e90ff")
    draw.ellipse((78, 44, 86, 52), "#ffffff")
    return image


def mask_of(_: Image.Image) -> Any:
    """The balls with soft edges, a hole and a faint veil."""
    y, x = np.indices(SIZE[::-1]) + 0.5
    balls = [((46, 30), 22.0, 6.0), ((82, 48), 4.0, 2.0)]
    levels = np.zeros(SIZE[::-1])
    for (across, down), radius, soft in balls:
        distance = np.hypot(x - across, y - down)
        levels = np.maximum(levels, np.clip((radius - distance) / soft + 0.5, 0, 1))
    levels[np.hypot(x - 45, y - 29) < 3] = 0
    return np.maximum(levels * 255, (x < 12) * 40.0).astype(np.uint8)


def made(way: Dict[str, Any], folder: Path) -> Image.Image:
    """What one way makes of the picture."""
    stripes = folder / "stripes.png"
    Image.linear_gradient("L").convert("RGB").save(stripes)
    data = io.BytesIO()
    picture().save(data, "PNG")
    beyond = {key: way[key] for key in ("cleanup", "trimap", "shadow", "framing") if key in way}
    if "framing" in beyond and beyond["framing"].background:
        beyond["framing"] = replace(beyond["framing"], background=str(stripes))
    options = RemoveOptions(**{key: way[key] for key in way if key not in beyond})
    with Engine(
        SessionConfig("u2net"),
        options=options,
        postprocessing=PostProcessing(**beyond),
        opener=FakeModel(mask_of),
    ) as engine:
        (part,) = engine.remove(data.getvalue()).parts
    return Image.open(io.BytesIO(part.data)).convert("RGBA")


def sheet() -> Image.Image:
    """All of them in rows, transparency kept."""
    rows = -(-len(WAYS) // _IN_A_ROW)
    side = _TILE + _GAP
    found = Image.new("RGBA", (_IN_A_ROW * side, rows * side), "#8080ff00")
    with tempfile.TemporaryDirectory() as folder:
        for index, way in enumerate(WAYS):
            tile = made(way, Path(folder))
            assert max(tile.size) <= _TILE, (way, tile.size)
            found.paste(tile, (index % _IN_A_ROW * side, index // _IN_A_ROW * side))
    return found


if __name__ == "__main__":
    sheet().save(PATH, optimize=True)
