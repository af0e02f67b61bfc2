"""Output formats, and the settings of each: how outputs are encoded.

`FORMATS` is all there is to know of them. `Encoding` refuses, with `ValueError`, settings a format
doesn't have, and a format that this machine's Pillow can't write.
"""

from dataclasses import dataclass
from typing import Any, Callable, Dict, NamedTuple, Optional, Tuple

from PIL import features
from PIL.PngImagePlugin import PngInfo

from ..fast import png
from ..setting import check, documented, setting, settings_of
from . import exif, palette
from .keep import KEEP, Metadata


def _chunks(metadata: Metadata) -> Dict[str, Any]:
    told = {"exif": metadata.exif, "dpi": metadata.dpi}
    if metadata.xmp is None:
        return told
    info = PngInfo()
    info.add(b"iTXt", png.XMP + metadata.xmp)
    return {**told, "pnginfo": info}


def _segments(metadata: Metadata) -> Dict[str, Any]:
    found = metadata.exif and exif.PREFIX + metadata.exif
    return {"exif": found, "dpi": metadata.dpi, "xmp": metadata.xmp}


def _in_exif(metadata: Metadata) -> Dict[str, Any]:
    """What has no place of its own for the resolution."""
    found = metadata.exif
    if metadata.dpi is not None:
        found = exif.with_resolution(found, metadata.dpi)
    return {"exif": found, "xmp": metadata.xmp}


def _resolution(metadata: Metadata) -> Dict[str, Any]:
    return {"dpi": metadata.dpi}


def _tiff_with_more(data: bytes, metadata: Metadata) -> bytes:
    if metadata.exif or metadata.xmp:
        return exif.into_tiff(data, metadata.exif, metadata.xmp)
    return data


def _as_it_is(data: bytes, metadata: Metadata) -> bytes:
    return data


class Format(NamedTuple):
    """An output format: all there is to know of it.

    Attributes:
      suffix: of the file's name, with its dot.
      mime_type: of the file.
      arguments: an `Encoding` -> keyword arguments of Pillow's `Image.save`.
      max_quality: the highest quality; None if it has none.
      largest_side: pixels that a picture may be wide or high; None if that is more than we decode.
      has_alpha: whether pixels may be transparent.
      greys: modes of grey pictures that stay grey; others become RGB.
      metadata: what else the file tells -> further arguments; those that are None are left out.
      finished: the file as Pillow writes it, and what else it tells -> the file.
      has_few_colors: whether the picture becomes one of `palette`.
      bytes_per_pixel: that the encoder takes, beyond what is reckoned for a cutout; measured.
    """

    suffix: str
    mime_type: str
    arguments: Callable[["Encoding"], Dict[str, Any]]
    max_quality: Optional[int] = None
    largest_side: Optional[int] = None
    has_alpha: bool = True
    greys: Tuple[str, ...] = ("1", "L", "LA")
    metadata: Callable[[Metadata], Dict[str, Any]] = _chunks
    finished: Callable[[bytes, Metadata], bytes] = _as_it_is
    has_few_colors: bool = False
    bytes_per_pixel: int = 0


def _png(encoding: "Encoding") -> Dict[str, Any]:
    level = 6 if encoding.png_compression is None else encoding.png_compression
    return {"format": "PNG", "compress_level": level}


def _webp(encoding: "Encoding") -> Dict[str, Any]:
    if not encoding.has_quality():
        return {"format": "WEBP", "lossless": True, "exact": True}
    return {"format": "WEBP", "quality": 80 if encoding.quality is None else encoding.quality}


def _jpeg(encoding: "Encoding") -> Dict[str, Any]:
    return {"format": "JPEG", "quality": 90 if encoding.quality is None else encoding.quality}


def _avif(encoding: "Encoding") -> Dict[str, Any]:
    """One thread: there is one for every core as it is, and the bytes depend on their number."""
    quality = 75 if encoding.quality is None else encoding.quality
    return {"format": "AVIF", "quality": quality, "max_threads": 1}


def _tiff(encoding: "Encoding") -> Dict[str, Any]:
    return {"format": "TIFF", "compression": "tiff_adobe_deflate", "tiffinfo": _PREDICTOR}


# Differences of neighbours are compressed, as in PNG (TIFF 6.0, section 14).
_PREDICTOR = {317: 2}

# The largest sides are those of WebP, of libjpeg-turbo, and of what libavif reads.
FORMATS = {
    "png": Format(".png", "image/png", _png),
    "webp": Format(*(".webp", "image/webp", _webp, 100, 16_383), greys=(), metadata=_in_exif),
    "jpeg": Format(".jpg", "image/jpeg", _jpeg, 95, 65_500, has_alpha=False, metadata=_segments),
    "avif": Format(
        *(".avif", "image/avif", _avif, 100, 32_768),
        greys=("1", "L"),
        metadata=_in_exif,
        bytes_per_pixel=10,
    ),
    "png8": Format(".png", "image/png", _png, greys=(), has_few_colors=True, bytes_per_pixel=20),
    "tiff": Format(*(".tif", "image/tiff", _tiff), metadata=_resolution, finished=_tiff_with_more),
}

# What people write, too, and what it means.
SPELLINGS = (("jpg", "jpeg"),)

SUFFIXES = {name: format.suffix for name, format in FORMATS.items()}

