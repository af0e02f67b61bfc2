"""What a picture's file tells besides its pixels -> what the files of its outputs tell.

In: an opened image, and names of `KEEP`. Out: `Metadata`. EXIF loses what is not true of an output
(`exif`), and GPS unless it is named; so does XMP (`xmp`). Resolution, in dots an inch, is that of
the file, else that which its EXIF has; one out of bounds is none. Nothing here fails.
"""

import math
from typing import Any, Collection, NamedTuple, Optional, Tuple

from PIL import Image

from . import exif, xmp

# What of it may be asked for; nothing, if that alone is.
KEEP = ("icc", "exif", "gps", "dpi", "xmp", "none")

# Of JPEG's two bytes. A TIFF that says nothing has 1 for Pillow.
_MOST_DPI = 65_535

_EXIF_AS_TEXT = "Raw profile type exif"


class Metadata(NamedTuple):
    """What a file tells besides pixels.

    Attributes:
      icc_profile: of its colours.
      exif: a picture's as it lies there, or the TIFF that has it; an output's by `exif.kept`.
      dpi: dots an inch, across and down.
      xmp: a picture's as it lies there; an output's by `xmp.kept`.
    """

    icc_profile: Optional[bytes] = None
    exif: Optional[bytes] = None
    dpi: Optional[Tuple[float, float]] = None
    xmp: Optional[bytes] = None


NOTHING = Metadata()


def metadata_of(
    image: Image.Image,
    icc_profile: Optional[bytes],
    *,
    data: Optional[bytes] = None,
    turned: bool = False,
) -> Metadata:
    """That of an image whose pixels were read, as its upright picture has it.

    Args:
      image: as it was opened.
      icc_profile: of the picture's colours.
      data: the bytes of its file, if there is one.
      turned: whether its width is the picture's height.
    """
    dpi = image.info.get("dpi")
    if not (isinstance(dpi, tuple) and len(dpi) == 2):
        dpi = None
    found = data if image.format == "TIFF" else _exif_of(image)
    packet = image.info.get("xmp")
    return Metadata(
        icc_profile,
        found,
        dpi[::-1] if dpi and turned else dpi,
        packet if isinstance(packet, bytes) else None,
    )


def kept(metadata: Metadata, names: Collection[str]) -> Metadata:
    """What an output has of a picture's.

    >>> kept(Metadata(b"profile", dpi=(300, 300)), ["dpi"])
    Metadata(icc_profile=None, exif=None, dpi=(300.0, 300.0), xmp=None)
    """
    wanted = {"exif", "gps"} & {*names}
    return Metadata(
        metadata.icc_profile if "icc" in names else None,
        exif.kept(metadata.exif, photo="exif" in wanted, gps="gps" in wanted) if wanted else None,
        _dpi(metadata) if "dpi" in names else None,
        xmp.kept(metadata.xmp, gps="gps" in wanted) if "xmp" in names else None,
    )


def _exif_of(image: Image.Image) -> Optional[bytes]:
    found = image.info.get("exif")
    if isinstance(found, bytes):
        return found
    text = image.info.get(
        _EXIF_AS_TEXT
    )  # as ImageMagick puts it into PNG: hexadecimal, below names
    try:
        return bytes.fromhex("".join(text.split("\n")[3:])) if isinstance(text, str) else None
    except ValueError:
        return None


def _dpi(metadata: Metadata) -> Optional[Tuple[float, float]]:
    for found in (metadata.dpi, exif.dots_per_inch(metadata.exif)):
        if found is not None and all(_is_possible(each) for each in found):
            return float(found[0]), float(found[1])
    return None


def _is_possible(dpi: Any) -> bool:
    try:
        return math.isfinite(dpi) and 1 < dpi <= _MOST_DPI
    except (TypeError, ValueError, ZeroDivisionError):
        return False
