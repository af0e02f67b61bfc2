"""The beginning of a file -> why it is no list of pictures, if it looks like something else.

In: a file's first bytes. Out: a text that says what it is and how a list is had of it, or None. A
list may hold any name that a file or a URL can have, so only what no list can be is refused: other
kinds of files by their first bytes, tables by a header of words and no paths, JSON by what an array
or an object of several lines begins with, and lines in quotes. A first line that is the name of a
file that is there is a list's. Nothing can fail.
"""

import codecs
import os
import re
from typing import List, Optional

BEGINNING_BYTES = 1 << 16

LISTS = (
    'a list is text with one URI per line, or one JSON object such as {"uri": "a.jpg", "sku": 17}'
)

_ENCODINGS = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}

_PICTURE = "a picture, no list: name it by --input, with the suffix of a picture"
_PACKED = "unpack it"
_COLUMN = "write the column of its URIs alone, one per line"
_TABLE = f"{_COLUMN}, or all as CSV, and name that by --input"
_NAMED = f"{_COLUMN}, or name it by --input, with the suffix"

# What a file begins with, what it is then, and the way out.
_TEXTS = {
    rb"%PDF-\d\.\d": "a PDF",
    rb"\s*<(\?xml |!DOCTYPE |html[ >])": "XML or HTML",
}
_BINARIES = {
    rb"\x1f\x8b": f"gzip, without the suffix .gz: give it that, or {_PACKED} (gunzip)",
    rb"BZh[1-9]1AY&SY": f"bzip2, without the suffix .bz2: give it that, or {_PACKED}",
    rb"\x28\xb5\x2f\xfd": f"Zstandard, without the suffix .zst: give it that, or {_PACKED}",
    rb"\xfd7zXZ\0": f"xz: {_PACKED}",
    rb"7z\xbc\xaf\x27\x1c": f"a 7z archive: {_PACKED}",
    rb"PK(\x03\x04|\x05\x06)": f"a zip archive, as spreadsheets are too: {_PACKED}, {_TABLE}",
    rb"PAR1": f"Parquet: {_NAMED} .parquet",
    rb"Obj\x01": f"Avro: {_TABLE}",
    rb"ARROW1\0\0": f"Arrow: {_TABLE}",
    rb"\xff\xd8\xff|\x89PNG\r\n|GIF8[79]a|RIFF....WEBP|II\*\0|MM\0\*|BM": _PICTURE,
    rb"\0\0\0.ftyp|\0\0\0\x0cjP|\xff\x4f\xff\x51": _PICTURE,
}
_CONTROL = re.compile(rb"[\0-\x08\x0e-\x1f]")
# Where a file that is no text has such characters.
_CONTROL_BYTES = 1024

# Of a table's header one cell says that it is the picture's place, none is one.
_PLACE = re.compile(r"ur[il]|path|file|image|img|photo|picture|link|src", re.IGNORECASE)
_PLACE_ALONE = re.compile(
    r"ur[il]s?|(file|image)?_?(paths?|names?|ur[il]s?)|(files?|images?|photos?|pictures?)",
    re.IGNORECASE,
)
_HEADING = re.compile(r"[\w .#()-]*")
_SUFFIX = re.compile(r"\.\w{1,5}$")

# An array's beginning; `[1].jpg` is a name.
_ARRAY = re.compile(r'\[\s*(["{\[\]]|$)')

_QUOTED = re.compile(r"""(["']).*?\1([,;\t]|$)""", re.DOTALL)


def encoding(beginning: bytes) -> Optional[str]:
    """What a file is decoded by that has a byte order mark; None for UTF-8, with a mark or without.

    >>> encoding("a.jpg".encode("utf-16")), encoding("\\ufeffa.jpg".encode())
    ('utf-16', None)
    """
    return next((name for mark, name in _ENCODINGS.items() if beginning.startswith(mark)), None)


def refusal(beginning: bytes) -> Optional[str]:
    """Why a file that begins so is no list; None if it may be one.

    >>> refusal(b"PAR1\\x15")[:14], refusal(b"gs://b/a,b.jpg\\n")
    ('it is Parquet:', None)
    """
    if what := no_lines(beginning):
        return what if ":" in what else f"{what}; {LISTS}"
    lines = _lines(beginning)
    if not lines or os.path.lexists(lines[0]):
        return None
    if not_alone := _as_table(lines) or no_json_lines(beginning):
        return not_alone
    return "its lines are in quotes: leave those out" if _QUOTED.match(lines[0]) else None


def no_lines(beginning: bytes) -> Optional[str]:
    """Why a file that begins so is no text of lines; None if it may be one."""
    if encoding(beginning) is None and (what := _of_bytes(beginning)):
        return f"it is {what}"
    text = _text(beginning)
    if "\r" in text.rstrip("\r") and "\n" not in text:
        return "its lines end with CR alone: end them with LF, as by tr '\\r' '\\n'"
    return None


def no_json_lines(beginning: bytes) -> Optional[str]:
    """Why a file that begins so is JSON, but not one object per line; None if it may be that."""
    first = next(iter(_lines(beginning)), "")
    if _ARRAY.match(first):
        return "it is a JSON array: write one object per line, as by jq -c '.[]'"
    if first == "{":
        return "it is JSON over several lines: write one object per line, as by jq -c ."
    return None


def _text(beginning: bytes) -> str:
    return beginning.decode(encoding(beginning) or "utf-8", "replace").lstrip("\ufeff")


def _lines(beginning: bytes) -> List[str]:
    return [line.strip() for line in _text(beginning).split("\n") if line.strip()]


def _of_bytes(beginning: bytes) -> Optional[str]:
    """What a file is that is no text in UTF-8, or no lines."""
    binary = _CONTROL.search(beginning[:_CONTROL_BYTES])
    for pattern, what in {**_TEXTS, **(_BINARIES if binary else {})}.items():
        if re.match(pattern, beginning, re.DOTALL):
            return what
    return _of_zeros(beginning) if b"\0" in beginning.partition(b"\n")[0] else None


def _of_zeros(beginning: bytes) -> str:
    fewer, more = sorted(beginning[start::2].count(0) for start in (0, 1))
    if fewer < len(beginning) / 8 and more > len(beginning) / 4:
        return "UTF-16 without a byte order mark: write it as UTF-8, or with the mark"
    if not re.search(rb"[\x01-\x08\x0e-\x1f]|\0\0", beginning):
        return "a list of names that end with NUL, as those of find -print0: end them with LF"
    return "no text"


def _as_table(lines: List[str]) -> Optional[str]:
    for divider in ",;\t":
        cells = [cell.strip().strip("\"'") for cell in lines[0].split(divider)]
        words = all(_HEADING.fullmatch(cell) and not _SUFFIX.search(cell) for cell in cells)
        if len(cells) > 1 and words and any(map(_PLACE.search, cells)):
            return f"it is a table with the columns {', '.join(cells)}: {_NAMED} .csv or .tsv"
    if len(lines) > 1 and _PLACE_ALONE.fullmatch(lines[0].strip("\"'")):
        out = "leave that out, or name it by --input, with the suffix .csv"
        return f"its first line is the heading {lines[0]}: {out}"
    return None
