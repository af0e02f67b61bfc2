"""`make pictures`: the picture of docs/framing.md, of what the product itself makes.

In: `examples/` and the bundled model. Out: `docs/framing/framing.webp`, photos and what each way to
frame them makes of them, transparency as a chequerboard, the frame as a line.
"""

import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from rembg_beam.transforms import Engine, Framing, SessionConfig
from rembg_beam.transforms.pictures.postprocessing import PostProcessing

_ROOT = Path(__file__).resolve().parent.parent

# Pixels of a tile's side, of the lines below it that say what it is, and between tiles.
_TILE, _LINES, _GAP = 200, 36, 14

_ASTRONAUT, _ROCKET = "astronaut.jpg", "rocket.jpg"

# Example, settings.
TILES: tuple[tuple[str, dict[str, Any]], ...] = (
    (_ROCKET, {}),
    (_ROCKET, {"crop": "subject"}),
    (_ROCKET, {"crop": "subject", "margin": "10%"}),
    (_ROCKET, {"crop": "subject", "aspect": "1:1"}),
    (_ASTRONAUT, {}),
    (_ASTRONAUT, {"canvas": "400x300"}),
    (_ASTRONAUT, {"canvas": "400x300", "fit": "cover"}),
    (_ASTRONAUT, {"canvas": "400x300", "fit": "cover", "align": "top"}),
    (_ASTRONAUT, {"crop": "subject", "canvas": "400x300", "align": "bottom"}),
    (_ASTRONAUT, {"crop": "subject", "margin": "5%", "canvas": "400x300"}),
    (_ASTRONAUT, {"crop": "subject", "canvas": "300x400", "align": "bottom"}),
    (_ASTRONAUT, {"canvas": "400x400", "background": "coffee.jpg"}),
)
_IN_A_ROW = 4


def main() -> None:
    rows = -(-len(TILES) // _IN_A_ROW)
    size = _IN_A_ROW * (_TILE + _GAP) + _GAP, rows * (_TILE + _LINES + _GAP) + _GAP
    sheet = Image.new("RGB", size, "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(12)
    for index, (example, settings) in enumerate(TILES):
        x = _GAP + index % _IN_A_ROW * (_TILE + _GAP)
        y = _GAP + index // _IN_A_ROW * (_TILE + _LINES + _GAP)
        tile = shown(cut_out(example, settings), _TILE)
        left, top = x + (_TILE - tile.width) // 2, y + _TILE - tile.height
        sheet.paste(tile, (left, top))
        draw.rectangle((left - 1, top - 1, left + tile.width, top + tile.height), None, "#888")
        draw.multiline_text(
            (x + _TILE // 2, y + _TILE + 4), flags(settings), "black", font, "ma", align="center"
        )
    target = _ROOT / "docs" / "framing" / "framing.webp"
    sheet.save(target, quality=75, method=6)
    print(f"{target}: {target.stat().st_size} bytes")


def cut_out(example: str, settings: dict[str, Any]) -> Image.Image:
    """What the bundled model and some framing make of an example."""
    own = dict(settings)
    if "background" in own:
        own["background"] = str(_ROOT / "examples" / own["background"])
    with Engine(
        SessionConfig("tiny"), postprocessing=PostProcessing(framing=Framing(**own))
    ) as engine:
        (part,) = engine.remove((_ROOT / "examples" / example).read_bytes()).parts
    return Image.open(io.BytesIO(part.data))


def flags(settings: dict[str, Any]) -> str:
    """The settings as flags, in two lines."""
    words = [f"--{name} {value}" for name, value in settings.items()]
    return "\n".join([" ".join(words[:1]), " ".join(words[1:])]) if words else "no framing"


def shown(cutout: Image.Image, side: int) -> Image.Image:
    """A tile of it, of so many pixels, before a chequerboard."""
    cutout.thumbnail((side - 2, side - 2), Image.Resampling.HAMMING)
    squares = np.indices(cutout.size[::-1]) // 8
    board = Image.fromarray(np.where(squares.sum(0) % 2, 255, 222).astype(np.uint8)).convert("RGBA")
    return Image.alpha_composite(board, cutout.convert("RGBA")).convert("RGB")


if __name__ == "__main__":
    main()
