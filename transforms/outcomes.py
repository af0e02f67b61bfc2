"""Outcomes of failures, and the counting of all.

In: `(Source, Failure)` pairs, or outcomes. Out: outcomes. Nothing can fail.
"""

from typing import Tuple

import apache_beam as beam

from . import coders as coders
from .elements import Failure, Outcome, RunColumns, Source, failed
from .runtime import metrics


class FailedOutcomes(beam.PTransform):
    """`(Source, Failure)` -> the failed row of each.

    Args:
      run: what all rows of the run have in common.
    """

    def __init__(self, run: RunColumns) -> None:
        super().__init__()
        self.run = run

    def expand(self, failures: beam.PCollection) -> beam.PCollection:
        return failures | "Make rows" >> beam.Map(_row, self.run)


def count_outcome(outcome: Outcome) -> Outcome:
    """The outcome, once it is counted under its status; on the bundle's thread only."""
    metrics.count_outcome(outcome.status)
    return outcome


def _row(failure: Tuple[Source, Failure], run: RunColumns) -> Outcome:
    return count_outcome(failed(*failure, run))
