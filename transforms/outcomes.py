"""Outcomes: what became of a picture -> its row.

In: a source, what a step made of it or why it gave up, and the columns of the run. Out: `Outcome`,
whose URIs are without secrets. Nothing here fails.
"""

from typing import Any, Dict, NamedTuple, Optional, Sequence

from . import strict_json
from .elements import (
    EMPTY_MASK,
    FAILED,
    SCHEMA_VERSION,
    SKIPPED,
    WRITTEN,
    Cutout,
    Facts,
    Failure,
    Outcome,
    Source,
    known,
    to_json,
)
from .store import members, uris


class RunColumns(NamedTuple):
    """What all rows of a run have in common: the model, and the options as JSON."""

    model: str
    options: str = "{}"


def written(source: Source, cutout: Cutout, outputs: Sequence[str], columns: RunColumns) -> Outcome:
    """The row of a picture whose parts all lie at `outputs`; skipped if it has none."""
    if not cutout.parts:
        return skipped(source, (), cutout.facts, columns, EMPTY_MASK)
    return _outcome(source, WRITTEN, columns, cutout.facts, outputs=outputs)


def skipped(
    source: Source, outputs: Sequence[str], facts: Facts, columns: RunColumns, message: str
) -> Outcome:
    """The row of a picture that is done already, or of which there is nothing to write."""
    return _outcome(source, SKIPPED, columns, facts, outputs=outputs, message=message)


def failed(source: Source, failure: Failure, columns: RunColumns) -> Outcome:
    """The row of a picture that `failure` stopped."""
    why = {name: getattr(failure, name) for name in ("step", "error", "message")}
    return _outcome(source, FAILED, columns, failure.facts, **why)


def _outcome(
    source: Source,
    status: str,
    columns: RunColumns,
    facts: Any,
    outputs: Sequence[str] = (),
    **why: Optional[str],
) -> Outcome:
    row: Dict[str, Any] = dict.fromkeys(Outcome._fields)
    row |= {name: getattr(source, name) for name in ("name", "extras", "duplicates")}
    row |= {**columns._asdict(), **known(facts), **why}
    row["model"] = row["cascade_model"] or columns.model
    row |= {"schema_version": SCHEMA_VERSION, "status": status}
    row["uri"] = uris.without_secrets(source.uri)
    row["metadata"] = _without_secrets(source.metadata)
    row["outputs"] = [uris.without_secrets(output) for output in outputs]
    return Outcome(**row)


def _without_secrets(metadata: str) -> str:
    """The user's own columns as they are, but for the URIs of what lies in shards and tables."""
    if "@" not in metadata or "#" not in metadata:
        return metadata
    try:
        fields = strict_json.loads(metadata)
    except (ValueError, RecursionError):  # nothing that a reader of tables made
        return metadata
    shown = members.without_secrets(fields)
    return metadata if shown == fields else to_json(shown)
