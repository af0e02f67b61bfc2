"""Distinct: sources -> sources no two of which would write the same file.

In: sources, all of one job. Out: each with its names filled in and its path absolute, those of
one picture merged into one, as which `p/a.jpg`, `p/../p/a.jpg` and their file URIs count. Where
different pictures, or one with different rembg arguments, would have the same output, none is
written: each comes out as `(Source, Failure)` on the tag `FAILURES`, naming another; so does a
source that has no name under `relative_to`. Only names and sources are shuffled.
"""

import os
from typing import Any, Dict, Iterable, Iterator, Optional, Sequence, Tuple

import apache_beam as beam
from apache_beam.pvalue import TaggedOutput

from .. import coders as coders
from .. import naming
from ..elements import Failure, Source
from ..runtime import metrics
from ..runtime.failures import FAILURES, attempt, failure
from ..store import members, uris

STEP = "find"


@beam.typehints.with_input_types(Source)
@beam.typehints.with_output_types(Tuple[str, Source])
class KeyByName(beam.DoFn):
    """Keys each source by the name of its output, filled in.

    Args:
      relative_to: see `DistinctSources`.
      folder: what relative paths belong to; a worker starts in another.
    """

    def __init__(self, relative_to: Optional[str], folder: str) -> None:
        self.relative_to = relative_to
        self.folder = folder

    def process(self, source: Source) -> Iterator[Any]:
        name = attempt(STEP, self._name, source)
        if isinstance(name, Failure):
            metrics.count_failure(STEP, seconds=0)
            yield TaggedOutput(FAILURES, (source, name))
            return
        uri = source.uri
        if uris.scheme(uri) is None:
            # A relative path says nothing to a later run, which may start in another folder.
            uri = _without_dots(self._in_folder(uri))
        yield naming.output_name(name, ""), source._replace(uri=uri, name=name)

    def _name(self, source: Source) -> str:
        if source.name or self.relative_to is None:
            return source.name or naming.relative_name(source.uri)
        return naming.relative_name(self._in_folder(source.uri), self.relative_to)

    def _in_folder(self, uri: str) -> str:
        return os.path.join(self.folder, uri) if uris.scheme(uri) is None else uri


@beam.typehints.with_input_types(Tuple[str, Iterable[Source]])
@beam.typehints.with_output_types(Source)
class MergeOrRefuse(beam.DoFn):
    """The one source of a name, or the failures of all that share it."""

    def process(self, named: Tuple[str, Iterable[Source]]) -> Iterator[Any]:
        name, group = named
        # Sorted, so that a retry chooses the same one.
        every = sorted(group, reverse=True)
        if not every[1:] or len(distinct := _distinct(every)) == 1:
            metrics.count("find_pictures")
            yield Source(*every[-1][:4], duplicates=len(every) - 1, output_name=name)
            return
        for uri in sorted({source.uri for source in distinct.values()}):
            metrics.count_failure(STEP, seconds=0)
            mine = next(source for source in distinct.values() if source.uri == uri)
            yield TaggedOutput(FAILURES, (mine, failure(STEP, _clash(name, mine, distinct))))


class DistinctSources(beam.PTransform):
    """Sources that each have an output of their own, and the failures of those that have not.

    Args:
      relative_to: the folder that names are relative to, for sources without a name.

    Returns:
      A pair of PCollections: sources, and `(Source, Failure)` pairs.
    """

    def __init__(self, *, relative_to: Optional[str] = None) -> None:
        super().__init__()
        self.relative_to = relative_to

    def expand(self, sources: beam.PCollection) -> Any:
        keying = beam.ParDo(KeyByName(self.relative_to, os.getcwd()))
        merging = beam.ParDo(MergeOrRefuse()).with_outputs(FAILURES, main="distinct")
        keyed, unnamed = sources | "Key by output" >> keying.with_outputs(FAILURES, main="keyed")
        grouped = keyed | "Group those of one output" >> beam.GroupByKey()
        distinct, clashing = grouped | "Merge or refuse" >> merging
        return distinct, ((unnamed, clashing) | "Gather nameless" >> beam.Flatten())


def _distinct(sources: Sequence[Source]) -> Dict[Tuple[str, str], Source]:
    """The last source of each picture and extras."""
    return {(_place(source.uri), source.extras): source for source in sources}


def _place(uri: str) -> str:
    """The same for all ways of writing a local file's place but links."""
    file, within = members.taken_apart(uri)
    try:
        return _without_dots(uris.local_path(file)) + within if uris.is_local(uri) else uri
    except ValueError:  # of another host; the step that reads it will say so
        return uri


def _without_dots(path: str) -> str:
    """The absolute path; `x/..` is left out of it, unless `x` is a link to elsewhere."""
    whole = os.path.abspath(path)
    if os.pardir in path.split(os.sep) and os.path.realpath(path) != os.path.realpath(whole):
        folder, name = os.path.split(path)
        return os.path.join(os.path.realpath(folder), name)
    return whole


def _clash(name: str, mine: Source, distinct: Any) -> naming.NameClash:
    others = [source.uri for source in distinct.values() if source.uri != mine.uri]
    if not others:
        return naming.NameClash(f"it is listed with different extras, and all would write {name!r}")
    return naming.NameClash(
        f"{uris.without_secrets(sorted(others)[0])!r} would be written to {name!r} too, so neither "
        "is; give one a name of its own in an --input_list, or a --relative_to above both"
    )
