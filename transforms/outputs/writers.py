"""Writers: samples -> the files of a shard, in a local folder.

In: samples in the order of their keys, and `Fields`. Out: files with the same bytes for the same
samples, whoever writes them, and of each its size, CRC32C and number of samples. A file that
reaches `shard_bytes` ends there, and what follows goes into another: `00000.tar`, `00000_1.tar`.
Fails with `OSError` where there is no room, and with `ValueError` for keys out of order.

One file per format has its writer: `tar`, `embedded_parquet`. `FORMATS` says all there is to know.
"""

import json
import os
from typing import BinaryIO, Callable, Dict, List, NamedTuple, Optional, Protocol

from . import embedded_parquet, tar
from .checked import CheckedFile
from .samples import Fields, Sample


class ShardWriter(Protocol):
    """Writes samples to a file that is open."""

    def add(self, sample: Sample) -> None: ...

    def size(self) -> int:
        """Bytes of the file so far, those that are held back among them."""

    def close(self) -> None:
        """Ends the format; the file stays open."""


class Format(NamedTuple):
    """A format of shards: its files' suffix and MIME type, its writer, what tells its files from
    others', and whether its columns may have nulls."""

    suffix: str
    mime_type: str
    writer: Callable[[BinaryIO, Fields], ShardWriter]
    is_marked: Callable[[BinaryIO], bool]
    nulls: bool

    def columns(self, fields: Fields) -> str:
        """The types of the user's columns in such files, as JSON."""
        return json.dumps(fields.types.stored(self.nulls), sort_keys=True)


FORMATS: Dict[str, Format] = {
    "webdataset": Format(".tar", "application/x-tar", tar.Tar, tar.is_marked, nulls=False),
    "parquet": Format(
        ".parquet",
        "application/vnd.apache.parquet",
        embedded_parquet.EmbeddedParquet,
        embedded_parquet.is_marked,
        nulls=True,
    ),
}


class ShardFile(NamedTuple):
    """A file of a shard: its name in the output folder, bytes, CRC32C as gs:// has it, samples."""

    name: str
    size: int
    crc32c: str
    samples: int


class Spooled(NamedTuple):
    """Such a file, and where it lies on this machine until it is uploaded."""

    file: ShardFile
    path: str


class ShardFiles:
    """The files of one shard; `add` its samples, then `close`.

    Args:
      spool: a local folder of this shard's own.
      number: of the shard.
      format: a key of `FORMATS`.
      fields: of the data set.
      shard_bytes: a file ends with the first sample that reaches it.
    """

    def __init__(
        self, spool: str, number: int, format: str, fields: Fields, shard_bytes: int
    ) -> None:
        self._spool = spool
        self._number = number
        self._format = FORMATS[format]
        self._fields = fields
        self._shard_bytes = shard_bytes
        self._done: List[Spooled] = []
        self._open: Optional[_OpenFile] = None
        self._key = ""

    def add(self, sample: Sample) -> str:
        """Writes a sample; gives the name of its file in the output folder."""
        if sample.key <= self._key:
            raise ValueError(
                f"the key {sample.key!r} comes after {self._key!r}: the samples of a shard come in "
                "the order of their keys, each once"
            )
        self._key = sample.key
        name = file_name(self._number, len(self._done), self._format.suffix)
        if self._open is None:
            self._open = _OpenFile(os.path.join(self._spool, name), self._format, self._fields)
        self._open.add(sample)
        if self._open.writer.size() >= self._shard_bytes:
            self._end()
        return name

    def close(self) -> List[Spooled]:
        """The files, all of their bytes on the disk; none of a shard without samples."""
        self._end()
        return self._done

    def _end(self) -> None:
        if self._open is not None:
            self._done.append(self._open.close())
            self._open = None


class _OpenFile:
    """A file that samples are written to."""

    def __init__(self, path: str, format: Format, fields: Fields) -> None:
        self._path = path
        self._file = CheckedFile(path)
        self._samples = 0
        self.writer = format.writer(self._file, fields)

    def add(self, sample: Sample) -> None:
        self.writer.add(sample)
        self._samples += 1

    def close(self) -> Spooled:
        self.writer.close()
        self._file.close()
        name, size = os.path.basename(self._path), os.path.getsize(self._path)
        return Spooled(ShardFile(name, size, self._file.crc32c(), self._samples), self._path)


def file_name(number: int, part: int, suffix: str) -> str:
    """The name of a shard's file.

    >>> file_name(7, 0, ".tar"), file_name(7, 1, ".tar")
    ('00007.tar', '00007_1.tar')
    """
    return f"{number:05d}{f'_{part}' if part else ''}{suffix}"
