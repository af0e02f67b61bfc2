"""WebDataset shards -> the pictures of their samples: tar files whose members share keys.

In: the URI of a tar file. Out: of each sample its `Source`, whose URI says where the picture lies,
or a `BadRow` that names its first byte. A sample is what lies side by side under one key: a
member's path up to the first dot of its file name; what follows that is its kind. The picture is
the member of the kind that `Columns.uri_column` names, else the best by `_rank`. Of the others
`json` gives its keys to the metadata, texts are metadata under their kinds, and of what else there
is metadata tell the URI. Of broken headers the members are lost, and of a file that is cut off the
last sample; each is a `BadRow`.

A shard is read as a stream, in which pictures are skipped; its keys are held. Raises `BadList` for
a file that is no such shard, or lacks what `Columns` name, and what the storage raises.
"""

import io
import itertools
import os
import re
import tarfile
from typing import (
    Any,
    BinaryIO,
    Collection,
    Dict,
    Iterator,
    List,
    NamedTuple,
    Optional,
    Tuple,
    Union,
)

from .. import naming, strict_json
from ..elements import Source
from ..store import stores, uris
from ..store.members import BLOCK_BYTES, TarMember
from ..store.web import WebOptions
from . import ours, tar
from .columns import BadRow, Columns, source_within
from .lists import PICTURES_OF_THE_WEB, BadLine, BadList, NamesNothing
from .suffixes import PICTURE_SUFFIXES

# Of a text or a JSON member that becomes metadata; a larger one goes by its URI.
TEXT_BYTES = 1_000_000

TEXTS = ("txt", "text", "caption", "cls")

# Kinds that such runs as ours write: the original, and what was made of it.
_ORIGINAL = re.compile(r"image\.[^.]+")
_MADE = re.compile(r"(.+\.)?(cutout|mask)\.[^.]+")

_INTEGER = re.compile(r"[-+]?[0-9]{1,18}")

# Of a sample's members, in a message.
_SHOWN_CHARACTERS = 300

_KEY_AND_KIND = re.compile(r"((?:.*/)?[^./]+)\.([^/]+)", re.DOTALL)

# WebDataset's own notes within a shard: members in such a folder, and samples without a picture
# under such a key.
_NOTES = re.compile(r"__[^/]*__/")
_NOTE = re.compile(r"(.*/)?__[^/]*__", re.DOTALL)

# Samples looked at to see whether a shard holds any.
_SAMPLES_LOOKED_AT = 100

Found = Iterator[Union[Source, BadRow]]


class _Sample(NamedTuple):
    """Members under one key, by their kinds in the order in which they lie."""

    key: str
    start: int
    members: Dict[str, tar.Member]
    twice: List[str]


class Shards:
    """Reads shards."""

    def check(self, uri: str, columns: Columns) -> None:
        _refuse(uri)
        with stores.seekable(uri) as file:
            beginning = file.read(BLOCK_BYTES)
        _check_members(beginning)
        bad: Optional[BadRow] = None
        for sample in itertools.islice(self.read(uri, None, columns), _SAMPLES_LOOKED_AT):
            if not isinstance(sample, BadRow):
                return
            bad = bad or sample
        raise BadList(f"{bad.where}: {bad.error}") if bad else NamesNothing("it holds no sample")

    def read(
        self,
        uri: str,
        name: Optional[str],
        columns: Columns,
        web_options: Optional[WebOptions] = None,
    ) -> Found:
        _refuse(uri)
        keys: Dict[str, None] = {}
        with stores.seekable(uri, web_options) as file:
            size = file.seek(0, os.SEEK_END)
            for found in _samples(tar.members(file, size)):
                if found == tar.Lost(0, size):
                    file.seek(0)
                    _check_members(file.read(tarfile.BLOCKSIZE))
                if not isinstance(found, _Sample):
                    yield BadRow(f"byte {found[0]}", uri, BadLine(_lost(found, keys)))
                    continue
                if _NOTE.fullmatch(found.key) and not any(map(_is_picture, found.members)):
                    continue
                try:
                    if found.key in keys:
                        raise BadLine("its key came before: members of a sample lie side by side")
                    yield _source(found, file, uri, name, columns)
                except BadLine as error:
                    where = f"byte {found.start}"
                    yield BadRow(where, found.key, BadLine(f"the sample {found.key!r}: {error}"))
                keys[found.key] = None


def _samples(
    found: Iterator[tar.Found],
) -> Iterator[Union[_Sample, tar.Lost, tar.Cut]]:
    """Members of one key in a row, but for the sample that the file's end lies in."""
    sample: Optional[_Sample] = None
    for each in found:
        if isinstance(each, tar.Lost):
            yield each
            continue
        key, kind = _key_and_kind(each.name or "")
        if sample and (key != sample.key if key else isinstance(each, tar.Cut)):
            yield sample
            sample = None
        if isinstance(each, tar.Cut):
            yield each._replace(name=key)
            return
        if key:
            sample = sample or _Sample(key, each.offset, {}, [])
            if kind in sample.members:
                sample.twice.append(kind)
            sample.members[kind] = each
    if sample:
        yield sample


