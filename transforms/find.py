"""Find: inputs and lists -> `Source`.

In: what `--input` takes (a file, a folder, a glob, a URI), or input lists. Out: the sources they
stand for. A line of a list that names no picture comes out as `(Source, Failure)` on
the tag `FAILURES`, the line in place of its URI. An input that matches nothing, or a list that
can't be opened, fails the pipeline.
"""

from typing import Any, Iterator, Optional

import apache_beam as beam
from apache_beam.pvalue import TaggedOutput

from . import metrics, uris
from .elements import Failure, Source
from .failures import attempt
from .storage import lists, sources
from .storage.lists import InputList

STEP = "find"
FAILURES = "failures"

# Of a bad line, for its row.
LINE_CHARACTERS = 200


def find_pictures(
    pattern: str, *, relative_to: Optional[str], exclude: Optional[str]
) -> Iterator[Source]:
    """The pictures of one input; see `storage.sources.find`.

    Each has the name that follows from its pattern, or none yet where names are `relative_to` a
    folder of the user's.
    """
    for source in sources.find(pattern, exclude=exclude):
        yield source if relative_to is None else Source(source.uri)


@beam.typehints.with_input_types(InputList)
@beam.typehints.with_output_types(Source)
class ReadLists(beam.DoFn):
    """Reads input lists, or parts of them; empty lines are nothing. See `storage.lists`."""

    FAILURES = FAILURES

    def process(self, part: InputList) -> Iterator[Any]:
        for number, line in enumerate(lists.lines(part.uri), start=part.before + 1):
            if line.strip():
                yield self._source(part.shown, number, line)

    def _source(self, shown: str, number: int, line: bytes) -> Any:
        source = attempt(STEP, lists.parse, line)
        if not isinstance(source, Failure):
            return source
        metrics.count_failure(STEP, seconds=0)
        where = f"{uris.without_secrets(shown)}, line {number}: {source.message}"
        text = uris.without_secrets_in(line.strip().decode("utf-8", "backslashreplace"))
        return TaggedOutput(
            FAILURES, (Source(text[:LINE_CHARACTERS]), source._replace(message=where))
        )
