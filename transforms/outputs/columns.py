"""Types: the metadata of all pictures of a data set -> one type for each column.

In: JSON objects, one for each picture. Out: `Types`, the union of what was seen, and from it the
type of each column and its values as they are stored. A union doesn't depend on the order of the
pictures, so that workers may see some each.

Integers and floats together are floats. Other mixtures are text, and so are objects, lists of
mixed values, and integers of more than 64 bits: text stays as it is, the rest is JSON. NaN and
infinities count as null. Parquet stores nulls; JSON members of tar shards have none, since their
readers take types from the first samples: there a column that is null, missing or an empty list
anywhere is text, "" in place of null. Nothing can fail.
"""

import json
import math
from typing import Any, Dict, Mapping, Optional

# What was seen of a column: some of these together.
NULL, BOOL, INT, FLOAT, TEXT, JSON, EMPTY, BOOLS, INTS, FLOATS, TEXTS = (1 << n for n in range(11))

_SCALARS = {bool: BOOL, int: INT, float: FLOAT, str: TEXT}
_LISTS = {BOOL: BOOLS, INT: INTS, FLOAT: FLOATS, INT | FLOAT: INTS | FLOATS, TEXT: TEXTS}

# What is stored, by what was seen.
_TYPES = {
    **{BOOL: "bool", INT: "int", FLOAT: "float", INT | FLOAT: "float", TEXT: "text"},
    **{BOOLS: "bools", INTS: "ints", FLOATS: "floats", INTS | FLOATS: "floats", TEXTS: "texts"},
}
_LARGEST = 1 << 63


class Types:
    """What was seen of each column; `Types()` has seen no picture.

    Two are equal where the same was seen.
    """

    def __init__(self) -> None:
        self._kinds: Dict[str, int] = {}
        # Of pictures that have the column, and of all: it is null where others lack it.
        self._having: Dict[str, int] = {}
        self._pictures = 0
        self._stored: Dict[bool, Dict[str, str]] = {}

    def add(self, metadata: Mapping[str, Any]) -> "Types":
        """Sees one more picture; gives itself.

        >>> Types().add({"price": 1}).add({"price": 2.5}).stored()
        {'price': 'float'}
        """
        self._pictures += 1
        for name, value in metadata.items():
            self._kinds[name] = self._kinds.get(name, 0) | kind_of(value)
            self._having[name] = self._having.get(name, 0) + 1
        self._stored.clear()
        return self

    def merged(self, other: "Types") -> "Types":
        """What both have seen."""
        both = Types()
        for each in (self, other):
            both._pictures += each._pictures
            for name, kinds in each._kinds.items():
                both._kinds[name] = both._kinds.get(name, 0) | kinds
                both._having[name] = both._having.get(name, 0) + each._having[name]
        return both

    def stored(self, nulls: bool = True) -> Mapping[str, str]:
        """The type of each column, by name: bool, int, float, text, or a list of these with an
        `s` behind it; without nulls and empty lists unless `nulls`."""
        if nulls not in self._stored:
            seen = sorted(self._seen().items())
            self._stored[nulls] = {name: _type(kinds, nulls) for name, kinds in seen}
        return self._stored[nulls]

    def __eq__(self, other: object) -> bool:
        same = isinstance(other, Types) and (not self._pictures) == (not other._pictures)
        return same and self._seen() == other._seen()  # type: ignore[attr-defined]

    def _seen(self) -> Dict[str, int]:
        """The kinds of each column's values, `NULL` where a picture lacks it."""
        return {
            name: kinds | (NULL if self._having[name] < self._pictures else 0)
            for name, kinds in self._kinds.items()
        }


def kind_of(value: Any) -> int:
    """What a value of JSON's is."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return NULL
    if isinstance(value, list):
        kinds = 0
        for each in value:
            kinds |= kind_of(each)
        return _LISTS.get(kinds, JSON) if value else EMPTY
    is_large = type(value) is int and not -_LARGEST <= value < _LARGEST
    return JSON if is_large else _SCALARS.get(type(value), JSON)


def value_of(value: Any, type: str) -> Any:
    """A value as its column stores it; None for what counts as null.

    >>> value_of(1, "float"), value_of([1], "text"), value_of("a", "text"), value_of(None, "text")
    (1.0, '[1]', 'a', None)
    """
    if kind_of(value) == NULL:
        return None
    if type == "float":
        return float(value)
    if type == "floats":
        return [float(each) for each in value]
    if type == "text" and not isinstance(value, str):
        return json.dumps(value, ensure_ascii=False, sort_keys=True)
    return value


def values(metadata: Mapping[str, Any], stored: Mapping[str, str], null: Any = None) -> Any:
    """The values of all columns, by name, `null` in place of null."""
    found: Dict[str, Optional[Any]] = {}
    for name, type in stored.items():
        value = value_of(metadata.get(name), type)
        found[name] = null if value is None else value
    return found


def _type(kinds: int, nulls: bool) -> str:
    if not nulls and kinds & (NULL | EMPTY):
        return "text"
    kinds &= ~NULL
    found = _TYPES.get(kinds & ~EMPTY, "text")
    return found if not kinds & EMPTY or found.endswith("s") else "text"
