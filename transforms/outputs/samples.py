"""A sample: what one picture is in a shard, and its members in order.

In: the encoded parts of a picture and its row, and `Fields`, what all samples of the set have. Out:
`members` for a tar: pairs of a name and bytes; `record`: its columns. Names of members are
`KEY.image.jpg`, `KEY.mask.png`, `KEY.cutout.png`, those carried through, `KEY.json`. Fails with
`ValueError` for metadata that is no JSON object.
"""

import json
from typing import (
    Any,
    Collection,
    Dict,
    Iterable,
    Iterator,
    List,
    NamedTuple,
    Optional,
    Sequence,
    Tuple,
)

from .. import strict_json
from ..elements import Outcome, Part
from ..pictures.encode import SUFFIXES
from ..sources.ours import ABOUT
from . import facts
from .columns import Types, value_of, values


class Sample(NamedTuple):
    """One picture of a data set.

    Attributes:
      key: its own in the whole set, without dots.
      original: the suffix of the original's member and its bytes; None if it isn't kept.
      parts: the encoded pictures; suffixes are `.cutout`, `.mask`, `.upper.cutout`, ...
      row: of the picture.
      others: members of an input shard that are carried through: extension (`txt`) and bytes.
    """

    key: str
    original: Optional[Tuple[str, bytes]]
    parts: Sequence[Part]
    row: Outcome
    others: Sequence[Tuple[str, bytes]] = ()


class Fields(NamedTuple):
    """What all samples of a data set have.

    Attributes:
      types: of the user's columns, over all pictures of the set.
      parts: suffixes of the parts that a sample may have.
      keep_original: whether samples have the original.
      others: extensions of members that are carried through, none of which is made here.
      facts: what samples have of their rows besides `ABOUT`; see `facts_of_folder`.
    """

    types: Types
    parts: Tuple[str, ...] = (".mask", ".cutout")
    keep_original: bool = False
    others: Tuple[str, ...] = ()
    facts: Tuple[str, ...] = ()


def original_suffix(suffixes: Collection[str]) -> str:
    """The suffix of all originals' members: readers want one, and tell formats by their bytes.

    >>> original_suffix({".JPEG", ".jpg"}), original_suffix({".png", ".jpg"})
    ('.jpg', '.jpg')
    """
    found = {".jpg" if suffix.lower() == ".jpeg" else suffix.lower() for suffix in suffixes}
    return found.pop() if len(found) == 1 and found != {""} else ".jpg"


def own_members(ends: Iterable[str], original: Optional[str]) -> List[str]:
    """The extensions of members that are made here.

    Args:
      ends: `.mask.png`, of the parts that a sample may have.
      original: the suffix of originals; None if they aren't kept.
    """
    made = [end[1:] for end in sorted(ends)]
    return ([] if original is None else ["image" + original]) + made + ["json"]


def member(part: Part) -> str:
    """The extension of a part's member.

    >>> member(Part(".upper.mask", b"", "webp"))
    'upper.mask.webp'
    """
    return part.suffix[1:] + SUFFIXES[part.format]


def members(sample: Sample, fields: Fields) -> Iterator[Tuple[str, bytes]]:
    """The members of a tar that a sample is, by name; its own go before others of a name."""
    own = [("image" + sample.original[0], sample.original[1])] if sample.original else []
    parts = sorted(sample.parts, key=lambda part: is_cutout(part.suffix))
    own += [(member(part), part.data) for part in parts]
    about = json.dumps(record(sample, fields, nulls=False), ensure_ascii=False)
    taken = {extension.lower() for extension, _ in own} | {"json"}
    others = [(name, data) for name, data in sample.others if name.lower() not in taken]
    for extension, data in [*own, *others, ("json", about.encode())]:
        yield f"{sample.key}.{extension}", data


def is_cutout(suffix: str) -> bool:
    """Whether a part is a cutout; those come after masks."""
    return not suffix.endswith(".mask")


def column(suffix: str) -> str:
    """The column of a part.

    >>> column(".upper.cutout")
    'upper_cutout'
    """
    return suffix[1:].replace(".", "_")


def stored(fields: Fields, nulls: bool = True) -> Dict[str, str]:
    """The type of each column of a sample: what is known about it, then the user's."""
    own = fields.types.stored(nulls)
    about = {**ABOUT, **facts.types(fields.facts, [*map(column, fields.parts)], nulls)}
    return {**{name: type for name, type in about.items() if name not in own}, **own}


def record(sample: Sample, fields: Fields, nulls: bool = True) -> Dict[str, Any]:
    """The values of those columns; a user's column wins over one that says something about it, and
    what is a member of the sample is no value."""
    others = dict(sample.others)
    metadata = strict_json.loads(sample.row.metadata)
    metadata = {name: value for name, value in metadata.items() if name not in others}
    own = fields.types.stored(nulls)
    row = sample.row._asdict()
    row |= facts.of_row(row, [column(part.suffix) for part in sample.parts])
    about: Dict[str, Any] = {}
    for name, type in stored(fields, nulls).items():
        if name not in own:
            value = value_of(row.get(name), type)
            about[name] = facts.none_of(name, type) if value is None and not nulls else value
    return {**about, **values(metadata, own, None if nulls else "")}
