"""Find: inputs and lists -> `Source`.

In: what `--input` takes (a file, a folder, a glob, a URI, a table or shard), or input lists. Out:
the sources they stand for. What names no picture, a line of a list or a row of a table, comes out
as `(Source, Failure)` on the tag `FAILURES`, its text in place of its URI; so does a folder below
an input that can't be listed, and a table or shard that is none or can't be opened. An input that
matches nothing, or a list that can't be opened, fails the pipeline.
"""

import logging
from typing import Any, Dict, Iterator, NamedTuple, Optional, Sequence, Tuple, Union

import apache_beam as beam
from apache_beam.pvalue import TaggedOutput

from .. import coders as coders
from .. import naming
from ..elements import Failure, Source, to_json
from ..runtime import metrics
from ..runtime.failures import FAILURES, attempt, failure
from ..store import uris
from ..store.web import WebOptions
from . import bigquery, lists, patterns, readers
from .columns import BadRow, Columns, plain, source_of_row
from .lists import BadList, InputList
from .passed_over import PassedOver
from .sizes import Sizes

STEP = "find"

# The tag of tables and shards.
CONTAINERS = "containers"

_log = logging.getLogger(__name__)

# Of a bad line, for its row.
LINE_CHARACTERS = 200


class Container(NamedTuple):
    """A table or shard: where it lies, and its name, which its pictures' names begin with; None
    where it lies outside what names are relative to."""

    uri: str
    name: Optional[str]


class Named(NamedTuple):
    """What a job's inputs and lists name.

    Attributes:
      patterns: see `patterns.find`.
      lists: as they are read.
      queries: see `bigquery`.
    """

    patterns: Tuple[str, ...]
    lists: Tuple[InputList, ...]
    queries: Tuple[str, ...]

    @classmethod
    def of(cls, input: Sequence[str], input_list: Sequence[Union[str, InputList]]) -> "Named":
        """As users say it: a table or shard may be named as a list."""
        for name, value in (("input", input), ("input_list", input_list)):
            if isinstance(value, str):
                raise ValueError(f"{name}={value!r} must be a list of them")
        named = [InputList(uri, uri) if isinstance(uri, str) else uri for uri in input_list]
        tables = [each.uri for each in named if readers.is_table_among_lists(each.uri)]
        queries = tuple(filter(bigquery.is_meant, input))
        for uri in queries:
            bigquery.target(uri)
        patterns = [*(uri for uri in input if uri not in queries), *tables]
        read_as_lists = [each for each in named if each.uri not in tables]
        return cls(tuple(patterns), tuple(read_as_lists), queries)


@beam.typehints.with_input_types(str)
@beam.typehints.with_output_types(Source)
class FindPictures(beam.DoFn):
    """The pictures of inputs; see `patterns.find`. Tables and shards come on the tag `CONTAINERS`.

    Each has the name that follows from its pattern, or none yet where names are relative to a
    folder of the user's.

    Args:
      relative_to: that folder; None for names that follow from patterns.
      exclude: the output folder, which is no input.
      sizes: where to add those that a listing says; None for nowhere.
    """

    def __init__(
        self,
        *,
        relative_to: Optional[str],
        exclude: Optional[str],
        sizes: Optional[Sizes] = None,
    ) -> None:
        self.relative_to = relative_to
        self.exclude = exclude
        self.sizes = sizes

    def process(self, pattern: str) -> Iterator[Any]:
        passed = PassedOver()
        for source, listed in patterns.find_listed(pattern, self.exclude, passed):
            if readers.container_reader(source.uri):
                yield TaggedOutput(CONTAINERS, self._container(source))
            else:
                if self.sizes is not None and listed is not None:
                    self.sizes.add(listed.size)
                yield source if self.relative_to is None else Source(source.uri)
        for error in passed.unlisted:
            yield _failed(uris.local_uri(error.filename), failure(STEP, error))
        if said := passed.said(pattern):
            _log.info("%s", said)

    def _container(self, source: Source) -> Container:
        if self.relative_to is None:
            return Container(source.uri, source.name)
        name = attempt(STEP, naming.relative_name, source.uri, self.relative_to)
        return Container(source.uri, None if isinstance(name, Failure) else name)


