"""Chosen: what is kept of all rows -> those that are shown, with all their columns.

In: `numbers.Kept`, and the output folder. Out: the rows of the `WORST`, by how many reasons there
are to doubt them; of as many at random, the same ones each time; and of failures, the first of each
class. Fails as reading the manifests does.
"""

from typing import Any, Dict, Iterable, List, NamedTuple, Tuple

import numpy as np
import pyarrow as pa
import pyarrow.compute

from ...transforms.folder.earlier import Manifest
from . import rows
from .numbers import Kept
from .rows import Batch

WORST = 60
AT_RANDOM = 60

# Of failures, of each class.
EXAMPLES = 10

# So that two reports of one folder show the same.
_SEED = 0

_Place = Tuple[Manifest, int]


class Chosen(NamedTuple):
    """Rows that are shown, as `rows.whole` has them; `odd` are those odd in their folders, by
    `key_of`."""

    worst: List[Dict[str, Any]]
    at_random: List[Dict[str, Any]]
    failures: Dict[str, List[Dict[str, Any]]]
    odd: List[str]


def key_of(row: Dict[str, Any]) -> str:
    """What tells a row from others: its picture's name, and without one its URI."""
    return str(row["name"] or row["uri"])


class Failures:
    """Takes batches with `add`; `places` are the first failures of each class."""

    def __init__(self) -> None:
        self.places: Dict[str, List[_Place]] = {}

    def add(self, batch: Batch) -> None:
        """Takes the failures of a batch."""
        errors = batch.table["error"]
        for row in pa.compute.indices_nonzero(errors.is_valid()).to_pylist():
            known = self.places.setdefault(errors[row].as_py(), [])
            if len(known) < EXAMPLES:
                known.append((batch.manifest, int(batch.places[row])))


def choose(kept: Kept, failures: Failures) -> Chosen:
    """The rows that are shown."""
    doubts = kept.reasons + kept.is_odd
    # The most doubted first; of those that are equal, the ones further from a usual share.
    unusual = np.abs(kept.foreground - 0.35)
    order = np.lexsort((-unusual, -doubts))
    worst = [place for place in order[:WORST] if doubts[place]]
    random = np.random.default_rng(_SEED)
    at_random = random.permutation(len(doubts))[:AT_RANDOM]
    odd = [place for place in {*map(int, worst), *map(int, at_random)} if kept.is_odd[place]]
    return Chosen(
        rows.whole(_places(kept, worst)),
        rows.whole(_places(kept, at_random)),
        {error: rows.whole(places) for error, places in sorted(failures.places.items())},
        [key_of(row) for row in rows.whole(_places(kept, odd))],
    )


def _places(kept: Kept, chosen: Iterable[int]) -> List[_Place]:
    return [(kept.manifests[kept.manifest[each]], int(kept.place[each])) for each in chosen]
