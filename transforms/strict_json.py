"""JSON text -> a value, where everything wrong with the text is a `ValueError` that says what.

In: text or bytes. Out: what `json.loads` gives. Fails with `ValueError` for what is no JSON, for a
key that an object has twice (`json` keeps the last), for whole numbers longer than Python converts,
and for nesting deeper than `MAX_DEPTH` (`json` dies of it, sooner or later by the depth of its own
caller).
"""

import json
from typing import Any, Dict, List, Tuple, Union

MAX_DEPTH = 100


def loads(text: Union[str, bytes]) -> Any:
    """The value.

    >>> loads('{"a": [1]}')
    {'a': [1]}
    >>> loads('{"a": 1, "a": 2}')
    Traceback (most recent call last):
    ...
    ValueError: the key "a" is there twice
    """
    text = text.decode() if isinstance(text, bytes) else text
    try:
        value = json.loads(text, object_pairs_hook=_object)
        openings = text.count("[") + text.count("{")
        if openings > MAX_DEPTH and _is_deeper(value, MAX_DEPTH):
            raise RecursionError
        return value
    except RecursionError:
        raise ValueError(f"nested deeper than {MAX_DEPTH} levels") from None


def _object(pairs: List[Tuple[str, Any]]) -> Dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {json.dumps(twice)} is there twice")
    return found


def _is_deeper(value: Any, levels: int) -> bool:
    if not isinstance(value, (list, dict)):
        return False
    below = value.values() if isinstance(value, dict) else value
    return levels == 0 or any(_is_deeper(each, levels - 1) for each in below)
