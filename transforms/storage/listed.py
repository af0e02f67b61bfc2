"""What a listing says of each file.

uri   where it lies
name  its path below the folder that was listed, `/` between folders
size  in bytes
"""

from typing import NamedTuple


class Listed(NamedTuple):
    """A file of a listing; see the module's docstring."""

    uri: str
    name: str
    size: int
