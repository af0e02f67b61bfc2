"""The beginning of a file that is no picture -> what it is, and the way out, where that is known.

In: bytes. Out: words that follow "it is", or None. Nothing can fail.
"""

from typing import Optional

# Of a text, its beginning in which a mark may stand.
_TEXT_BYTES = 1_000

_RAW = "a camera's raw file: develop it to TIFF or JPEG first, by darktable-cli say"
_FILM = "a film: take a picture out of it first, by ffmpeg say"
_PAGE = "a web page in place of the picture that was asked for: look at where it was downloaded"

_BEGINNINGS = {
    b"%PDF-": "a PDF: make pictures of its pages first, by pdftoppm say",
    b"%!PS": "PostScript: make a picture of it first, by ghostscript say",
    b"8BPS": "Photoshop's: save it as TIFF or PNG",
    b"gimp xcf": "GIMP's: save it as TIFF or PNG",
    b"PK\x03\x04": "a ZIP archive: unpack it, and name the folder",
    b"\x1f\x8b": "compressed by gzip: unpack it first",
    b"version https://git-lfs": "a pointer of Git LFS: fetch the picture by `git lfs pull`",
    b"FUJIFILMCCD-RAW": _RAW,
    b"IIRO": _RAW,
    b"IIU\0": _RAW,
    b"\x1aE\xdf\xa3": _FILM,
}

# Brands of ISO's media files, behind `ftyp`.
_BRANDS = {b"crx ": _RAW, b"qt  ": _FILM, b"isom": _FILM, b"mp41": _FILM, b"mp42": _FILM}

_TAGS = {
    b"<svg": "a drawing in SVG: render it first, by rsvg-convert say",
    b"<!doctype html": _PAGE,
    b"<html": _PAGE,
}


def what_it_is(data: bytes) -> Optional[str]:
    """What a file is, by its beginning.

    >>> what_it_is(b"%PDF-1.7")
    'a PDF: make pictures of its pages first, by pdftoppm say'
    >>> what_it_is(b"not a picture")
    """
    for beginning, what in _BEGINNINGS.items():
        if data.startswith(beginning):
            return what
    if data[4:8] == b"ftyp":
        return _BRANDS.get(data[8:12])
    text = data[:_TEXT_BYTES].lower()
    if text.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"<"):
        return next((what for tag, what in _TAGS.items() if tag in text), None)
    return None
