"""Layout: the files that an output folder has besides its pictures.

    _manifest/run=ID/part-00000.parquet   the rows of a run; of one without an end, those of a
                                          window: part-20261128T153500Z-00000-00000.parquet
    _manifest/run=ID/shard-00000.parquet  the rows of a shard
    _manifest/run=ID/_summary.json        their counts; or _summary-20261128T153500Z-00000.json
    _manifest/_settings.json              what the folder was made with
    _manifest/_running-ID.json            as long as a run is at work
    _manifest/_lists/ID-00-00000.txt      lists that can be read once, as long as a run is at work
    _manifest/_metadata.json              which tables beside the pictures runs wrote
    metadata.parquet, metadata.csv        such a table
    .rembg_beam_tmp/                      what is being written

Shards of a data set are `00000.tar` or `00000.parquet`, and those of many bytes `00000_1.tar`, too.
Names are relative to the output folder. Readers of the rows pass over what begins with `_`.
"""

import re
from typing import Optional, Tuple

from ..store.uris import TEMPORARY

MANIFEST = "_manifest"
LISTS = f"{MANIFEST}/_lists"
SETTINGS = f"{MANIFEST}/_settings.json"
METADATA = f"{MANIFEST}/_metadata.json"
RUNNING_PREFIX = "_running-"


def run_folder(run_id: str) -> str:
    """Where the rows of a run are.

    >>> run_folder("r1")
    '_manifest/run=r1'
    """
    return f"{MANIFEST}/run={run_id}"


def shard_rows(run_id: str, number: int) -> str:
    """Where the rows of a shard are."""
    return f"{run_folder(run_id)}/shard-{number:05d}.parquet"


def shard_of(name: str) -> Optional[Tuple[str, int]]:
    """The run's id and the shard's number that are in such a name; None of another.

    >>> shard_of("_manifest/run=r1/shard-00007.parquet")
    ('r1', 7)
    """
    found = re.fullmatch(rf"{MANIFEST}/run=([^/]+)/shard-(\d{{5,}})\.parquet", name)
    return (found[1], int(found[2])) if found else None


def summary(run_id: str, pane: str = "") -> str:
    """Where their counts are; of a run without an end, where those of a window's are."""
    return f"{run_folder(run_id)}/_summary{pane and '-'}{pane}.json"


def running(run_id: str) -> str:
    """The file of a run that is at work."""
    return f"{MANIFEST}/{RUNNING_PREFIX}{run_id}.json"


_SHARD = re.compile(r"(\d{5,})(_\d+)?\.(tar|parquet)")


def shard_number(name: str) -> Optional[int]:
    """The number of the shard that a file below an output folder is called after; None of another.

    >>> shard_number("00007_1.tar"), shard_number("x/00007.tar")
    (7, None)
    """
    found = _SHARD.fullmatch(name)
    return int(found[1]) if found else None


def is_shard(name: str) -> bool:
    """Whether a file below an output folder is called as a shard is.

    >>> is_shard("00007_1.tar"), is_shard("x/00007.tar"), is_shard("metadata.parquet")
    (True, False, False)
    """
    return shard_number(name) is not None


def is_own(name: str) -> bool:
    """Whether a file below an output folder is one of these, no picture.

    >>> is_own("_manifest/_settings.json"), is_own("a.jpg.png")
    (True, False)
    """
    return name.startswith((f"{MANIFEST}/", f"{TEMPORARY}/"))
