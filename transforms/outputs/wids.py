"""`wids.json`: the index of a folder's tar shards, by which readers pick single samples.

In: the shards that are done. Out: the file's bytes, the same for the same shards; files are named
relative to the index.
"""

import json
from typing import Iterable

from .shards import DoneShard

NAME = "wids.json"


def index(shards: Iterable[DoneShard]) -> bytes:
    """The index of all files of these shards."""
    files = sorted(file for shard in shards for file in shard.files)
    listed = [{"url": f.name, "nsamples": f.samples, "filesize": f.size} for f in files]
    about = {"__kind__": "wids-shard-index-v1", "wids_version": 1, "shardlist": listed}
    return json.dumps(about, indent=1).encode()
