"""Existing: distinct sources -> those to be done, and the rows of those that are done already.

In: sources with names, no two of one output. Out: the sources that are to be done, since their
outputs are not all in the output folder, or since they failed last; of the others a skipped
`Outcome` on the tag `DONE`, with what earlier manifests say of them, or `(Source, Failure)` on the
tag `FAILURES` where nothing may be there, or what is there is another picture's. What is there is
known from one listing of the folder, joined with the sources and the earlier rows, so that ten
million names fit.
"""

import itertools
import os
from dataclasses import dataclass
from typing import Any, Dict, Iterable, Iterator, List, NamedTuple, Optional, Sequence, Tuple

import apache_beam as beam
from apache_beam.pvalue import TaggedOutput

from .. import coders as coders
from .. import naming, strict_json
from ..elements import Facts, RunColumns, Source, skipped
from ..outcomes import count_outcome
from ..runtime import metrics
from ..runtime.failures import failure
from ..store import stores, uris
from . import earlier
from .earlier import Told

STEP = "find"
DONE = "done"
FAILURES = "failures"

ON_EXISTING = ("skip", "overwrite", "fail")

_IS_THERE = "its output is there already, and on_existing is 'skip'"


# Failures that leave what was there as it was.
_UNTOUCHED = (naming.OutputExists.__name__, FileExistsError.__name__, naming.NameClash.__name__)


class There(NamedTuple):
    """A file in the output folder.

    Attributes:
      part: of a picture, that it is.
      uri: where it lies.
      size: in bytes.
      modified: when it was written, by the store's clock; None if the store doesn't say.
    """

    part: str
    uri: str
    size: int
    modified: Optional[float]


def outputs(output: str, suffix: str, parts: Sequence[str]) -> Iterator[Tuple[str, There]]:
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
        if naming.is_own(file.name) or not file.name.endswith(suffix):
            continue
        if not _is_utf8(file.name):
            continue
        name = file.name.removesuffix(suffix)
        for part in parts:
            if name.endswith(part):
                yield name.removesuffix(part), There(part, file.uri, file.size, file.modified)


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
      run: what all rows of the run have in common.
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
    run: RunColumns
    since: Optional[float] = None

    def __post_init__(self) -> None:
        super().__init__()

    def expand(self, sources: beam.PCollection) -> Any:
        begin = sources.pipeline
        there = (
            begin
            | "The output folder" >> beam.Create([self.output], reshuffle=False)
            | "List it" >> beam.FlatMap(outputs, suffix=self.suffix, parts=self.parts)
        )
        keyed = sources | "Key by output" >> beam.Map(_keyed)
        groups = {"sources": keyed, "there": there}
        if self.on_existing != "fail":
            groups["told"] = (
                begin
                | "Earlier rows" >> earlier.EarlierRows(self.output)
                | "Rows by output" >> beam.FlatMap(_keyed_told)
                | "Last of each kind" >> beam.CombinePerKey(last_of_each_kind)
            )
        joined = groups | beam.CoGroupByKey()
        chosen = joined | "Choose" >> beam.ParDo(
            _Choose(self.parts_of, self.on_existing, self.run, self.since)
        ).with_outputs(DONE, FAILURES, main="to do")
        return chosen["to do"], chosen[DONE], chosen[FAILURES]


def _keyed_told(row: Dict[str, Any]) -> Iterator[Tuple[str, Tuple[Told, ...]]]:
    for name, told in earlier.keyed_told(row):
        if told.failed not in _UNTOUCHED:
            yield name, (told,)


def last_of_each_kind(said: Iterable[Tuple[Told, ...]]) -> Tuple[Told, ...]:
    """What was said last of one output by each kind of row; older ones of a kind decide nothing."""
    last: Dict[Any, Told] = {}
    for told in itertools.chain.from_iterable(said):
        size = told.facts.bytes_out if told.facts else None
        kind = told.written, told.empty, told.failed is not None, size
        last[kind] = max(told, last.get(kind, told), key=_run)
    return tuple(last.values())


def _keyed(source: Source) -> Tuple[str, Source]:
    return str(source.output_name), source


