"""Settled: a source, and rows of its name in shards that are done -> what comes out of it.

In: rows as `earlier.rows` has them. Out: None of a source that is to be done; else, counted, the
row of one whose sample is there, or that failed before, on the tag `DONE`, or on `FAILURES` the
failure of one that may not be done. Nothing can fail.
"""

from typing import Any, Dict, NamedTuple, Optional, Sequence, Tuple

from apache_beam.pvalue import TaggedOutput

from .. import naming
from ..elements import EMPTY_MASK, FAILED, Facts, Failure, Outcome, Source
from ..folder import resume
from ..folder.existing import DONE, FAILURES, IS_THERE, STEP, Choice
from ..outcomes import failed, skipped
from ..runtime import metrics
from ..runtime.failures import failure
from ..store import uris

_EXISTS = "its sample is in {!r} already, and on_existing is 'fail'; 'skip' would leave it"
_ANOTHERS = (
    "its sample in {!r} {}; give this picture a name of its own in a list, another relative_to or "
    "another output folder"
)


class Settled(NamedTuple):
    """What the row of a picture in a done shard says.

    Attributes:
      run_id: of the row's run.
      made_of: the picture.
      output: the URI of the file that has its sample; None if it has none.
      failure: why; None of a picture that didn't fail.
      facts: all that were learnt.
    """

    run_id: str
    made_of: Source
    output: Optional[str]
    failure: Optional[Tuple[str, str, str]]
    facts: Facts

    @property
    def name(self) -> str:
        """Of the picture's output."""
        return str(self.made_of.output_name)

    @classmethod
    def of(cls, row: Dict[str, Any]) -> "Settled":
        """Of a row as `earlier.rows` has it."""
        name = naming.output_name(row["name"], "")
        why = (row["step"] or "", row["error"] or "", row["message"] or "")
        return cls(
            row["run"],
            Source(row["uri"], row["name"], row["extras"] or "{}", row["metadata"], 0, name),
            row["outputs"][0] if row["outputs"] else None,
            why if row["status"] == FAILED else None,
            Facts._make(map(row.get, Facts._fields)),
        )


def judged(
    source: Source, rows: Sequence[Settled], choice: Choice, retry_failed: bool
) -> Optional[TaggedOutput]:
    """What comes out of a source by the rows of its name, counted; None if it is to be done.

    Args:
      source: the picture.
      rows: of its output's name.
      choice: of the run.
      retry_failed: whether those that failed are tried again.
    """
    last = max(rows, key=lambda row: (row.failure is None, row.run_id), default=None)
    if last is None or (last.failure and retry_failed):
        return None
    on_existing, columns = choice.on_existing, choice.columns
    difference = resume.difference(source, last.made_of)
    if last.output is None:
        if difference:
            return None
        if last.failure is None:
            return _told(skipped(source, (), last.facts, columns, EMPTY_MASK))
        return _told(failed(source, Failure(*last.failure, last.facts), columns))
    if difference or on_existing == "fail":
        form = _ANOTHERS if difference else _EXISTS
        error = naming.OutputExists(form.format(uris.without_secrets(last.output), difference))
        return refused(source, error)
    return _told(skipped(source, [last.output], last.facts, columns, IS_THERE))


def _told(row: Outcome) -> TaggedOutput:
    return TaggedOutput(DONE, metrics.count_outcome(row))


def refused(source: Source, error: Exception) -> TaggedOutput:
    """The failure of a source that may not be done, counted."""
    metrics.count_failure(STEP, seconds=0)
    return TaggedOutput(FAILURES, (source, failure(STEP, error)))
