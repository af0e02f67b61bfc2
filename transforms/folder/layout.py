"""What lies where under an output folder: outputs, and rooms of the project's own.

In: names below an output folder. Out: whose they are. Nothing can fail.
"""

from ..store.uris import TEMPORARY

# Rows, settings and markers of runs; no picture is written there.
MANIFEST = "_manifest"


def is_own(name: str) -> bool:
    """Whether a file below an output folder is the project's own, no output.

    >>> is_own("_manifest/_settings.json"), is_own("a.jpg.png")
    (True, False)
    """
    return name.startswith((f"{MANIFEST}/", f"{TEMPORARY}/"))
