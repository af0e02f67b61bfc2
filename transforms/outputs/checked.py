"""A local file whose checksum is known when it has been written."""

import io
from typing import Any

import google_crc32c

from ..store import crc32c


class CheckedFile(io.BufferedWriter):
    """A new file, written from its beginning to its end. Fails as `open` does."""

    def __init__(self, path: str) -> None:
        super().__init__(io.FileIO(path, "xb"), 1 << 20)
        self._checksum = google_crc32c.Checksum()

    def write(self, data: Any) -> int:
        self._checksum.update(bytes(data))
        return super().write(data)

    def crc32c(self) -> str:
        """The CRC32C of what was written."""
        return crc32c.text(self._checksum)
