"""Lookup: sources, one by one -> those to be done, and the rows of those that are done already.

In: sources with names of their outputs, of an input without an end, which no listing can be joined
with. Out: the sources to be done; on the tag `DONE` a skipped `Outcome` of each whose outputs are
all there and not older than it; on `FAILURES` a `(Source, Failure)` of each that the store refused
to tell of. A picture that was put there again is newer than its output, and is done again. One
request for each output, and one for the picture where it is there. The settings of the run are
compared with the folder's when a worker starts, which fails as `record.remember` does.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Iterator, List, Optional, Union

import apache_beam as beam
from apache_beam.pvalue import TaggedOutput

from .. import coders as coders
from ..elements import Facts, Failure, Source
from ..outcomes import skipped
from ..runtime import metrics
from ..runtime.concurrency import ConcurrentDoFn, Took
from ..runtime.failures import FAILURES, attempt
from ..store import members, stores, uris
from ..store.listed import Listed
from . import record, resume
from .existing import DONE, IS_THERE, STEP, Choice

if TYPE_CHECKING:
    from ..remove_background import RemoveBackground

# Looking up waits for the disk or the network, not for a core.
THREADS = 16


@beam.typehints.with_input_types(Source)
@beam.typehints.with_output_types(Source)
@dataclass(kw_only=True, eq=False)
class LookUp(ConcurrentDoFn[Source, Union[Failure, List[Listed], None]]):
    """See the module's docstring.

    Attributes:
      remove: what the run does.
      on_existing: what is done about pictures whose outputs are there; looked up for "skip" alone.
      compares: whether settings are compared with the folder's.
      since: outputs written before are not done; None if all may be.
    """

    remove: "RemoveBackground"
    on_existing: str
    compares: bool
    since: Optional[float]

    def __post_init__(self) -> None:
        super().__init__(STEP, THREADS)
        self._choice = Choice.of(self.remove, self.on_existing)

    def setup(self) -> None:
        if self.compares:
            found = record.remember(self.remove, self.on_existing).since
            known = [each for each in (self.since, found) if each is not None]
            self.since = max(known, default=None)

    def work(self, source: Source) -> Union[Failure, List[Listed], None]:
        return attempt(STEP, self._done, source) if self.on_existing == "skip" else None

    def emit(self, element: Source, result: Any, took: Took) -> Iterator[Any]:
        if isinstance(result, Failure):
            metrics.count_failure(STEP, seconds=took.seconds)
            yield TaggedOutput(FAILURES, (element, result))
            return
        metrics.count("find_pictures")
        if result is None:
            yield element
            return
        size = {"bytes_out": sum(file.size for file in result)}
        outputs = [file.uri for file in result]
        row = skipped(element, outputs, Facts(**size), self._choice.columns, IS_THERE)
        yield TaggedOutput(DONE, metrics.count_outcome(row))

    def _done(self, source: Source) -> Optional[List[Listed]]:
        """Its outputs, if it is done."""
        files = []
        for end in self._choice.ends(source):
            uri = uris.join(self.remove.output, f"{source.output_name}{end}")
            file = stores.found(uri)
            if file is None or not resume.counts(file, self.since):
                return None
            files.append(file._replace(uri=uri))
        changed = _changed(source.uri)
        is_older = changed and any((file.modified or 0) < changed for file in files)
        return None if is_older else files


def _changed(uri: str) -> Optional[float]:
    """When a picture's file was written; None if nobody says."""
    if uris.is_web(uri) or members.parse(uri):
        return None
    file = stores.found(uri)
    return file.modified if file else None
