"""Existing: distinct sources -> those to be done, and the rows of those that are done already.

In: sources with names, no two of one output. Out: by the rules of `resume`, the sources that are to
be done; on the tag `DONE` a skipped `Outcome` of each that is done, with what earlier rows say of
it; on the tag `FAILURES` a `(Source, Failure)` of each whose output is there and may not be. One
listing of the folder is joined with the sources and the earlier rows, so that ten million names
fit.
"""

import itertools
import json
from dataclasses import dataclass
from typing import (
    TYPE_CHECKING,
    Any,
    Dict,
    Iterable,
    Iterator,
    NamedTuple,
    Optional,
    Sequence,
    Tuple,
)

import apache_beam as beam
from apache_beam.pvalue import TaggedOutput

from .. import coders as coders
from .. import naming
from ..elements import Facts, Source
from ..models import catalogue
from ..outcomes import RunColumns, skipped
from ..pictures.encode import Encoding
from ..pictures.options import RemoveOptions
from ..pictures.prompts import CLOTH_CATEGORIES
from ..pictures.requested import SHOWS
from ..pictures.shown import End, ends
from ..runtime import metrics
from ..runtime.failures import failure
from ..store import stores, uris
from . import earlier, layout, resume
from .resume import Action, EarlierRow, OutputFile

if TYPE_CHECKING:
    from ..remove_background import RemoveBackground

# Of extras, what the names of outputs depend on.
NAMING = ("outputs", "only_mask", "stack_masks", "cc", "cloth_category")

STEP = "find"
DONE = "done"
FAILURES = "failures"

IS_THERE = "its output is there already, and on_existing is 'skip'"
_EXISTS = (
    "{!r} is there already, and on_existing is 'fail'; "
    "'skip' would leave it, 'overwrite' write it again"
)
_ANOTHERS = (
    "its output {!r} is there, but {}; give this picture a name "
    "of its own in a list, another relative_to or output folder, or overwrite by on_existing"
)


class Ends(NamedTuple):
    """What the names of a run's files may end with, whatever a picture's extras.

    Attributes:
      parts: what tells the parts of a picture apart, besides "" for one alone.
      suffixes: of formats.
    """

    parts: Tuple[str, ...]
    suffixes: Tuple[str, ...]

    @classmethod
    def of(cls, remove: "RemoveBackground") -> "Ends":
        made = ends(remove.options, remove.encoding, ())
        kinds = ["", *(f".{name}" for name in {**SHOWS, **dict.fromkeys(remove.options.made())})]
        masks = CLOTH_CATEGORIES if catalogue.find(remove.config.model).masks else ()
        every = [*kinds, *(f".{mask}{kind}" for mask in masks for kind in kinds)]
        # A picture's own outputs may be as the run says, or plain.
        suffixes = {remove.encoding.suffix, *(end.suffix for end in made)}
        return cls(tuple(filter(None, every)), tuple(sorted(suffixes)))


def outputs(output: str, ends: Ends) -> Iterator[Tuple[str, OutputFile]]:
    """Files under an output folder, by the name `naming.output_name` gives the picture they may
    belong to.

    Left out are such whose names are not UTF-8, which no run wrote.
    """
    for file in stores.listing(output):
        is_utf8 = file.name.encode(errors="ignore").decode() == file.name
        if layout.is_own(file.name) or not file.name.endswith(ends.suffixes) or not is_utf8:
            continue
        name, dot, rest = file.name.rpartition(".")
        suffix = dot + rest
        yield name, OutputFile(suffix, file.uri, file.size, file.modified)
        for part in ends.parts if name.endswith(ends.parts) else ():
            if name.endswith(part):
                end = part + suffix
                yield name.removesuffix(part), OutputFile(end, file.uri, file.size, file.modified)


def ends_of(
    source: Source, options: RemoveOptions, encoding: Encoding, masks: Tuple[str, ...]
) -> Tuple[End, ...]:
    """The ends of the files that a source's output has, by a model's masks; of senseless extras,
    any."""
    try:
        if any(f'"{name}"' in source.extras for name in NAMING):
            options = options.with_extras(json.loads(source.extras))
        return ends(options, encoding, masks)
    except (ValueError, TypeError, AttributeError):
        return (End("", encoding.suffix),)


