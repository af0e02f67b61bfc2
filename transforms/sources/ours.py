"""Ours: a sample or a row of a table that a run of this project made -> which columns it said.

In: the tar's group and user of a sample's `KEY.json`, or a column of a Parquet file. Out: which
columns are what that run said of its picture, and not the user's. They are told by `GROUP`, and of
Parquet by `FIELD`; other programs that write such a file anew keep neither. Nothing can fail.
"""

import re
from typing import Any, Iterable, List

# The columns that all data sets have besides the user's, in order, and their types.
ABOUT = {
    **{"uri": "text", "name": "text", "width": "int", "height": "int", "foreground": "float"},
    **{"model": "text", "model_checksum": "text"},
}

# Columns of the row that come into samples as they are, in this order, and their types.
FACTS = {
    **{"suspect": "texts", "cascade": "texts", "box": "ints", "area": "int", "centroid": "floats"},
    **{"parts": "int", "color": "text", "dhash": "text", "cutout_dhash": "text", "blur": "float"},
}

TRANSFORM = "_transform"
_NAMES = {*ABOUT, *FACTS}
_TRANSFORMS = re.compile(rf"[a-z][a-z0-9_-]*{TRANSFORM}")

# Of members of tar shards, the group's name.
GROUP = "rembg-beam"

# Of columns of Parquet files, their metadata.
FIELD = {b"rembg_beam": b"of the run"}


def of_names(names: Iterable[str]) -> List[str]:
    """Those that a run says something by, unless the user has one of the same name.

    >>> of_names(["box", "caption", "crop64_transform"])
    ['box', 'crop64_transform']
    """
    return [name for name in names if name in _NAMES or _TRANSFORMS.fullmatch(name)]


def user(own: Iterable[str]) -> str:
    """The name of the user of a tar's members, which tells the user's columns of such names.

    >>> user(["caption", "color", "model"])
    'color,model'
    """
    return ",".join(of_names(own))


def of_sample(names: Iterable[str], group: str, user: str) -> List[str]:
    """Those of the keys of a sample's `KEY.json` that a run said.

    Args:
      names: the keys.
      group: the group of the member.
      user: its user.

    >>> of_sample(["box", "color", "sku"], GROUP, "color"), of_sample(["box"], "staff", "me")
    (['box'], [])
    """
    own = user.split(",")
    return [name for name in of_names(names) if name not in own] if group == GROUP else []


def of_schema(schema: Any) -> List[str]:
    """Those of the columns of an Arrow schema that a run made."""
    return [field.name for field in schema if FIELD.items() <= (field.metadata or {}).items()]
