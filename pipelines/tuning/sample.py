"""Sample: inputs and lists -> some of the pictures that they name.

In: a job. Out: sources, drawn at random, but the same for the same inputs, from the first `LISTED`
that are found. Fails as finding them and `sampling.refuse_queries` do, and with `ValueError` if
there are none.
"""

import itertools
from typing import List, NamedTuple

from ...transforms import RemoveBackgrounds
from ...transforms.elements import Source
from ...transforms.sources.find import Named, found_here
from .. import checks, sampling

# Of a million it takes a while to find all.
LISTED = 10_000


class Sample(NamedTuple):
    """Pictures, and among how many they were drawn; `more` if others were not looked at."""

    sources: List[Source]
    found: int
    more: bool


def draw(job: RemoveBackgrounds, pictures: int) -> Sample:
    """So many pictures of a job, or all."""
    sampling.refuse_queries(job.input)
    job = checks.of_now(job)
    every = (
        found
        for found in found_here(
            Named.of(job.input, job.input_list),
            columns=job.columns,
            relative_to=None,
            exclude=job.remove.output,
        )
        if isinstance(found, Source)
    )
    reservoir = sampling.Reservoir(pictures)
    for found in itertools.islice(every, LISTED):
        reservoir.add(found)
    if not reservoir.seen:
        raise ValueError("no input names a picture")
    return Sample(reservoir.kept(), reservoir.seen, more=next(every, None) is not None)
