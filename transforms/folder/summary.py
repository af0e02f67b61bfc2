"""Summary: outcomes -> one JSON document about the run.

In: `Outcome` rows, bounded. Out: `OUTPUT/_manifest/run=ID/_summary.json` (readers of Parquet data
sets skip names with an underscore), with the count of each status, the first failures by URI, and
what each provider made of the pictures that were written.
"""

import json
from collections import Counter
from dataclasses import dataclass
from typing import Any, Dict, Iterable, List, NamedTuple, Optional, Tuple

import apache_beam as beam

from .. import coders as coders
from ..elements import FAILED, STATUSES, WRITTEN, Outcome
from ..store import stores, uris
from . import layout

# Failures that are shown; all are in the manifest.
SHOWN = 10

_Shown = Tuple[str, str, str, str]


class OnProvider(NamedTuple):
    """Of the pictures written that one provider ran the model for; see `Outcome`.

    Attributes:
      pictures: how many there are.
      batched: how many of them come from batches that are not bit-equal to single runs.
      level_shift, batch_shift: the largest of them.
    """

    pictures: int = 0
    batched: int = 0
    level_shift: Optional[float] = None
    batch_shift: Optional[float] = None


class Summary(NamedTuple):
    """Counts by status, the first failures (uri, step, error, message), and by provider."""

    counts: Dict[str, int]
    failures: List[_Shown]
    providers: Dict[str, OnProvider]

    @property
    def total(self) -> int:
        return sum(self.counts.values())


def summarize(outcomes: Iterable[Outcome]) -> Summary:
    """The summary of some outcomes."""
    counts = Counter(dict.fromkeys(STATUSES, 0))
    failures: List[_Shown] = []
    providers: Dict[str, OnProvider] = {}
    for outcome in outcomes:
        counts[outcome.status] += 1
        if outcome.status == WRITTEN and outcome.provider:
            shifts = outcome.level_shift, outcome.batch_shift
            found = {outcome.provider: OnProvider(1, int(bool(outcome.batched)), *shifts)}
            providers = _joined(providers, found)
        elif outcome.status == FAILED:
            shown = outcome.step or "", outcome.error or "", outcome.message or ""
            failures.append((outcome.uri, *shown))
    return Summary(dict(counts), _first(failures), providers)


def merge(summaries: Iterable[Summary]) -> Summary:
    """The summary of all outcomes of several."""
    merged = summarize(())
    for summary in summaries:
        counts = {name: merged.counts[name] + summary.counts[name] for name in STATUSES}
        failures = _first([*merged.failures, *summary.failures])
        merged = Summary(counts, failures, _joined(merged.providers, summary.providers))
    return merged


@dataclass(kw_only=True, eq=False)
class WriteSummary(beam.PTransform):
    """Merges the summaries of a run's outcomes, writes theirs, and returns its URI."""

    output: str
    run: str

    def __post_init__(self) -> None:
        super().__init__()

    def expand(self, summaries: beam.PCollection) -> beam.PCollection:
        return (
            summaries
            | "Count by status" >> beam.CombineGlobally(merge)
            | "Write the counts" >> beam.Map(write, output=self.output, run_id=self.run)
        )


def write(summary: Summary, *, output: str, run_id: str) -> str:
    """Writes the document and returns its URI."""
    document: Dict[str, Any] = {"run": run_id, **summary._asdict()}
    document["providers"] = {name: each._asdict() for name, each in summary.providers.items()}
    data = json.dumps(document, indent=2, ensure_ascii=False).encode()
    path = layout.summary(run_id)
    return stores.write(output, path, data, "application/json", durable=True).uri


def read(output: str, run_id: str) -> Summary:
    """The summary that `write` wrote; fails as `stores.read` does, and with `ValueError`."""
    document = json.loads(stores.read(uris.join(output, layout.summary(run_id))).data)
    try:
        providers = {name: OnProvider(**each) for name, each in document["providers"].items()}
        failures = [tuple(shown) for shown in document["failures"]]
        return Summary(document["counts"], failures, providers)
    except (KeyError, TypeError) as error:
        raise ValueError("_summary.json is not what a run writes") from error


def _first(failures: Iterable[_Shown]) -> List[_Shown]:
    return sorted(failures)[:SHOWN]


def _joined(one: Dict[str, OnProvider], other: Dict[str, OnProvider]) -> Dict[str, OnProvider]:
    """
    >>> _joined({"CPU": OnProvider(2, 1, 0.5)}, {"CPU": OnProvider(1, 0, 0.7)})
    {'CPU': OnProvider(pictures=3, batched=1, level_shift=0.7, batch_shift=None)}
    """
    found = {}
    for name in sorted({*one, *other}):
        both = one.get(name, OnProvider()), other.get(name, OnProvider())
        found[name] = OnProvider(
            sum(each.pictures for each in both),
            sum(each.batched for each in both),
            _largest(each.level_shift for each in both),
            _largest(each.batch_shift for each in both),
        )
    return found


def _largest(values: Iterable[Optional[float]]) -> Optional[float]:
    return max((value for value in values if value is not None), default=None)
