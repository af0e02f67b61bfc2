"""Sampling: the pictures that a job names -> some of them, drawn evenly, the same each time.

In: pictures, as they are found. Out: a sample. Fails with `UsageError` for BigQuery, which asks for
a job to read it.
"""

import random
from typing import List, Sequence

from ..transforms.elements import Source
from ..transforms.sources import bigquery
from ..transforms.store import uris
from .status import UsageError

EXPORT = "export some rows to a Parquet file and name that"

# Of a sample, so that it is the same each time.
SEED = 20261128


def refuse_queries(input: Sequence[str], way_out: str = EXPORT) -> None:
    """Refuses inputs that can't be looked into from here, and says what to do instead."""
    for uri in filter(bigquery.is_meant, input):
        shown = uris.without_secrets(uri)
        raise UsageError(
            f"--input {shown!r}: BigQuery is read by a job, and nothing is sent here: {way_out}"
        )


class Reservoir:
    """A sample of a stream of any length, each element as likely as any other (algorithm R).

    >>> kept = Reservoir(3)
    >>> for number in range(1000):
    ...     kept.add(number)
    >>> kept.seen, len(kept.kept())
    (1000, 3)
    """

    def __init__(self, size: int) -> None:
        self.seen = 0
        self._size = size
        self._kept: List[Source] = []
        self._random = random.Random(SEED)

    def add(self, element: Source) -> None:
        self.seen += 1
        if len(self._kept) < self._size:
            self._kept.append(element)
        elif (place := self._random.randrange(self.seen)) < self._size:
            self._kept[place] = element

    def kept(self) -> List[Source]:
        """The sample, in an order that says nothing of the stream's."""
        return self._random.sample(self._kept, len(self._kept))