# Whose choice a setting is, for people, and of which formats.
_CHOICES: Dict[str, Tuple[str, Tuple[str, ...]]] = {
    "lossless": ("WebP", ("webp",)),
    "png_compression": ("PNG", ("png", "png8")),
    "colors": ("PNG-8", ("png8",)),
}


@documented
@dataclass(frozen=True, kw_only=True)
class Encoding:
    """How outputs are encoded."""

    format: str = setting(
        "png",
        "of the outputs",
        more="png and tiff are lossless, webp either, avif is small, png8 has 256 colours, jpeg no "
        "transparency",
        choices=tuple(FORMATS),
        spellings=SPELLINGS,
    )
    quality: Optional[int] = setting(
        None,
        "of jpeg (default 90), avif (75) or lossy webp (80); higher is larger",
        more="the most for jpeg is 95",
        minimum=0,
        maximum=100,
    )
    lossless: Optional[bool] = setting(
        None,
        "webp without loss, the default, or with --no_lossless at a quality",
        more="a quality says lossy too; without loss every pixel is kept exactly, under "
        "transparency too",
    )
    png_compression: Optional[int] = setting(
        None,
        "0 to 9: smaller files by Pillow's encoder, which takes many times longer; default: a fast "
        "encoder",
        more="zlib's levels; 9 makes files 10 to 25 % smaller",
        minimum=0,
        maximum=9,
    )

    colors: Optional[int] = setting(
        None,
        "of png8 at most, transparent ones among them; default 256",
        more="fewer make smaller files",
        minimum=2,
        maximum=palette.MOST,
    )
    max_output_bytes: Optional[int] = setting(
        None,
        "an output has so many bytes at most, such as 200KB, at the highest quality that allows it",
        more="up to nine encodings a picture; `quality` is then the highest that is tried, of png8 "
        "`colors`, and webp is lossy; a picture too large at the lowest is a failure",
        kind="bytes",
        minimum=1,
    )
    keep: Optional[Tuple[str, ...]] = setting(
        None,
        "what outputs have of a picture's metadata; default: icc, its colours' profile",
        more="`exif` without what is of the file alone, such as orientation, which is applied, "
        "thumbnails and maker's notes, and without GPS unless `gps` is named; `dpi` its "
        "resolution; `xmp` likewise, by the names of its properties; `none` nothing",
        kind="choices",
        choices=KEEP,
    )

    def __post_init__(self) -> None:
        object.__setattr__(self, "format", settings_of(Encoding)["format"].spelt(self.format))
        check(self)
        if self.keep is not None:
            self._settle_keep(self.keep)
        for name, (label, formats) in _CHOICES.items():
            if getattr(self, name) is not None and self.format not in formats:
                raise ValueError(f"{name} is {label}'s choice; {self.format} has none")
        self._check_quality()
        if self.format == "avif" and not features.check("avif"):
            raise ValueError(
                "format='avif' needs a Pillow with AVIF, and this machine's was built without: "
                "install one of its wheels (pip install --force-reinstall --only-binary :all: "
                "pillow), or use webp"
            )

    def has_quality(self) -> bool:
        """Whether pixels are given up for smaller files by a quality."""
        if self.format == "webp":
            asked = (self.quality, self.max_output_bytes)
            return self.lossless is False or any(each is not None for each in asked)
        return FORMATS[self.format].max_quality is not None

    def keeps_levels(self) -> bool:
        """Whether a grey picture of three levels has these in the file, and no others."""
        if FORMATS[self.format].has_few_colors:
            return (self.colors or palette.MOST) > 2 and self.max_output_bytes is None
        return not self.has_quality()

    def kept(self) -> Tuple[str, ...]:
        """Names of `KEEP`."""
        return ("icc",) if self.keep is None else self.keep

    def _settle_keep(self, names: Tuple[str, ...]) -> None:
        """Brings them into one order, and writes the default in one way."""
        ordered = tuple(name for name in KEEP if name in names)
        if "none" in ordered and ordered[1:]:
            raise ValueError(
                f"keep={','.join(ordered)} makes no sense: `none` keeps nothing; leave it out"
            )
        object.__setattr__(self, "keep", None if ordered == ("icc",) else ordered)

    def _check_quality(self) -> None:
        highest = FORMATS[self.format].max_quality
        is_lossless = highest is None or bool(self.lossless)
        if self.quality is not None:
            if is_lossless:
                raise ValueError(
                    "quality belongs to jpeg and lossy webp or avif; png8 has colors, and all else "
                    "is lossless"
                )
            if self.quality > int(highest or 0):
                raise ValueError(f"quality={self.quality!r} must be an integer from 0 to {highest}")
        if self.max_output_bytes is not None and is_lossless and self.format != "png8":
            raise ValueError(
                f"max_output_bytes needs a quality to lower, and this {self.format} is lossless: "
                "use webp without lossless, avif, png8, or jpeg with a bgcolor, or say it of the "
                'outputs alone that have one: {"shows": "cutout", "format": "webp", '
                '"max_output_bytes": "200KB"}'
            )

    @property
    def suffix(self) -> str:
        """Of the file's name, with its dot."""
        return FORMATS[self.format].suffix

    @property
    def mime_type(self) -> str:
        return FORMATS[self.format].mime_type
