"""Layout: the files that an output folder has besides its pictures.

    _manifest/run=ID/part-00000.parquet   the rows of a run
    _manifest/run=ID/_summary.json        their counts
    _manifest/_settings.json              what the folder was made with
    _manifest/_running-ID.json            as long as a run is at work
    _manifest/_lists/ID-00-00000.txt      lists that can be read once, as long as a run is at work
    .rembg_beam_tmp/                      what is being written

Names are relative to the output folder. Readers of the rows pass over what begins with `_`.
"""

from ..store.uris import TEMPORARY

MANIFEST = "_manifest"
LISTS = f"{MANIFEST}/_lists"
SETTINGS = f"{MANIFEST}/_settings.json"
RUNNING_PREFIX = "_running-"


def run_folder(run_id: str) -> str:
    """Where the rows of a run are.

    >>> run_folder("r1")
    '_manifest/run=r1'
    """
    return f"{MANIFEST}/run={run_id}"


def summary(run_id: str) -> str:
    """Where their counts are."""
    return f"{run_folder(run_id)}/_summary.json"


def running(run_id: str) -> str:
    """The file of a run that is at work."""
    return f"{MANIFEST}/{RUNNING_PREFIX}{run_id}.json"


def is_own(name: str) -> bool:
    """Whether a file below an output folder is one of these, no picture.

    >>> is_own("_manifest/_settings.json"), is_own("a.jpg.png")
    (True, False)
    """
    return name.startswith((f"{MANIFEST}/", f"{TEMPORARY}/"))
