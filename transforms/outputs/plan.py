"""Plan: distinct sources and the shards that are done -> which picture goes to which shard.

In: all sources of a job, no two of one output. Out: `Shard`s of those that are to be done; on the
tag `DONE` lists of the rows of those that are settled: skipped where their samples are there, and
failures as they were; on `FAILURES` a `(Source, Failure)` of each that may not be done.

All sources are sorted by key on one machine's disk, and those that are not settled are cut into
shards, which take the free numbers in order; pictures of shards and tables as they lie there, so
that each is read in a row. So what is in a shard follows from the sources alone,
and a run that goes on where another stopped makes the shards that are missing. Fails as reading the
folder does, where there is no room for the sources, and with `ValueError` where shards would be
overwritten, or their samples have facts that those of the run would lack.
"""

import itertools
import json
import logging
from dataclasses import dataclass
from typing import (
    TYPE_CHECKING,
    Any,
    Dict,
    FrozenSet,
    Iterable,
    Iterator,
    List,
    NamedTuple,
    Sequence,
    Set,
    Tuple,
)

import apache_beam as beam
from apache_beam.pvalue import TaggedOutput

from .. import strict_json
from ..elements import Facts, Outcome, Source
from ..folder import earlier, layout
from ..folder.existing import DONE, FAILURES, Choice
from ..folder.local_join import JoinLocally
from ..folder.manifest import BATCH_ROWS
from ..pictures.shown import End
from ..runtime.grouping import Groups
from ..store import members, uris
from . import going_on, keys, shards
from .carried import carried
from .columns import Types
from .facts import facts_of_folder, facts_of_run, with_own_crops
from .options import DataSet
from .parts import in_shard
from .samples import Fields, own_members
from .settled import Settled, judged, refused

if TYPE_CHECKING:
    from ..remove_background import RemoveBackground

# Files of shards that no rows name, by their URIs; see `shards.orphans`.
ORPHANS = "orphans"

_OVERWRITE = (
    "the folder {!r} holds shards, and on_existing is 'overwrite': shards are never overwritten; "
    "give the run an output folder of its own"
)


_OTHERS = (
    "%r, one of %d, is called as a shard is, and no run made it: it is left alone, and readers of "
    "all shards read it too; move it elsewhere if it is no part of the data set"
)

_log = logging.getLogger(__name__)


class Shard(NamedTuple):
    """A shard to be made.

    Attributes:
      number: its own in the output folder.
      keys: of its samples, in order.
      sources: their pictures.
      fields: of all samples of the set.
      original: the suffix of all originals' members.
    """

    number: int
    keys: Sequence[str]
    sources: Sequence[Source]
    fields: Fields
    original: str


class Rules(NamedTuple):
    """What of a run decides its shards.

    Attributes:
      output: the output folder.
      output_format, samples_per_shard, keep_original: see `DataSet`.
      retry_failed: whether those that failed are tried again.
      choice: see `existing.choose`.
      facts: see `facts_of_run`.
    """

    output: str
    output_format: str
    samples_per_shard: int
    keep_original: bool
    retry_failed: bool
    choice: Choice
    facts: Tuple[str, ...]

    @classmethod
    def of(
        cls, remove: "RemoveBackground", dataset: DataSet, choice: Choice, retry: bool
    ) -> "Rules":
        each, keeps = dataset.samples_per_shard, dataset.keep_original
        facts = facts_of_run(remove)
        return cls(remove.output, dataset.output_format, each, keeps, retry, choice, facts)


