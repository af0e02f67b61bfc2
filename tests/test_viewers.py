"""Every output opens elsewhere too: in `pngcheck` and in a browser, where there are any."""

import base64
import io
import shutil
import subprocess
from pathlib import Path
from typing import Dict

import numpy as np
import pytest
from PIL import Image, ImageCms
from support import kinds

from rembg_beam.transforms import Encoding
from rembg_beam.transforms.pictures import exif
from rembg_beam.transforms.pictures.encode import encode
from rembg_beam.transforms.pictures.keep import Metadata

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()

EVERYTHING = Metadata(SRGB, exif.with_resolution(None, (72, 72)), (300, 150))


def outputs() -> Dict[str, bytes]:
    """Files of every kind that the command writes."""
    cutout = kinds.pixels(61, 45, 4)
    opaque = np.dstack([cutout[..., :3], np.full((45, 61), 255, np.uint8)])
    mask = np.ascontiguousarray(cutout[..., 0])
    return {
        "cutout.png": encode(cutout, Encoding()),
        "profile.png": encode(cutout, Encoding(), Metadata(SRGB)),
        "metadata.png": encode(cutout, Encoding(), EVERYTHING),
        "slow-metadata.png": encode(cutout, Encoding(png_compression=9), EVERYTHING),
        "palette.png": encode(cutout, Encoding(format="png8"), EVERYTHING),
        "two-colours.png": encode(mask, Encoding(format="png8", colors=2)),
        "opaque.avif": encode(opaque, Encoding(format="avif"), EVERYTHING),
        "mask.png": encode(mask, Encoding()),
        "grey.png": encode(np.ascontiguousarray(cutout[..., :2]), Encoding()),
        "pixel.png": encode(cutout[:1, :1], Encoding()),
        "tall.png": encode(kinds.pixels(1, 4000, 4), Encoding()),
        "small.png": encode(cutout, Encoding(png_compression=9)),
        "lossless.webp": encode(cutout, Encoding(format="webp")),
        "lossy.webp": encode(cutout, Encoding(format="webp", quality=80)),
        "opaque.jpg": encode(opaque, Encoding(format="jpeg")),
    }


@pytest.mark.parametrize("name", outputs())
def test_pillow_opens_it(name: str) -> None:
    with Image.open(io.BytesIO(outputs()[name])) as image:
        image.load()


@pytest.mark.skipif(not shutil.which("pngcheck"), reason="pngcheck is not installed")
def test_pngcheck_finds_nothing_wrong(tmp_path: Path) -> None:
    for name, data in outputs().items():
        if name.endswith(".png"):
            (tmp_path / name).write_bytes(data)
            done = subprocess.run(["pngcheck", "-v", tmp_path / name], capture_output=True)
            assert done.returncode == 0, done.stdout
            assert b"No errors detected" in done.stdout


# A page is dumped when it is loaded, and that is when all its pictures are.
SCRIPT = """
<script>onload = () => document.querySelectorAll("img").forEach(image => {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
  canvas.getContext("2d").drawImage(image, 0, 0);
  const corner = canvas.getContext("2d").getImageData(0, 0, 1, 1).data;
  const line = document.createElement("p");
  line.textContent = `${image.id} ${canvas.width}x${canvas.height} alpha ${corner[3]};`;
  document.body.append(line);
});</script>
"""


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")
def test_a_browser_shows_it(tmp_path: Path) -> None:
    types = {"png": "png", "webp": "webp", "jpg": "jpeg", "avif": "avif"}
    images = [
        f'<img id="{name}" src="data:image/{types[name.rpartition(".")[2]]};base64,'
        f'{base64.b64encode(data).decode()}">'
        for name, data in outputs().items()
    ]
    (tmp_path / "page.html").write_text("<!doctype html>" + SCRIPT + "".join(images))
    flags = [
        *("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"),
        *("--disable-component-update", "--disable-sync", "--no-first-run", "--dump-dom"),
        f"--user-data-dir={tmp_path}/profile",
    ]
    done = subprocess.run(
        [str(CHROMIUM), *flags, (tmp_path / "page.html").as_uri()],
        capture_output=True,
        text=True,
        timeout=120,
    )
    for name, data in outputs().items():
        with Image.open(io.BytesIO(data)) as image:
            pixel = image.convert("RGBA").getpixel((0, 0))
            assert isinstance(pixel, tuple)
            shown = f"{name} {image.width}x{image.height} alpha {pixel[3]};"
        assert shown in done.stdout, done.stdout[-2000:] + done.stderr[-2000:]
