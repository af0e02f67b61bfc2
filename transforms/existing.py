"""Existing: distinct sources -> those to be done, and the rows of those that are done already.

In: sources with names, no two of one output. Out: the sources whose outputs are not all in the
output folder; of the others a skipped `Outcome` on the tag `DONE`, with what earlier manifests say
of them, or `(Source, Failure)` on the tag `FAILURES` where nothing may be there. What is there is
known from one listing of the folder, joined with the sources, so that ten million names fit.
"""

from dataclasses import dataclass
from typing import Any, Dict, Iterable, Iterator, Sequence, Tuple

import apache_beam as beam
from apache_beam.pvalue import TaggedOutput

from . import earlier, metrics, uris
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


def outputs(
    output: str, suffix: str, parts: Sequence[str]
) -> Iterator[Tuple[str, Tuple[str, str]]]:
    """Files under an output folder, by the name of the picture they may belong to.

    Args:
      output: the output folder.
      suffix: of the outputs, ".png".
      parts: the suffixes that tell the parts of a picture apart, "" for a single one.

    Returns:
      The name that `naming.output_name` gives a picture, the part and its URI.
    """
    own = (f"{naming.MANIFEST}/", f"{naming.TEMPORARY}/")
    for file in files.listing(output):
        if file.name.startswith(own) or not file.name.endswith(suffix):
            continue
        name = file.name.removesuffix(suffix)
        for part in parts:
            if name.endswith(part):
                yield name.removesuffix(part), (part, file.uri)


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

    Returns:
      Three PCollections: sources, outcomes, and `(Source, Failure)` pairs.
    """

    output: str
    suffix: str
    parts_of: Any
    parts: Tuple[str, ...]
    on_existing: str
    run: RunColumns

    def __post_init__(self) -> None:
        super().__init__()

    def expand(self, sources: beam.PCollection) -> Any:
        begin = sources.pipeline
        there = (
            begin
            | "The output folder" >> beam.Create([self.output], reshuffle=False)
            | "List it" >> beam.FlatMap(outputs, suffix=self.suffix, parts=self.parts)
        )
        facts = (
            begin
            | "Earlier rows" >> earlier.EarlierRows(self.output)
            | "Facts by output" >> beam.FlatMap(earlier.keyed_facts)
        )
        keyed = sources | "Key by output" >> beam.Map(_keyed)
        joined = {"sources": keyed, "there": there, "facts": facts} | beam.CoGroupByKey()
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
        there = dict(groups["there"])
        for source in groups["sources"]:
            parts = self.parts_of(source)
            if not all(part in there for part in parts):
                yield source
                continue
            found = [there[part] for part in parts]
            if self.on_existing == "fail":
                metrics.count_failure(STEP, seconds=0)
                yield TaggedOutput(FAILURES, (source, failure(STEP, _exists(found[0]))))
            else:
                told = max(groups["facts"], default=("", Facts()), key=lambda each: each[0])
                row = skipped(source, found, told[1], self.run, _IS_THERE)
                yield TaggedOutput(DONE, count_outcome(row))


def _exists(uri: str) -> OutputExists:
    return OutputExists(
        f"{uris.without_secrets(uri)!r} is there already, and on_existing is 'fail'; "
        "'skip' would leave it, 'overwrite' write it again"
    )
