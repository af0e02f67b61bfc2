"""Sizes: pictures as they are found -> how many bytes their files have together.

In: what a listing says of a picture, or its URI. Out: sums over those whose size is known without a
request: files of listings, of this machine, and members of tar files. Nothing can fail.
"""

import contextlib
import os
from typing import Optional

from ..store import members, uris


class Sizes:
    """How many pictures have a known size, and their bytes together."""

    def __init__(self) -> None:
        self.pictures = 0
        self.bytes = 0

    def add(self, size: Optional[int]) -> None:
        """Adds a picture of so many bytes; one of which they aren't known is nothing."""
        if size is not None:
            self.pictures += 1
            self.bytes += size


def size_here(uri: str) -> Optional[int]:
    """The bytes of a picture, where no request has to be made for it; None for any other."""
    member = members.parse(uri)
    if member is not None:
        return member.size if isinstance(member, members.TarMember) else None
    if uris.is_local(uri):
        with contextlib.suppress(OSError, ValueError):  # whoever reads it will say so
            return os.stat(uris.local_path(uri)).st_size
    return None
