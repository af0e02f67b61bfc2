"""What a listing says of each file.

uri       where it lies
name      its path below the folder that was listed, `/` between folders
size      in bytes
modified  when its bytes were written, in seconds since 1970 by its store's clock; None if the
          store doesn't say
"""

from typing import NamedTuple, Optional


class Listed(NamedTuple):
    """A file of a listing; see the module's docstring."""

    uri: str
    name: str
    size: int
    modified: Optional[float] = None
