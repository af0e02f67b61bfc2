"""Existing: distinct sources -> those to be done, and the rows of those that are done already.

In: sources with names, no two of one output. Out: by the rules of `resume`, the sources that are to
be done; on the tag `DONE` a skipped `Outcome` of each that is done, with what earlier rows say of
it; on the tag `FAILURES` a `(Source, Failure)` of each whose output is there and may not be. One
listing of the folder is joined with the sources and the earlier rows, so that ten million names
fit.
"""

import itertools
from dataclasses import dataclass
from typing import Any, Dict, Iterable, Iterator, Optional, Sequence, Tuple

import apache_beam as beam
from apache_beam.pvalue import TaggedOutput

from .. import coders as coders
from .. import naming
from ..elements import Facts, RunColumns, Source, skipped
from ..outcomes import count_outcome
from ..runtime import metrics
from ..runtime.failures import failure
from ..store import stores, uris
from . import earlier, layout, resume
from .resume import Action, Decision, EarlierRow, OutputFile

STEP = "find"
DONE = "done"
FAILURES = "failures"

_IS_THERE = "its output is there already, and on_existing is 'skip'"
_EXISTS = (
    "{!r} is there already, and on_existing is 'fail'; "
    "'skip' would leave it, 'overwrite' write it again"
)
_ANOTHERS = (
    "its output {!r} is there, but {}; give this picture a name "
    "of its own in a list, another relative_to or output folder, or overwrite by on_existing"
)

# Failures that leave what was there as it was.
_UNTOUCHED = (naming.OutputExists.__name__, FileExistsError.__name__, naming.NameClash.__name__)


def outputs(output: str, suffix: str, parts: Sequence[str]) -> Iterator[Tuple[str, OutputFile]]:
    """Files under an output folder, by the name of the picture they may belong to.

    Left out are such whose names are not UTF-8, which no run wrote.

    Args:
      output: the output folder.
      suffix: of the outputs, ".png".
      parts: the suffixes that tell the parts of a picture apart, "" for a single one.

    Returns:
      The name that `naming.output_name` gives a picture, and the file.
    """
    for file in stores.listing(output):
        if layout.is_own(file.name) or not file.name.endswith(suffix):
            continue
        if not _is_utf8(file.name):
            continue
        name = file.name.removesuffix(suffix)
        for part in parts:
            if name.endswith(part):
                yield name.removesuffix(part), OutputFile(part, file.uri, file.size, file.modified)


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


@dataclass(kw_only=True, eq=False)
class SkipExisting(beam.PTransform):
    """Leaves out what is done; see the module's docstring.

    Attributes:
      output: the output folder.
      suffix: of the outputs.
      parts_of: a source's own parts; a function that can be pickled.
      parts: those of any source.
      on_existing: "skip" or "fail".
      columns: what all rows of the run have in common.
      since: outputs written before are not done, in seconds since 1970 by the store's clock; on a
        store that doesn't say when they were written none is.

    Returns:
      Three PCollections: sources, outcomes, and `(Source, Failure)` pairs.
    """

    output: str
    suffix: str
    parts_of: Any
    parts: Tuple[str, ...]
    on_existing: str
    columns: RunColumns
    since: Optional[float] = None

    def __post_init__(self) -> None:
        super().__init__()

    def expand(self, sources: beam.PCollection) -> Any:
        begin = sources.pipeline
        files = (
            begin
            | "The output folder" >> beam.Create([self.output], reshuffle=False)
            | "List it" >> beam.FlatMap(outputs, suffix=self.suffix, parts=self.parts)
        )
        keyed = sources | "Key by output" >> beam.Map(_keyed)
        groups = {"sources": keyed, "files": files}
        if self.on_existing != "fail":
            groups["rows"] = (
                begin
                | "Earlier rows" >> earlier.EarlierRows(self.output)
                | "Rows by output" >> beam.FlatMap(_keyed_rows)
                | "Last of each kind" >> beam.CombinePerKey(last_of_each_kind)
            )
        joined = groups | beam.CoGroupByKey()
        chosen = joined | "Choose" >> beam.ParDo(
            _Choose(self.parts_of, self.on_existing, self.columns, self.since)
        ).with_outputs(DONE, FAILURES, main="to do")
        return chosen["to do"], chosen[DONE], chosen[FAILURES]


def _keyed_rows(row: Dict[str, Any]) -> Iterator[Tuple[str, Tuple[EarlierRow, ...]]]:
    for name, known in earlier.keyed_row(row):
        if known.error not in _UNTOUCHED:
            yield name, (known,)


def last_of_each_kind(rows: Iterable[Tuple[EarlierRow, ...]]) -> Tuple[EarlierRow, ...]:
    """The last row of one output of each kind; older ones of a kind decide nothing."""
    last: Dict[Any, EarlierRow] = {}
    for row in itertools.chain.from_iterable(rows):
        size = row.facts.bytes_out if row.facts else None
        kind = row.written, row.empty, row.error is not None, size
        last[kind] = max(row, last.get(kind, row), key=_run_id)
    return tuple(last.values())


def _run_id(row: EarlierRow) -> str:
    return row.run_id


def _keyed(source: Source) -> Tuple[str, Source]:
    return str(source.output_name), source


@beam.typehints.with_output_types(Source)
class _Choose(beam.DoFn):
    def __init__(
        self, parts_of: Any, on_existing: str, columns: RunColumns, since: Optional[float]
    ) -> None:
        self.parts_of = parts_of
        self.on_existing = on_existing
        self.columns = columns
        self.since = since

    def process(self, joined: Tuple[str, Dict[str, Iterable[Any]]]) -> Iterator[Any]:
        _, groups = joined
        files = list(groups["files"])
        rows = list(itertools.chain.from_iterable(groups.get("rows", ())))
        for source in groups["sources"]:
            decision = resume.of_picture(
                source, self.parts_of(source), files, rows, self.on_existing, self.since
            )
            yield self._applied(source, decision, rows)

    def _applied(self, source: Source, decision: Decision, rows: Sequence[EarlierRow]) -> Any:
        action, files, difference = decision
        if action is Action.WRITE:
            return source
        if action is Action.SKIP:
            outputs = [file.uri for file in files]
            row = skipped(source, outputs, _facts(rows, files), self.columns, _IS_THERE)
            return TaggedOutput(DONE, count_outcome(row))
        shown = uris.without_secrets(files[0].uri)
        form = _EXISTS if action is Action.FAIL_EXISTS else _ANOTHERS
        error = naming.OutputExists(form.format(shown, difference))
        metrics.count_failure(STEP, seconds=0)
        return TaggedOutput(FAILURES, (source, failure(STEP, error)))


def _facts(rows: Sequence[EarlierRow], files: Sequence[OutputFile]) -> Facts:
    """What was said last of outputs of as many bytes; nothing, if those there are others."""
    size = sum(file.size for file in files)
    known = (row for row in rows if row.facts and row.facts.bytes_out == size)
    last = max(known, key=_run_id, default=None)
    return last.facts if last and last.facts else Facts()
