"""What a listing says of each file.

uri       where it lies
name      its path below the folder that was listed, `/` between folders
size      in bytes
modified  when its bytes were written, in seconds since 1970 by its store's clock; None if the
          store doesn't say
crc32c    of its bytes, as gs:// and s3:// have it; None if the store doesn't say
version   another each time that the file is written anew, on s3:// with other bytes; None if the
          store doesn't say
"""

from typing import NamedTuple, Optional, Union


class Listed(NamedTuple):
    """A file of a listing; see the module's docstring."""

    uri: str
    name: str
    size: int
    modified: Optional[float] = None
    crc32c: Optional[str] = None
    version: Optional[str] = None

    def is_still(self, now: Optional["Listed"]) -> bool:
        """Whether the file was not written anew, by what is said of it now."""
        return now is not None and (self.size, *self[3:]) == (now.size, *now[3:])


# What may be written over: any file, none, or this one as it was seen.
Overwrite = Union[bool, Listed]
