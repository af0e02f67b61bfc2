"""A tar file -> its members and what is wrong with it, as a stream.

In: an opened file that can be sought in, and its size. Out: its regular files as `Member`; `Lost`
for a stretch where no member begins although one should, behind which the next one was searched
for; at last `Cut`, if it does not end as a tar file does. One header at a time is held; what claims
to be one of more than `HEADER_BYTES` is none. Fails as reading the file does.
"""

import tarfile
from typing import Any, BinaryIO, Iterator, NamedTuple, Optional, Union

# Of a header's long names and other attributes.
HEADER_BYTES = 1_000_000

_BLOCK = tarfile.BLOCKSIZE
_PIECE_BYTES = 1 << 16


class Member(NamedTuple):
    """A regular file, where its bytes lie, and the names of its group and user."""

    name: str
    offset: int
    size: int
    group: str
    user: str


class Lost(NamedTuple):
    """Bytes that no header can be found in, or a sparse file, of which they are some."""

    start: int
    end: int


class Cut(NamedTuple):
    """The file ends too soon; `name` is the member's that its end lies in, if it does."""

    at: int
    name: Optional[str]


Found = Union[Member, Lost, Cut]


def members(file: BinaryIO, size: int) -> Iterator[Found]:
    """See the module's docstring.

    >>> import io
    >>> list(members(io.BytesIO(b"no tar file" + bytes(1013)), 1024))
    [Lost(start=0, end=1024)]
    """
    end = 0
    for info, behind in _headers(file):
        if not _is_blank(file, end, info.offset):
            yield Lost(end, info.offset)
        end = behind
        # Of a sparse file the size is that of the file when it is unpacked.
        if (behind if info.issparse() else info.offset_data + info.size) > size:
            yield Cut(size, info.name)
            return
        if info.issparse():
            yield Lost(info.offset, behind)
        elif info.isreg():
            yield Member(info.name, info.offset_data, info.size, info.gname, info.uname)
    # Blocks of zeros are its end.
    if end and (size < end + _BLOCK or not _is_blank(file, size - _BLOCK, size)):
        yield Cut(size, None)
    elif not size or not _is_blank(file, end, size):
        yield Lost(end, size)


def _headers(file: BinaryIO) -> Iterator[tuple[tarfile.TarInfo, int]]:
    """Each header that can be read, and where its member ends."""
    at: Optional[int] = 0
    while at is not None:
        file.seek(at)
        at += _BLOCK
        try:
            headers: Any = _Headers(file)
            with tarfile.open(
                fileobj=headers, mode="r:", ignore_zeros=True, encoding="utf-8"
            ) as tar:
                at = tar.offset + _BLOCK
                while info := tar.next():
                    tar.members = []  # type: ignore[attr-defined]  # it would keep all
                    if tar.offset < info.offset_data:
                        raise tarfile.ReadError("a member ends before it begins")
                    yield info, tar.offset
                    at = tar.offset + _BLOCK
            at = None
        except tarfile.TarError:
            # Of a header in several parts one is broken; or the file has ended.
            at = at if at is not None and file.seek(0, 2) > at else None


class _Headers:
    """A file as `tarfile` reads it, which reads headers alone, but those as long as they say."""

    def __init__(self, file: BinaryIO) -> None:
        self.seek, self.tell, self._read = file.seek, file.tell, file.read

    def read(self, size: int) -> bytes:
        if not 0 <= size <= HEADER_BYTES:
            raise tarfile.ReadError(f"a header of {size} bytes")
        return self._read(size)


def _is_blank(file: BinaryIO, start: int, end: int) -> bool:
    """Whether there is nothing but zeros, as between tar files in a row."""
    file.seek(start)
    while start < end and (piece := file.read(min(_PIECE_BYTES, end - start))):
        if piece.strip(b"\0"):
            return False
        start += len(piece)
    return True
