"""Summary: outcomes -> one JSON document about the run.

In: `Outcome` rows, bounded. Out: `OUTPUT/_manifest/run=ID/_summary.json` (readers of Parquet data
sets skip names with an underscore), with the count of each status and the first failures by URI.
"""

import json
from dataclasses import dataclass
from typing import Any, Dict, Iterable, List, NamedTuple, Tuple

import apache_beam as beam

from .. import coders as coders
from ..elements import FAILED, STATUSES, Outcome
from ..store import stores
from . import manifest

FILE = "_summary.json"

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
        merged = self.create_accumulator()
        for summary in summaries:
            counts = {name: merged.counts[name] + summary.counts[name] for name in STATUSES}
            merged = Summary(counts, _first([*merged.failures, *summary.failures]))
        return merged

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
            | "Write the counts" >> beam.Map(write, output=self.output, run=self.run)
        )


def write(summary: Summary, *, output: str, run: str) -> str:
    """Writes the document and returns its URI."""
    document: Dict[str, Any] = {"run": run, **summary._asdict()}
    data = json.dumps(document, indent=2, ensure_ascii=False).encode()
    name = f"{manifest.folder_name(run)}/{FILE}"
    return stores.write(output, name, data, "application/json").uri


def read(output: str, run: str) -> Summary:
    """The summary that `write` wrote; fails as `files.read` does, and with `ValueError`."""
    document = json.loads(stores.read(f"{manifest.folder(output, run)}/{FILE}").data)
    try:
        return Summary(document["counts"], [tuple(shown) for shown in document["failures"]])
    except (KeyError, TypeError) as error:
        raise ValueError(f"{FILE} is not what a run writes") from error


def _first(failures: List[_Shown]) -> List[_Shown]:
    return sorted(failures)[:SHOWN]
