"""Summary: outcomes -> one JSON document about the run.

In: `Outcome` rows. Out: `OUTPUT/_manifest/run=ID/_summary.json` (readers of Parquet data sets skip
names with an underscore), with the count of each status, the first failures by URI, and what each
provider made of the pictures that were written. Unbounded rows have such a document for each window
of theirs, see `panes`.
"""

import contextlib
import importlib.metadata
import json
from collections import Counter
from dataclasses import dataclass
from typing import Any, Dict, Iterable, Iterator, List, NamedTuple, Optional, Tuple

import apache_beam as beam

from .. import coders as coders
from ..elements import FAILED, STATUSES, WRITTEN, Outcome
from ..models.providers import FLAVOURS
from ..store import stores, uris
from . import layout, panes
from .manifest import started

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
    run: Any

    def __post_init__(self) -> None:
        super().__init__()

    def expand(self, summaries: beam.PCollection) -> beam.PCollection:
        return (
            summaries
            | "Count by status" >> beam.CombineGlobally(merge)
            | "Write the counts" >> beam.Map(write, output=self.output, run_id=self.run)
        )


@dataclass(kw_only=True, eq=False)
class WriteCounts(beam.PTransform):
    """Counts unbounded outcomes by windows of so many seconds; writes a summary of each."""

    output: str
    run: Any
    window: float

    def __post_init__(self) -> None:
        super().__init__()

    def expand(self, outcomes: beam.PCollection) -> beam.PCollection:
        return (
            outcomes
            | "In windows" >> panes.InWindows(self.window)
            | "Count each" >> beam.Map(_of_one).with_output_types(Summary)
            | "Count by status" >> beam.CombineGlobally(merge).without_defaults()
            | "Write a window's counts" >> beam.ParDo(_WriteWindow(), self.output, self.run)
        )


def _of_one(outcome: Outcome) -> Summary:
    return summarize([outcome])


class _WriteWindow(beam.DoFn):
    def process(
        self,
        summary: Summary,
        output: str,
        run_id: str,
        window: Any = beam.DoFn.WindowParam,
        pane: Any = beam.DoFn.PaneInfoParam,
    ) -> Iterator[str]:
        name = panes.pane_name(window, pane)
        yield write(summary, output=output, run_id=run_id, pane=name)


def write(summary: Summary, *, output: str, run_id: str, pane: str = "") -> str:
    """Writes the document and returns its URI."""
    document: Dict[str, Any] = {"run": run_id, **summary._asdict(), "versions": _versions()}
    document["providers"] = {name: each._asdict() for name, each in summary.providers.items()}
    data = json.dumps(document, indent=2, ensure_ascii=False).encode()
    path = layout.summary(run_id, pane)
    return stores.write(output, path, data, "application/json", durable=True).uri


def read(output: str, run_id: str) -> Summary:
    """The summary that `write` wrote, of all windows if there are any; fails as `stores.read` does,
    and with `ValueError`."""
    folder = uris.join(output, layout.run_folder(run_id))
    try:
        return _read(uris.join(output, layout.summary(run_id)))
    except FileNotFoundError:
        windows = [each.uri for each in stores.listing(folder, start="_summary-", deep=False)]
        if not windows:
            raise
        return merge(map(_read, windows))


def _read(uri: str) -> Summary:
    document = json.loads(stores.read(uri).data)
    try:
        providers = {name: OnProvider(**each) for name, each in document["providers"].items()}
        failures = [tuple(shown) for shown in document["failures"]]
        return Summary(document["counts"], failures, providers)
    except (KeyError, TypeError) as error:
        raise ValueError("_summary.json is not what a run writes") from error


def versions(output: str, run_id: str) -> Dict[str, str]:
    """Of the packages that a run's pixels follow from, as its worker had them; {} if unknown."""
    try:
        document = json.loads(stores.read(uris.join(output, layout.summary(run_id))).data)
        return dict(document.get("versions", {}))
    except (OSError, ValueError):
        return {}


def seconds(output: str, run_id: str) -> Optional[float]:
    """From the start of a run until its summary was written, by the store's clock; None if its id
    doesn't say when it began, or it has no summary."""
    found, began = stores.found(uris.join(output, layout.summary(run_id))), started(run_id)
    if found is None or found.modified is None or began is None:
        return None
    return max(found.modified - began, 0.001)


def _versions() -> Dict[str, str]:
    found = {}
    for name in ("rembg-beam", "apache-beam", "rembg", "pillow", *FLAVOURS):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


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