@dataclass(kw_only=True, eq=False)
class SkipExisting(beam.PTransform):
    """Leaves out what is done; see the module's docstring.

    Attributes:
      remove: what the run does.
      on_existing: "skip" or "fail".
      since: outputs written before are not done, in seconds since 1970 by the store's clock; on a
        store that doesn't say when they were written none is. A side input may say it.

    Returns:
      Three PCollections: sources, outcomes, and `(Source, Failure)` pairs.
    """

    remove: "RemoveBackground"
    on_existing: str
    since: Any = None

    def __post_init__(self) -> None:
        super().__init__()

    def expand(self, sources: beam.PCollection) -> Any:
        begin, remove = sources.pipeline, self.remove
        files = (
            begin
            | "The output folder" >> beam.Create([remove.output], reshuffle=False)
            | "List it" >> beam.FlatMap(outputs, Ends.of(remove))
        )
        keyed = sources | "Key by output" >> beam.Map(_keyed)
        groups = {"sources": keyed, "files": files}
        if self.on_existing != "fail":
            groups["rows"] = (
                begin
                | "Earlier rows" >> earlier.EarlierRows(remove.output)
                | "Rows by output" >> beam.FlatMap(earlier.keyed_row)
                | "Last of each kind" >> beam.CombinePerKey(last_of_each_kind)
            )
        chosen = (
            groups
            | beam.CoGroupByKey()
            | "Choose"
            >> beam.FlatMap(choose, Choice.of(remove, self.on_existing), self.since)
            .with_output_types(Source)
            .with_outputs(DONE, FAILURES, main="to do")
        )
        return chosen["to do"], chosen[DONE], chosen[FAILURES]


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


class Choice(NamedTuple):
    """What of a run decides what is done with a picture."""

    options: RemoveOptions
    encoding: Encoding
    masks: Tuple[str, ...]
    on_existing: str
    columns: RunColumns

    @classmethod
    def of(cls, remove: "RemoveBackground", on_existing: str) -> "Choice":
        masks = catalogue.find(remove.config.model).masks
        return cls(remove.options, remove.encoding, masks, on_existing, remove.columns())

    def ends(self, source: Source) -> Tuple[End, ...]:
        """Of the names of a source's files."""
        return ends_of(source, self.options, self.encoding, self.masks)


def choose(
    joined: Tuple[str, Dict[str, Iterable[Any]]], choice: Choice, since: Optional[float]
) -> Iterator[Any]:
    """What is done with the sources of one output, as `SkipExisting` gives it.

    Args:
      joined: the output's name; and by kind its "sources", "files" and "rows".
      choice: of the run.
      since: see `SkipExisting`.
    """
    _, groups = joined
    files = list(groups["files"])
    rows = list(itertools.chain.from_iterable(groups.get("rows", ())))
    for source in groups["sources"]:
        parts = [str(end) for end in choice.ends(source)]
        decision = resume.of_picture(source, parts, files, rows, choice.on_existing, since)
        action, found, difference = decision
        if action is Action.WRITE:
            yield source
        elif action is Action.SKIP:
            known, paths = _facts(rows, found), [file.uri for file in found]
            row = skipped(source, paths, known, choice.columns, IS_THERE)
            yield TaggedOutput(DONE, metrics.count_outcome(row))
        else:
            form = _EXISTS if action is Action.FAIL_EXISTS else _ANOTHERS
            shown = uris.without_secrets(found[0].uri)
            metrics.count_failure(STEP, seconds=0)
            error = naming.OutputExists(form.format(shown, difference))
            yield TaggedOutput(FAILURES, (source, failure(STEP, error)))


def _facts(rows: Sequence[EarlierRow], files: Sequence[OutputFile]) -> Facts:
    """What was said last of outputs of as many bytes; nothing, if those there are others."""
    size = sum(file.size for file in files)
    known = (row for row in rows if row.facts and row.facts.bytes_out == size)
    last = max(known, key=_run_id, default=None)
    return last.facts if last and last.facts else Facts()
