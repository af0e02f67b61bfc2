"""Keys: names of outputs -> keys of samples, without dots, no two of which are the same.

In: names from `naming.output_name`. Out: their stems, and for those that share one, which are all
whose stem is the same, keys with a digest of the whole name behind it. So a key follows from its
own name, and from whether others have the same stem. No folder or last part of a key begins with
`__`: what does is no sample to WebDataset and `datasets`, which skip it. Nothing can fail.
"""

import hashlib
import os
import re
from typing import Collection, Dict

from ..sources.suffixes import PICTURE_SUFFIXES

# Hexadecimal digits of a digest: as many as tell those of one stem apart, and no fewer.
DIGITS = 8

# How notes of WebDataset's own begin, and files that `datasets` takes for hidden ones.
_NOTES = re.compile(r"(^|/)__+")

# No stem may look like another's key.
_LIKE_A_KEY = re.compile(rf"-[0-9a-f]{{{DIGITS},}}$")


def stem(name: str) -> str:
    """The name without a picture's suffix, without dots, and with one `_` for several at the
    beginning of a part.

    >>> stem("x.y/a.b.JPG"), stem("mask"), stem(".jpg"), stem("__x__/__a.jpg")
    ('x_y/a_b', 'mask', '_jpg', '_x__/_a')
    """
    return _NOTES.sub(r"\1_", name[: len(name) - len(suffix(name))].replace(".", "_"))


def suffix(name: str) -> str:
    """The suffix of a picture, as the name has it; "" of any other."""
    found = os.path.splitext(name)[1]
    return found if found.lower() in PICTURE_SUFFIXES else ""


def keys(own_stem: str, names: Collection[str]) -> Dict[str, str]:
    """The key of each name that has this stem.

    >>> keys("a", ["a.jpg"])
    {'a.jpg': 'a'}
    >>> keys("a", ["a.jpg", "a.png"])
    {'a.jpg': 'a-509b0d46', 'a.png': 'a-7f071235'}
    """
    if len(names) == 1 and not _LIKE_A_KEY.search(own_stem):
        return dict.fromkeys(names, own_stem)
    digests = {name: hashlib.sha256(name.encode()).hexdigest() for name in names}
    digits = DIGITS
    while len({digest[:digits] for digest in digests.values()}) < len(digests):
        digits += 1
    return {name: f"{own_stem}-{digest[:digits]}" for name, digest in digests.items()}
