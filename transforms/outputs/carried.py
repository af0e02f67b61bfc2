"""Carried: a picture of a tar shard -> which other members of its sample come along.

In: a source whose metadata has URIs of members of its own shard, as readers of shards give them.
Out: those that become members of the sample that is made. Nothing can fail.
"""

import re
from typing import Any, Dict, Mapping

from ..elements import Source
from ..store import members

# What readers take for an extension; `KEY.json` is the sample's own.
_EXTENSION = re.compile(r"(?!json$)[a-z0-9_][a-z0-9_.-]*")


def carried(source: Source, metadata: Mapping[str, Any]) -> Dict[str, str]:
    """The members of the picture's own shard that its metadata names: URIs, by extension."""
    own = members.parse(source.uri)
    if not isinstance(own, members.TarMember):
        return {}
    found = {}
    for name, value in metadata.items():
        member = members.parse(value) if isinstance(value, str) else None
        is_beside = isinstance(member, members.TarMember) and member.container == own.container
        if is_beside and _EXTENSION.fullmatch(name):
            found[name] = value
    return found
