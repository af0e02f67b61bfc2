"""WebDataset's tar shards, with the same bytes for the same samples.

In: a file that is open, and samples. Out: PAX tar; members have no time, no owner and one mode;
their group is `ours.GROUP`, by which shards are told from others' files, and their user says which
columns of a run's names are the user's. Fails as the file's `write` does.
"""

import tarfile
from typing import BinaryIO

from ..sources import ours
from .samples import Fields, Sample, members

# Of members, as of a file that is no secret.
_MODE = 0o644


def is_marked(file: BinaryIO) -> bool:
    """Whether a file, open at its beginning, was written here."""
    try:
        with tarfile.open(fileobj=file, mode="r:") as archive:
            first = archive.next()
            return first is not None and first.gname == ours.GROUP
    except tarfile.TarError:
        return False


class Tar:
    """Writes samples to a tar; `writers.ShardWriter` says what each function means."""

    def __init__(self, file: BinaryIO, fields: Fields) -> None:
        self._file = file
        self._fields = fields
        self._user = ours.user(fields.types.stored(nulls=False))
        self._size = 0

    def add(self, sample: Sample) -> None:
        for name, data in members(sample, self._fields):
            about = tarfile.TarInfo(name)
            about.size, about.mode = len(data), _MODE
            about.uname, about.gname = self._user, ours.GROUP
            self._write(about.tobuf(tarfile.PAX_FORMAT))
            self._write(data)
            self._fill_up(tarfile.BLOCKSIZE)

    def size(self) -> int:
        return self._size

    def close(self) -> None:
        self._write(bytes(2 * tarfile.BLOCKSIZE))
        self._fill_up(tarfile.RECORDSIZE)

    def _write(self, data: bytes) -> None:
        self._file.write(data)
        self._size += len(data)

    def _fill_up(self, block: int) -> None:
        self._write(bytes(-self._size % block))