@beam.typehints.with_input_types(InputList)
@beam.typehints.with_output_types(Source)
class ReadLists(beam.DoFn):
    """Reads input lists, or parts of them; empty lines are nothing. See `readers`.

    Args:
      web_options: how they are fetched from the web; None for the pipeline's own.
    """

    def __init__(self, web_options: Optional[WebOptions] = None) -> None:
        self.web_options = web_options

    def process(self, part: InputList) -> Iterator[Any]:
        lines = readers.reader(part.uri).lines(part.uri, self.web_options)
        for number, line in enumerate(lines, part.before + 1):
            if line.strip():
                found = attempt(STEP, lists.parse, line)
                if isinstance(found, Failure):
                    text = line.strip().decode("utf-8", "backslashreplace")
                    yield _failed(text, found, f"{part.shown}, line {number}")
                else:
                    yield found


@beam.typehints.with_input_types(Container)
@beam.typehints.with_output_types(Source)
class ReadContainers(beam.DoFn):
    """Reads tables and shards. See `readers`.

    Args:
      columns: which of their columns is what.
      web_options: how they are fetched from the web; None for the pipeline's own.
    """

    def __init__(self, columns: Columns, web_options: Optional[WebOptions] = None) -> None:
        self.columns = columns
        self.web_options = web_options

    def process(self, container: Container) -> Iterator[Any]:
        uri, name = container
        try:
            for found in readers.read(uri, name, self.columns, self.web_options):
                if isinstance(found, BadRow):
                    why = failure(STEP, found.error)
                    yield _failed(found.text, why, f"{uri}, {found.where}")
                else:
                    yield found
        except (BadList, FileNotFoundError, PermissionError) as error:
            yield _failed(uri, failure(STEP, error), uri)


@beam.typehints.with_input_types(Dict[str, Any])
@beam.typehints.with_output_types(Source)
class SourcesOfRows(beam.DoFn):
    """The sources of rows that are in no file; all lack a column that one lacks, which raises.

    Args:
      where: what they are from.
      columns: which of their columns is what.
    """

    def __init__(self, where: str, columns: Columns) -> None:
        self.where = where
        self.columns = columns

    def process(self, row: Dict[str, Any]) -> Iterator[Any]:
        self.columns.require(row)
        found = attempt(STEP, source_of_row, row, self.columns)
        yield (
            _failed(to_json(plain(row)), found, self.where) if isinstance(found, Failure) else found
        )


def found_here(
    named: Named,
    *,
    columns: Columns,
    relative_to: Optional[str],
    exclude: Optional[str],
    sizes: Optional[Sizes] = None,
    web_options: Optional[WebOptions] = None,
) -> Iterator[Any]:
    """What these steps give one after another, in one process."""
    find = FindPictures(relative_to=relative_to, exclude=exclude, sizes=sizes)
    read = ReadContainers(columns, web_options)
    for pattern in named.patterns:
        for found in find.process(pattern):
            if isinstance(found, TaggedOutput) and found.tag == CONTAINERS:
                yield from read.process(found.value)
            else:
                yield found
    for part in named.lists:
        yield from ReadLists(web_options).process(part)


def _failed(text: str, why: Failure, where: str = "") -> TaggedOutput:
    """What names no picture, counted; its message says where that stands."""
    metrics.count_failure(STEP, seconds=0)
    clean = text.encode("utf-8", "backslashreplace").decode("utf-8")
    shown = uris.without_secrets_in(clean)[:LINE_CHARACTERS]
    if where:
        why = why._replace(message=f"{uris.without_secrets(where)}: {why.message}")
    return TaggedOutput(FAILURES, (Source(shown), why))
