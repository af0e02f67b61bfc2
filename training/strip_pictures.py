"""`make pictures`: the README's strip, a photo and what eight runs of the command make of it.

In: `examples/` and the bundled model. Out: `docs/strip.webp`, each tile with its run's flags below
it, transparency as a chequerboard.
"""

import contextlib
import io
import shlex
import sys
import tempfile
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont, ImageOps

from rembg_beam.pipelines import cli

from .framing_pictures import shown

_ROOT = Path(__file__).resolve().parent.parent

_EXAMPLE = "examples/coffee.jpg"

# Pixels of a tile's side, of the lines below it, and between tiles.
_TILE, _LINES, _GAP = 190, 50, 14
_IN_A_ROW = 5

# Of each run, as the command takes them; in lines.
FLAGS: tuple[tuple[str, ...], ...] = (
    ("--outputs cutout",),
    ("--outputs mask",),
    ("--outputs trimap",),
    ("--crop subject", "--margin 5%", "--aspect 1:1"),
    ("--shadow contact,drop", "--bgcolor white"),
    ("--crop subject --margin 10%", "--canvas 400x400", "--background examples/rocket.jpg"),
    ("--mask_keep_largest 1", "--mask_feather 6"),
    ("--crop subject --margin 10%", "--canvas 300x400 --align bottom", "--bgcolor '#f5e8c7'"),
)


def made(flags: str) -> Image.Image:
    """What a run with these flags writes."""
    with tempfile.TemporaryDirectory() as folder:
        run = ["run", "--model", "tiny", "--input", _EXAMPLE, "--output", folder]
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            status = cli.main([*run, *shlex.split(flags)])
        if status:
            raise ValueError(f"{flags}: status {status}: {said.getvalue()}")
        (path,) = Path(folder).glob("*.png")
        with Image.open(path) as image:
            image.load()
            return image


def strip() -> Image.Image:
    """The photo and the eight, in rows."""
    with Image.open(_EXAMPLE) as photo:
        tiles: list[tuple[tuple[str, ...], Image.Image]] = [
            (("the photo",), ImageOps.exif_transpose(photo).convert("RGBA"))
        ]
    tiles += [(lines, made(" ".join(lines))) for lines in FLAGS]
    rows = -(-len(tiles) // _IN_A_ROW)
    size = _IN_A_ROW * (_TILE + _GAP) + _GAP, rows * (_TILE + _LINES + _GAP) + _GAP
    sheet = Image.new("RGB", size, "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(11)
    for index, (lines, image) in enumerate(tiles):
        x = _GAP + index % _IN_A_ROW * (_TILE + _GAP)
        y = _GAP + index // _IN_A_ROW * (_TILE + _LINES + _GAP)
        tile = shown(image, _TILE)
        left, top = x + (_TILE - tile.width) // 2, y + (_TILE - tile.height) // 2
        sheet.paste(tile, (left, top))
        draw.rectangle((left - 1, top - 1, left + tile.width, top + tile.height), None, "#888")
        draw.multiline_text(
            (x + _TILE // 2, y + _TILE + 4), "\n".join(lines), "black", font, "ma", align="center"
        )
    return sheet


def main() -> int:
    target = _ROOT / "docs" / "strip.webp"
    strip().save(target, quality=75, method=6)
    print(f"{target}: {target.stat().st_size} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
