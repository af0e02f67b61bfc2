"""Find: inputs and lists -> `Source`.

In: what `--input` takes (a file, a folder, a glob, a URI), or the URIs of input lists. Out: the
sources they stand for. A line of a list that names no picture comes out as `(Source, Failure)` on
the tag `FAILURES`, the line in place of its URI. An input that matches nothing, or a list that
can't be opened, fails the pipeline.
"""

from typing import Any, Iterator, Optional

import apache_beam as beam
from apache_beam.io.filesystems import FileSystems
from apache_beam.pvalue import TaggedOutput

from . import metrics, uris
from .elements import Failure, Source
from .failures import attempt
from .storage import lists, sources

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


@beam.typehints.with_input_types(str)
@beam.typehints.with_output_types(Source)
class ReadLists(beam.DoFn):
    """Reads input lists, one URI or JSON object per line; empty lines are nothing.

    A compressed list is known by its suffix (`.gz`, `.bz2`, `.zst`).
    """

    FAILURES = FAILURES

    def process(self, uri: str) -> Iterator[Any]:
        path = uris.local_path(uri) if uris.is_local(uri) else uri
        with FileSystems.open(path) as file:
            # Beam's compressed files can't be iterated.
            for number, line in enumerate(iter(file.readline, b""), start=1):
                if line.strip():
                    yield self._source(path, number, line)

    def _source(self, path: str, number: int, line: bytes) -> Any:
        source = attempt(STEP, _parse, line)
        if not isinstance(source, Failure):
            return source
        metrics.count_failure(STEP, seconds=0)
        where = f"{uris.without_secrets(path)}, line {number}: {source.message}"
        text = uris.without_secrets_in(line.strip().decode("utf-8", "backslashreplace"))
        return TaggedOutput(
            FAILURES, (Source(text[:LINE_CHARACTERS]), source._replace(message=where))
        )


def _parse(line: bytes) -> Source:
    try:
        text = line.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise lists.BadLine(f"not UTF-8 ({error})") from error
    return lists.parse_line(text)