@beam.typehints.with_output_types(Source)
class _Choose(beam.DoFn):
    def __init__(
        self, parts_of: Any, on_existing: str, run: RunColumns, since: Optional[float]
    ) -> None:
        self.parts_of = parts_of
        self.on_existing = on_existing
        self.run = run
        self.since = since

    def process(self, joined: Tuple[str, Dict[str, Iterable[Any]]]) -> Iterator[Any]:
        _, groups = joined
        there = list(groups["there"])
        told = list(itertools.chain.from_iterable(groups.get("told", ())))
        for source in groups["sources"]:
            if self.on_existing == "fail":
                yield self._unless_there(source, there)
            else:
                yield self._unless_done(source, list(filter(self._counts, there)), told)

    def _counts(self, file: There) -> bool:
        """Whether a run with these settings may have written the file."""
        if self.since is None or not file.size:
            return file.size > 0
        return file.modified is not None and file.modified > self.since

    def _unless_there(self, source: Source, there: Sequence[There]) -> Any:
        found = _of(self.parts_of(source), there)
        if len(found) < len(self.parts_of(source)):
            return source
        return _refused(source, _exists(found[0].uri))

    def _unless_done(self, source: Source, there: Sequence[There], told: Sequence[Told]) -> Any:
        parts = self.parts_of(source)
        found = _of(parts, there)
        if not found:
            return source
        # Newest last; a row that is older than the files speaks of others in their place.
        said = sorted((each for each in told if _speaks_of(each, found)), key=_run)
        said = [each for each in said if each.written or each.failed or each.empty]
        if said and not said[-1].written and not _other(source, said[-1]):
            return source
        made = [each for each in said if each.written]
        if made and (other := _other(source, made[-1])):
            return _refused(source, _anothers(found[0].uri, other))
        if len(found) < len(parts):
            return source
        facts = _facts(told, found)
        row = skipped(source, [file.uri for file in found], facts, self.run, _IS_THERE)
        return TaggedOutput(DONE, count_outcome(row))


def _of(parts: Sequence[str], there: Sequence[There]) -> List[There]:
    """The files of these parts that are there, in their order."""
    files_of = {file.part: file for file in there}
    return [files_of[part] for part in parts if part in files_of]


def _speaks_of(told: Told, found: Sequence[There]) -> bool:
    """Whether a row may tell what made these files: none is newer."""
    return told.at is None or all((file.modified or 0) <= told.at for file in found)


def _run(told: Told) -> str:
    return told.run


def _facts(told: Sequence[Told], found: Sequence[There]) -> Facts:
    """What was told last of outputs of as many bytes; nothing, if those there are others."""
    size = sum(file.size for file in found)
    known = (each for each in told if each.facts and each.facts.bytes_out == size)
    last = max(known, key=_run, default=None)
    return last.facts if last and last.facts else Facts()


def _other(source: Source, made: Told) -> Optional[str]:
    """In what another picture's outputs differ from this one's; None if they are its own."""
    if _canonical(source.uri) != _canonical(made.uri):
        return f"was made of {made.uri!r}"
    if _parsed(source.extras) != _parsed(made.extras):
        return f"was made with the extras {made.extras}"
    return None


def _parsed(extras: str) -> Any:
    try:
        return strict_json.loads(extras)
    except ValueError:  # the step that reads them will say so
        return extras


def _canonical(uri: str) -> str:
    shown = uris.without_secrets(uri)
    if not uris.is_local(shown):
        return shown
    try:
        return os.path.realpath(uris.local_path(shown))
    except ValueError:  # of another host; the step that reads it will say so
        return shown


def _refused(source: Source, error: naming.OutputExists) -> TaggedOutput:
    metrics.count_failure(STEP, seconds=0)
    return TaggedOutput(FAILURES, (source, failure(STEP, error)))


def _exists(uri: str) -> naming.OutputExists:
    return naming.OutputExists(
        f"{uris.without_secrets(uri)!r} is there already, and on_existing is 'fail'; "
        "'skip' would leave it, 'overwrite' write it again"
    )


def _anothers(uri: str, other: str) -> naming.OutputExists:
    return naming.OutputExists(
        f"its output {uris.without_secrets(uri)!r} is there, but {other}; give this picture a name "
        "of its own in a list, another relative_to or output folder, or overwrite by on_existing"
    )
