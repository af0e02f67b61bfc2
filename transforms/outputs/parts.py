"""Parts: what tells a picture's parts apart beside files -> what does so in a shard.

In: a part's suffix, "" or ".upper", and the options it is made with. Out: ".cutout", ".mask",
".upper.cutout", of senseless options too, which another step refuses. Nothing can fail.
"""

import json
from dataclasses import replace

from ..folder.existing import NAMING
from ..pictures.options import RemoveOptions
from ..pictures.prompts import CLOTH_CATEGORIES

# Of a data set's samples, unless it is said otherwise.
DEFAULT = ("cutout", "mask")

# What the parts of pictures are called that are alone.
_ALONE = ("", *(f".{mask}" for mask in CLOTH_CATEGORIES))


def of_samples(options: RemoveOptions) -> RemoveOptions:
    """The options of a run into shards, whose samples have cutout and mask unless one is asked for.

    >>> of_samples(RemoveOptions()).made(), of_samples(RemoveOptions(only_mask=True)).made()
    (('cutout', 'mask'), ('mask',))
    """
    is_told = options.only_mask or options.outputs
    return options if is_told else replace(options, outputs=DEFAULT)


def in_shard(part: str, extras: str, options: RemoveOptions) -> str:
    """The suffix of a part in a shard, where even a single one says what it is.

    >>> in_shard("", "{}", RemoveOptions()), in_shard("", '{"only_mask": true}', RemoveOptions())
    ('.cutout', '.mask')
    """
    if part not in _ALONE:
        return part
    if any(f'"{name}"' in extras for name in NAMING):
        options = _with(extras, options)
    return f"{part}.{options.made()[0]}"


def _with(extras: str, options: RemoveOptions) -> RemoveOptions:
    try:
        return options.with_extras(json.loads(extras))
    except (ValueError, TypeError, AttributeError):
        return options
