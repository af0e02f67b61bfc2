"""Outcomes of failures, and the counting of all.

In: `(Source, Failure)` pairs, or outcomes. Out: outcomes. Nothing can fail.
"""

from typing import Tuple

import apache_beam as beam

from . import metrics
from .elements import Failure, Outcome, Source, failed


class FailedOutcomes(beam.PTransform):
    """`(Source, Failure)` -> the failed row of each.

    Args:
      model: rembg's name of the model, for the rows.
    """

    def __init__(self, model: str) -> None:
        super().__init__()
        self.model = model

    def expand(self, failures: beam.PCollection) -> beam.PCollection:
        return failures | "Make rows" >> beam.Map(_row, self.model)


def count_outcome(outcome: Outcome) -> Outcome:
    """The outcome, once it is counted under its status; on the bundle's thread only."""
    metrics.count_outcome(outcome.status)
    return outcome


def _row(failure: Tuple[Source, Failure], model: str) -> Outcome:
    return count_outcome(failed(*failure, model))
