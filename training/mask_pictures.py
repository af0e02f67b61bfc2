"""`make pictures`: the pictures of docs/masks.md, of what the product itself makes.

In: `examples/`, the bundled model, and a large picture of the generator's. Out, in `docs/masks/`:
`cleanup.png`, a part of a mask before and after each step; `outputs.webp`, trimaps and shadows;
`refine.png`, an edge before and after.
"""

import argparse
import io
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFont

from rembg_beam.transforms import (
    Engine,
    MaskCleanup,
    RemoveOptions,
    SessionConfig,
    Shadow,
)
from rembg_beam.transforms.pictures.cleanup import clean
from rembg_beam.transforms.pictures.postprocessing import PostProcessing
from training import batches

_ROOT = Path(__file__).resolve().parent.parent

# Pixels of a tile's side, of the line below it that says what it is, and between tiles.
_TILE, _LINE, _GAP = 190, 22, 6

Tile = tuple[str, Image.Image]
Box = tuple[int, int, int, int]

# Of each step: its setting, a value, the example whose mask shows it, and the box in which it does.
# "both" are two masks side by side.
STEPS: tuple[tuple[str, Any, str, Box], ...] = (
    ("mask_threshold", 128, "animals/chelsea.png", (290, 180, 410, 300)),
    ("mask_drop_specks", 0.2, "both", (0, 0, 380, 380)),
    ("mask_fill_holes", 0.05, "astronaut.jpg", (392, 372, 512, 492)),
    ("mask_keep_largest", 1, "both", (0, 0, 380, 380)),
    ("mask_grow", 6, "rocket.jpg", (35, 20, 135, 120)),
    ("mask_grow", -6, "rocket.jpg", (35, 20, 135, 120)),
    ("mask_feather", 8.0, "rocket.jpg", (35, 20, 135, 120)),
)

SHADOWS = (("contact",), ("drop",), ("contact", "drop"))


def made(data: bytes, **more: Any) -> dict[str, Image.Image]:
    """What the bundled model makes of a picture, by suffixes."""
    with Engine(SessionConfig("tiny"), **more) as engine:
        parts = engine.remove(data).parts
    return {part.suffix: Image.open(io.BytesIO(part.data)) for part in parts}


def sheet(rows: Sequence[Sequence[Tile]]) -> Image.Image:
    """Rows of tiles, each with what it is below it."""
    width = max(map(len, rows)) * (_TILE + _GAP) - _GAP
    found = Image.new("RGB", (width, len(rows) * (_TILE + _LINE)), "white")
    draw, font = ImageDraw.Draw(found), ImageFont.load_default(13)
    for down, row in enumerate(rows):
        for right, (text, image) in enumerate(row):
            x, y = right * (_TILE + _GAP), down * (_TILE + _LINE)
            fitted = image.convert("RGB")
            fitted.thumbnail((_TILE, _TILE), Image.Resampling.LANCZOS)
            found.paste(fitted, (x + (_TILE - fitted.width) // 2, y))
            draw.text((x + _TILE // 2, y + _TILE + 3), text, "black", font, anchor="ma")
    return found


def mask_of(example: str) -> Any:
    """The bundled model's mask of an example, uint8 [height, width]."""
    if example == "both":
        found = Image.new("L", (380, 380))
        for name, box in (("coffee.jpg", (0, 10, 300, 210)), ("rocket.jpg", (270, 180, 380, 380))):
            mask = Image.fromarray(mask_of(name)).resize((box[2] - box[0], box[3] - box[1]))
            found.paste(ImageChops.lighter(mask, found.crop(box)), box)
        return np.asarray(found)
    data = (_ROOT / "examples" / example).read_bytes()
    return np.asarray(made(data, options=RemoveOptions(only_mask=True))[""])


def cleanup() -> Image.Image:
    """A part of a mask before each step, and after it."""
    before: list[Tile] = []
    after: list[Tile] = []
    for name, value, example, box in STEPS:
        mask = mask_of(example)
        cleaned = clean(mask, MaskCleanup(**{name: value}))
        for row, text, each in (
            (before, "as it is", mask),
            (after, f"--{name} {value:g}", cleaned),
        ):
            part = Image.fromarray(each).crop(box)
            row.append((text, part.resize((_TILE, _TILE), Image.Resampling.BICUBIC)))
    return sheet([before, after])


def outputs() -> Image.Image:
    """Cutout, trimap and shadows of two pictures."""
    rows = []
    for example in ("coffee.jpg", "rocket.jpg"):
        data = (_ROOT / "examples" / example).read_bytes()
        every = made(data, options=RemoveOptions(outputs=("cutout", "mask", "trimap")))
        row = [("cutout", on_white(every[".cutout"]))]
        row += [(name, every[f".{name}"]) for name in ("mask", "trimap")]
        for kinds in SHADOWS:
            shown = made(data, postprocessing=PostProcessing(shadow=Shadow(shadow=kinds)))[""]
            row.append((f"--shadow {','.join(kinds)}", on_white(shown)))
        rows.append(row)
    return sheet(rows)


def on_white(cutout: Image.Image) -> Image.Image:
    """A cutout as a shop shows it."""
    return Image.alpha_composite(Image.new("RGBA", cutout.size, "white"), cutout)


def refined() -> Image.Image:
    """An edge of a large picture, and its mask without and with refinement."""
    pixels, true = next(iter(batches.fresh(20261129, 1, 1500, True)))
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, "PNG")
    row: list[Tile] = [("the picture", Image.fromarray(pixels))]
    for text, asked in (
        ("as rembg enlarges it", MaskCleanup()),
        ("--refine_above 2MP", MaskCleanup(refine_above=2_000_000)),
    ):
        mask = made(
            data.getvalue(),
            options=RemoveOptions(only_mask=True),
            postprocessing=PostProcessing(cleanup=asked),
        )[""]
        row.append((text, mask))
    row.append(("the truth", Image.fromarray(true)))
    y, x = _edge(true)
    box = (x - 60, y - 60, x + 60, y + 60)
    tiles = [(text, each.crop(box).resize((_TILE, _TILE), 0)) for text, each in row]
    return sheet([tiles])


def _edge(mask: Any) -> tuple[int, int]:
    """A pixel at the left edge of the subject, at two thirds of its height."""
    rows = np.flatnonzero((mask >= 128).any(axis=1))
    y = int(rows[2 * len(rows) // 3])
    return y, int(np.flatnonzero(mask[y] >= 128)[0])


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="mask_pictures", description=__doc__)
    parser.add_argument("--to", type=Path, default=_ROOT / "docs" / "masks")
    folder = parser.parse_args(arguments).to
    folder.mkdir(exist_ok=True)
    cleanup().convert("L").save(folder / "cleanup.png", optimize=True)
    outputs().save(folder / "outputs.webp", quality=80)
    refined().quantize(64).save(folder / "refine.png", optimize=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
