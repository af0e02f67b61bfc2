"""CRC32C of bytes, as gs:// and s3:// write it: its four bytes in base64, the highest first."""

from base64 import b64encode
from typing import BinaryIO

import google_crc32c

_PIECE_BYTES = 1 << 20


def of(data: bytes) -> str:
    """Of bytes.

    >>> of(b"abc")
    'Nks/tw=='
    """
    return text(google_crc32c.Checksum(data))


def of_file(file: BinaryIO) -> str:
    """Of what a file has from where it stands to its end."""
    checksum = google_crc32c.Checksum()
    for _ in checksum.consume(file, _PIECE_BYTES):
        pass
    return text(checksum)


def text(checksum: google_crc32c.Checksum) -> str:
    """A checksum as gs:// and s3:// write it."""
    return b64encode(checksum.digest()).decode()
