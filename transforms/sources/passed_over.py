"""What the walk of a folder leaves out -> what is said of it.

In: the names of files that have no picture's suffix, and why folders could not be listed. Out: one
line about the files, another about tables and shards. Nothing can fail.
"""

import mimetypes
import os
from collections import Counter
from typing import List, Optional

from ..store import uris
from . import readers

# What the standard library knows, whatever the system's files add.
_KINDS = mimetypes.MimeTypes()

# What else lies beside pictures, and is none.
_NOTES = frozenset(
    [
        ".md",
        ".yaml",
        ".yml",
        ".toml",
        ".ini",
        ".log",
        ".jsonl",
        ".parquet",
        ".xmp",
        ".aae",
        ".db",
        ".java",
    ]
)

# Of suffixes that are left out, the most frequent.
_SUFFIXES_SAID = 5


class PassedOver:
    """What the walk of a folder leaves out.

    Attributes:
      unlisted: of folders that can't be listed, why.
      suffixes: how many files have a suffix that is no picture's; of the ones that are known to be
        something else, such as texts and films, none.
      containers: how many tables and shards have which suffix.
    """

    def __init__(self) -> None:
        self.unlisted: List[OSError] = []
        self.suffixes: Counter[str] = Counter()
        self.containers: Counter[str] = Counter()

    def add(self, name: str) -> None:
        """Counts a file."""
        suffix = os.path.splitext(name)[1]
        if readers.container_reader(name):
            self.containers[suffix] += 1
            return
        kind = _KINDS.guess_type(f"a{suffix.lower()}")[0] or "image/"
        if kind.startswith("image/") and not (name.startswith(".") or suffix.lower() in _NOTES):
            self.suffixes[suffix] += 1

    def said(self, pattern: str) -> Optional[str]:
        """One line about the files, None if there are none."""
        if not self.suffixes:
            return None
        total, counts = self.suffixes.total(), self.suffixes.most_common(_SUFFIXES_SAID)
        shown = uris.without_secrets(pattern)
        each = [f"{number} {suffix or 'without one'}" for suffix, number in counts]
        more = ["..."] if len(self.suffixes) > len(counts) else []
        return (
            f"left out of the folder {shown!r} for lack of a picture's suffix: "
            f"{total} ({', '.join([*each, *more])}); a glob would name them, such as "
            f"'{shown.rstrip('/')}/**/*{counts[0][0]}'"
        )

    def tables(self, folder: str) -> Optional[str]:
        """One line about tables and shards, None if there are none."""
        if not self.containers:
            return None
        suffix, number = self.containers.most_common(1)[0]
        return (
            f"it holds {self.containers.total()} tables or shards ({number} {suffix}), which are "
            f"read where they are named, such as by '{folder.rstrip('/')}/**/*{suffix}'"
        )
