"""Outcomes of failures, and the counting of all.

In: `(Source, Failure)` pairs, or outcomes. Out: outcomes. Nothing can fail.
"""

from typing import Tuple

from .elements import Failure, Outcome, RunColumns, Source, failed
from .runtime import metrics


def count_outcome(outcome: Outcome) -> Outcome:
    """The outcome, once it is counted under its status; on the bundle's thread only."""
    metrics.count_outcome(outcome.status)
    return outcome


def failed_outcome(failure: Tuple[Source, Failure], columns: RunColumns) -> Outcome:
    """The failed row of a source, counted; `columns` are those of all rows of the run."""
    return count_outcome(failed(*failure, columns))
