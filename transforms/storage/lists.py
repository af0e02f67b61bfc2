"""A line of an input list -> the picture it names, as a `Source`.

In: a line, a URI or a JSON object. Out: its source. Raises `BadLine` for a line that names none.
"""

import json
from typing import Any

from ..elements import Source


class BadLine(ValueError):
    """A line of an input list that names no picture."""


def parse_line(line: str) -> Source:
    """The source of one line: a URI, or a JSON object with a `uri`.

    `name` and `extras` of an object are the source's own; all other keys are its metadata.

    >>> parse_line('{"uri": "a.jpg", "extras": {"sam_prompt": []}, "id": 7}')
    Source(uri='a.jpg', name=None, extras='{"sam_prompt": []}', metadata='{"id": 7}', duplicates=0)
    """
    line = line.strip()
    if not line.startswith("{"):
        return Source(line)
    try:
        fields = json.loads(line)
    except json.JSONDecodeError as error:
        raise BadLine(f"not a JSON object ({error}); a line is a URI or an object with a `uri`")
    uri, name, extras = (fields.pop(key, None) for key in ("uri", "name", "extras"))
    _expect(isinstance(uri, str) and uri != "", "uri", "a string", uri)
    _expect(name is None or (isinstance(name, str) and name != ""), "name", "a string", name)
    _expect(extras is None or isinstance(extras, dict), "extras", "an object", extras)
    try:
        return Source.of(uri, name=name, extras=extras, metadata=fields)
    except ValueError as error:
        raise BadLine(f"can't be kept as UTF-8 and JSON ({error})") from error


def _expect(condition: bool, key: str, what: str, value: Any) -> None:
    if not condition:
        raise BadLine(f"its `{key}` is {json.dumps(value)} and must be {what}")
