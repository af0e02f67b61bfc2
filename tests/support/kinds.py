"""Pictures of every kind a data set holds, as files, small."""

import functools
import io
from typing import Any, Callable, Dict

import numpy as np
import simplejpeg
from PIL import Image, ImageCms


def pixels(width: int, height: int, channels: int = 3, seed: int = 0) -> Any:
    """A bright disc on noise, different for each seed."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    disc = (x - width / 2) ** 2 + (y - height / 2) ** 2 < (min(width, height) / 3) ** 2
    found = random.integers(0, 200, (height, width, channels), np.uint8)
    found[disc] = 255 - seed % 100
    return found


def saved(image: Image.Image, format: str, **more: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **more)
    return buffer.getvalue()


def rgb(width: int = 48, height: int = 32, seed: int = 0) -> Image.Image:
    return Image.fromarray(pixels(width, height, seed=seed))


def rgba() -> Image.Image:
    return Image.fromarray(pixels(48, 32, 4))


def oriented(orientation: int, format: str) -> bytes:
    exif = Image.Exif()
    exif[0x112] = orientation
    return saved(rgb(40, 30, orientation), format, exif=exif)


def lab() -> Image.Image:
    profiles = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    transform = ImageCms.buildTransform(*profiles, "RGB", "LAB")
    converted = ImageCms.applyTransform(gradient(), transform)
    assert converted is not None
    return converted


def gradient(mode: str = "RGB", seed: int = 0) -> Image.Image:
    """Smooth, so that other colours and depths can be told from noise."""
    y, x = np.mgrid[0:32, 0:48]
    levels = np.stack([x * 255 // 48, y * 255 // 32, x * 0 + seed], -1)
    return Image.fromarray(levels.astype(np.uint8)).convert(mode)


def sixteen() -> Image.Image:
    return Image.fromarray(np.asarray(gradient("L"), np.uint16) * 257)


# Kinds that rembg takes as they are.
KINDS: Dict[str, Callable[[], bytes]] = {
    "RGB JPEG": lambda: saved(rgb(), "JPEG", quality=90),
    "RGB JPEG, 4:4:4": lambda: saved(rgb(47, 31), "JPEG", subsampling="4:4:4"),
    "RGB JPEG, progressive": lambda: saved(rgb(49, 33), "JPEG", progressive=True),
    "L JPEG": lambda: saved(rgb().convert("L"), "JPEG"),
    "CMYK JPEG": lambda: saved(rgb().convert("CMYK"), "JPEG"),
    "YCCK JPEG": lambda: simplejpeg.encode_jpeg(pixels(48, 32, 4), colorspace="CMYK"),
    "RGB": lambda: saved(rgb(), "PNG"),
    "RGB with a transparent colour": lambda: saved(rgb(), "PNG", transparency=(255, 255, 255)),
    "RGBA": lambda: saved(rgba(), "PNG"),
    "LA": lambda: saved(rgba().convert("LA"), "PNG"),
    "L": lambda: saved(rgb().convert("L"), "PNG"),
    "1": lambda: saved(rgb().convert("1"), "PNG"),
    "P": lambda: saved(rgb().convert("P"), "PNG"),
    "P, transparent": lambda: saved(rgb().convert("P"), "PNG", transparency=3),
    "CMYK TIFF": lambda: saved(rgb().convert("CMYK"), "TIFF"),
    "WebP": lambda: saved(rgba(), "WEBP", lossless=True),
    "BMP": lambda: saved(rgb(), "BMP"),
    "1x1": lambda: saved(rgb(1, 1), "PNG"),
    "1x4000": lambda: saved(rgb(1, 4000), "PNG"),
    "4000x1 JPEG": lambda: saved(rgb(4000, 1), "JPEG"),
    "odd": lambda: saved(rgb(33, 7), "PNG"),
    "odd L": lambda: saved(rgb(33, 7).convert("L"), "PNG"),
    "odd LA": lambda: saved(rgba().resize((33, 7)).convert("LA"), "PNG"),
    "odd CMYK": lambda: saved(rgb(7, 33).convert("CMYK"), "TIFF"),
    "1x1 RGBA": lambda: saved(rgba().resize((1, 1)), "PNG"),
    "1x400 L": lambda: saved(rgb(1, 400).convert("L"), "PNG"),
    "as large as the model's input": lambda: saved(rgb(320, 320), "JPEG"),
    "black": lambda: saved(Image.new("RGB", (30, 20)), "PNG"),
    "grey": lambda: saved(Image.new("RGB", (30, 20), (90, 90, 90)), "JPEG"),
    **{
        f"{format} turned {turn}": functools.partial(oriented, turn, format)
        for format in ("JPEG", "PNG")
        for turn in range(1, 9)
    },
}

# Kinds of `gradient` of which rembg dies, or takes levels for others.
ODD: Dict[str, Callable[[], bytes]] = {
    "I;16": lambda: saved(sixteen(), "PNG"),
    "I;16 TIFF": lambda: saved(sixteen(), "TIFF"),
    "I": lambda: saved(gradient("L").convert("I"), "TIFF"),
    "F": lambda: saved(gradient("L").convert("F"), "TIFF"),
    "LAB": lambda: saved(lab(), "TIFF"),
    "P": lambda: saved(gradient("P"), "GIF"),
    "P, transparent": lambda: saved(gradient("P"), "PNG", transparency=3),
    "animation": lambda: saved(
        gradient("P"), "GIF", save_all=True, append_images=[gradient("P", seed=50)]
    ),
}

MODES = ("RGB", "RGBA", "L", "LA", "1", "P", "CMYK")