def _key_and_kind(name: str) -> Tuple[Optional[str], str]:
    """The key of a member's sample, None for one of no sample, and its kind there.

    >>> _key_and_kind("x.y/0.image.JPG"), _key_and_kind(".hidden")
    (('x.y/0', 'image.jpg'), (None, ''))
    """
    found = _KEY_AND_KIND.fullmatch(name)
    if not found or _NOTES.match(name):
        return None, ""
    return found[1], found[2].lower()


def _source(
    sample: _Sample, file: BinaryIO, uri: str, name: Optional[str], columns: Columns
) -> Source:
    if sample.twice:
        raise BadLine(f"it has two members {sample.twice[0]}")
    kind = _picture(sample.members, columns)
    picture = sample.members[kind]
    fields: Dict[str, Any] = {}
    for other, member in sample.members.items():
        if other != kind:
            fields[other] = _value(other, member, file, uri)
    made: List[str] = []
    if isinstance(own := fields.get("json"), dict):
        about = sample.members["json"]
        made = ours.of_sample(own, about.group, about.user)
        fields = {**fields, **own}
        if "json" not in own:
            del fields["json"]
    path = naming.encodable(picture.name.removeprefix("./").lstrip("/"))
    within = _uri(uri, picture)
    return source_within(within, name and f"{name}/{path}", fields, columns, made)


def _uri(uri: str, member: tar.Member) -> str:
    return TarMember(uri, member.name, member.offset, member.size).uri


def _picture(kinds: Collection[str], columns: Columns) -> str:
    """The kind of the member that is the picture."""
    if (wanted := columns.uri_column) is not None:
        kind = wanted.strip().lower().lstrip(".")
        if kind not in kinds:
            raise BadLine(f"it has no member {kind}, as --uri_column asks for: {_shown(kinds)}")
        return kind
    ranks = {kind: _rank(kind) for kind in filter(_is_picture, kinds)}
    if not ranks:
        raise BadLine(f"it has no picture: {_shown(kinds)}")
    return min(ranks, key=lambda kind: ranks[kind])


def _is_picture(kind: str) -> bool:
    return f".{kind.rpartition('.')[2]}" in PICTURE_SUFFIXES


def _rank(kind: str) -> int:
    """What is a sample's picture rather than another: the lower."""
    if _MADE.fullmatch(kind):
        return 3
    return 0 if _ORIGINAL.fullmatch(kind) else 1 if "." not in kind else 2


def _value(kind: str, member: tar.Member, file: BinaryIO, uri: str) -> Any:
    """What a member is as metadata."""
    suffix = kind.rpartition(".")[2]
    if member.size > TEXT_BYTES or suffix not in ("json", *TEXTS):
        return _uri(uri, member)
    file.seek(member.offset)
    try:
        text = file.read(member.size).decode("utf-8-sig")
        if suffix == "json":
            return strict_json.loads(text)
    except ValueError as error:
        raise BadLine(f"its member {kind} can't be read: {error}") from error
    return int(text) if suffix == "cls" and _INTEGER.fullmatch(text.strip()) else text


def _lost(found: Union[tar.Lost, tar.Cut], keys: Dict[str, None]) -> str:
    """What is said of damage behind these samples."""
    last = f", the last {next(reversed(keys))!r}" if keys else ""
    so_far = f"{len(keys)} samples{last}"
    if isinstance(found, tar.Lost):
        return (
            f"no member begins up to byte {found.end}: what lay there is lost; before it {so_far}"
        )
    where = f"in the sample {found.name!r}" if found.name else "without a tar file's end"
    return f"the shard ends there, {where}, after {so_far}: it is cut off, so copy it again"


def _refuse(uri: str) -> None:
    if uris.is_web(uri):
        raise BadList(PICTURES_OF_THE_WEB)
    if not uris.bare(uri).lower().endswith(".tar"):
        raise BadList(
            "it is compressed, so that no picture of it can be read alone: unpack it to a .tar"
        )


def _check_members(beginning: bytes) -> None:
    """Raises `BadList` for what is no tar file by its beginning, or has no member."""
    if not beginning:
        raise NamesNothing("the file is empty")
    wrong = False
    for each in tar.members(io.BytesIO(beginning), len(beginning)):
        if isinstance(each, tar.Member) or (isinstance(each, tar.Cut) and each.name):
            return
        wrong = True
    if not wrong:
        raise NamesNothing("it holds no sample")
    packed = re.match(rb"\x1f\x8b|BZh|\x28\xb5\x2f\xfd|\xfd7zXZ", beginning)
    raise BadList("it is compressed: unpack it" if packed else "it is no tar file")


def _shown(kinds: Collection[str]) -> str:
    return f"it has {', '.join(kinds)}"[:_SHOWN_CHARACTERS]
