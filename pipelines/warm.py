"""Warm: rembg, and the fast loops that a run of many pictures comes to use, before any is measured.

In: nothing. Out: this process, ready. Nothing fails: what can't be had is done the slow way, which
is said.
"""

from ..transforms.fast import plain, resample, shrink
from ..transforms.pictures import subject, suspect
from . import lean

# Of every setting: whoever comes to use one while pictures are timed pays for its compiler then.
TWINS = (resample.twin, plain.twin, shrink.twin, suspect.twin, subject.twin)


def load() -> None:
    """Imports and loads, once per process."""
    lean.prepare_rembg()
    for twin in TWINS:
        twin.fast() or twin.load()
