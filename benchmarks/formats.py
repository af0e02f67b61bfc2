"""The tables of `docs/formats.md`: bytes, time and what is lost, by format and quality.

`python benchmarks/formats.py` cuts out the pictures of `examples/` with the bundled model, encodes
each cutout in every way, and writes the page's tables. Milliseconds are of one core, medians of
`--repeats` turns, in each of which every way has its turn; bytes are the pictures' mean. What is
lost is the PSNR of what shows on black and on white, and of opacity, over all pixels.
"""

import argparse
import io
import math
import re
import statistics
import time
from collections import defaultdict
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence

import numpy as np
import report
from PIL import Image

from rembg_beam.transforms import Encoding, Engine, SessionConfig
from rembg_beam.transforms.pictures.encode import encode

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "formats.md"
EXAMPLES = ("astronaut.jpg", "coffee.jpg", "rocket.jpg", "animals/chelsea.png")

WAYS: Dict[str, Dict[str, Any]] = {
    "": {},
    "--png_compression 6": {"png_compression": 6},
    "--png_compression 9": {"png_compression": 9},
    "--format tiff": {"format": "tiff"},
    "--format webp": {"format": "webp"},
    "--format webp --quality 90": {"format": "webp", "quality": 90},
    "--format webp --quality 80": {"format": "webp", "quality": 80},
    "--format webp --quality 60": {"format": "webp", "quality": 60},
    "--format avif --quality 90": {"format": "avif", "quality": 90},
    "--format avif": {"format": "avif"},
    "--format avif --quality 60": {"format": "avif", "quality": 60},
    "--format png8": {"format": "png8"},
    "--format png8 --colors 64": {"format": "png8", "colors": 64},
    "--format png8 --colors 16": {"format": "png8", "colors": 16},
    "--format jpeg --bgcolor white": {"format": "jpeg"},
    "--format jpeg --bgcolor white --quality 75": {"format": "jpeg", "quality": 75},
    "--format webp --max_output_bytes 20KB": {"format": "webp", "max_output_bytes": 20_000},
    "--format avif --max_output_bytes 20KB": {"format": "avif", "max_output_bytes": 20_000},
    "--format png8 --max_output_bytes 20KB": {"format": "png8", "max_output_bytes": 20_000},
}


def cutouts() -> List[Image.Image]:
    """Of the examples, RGBA."""
    with Engine(SessionConfig("tiny")) as engine:
        made = [engine.remove((ROOT / "examples" / name).read_bytes()) for name in EXAMPLES]
    return [Image.open(io.BytesIO(each.parts[0].data)).convert("RGBA") for each in made]


def on_white(image: Image.Image) -> Image.Image:
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")


def squared_error(a: Image.Image, b: Image.Image) -> float:
    """The mean of the squared differences on black, on white and in opacity."""
    shown = []
    for image in (a, b):
        levels = np.asarray(image.convert("RGBA"), np.float64)
        alpha = levels[..., 3:]
        black = levels[..., :3] * alpha / 255
        shown.append(np.concatenate([black, black + 255 - alpha, alpha], axis=-1))
    return float(((shown[0] - shown[1]) ** 2).mean())


def measured(repeats: int) -> List[List[str]]:
    """A row for each way."""
    pictures = cutouts()
    opaque = list(map(on_white, pictures))
    seconds: Dict[str, List[float]] = defaultdict(list)
    files: Dict[str, List[bytes]] = {}
    for _ in range(repeats):
        for way, settings in WAYS.items():
            encoding = Encoding(**settings)
            given = opaque if encoding.format == "jpeg" else pictures
            start = time.process_time()
            files[way] = [encode(each, encoding) for each in given]
            seconds[way].append((time.process_time() - start) / len(given))
    rows = []
    for way, made in files.items():
        given = opaque if "jpeg" in way else pictures
        read = [Image.open(io.BytesIO(each)) for each in made]
        error = statistics.mean(map(squared_error, given, read))
        lost = "nothing" if error == 0 else f"{10 * math.log10(255**2 / error):.1f} dB"
        size = statistics.mean(map(len, made))
        milliseconds = 1000 * statistics.median(seconds[way])
        rows.append([f"`{way}`" if way else "none", f"{size:,.0f}", f"{milliseconds:.1f}", lost])
    return rows


def page(text: str, repeats: int) -> str:
    """The page with its table between its markers."""
    table = report.table(["flags", "bytes", "ms", "what is lost"], measured(repeats))
    made = "\n".join(["", *table, "", ""])
    between = r"(?<=<!-- formats -->\n).*?(?=<!-- /formats -->)"
    text, found = re.subn(between, lambda _: made, text, flags=re.DOTALL)
    assert found == 1, "the page has no place for the table"
    return text


def main(arguments: Optional[Sequence[str]] = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=9)
    asked = parser.parse_args(arguments)
    PAGE.write_text(page(PAGE.read_text(), asked.repeats))


if __name__ == "__main__":
    main()
