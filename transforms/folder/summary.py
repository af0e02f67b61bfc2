"""Summary: outcomes -> one JSON document about the run.

In: `Outcome` rows, bounded. Out: `OUTPUT/_manifest/run=ID/_summary.json` (readers of Parquet data
sets skip names with an underscore), with the count of each status and the first failures by URI.
"""

import itertools
import json
from dataclasses import dataclass
from typing import Any, Dict, Iterable, List, NamedTuple, Tuple

import apache_beam as beam

from .. import coders as coders
from ..elements import FAILED, STATUSES, Outcome
from ..store import stores, uris
from . import layout

# Failures that are shown; all are in the manifest.
SHOWN = 10

_Shown = Tuple[str, str, str, str]


class Summary(NamedTuple):
    """Counts by status, and the first failures: (uri, step, error, message) each."""

    counts: Dict[str, int]
    failures: List[_Shown]

    @property
    def total(self) -> int:
        return sum(self.counts.values())


class Summarize(beam.CombineFn):
    """Combines outcomes into a `Summary`."""

    def create_accumulator(self) -> Summary:
        return Summary(dict.fromkeys(STATUSES, 0), [])

    def add_input(self, summary: Summary, outcome: Outcome) -> Summary:
        summary.counts[outcome.status] += 1
        if outcome.status != FAILED:
            return summary
        shown = (outcome.uri, outcome.step or "", outcome.error or "", outcome.message or "")
        return Summary(summary.counts, _first([*summary.failures, shown]))

    def merge_accumulators(self, summaries: Iterable[Summary]) -> Summary:
        each = list(summaries)
        counts = {name: sum(one.counts[name] for one in each) for name in STATUSES}
        return Summary(counts, _first(itertools.chain(*(one.failures for one in each))))

    def extract_output(self, summary: Summary) -> Summary:
        return summary


@dataclass(kw_only=True, eq=False)
class WriteSummary(beam.PTransform):
    """Writes the summary of a run's outcomes, and returns its URI."""

    output: str
    run: str

    def __post_init__(self) -> None:
        super().__init__()

    def expand(self, outcomes: beam.PCollection) -> beam.PCollection:
        return (
            outcomes
            | "Count by status" >> beam.CombineGlobally(Summarize())
            | "Write the counts" >> beam.Map(write, output=self.output, run_id=self.run)
        )


def write(summary: Summary, *, output: str, run_id: str) -> str:
    """Writes the document and returns its URI."""
    document: Dict[str, Any] = {"run": run_id, **summary._asdict()}
    data = json.dumps(document, indent=2, ensure_ascii=False).encode()
    path = layout.summary(run_id)
    return stores.write(output, path, data, "application/json", durable=True).uri


def read(output: str, run_id: str) -> Summary:
    """The summary that `write` wrote; fails as `stores.read` does, and with `ValueError`."""
    document = json.loads(stores.read(uris.join(output, layout.summary(run_id))).data)
    try:
        return Summary(document["counts"], [tuple(shown) for shown in document["failures"]])
    except (KeyError, TypeError) as error:
        raise ValueError("_summary.json is not what a run writes") from error


def _first(failures: Iterable[_Shown]) -> List[_Shown]:
    return sorted(failures)[:SHOWN]
