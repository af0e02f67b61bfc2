"""Existing: distinct sources -> those to be done, and the rows of those that are done already.

In: sources with names, no two of one output. Out: the sources that are to be done, since their
outputs are not all in the output folder, or since they failed last; of the others a skipped
`Outcome` on the tag `DONE`, with what earlier manifests say of them, or `(Source, Failure)` on the
tag `FAILURES` where nothing may be there, or what is there is another picture's. What is there is
known from one listing of the folder, joined with the sources and the earlier rows, so that ten
million names fit.
"""

import json
import os
from dataclasses import dataclass
from typing import Any, Dict, Iterable, Iterator, NamedTuple, Optional, Sequence, Tuple

import apache_beam as beam
from apache_beam.pvalue import TaggedOutput

from . import earlier, metrics, uris
from .earlier import Told
from .elements import Facts, RunColumns, Source, skipped
from .failures import failure
from .outcomes import count_outcome
from .storage import files, naming

STEP = "find"
DONE = "done"
FAILURES = "failures"

ON_EXISTING = ("skip", "overwrite", "fail")

_IS_THERE = "its output is there already, and on_existing is 'skip'"


class OutputExists(FileExistsError):
    """A picture's output is there already."""


# Failures that leave what was there as it was.
_UNTOUCHED = (OutputExists.__name__, FileExistsError.__name__, naming.NameClash.__name__)


class There(NamedTuple):
    """A file in the output folder: the part of a picture that it is, its URI and its bytes."""

    part: str
    uri: str
    size: int


def outputs(
    output: str, suffix: str, parts: Sequence[str], since: Optional[float] = None
) -> Iterator[Tuple[str, There]]:
    """Files under an output folder, by the name of the picture they may belong to.

    Left out are empty files and such whose names are not UTF-8, which no run wrote.

    Args:
      output: the output folder.
      suffix: of the outputs, ".png".
      parts: the suffixes that tell the parts of a picture apart, "" for a single one.
      since: leave out files written before, in seconds since 1970 by the store's clock; on a store
        that doesn't say when they were written, all.

    Returns:
      The name that `naming.output_name` gives a picture, and the file.
    """
    for file in files.listing(output):
        if naming.is_own(file.name) or not file.name.endswith(suffix):
            continue
        if not file.size or not _is_utf8(file.name):
            continue
        if since is not None and (file.modified is None or file.modified < since):
            continue
        name = file.name.removesuffix(suffix)
        for part in parts:
            if name.endswith(part):
                yield name.removesuffix(part), There(part, file.uri, file.size)


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
      since: outputs written before don't count; see `outputs`.

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
            | "List it"
            >> beam.FlatMap(outputs, suffix=self.suffix, parts=self.parts, since=self.since)
        )
        told = (
            begin
            | "Earlier rows" >> earlier.EarlierRows(self.output)
            | "Rows by output" >> beam.FlatMap(earlier.keyed_told)
        )
        keyed = sources | "Key by output" >> beam.Map(_keyed)
        joined = {"sources": keyed, "there": there, "told": told} | beam.CoGroupByKey()
        chosen = joined | "Choose" >> beam.ParDo(
            _Choose(self.parts_of, self.on_existing, self.run)
        ).with_outputs(DONE, FAILURES, main="to do")
        return chosen["to do"], chosen[DONE], chosen[FAILURES]


def _keyed(source: Source) -> Tuple[str, Source]:
    return naming.output_name(str(source.name), ""), source


@beam.typehints.with_output_types(Source)
class _Choose(beam.DoFn):
    def __init__(self, parts_of: Any, on_existing: str, run: RunColumns) -> None:
        self.parts_of = parts_of
        self.on_existing = on_existing
        self.run = run

    def process(self, joined: Tuple[str, Dict[str, Iterable[Any]]]) -> Iterator[Any]:
        _, groups = joined
        there = {file.part: file for file in groups["there"]}
        told = list(groups["told"])
        for source in groups["sources"]:
            parts = self.parts_of(source)
            if not all(part in there for part in parts):
                yield source
                continue
            found = [there[part] for part in parts]
            last = max(told, key=_run, default=None)
            made = max((each for each in told if each.facts), key=_run, default=None)
            if self.on_existing == "fail":
                yield _refused(source, _exists(found[0].uri))
            elif made and (other := _other(source, made)):
                yield _refused(source, _anothers(found[0].uri, other))
            elif last and last.failed and last.failed not in _UNTOUCHED:
                yield source
            else:
                uris_found = [file.uri for file in found]
                facts = _facts(told, found)
                row = skipped(source, uris_found, facts, self.run, _IS_THERE)
                yield TaggedOutput(DONE, count_outcome(row))


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
        return json.loads(extras)
    except ValueError:  # the step that reads them will say so
        return extras


def _canonical(uri: str) -> str:
    shown = uris.without_secrets(uri)
    return os.path.abspath(uris.local_path(shown)) if uris.is_local(shown) else shown


def _refused(source: Source, error: OutputExists) -> TaggedOutput:
    metrics.count_failure(STEP, seconds=0)
    return TaggedOutput(FAILURES, (source, failure(STEP, error)))


def _exists(uri: str) -> OutputExists:
    return OutputExists(
        f"{uris.without_secrets(uri)!r} is there already, and on_existing is 'fail'; "
        "'skip' would leave it, 'overwrite' write it again"
    )


def _anothers(uri: str, other: str) -> OutputExists:
    return OutputExists(
        f"its output {uris.without_secrets(uri)!r} is there, but {other}; give this picture a name "
        "of its own in a list, another relative_to or output folder, or overwrite by on_existing"
    )