class Plan:
    """All sources of a job, sorted on this machine's disk; `with` removes them at its end.

    Args:
      rules: of the run.
    """

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._groups = Groups()
        self._types = Types()
        self._made: Set[FrozenSet[End]] = set()
        self._others: Set[str] = set()
        self._suffixes: Set[str] = set()
        self._numbers: Set[int] = set()
        self._done: List[shards.DoneShard] = []

    def __enter__(self) -> "Plan":
        self._add_done()
        return self

    def __exit__(self, *_: object) -> None:
        self._groups.__exit__()

    def add(self, source: Source) -> Iterator[TaggedOutput]:
        """Adds a source; gives its failure if its metadata is of no use."""
        try:
            self._see(source)
        except (ValueError, RecursionError) as error:
            yield refused(source, error)
        else:
            self._groups.add("sources", keys.stem(str(source.output_name)), tuple(source))

    def __iter__(self) -> Iterator[Any]:
        """What the module's docstring says, and before it the orphans on the tag `ORPHANS`."""
        yield from self._orphans()
        with Groups() as to_do:
            # All that are settled are told before work begins.
            yield from _in_lists(self._settled(to_do))
            yield from self._shards(to_do)

    def _add_done(self) -> None:
        output = self._rules.output
        for shard, data in shards.done_with_rows(output):
            if self._rules.choice.on_existing == "overwrite":
                raise ValueError(_OVERWRITE.format(uris.without_secrets(output)))
            self._numbers.add(shard.number)
            self._done.append(shard)
            manifest = earlier.Manifest(shard.run_id, shard.rows_uri, shard.at)
            for row in earlier.rows_of(manifest, data, why=True):
                settled = Settled.of(row)
                self._see(settled.made_of)
                value = (settled[0], tuple(settled[1]), *settled[2:4], tuple(settled[4]))
                self._groups.add("rows", keys.stem(settled.name), value)

    def _orphans(self) -> Iterator[TaggedOutput]:
        """Gives what killed runs left; the numbers of others' files are not free."""
        output = self._rules.output
        left, others = shards.unnamed(output, self._done)
        self._numbers.update(int(layout.shard_number(file.name) or 0) for file in others)
        if others:
            _log.warning(_OTHERS, uris.without_secrets(others[0].uri), len(others))
        for file in (*left, *shards.idle_rows(output, self._done)):
            yield TaggedOutput(ORPHANS, file.uri)

    def _see(self, source: Source) -> None:
        metadata = strict_json.loads(source.metadata)
        if not isinstance(metadata, dict):
            raise ValueError(f"its metadata must be a JSON object, and is {source.metadata:.100}")
        try:
            json.dumps(metadata, ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            half = error.object[error.start]
            rule = "half of a character, which no file can hold as text: mend or leave it out"
            raise ValueError(f"its metadata has {half!a}, {rule}") from None
        others = carried(source, metadata)
        self._others.update(others)
        columns = {name: value for name, value in metadata.items() if name not in others}
        self._types.add(columns)
        choice = self._rules.choice
        ends = choice.ends(source)
        self._made.add(
            frozenset(
                e._replace(part=in_shard(e.part, source.extras, choice.options)) for e in ends
            )
        )
        self._suffixes.add(keys.suffix(str(source.output_name)))

    def _settled(self, to_do: Groups) -> Iterator[TaggedOutput]:
        """Gives what is settled or refused, and adds the rest by its place, else by its key."""
        choice, retry_failed = self._rules.choice, self._rules.retry_failed
        for stem, values in self._groups:
            rows: Dict[str, List[Settled]] = {}
            for run_id, made_of, output, why, facts in values.get("rows", ()):
                row = Settled(run_id, Source(*made_of), output, why, Facts(*facts))
                rows.setdefault(row.name, []).append(row)
            sources = [Source(*value) for value in values.get("sources", ())]
            names = {*rows, *(str(source.output_name) for source in sources)}
            key_of = keys.keys(stem, sorted(names))
            for source in sources:
                name = str(source.output_name)
                found = judged(source, rows.get(name, ()), choice, retry_failed)
                if found is None:
                    key = key_of[name]
                    to_do.add("sources", members.order(source.uri) or key, (key, tuple(source)))
                else:
                    yield found

    def _shards(self, to_do: Groups) -> Iterator[Shard]:
        free = (number for number in itertools.count() if number not in self._numbers)
        original, fields = going_on.original(self._done, self._suffixes), None
        keyed = (value for _, found in to_do for value in sorted(found["sources"]))
        while some := sorted(itertools.islice(keyed, self._rules.samples_per_shard)):
            fields = fields or self._fields(original)
            own_keys, values = zip(*some, strict=True)
            sources = tuple(itertools.starmap(Source, values))
            yield Shard(next(free), own_keys, sources, fields, original)

    def _fields(self, original: str) -> Fields:
        rules = self._rules
        ends = frozenset().union(*self._made)
        parts = tuple(sorted({end.part for end in ends}))
        made = own_members(map(str, ends), original if rules.keep_original else None)
        others = tuple(sorted(self._others - set(made)))
        there = [shard.facts for shard in self._done if shard.files]
        asked = with_own_crops(rules.facts, parts)
        facts = facts_of_folder(asked, there, uris.without_secrets(rules.output))
        fields = Fields(self._types, parts, rules.keep_original, others, facts)
        going_on.warn_of_other_columns(self._done, fields, rules.output_format, rules.output)
        going_on.warn_of_other_members(self._made, rules.output_format, rules.output)
        return fields


def _in_lists(judged: Iterable[TaggedOutput]) -> Iterator[TaggedOutput]:
    """The same, with lists of `BATCH_ROWS` rows on `DONE`."""
    rows: List[Outcome] = []
    for found in judged:
        if found.tag != DONE:
            yield found
            continue
        rows.append(found.value)
        if len(rows) == BATCH_ROWS:
            yield TaggedOutput(DONE, rows)
            rows = []
    if rows:
        yield TaggedOutput(DONE, rows)


@dataclass(kw_only=True)
class PlanLocally(beam.DoFn):
    """The plan of a job whose sources are found in the same process.

    Takes one element, whatever it is, and the comparison of settings, which comes before.

    Attributes:
      join: finds the sources, whatever is done of them.
      rules: of the run.
    """

    join: JoinLocally
    rules: Rules

    def process(self, element: Any, since: Any) -> Iterator[Any]:
        with Plan(self.rules) as plan:
            for found in self.join.process(element, since):
                if isinstance(found, TaggedOutput):
                    yield found
                else:
                    yield from plan.add(found)
            yield from plan


@dataclass(kw_only=True, eq=False)
class PlanShards(beam.PTransform):
    """The same of distinct sources, however they were found.

    Attributes:
      rules: of the run.
      since: the comparison of settings, which comes before.

    Returns:
      PCollections by their tags; the shards, spread over the workers, as "to do".
    """

    rules: Rules
    since: Any = None

    def __post_init__(self) -> None:
        super().__init__()

    def expand(self, sources: beam.PCollection) -> Any:
        planning = beam.ParDo(_PlanAll(self.rules), self.since)
        planned = (
            sources
            | "Take many sources" >> beam.BatchElements(BATCH_ROWS, BATCH_ROWS)
            | "Under one key" >> beam.Map(lambda batch: ("all", [tuple(each) for each in batch]))
            | "Gather all sources" >> beam.GroupByKey()
            | "Plan" >> planning.with_outputs(DONE, FAILURES, ORPHANS, main="to do")
        )
        found = {tag: planned[tag] for tag in (DONE, FAILURES, ORPHANS)}
        return {**found, "to do": planned["to do"] | "Spread them" >> beam.Reshuffle()}


class _PlanAll(beam.DoFn):
    def __init__(self, rules: Rules) -> None:
        self.rules = rules

    def process(self, gathered: Tuple[str, Iterable[Any]], _: Any) -> Iterator[Any]:
        with Plan(self.rules) as plan:
            for value in itertools.chain.from_iterable(gathered[1]):
                yield from plan.add(Source(*value))
            yield from plan
