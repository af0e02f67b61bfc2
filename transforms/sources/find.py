"""Find: inputs and lists -> `Source`.

In: what `--input` takes (a file, a folder, a glob, a URI), or input lists. Out: the sources they
stand for. A line of a list that names no picture comes out as `(Source, Failure)` on the tag
`FAILURES`, the line in place of its URI; so does a folder below an input that can't be listed. An
input that matches nothing, or a list that can't be opened, fails the pipeline.
"""

import logging
from typing import Any, Iterator, Optional

import apache_beam as beam
from apache_beam.pvalue import TaggedOutput

from .. import coders as coders
from ..elements import Failure, Source
from ..runtime import metrics
from ..runtime.failures import FAILURES, attempt, failure
from ..store import uris
from . import lists, patterns
from .lists import InputList
from .passed_over import PassedOver
from .readers import reader

STEP = "find"

_log = logging.getLogger(__name__)

# Of a bad line, for its row.
LINE_CHARACTERS = 200


@beam.typehints.with_input_types(str)
@beam.typehints.with_output_types(Source)
class FindPictures(beam.DoFn):
    """The pictures of inputs; see `patterns.find`.

    Each has the name that follows from its pattern, or none yet where names are relative to a
    folder of the user's.

    Args:
      names: whether to name them.
      exclude: the output folder, which is no input.
    """

    def __init__(self, *, names: bool, exclude: Optional[str]) -> None:
        self.names = names
        self.exclude = exclude

    def process(self, pattern: str) -> Iterator[Any]:
        passed = PassedOver()
        for source in patterns.find(pattern, exclude=self.exclude, passed=passed):
            yield source if self.names else Source(source.uri)
        for error in passed.unlisted:
            metrics.count_failure(STEP, seconds=0)
            folder = Source(uris.local_uri(error.filename))
            yield TaggedOutput(FAILURES, (folder, failure(STEP, error)))
        if said := passed.said(pattern):
            _log.info("%s", said)


@beam.typehints.with_input_types(InputList)
@beam.typehints.with_output_types(Source)
class ReadLists(beam.DoFn):
    """Reads input lists, or parts of them; empty lines are nothing. See `readers`."""

    def process(self, part: InputList) -> Iterator[Any]:
        for number, line in enumerate(reader(part.uri).lines(part.uri), part.before + 1):
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
