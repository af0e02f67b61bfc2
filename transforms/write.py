"""Write: `(Source, Cutout)` -> `Outcome`.

In: cutouts with the source they came from. Out: the row of each, once all its parts lie under the
output folder. What has no name there, or what the storage refuses, comes out as `(Source, Failure)`
on the tag `FAILURES`.
"""

from typing import Any, Iterator, List, Optional, Tuple, Union

import apache_beam as beam
from apache_beam.pvalue import TaggedOutput

from . import coders as coders
from . import naming
from .elements import (
    Cutout,
    Facts,
    Failure,
    Outcome,
    RunColumns,
    Source,
    as_source,
    merged,
    size_of,
    written,
)
from .pictures.encode import Encoding
from .runtime import memory, metrics
from .runtime.concurrency import ConcurrentDoFn
from .runtime.failures import attempt
from .store import stores

STEP = "write"
FAILURES = "failures"

# Writing waits for the disk or the network, not for a core.
THREADS = 16


@beam.typehints.with_input_types(Tuple[Source, Cutout])
@beam.typehints.with_output_types(Outcome)
class WriteCutouts(ConcurrentDoFn[Tuple[Source, Cutout], Union[List[stores.Written], Failure]]):
    """Writes each cutout's parts; see the module's docstring.

    Args:
      output: the output folder, a local path or a URI of Beam's FileSystems.
      encoding: of the parts; says their suffix and MIME type.
      relative_to: for a source without a name: the folder that its name is relative to.
      threads: files written at once in a process. Raise it for storage with a long latency; each
        costs the memory of one compressed cutout.
      max_memory: bytes of pictures in flight in a process; see `memory`.
      overwrite: replace files of the same names; if False, other bytes there are a failure.
      columns: what all rows have in common.
    """

    def __init__(
        self,
        *,
        output: str,
        encoding: Encoding,
        relative_to: Optional[str] = None,
        threads: int = THREADS,
        max_memory: Optional[int] = None,
        overwrite: bool = True,
        columns: RunColumns,
    ) -> None:
        super().__init__(STEP, threads)
        self.max_memory = max_memory
        self.overwrite = overwrite
        self.columns = columns
        self.output = output
        self.encoding = encoding
        self.relative_to = relative_to

    def setup(self) -> None:
        memory.budget(self.max_memory)
        stores.begin(self.output)

    def teardown(self) -> None:
        stores.end(self.output)

    def lease(self, element: Tuple[Source, Cutout]) -> memory.Lease:
        return memory.budget().hold(memory.RESULT, size_of(element[1]), wait=False)

    def work(self, element: Tuple[Source, Cutout]) -> Union[List[stores.Written], Failure]:
        return attempt(STEP, self._write, *element)

    def emit(
        self,
        element: Tuple[Source, Cutout],
        result: Union[List[stores.Written], Failure],
        seconds: float,
    ) -> Iterator[Any]:
        source, cutout = as_source(element[0]), element[1]
        msecs = Facts(write_msecs=round(seconds * 1000))
        if isinstance(result, Failure):
            metrics.count_failure(STEP, seconds=seconds)
            facts = merged(cutout.facts, result.facts, msecs)
            yield TaggedOutput(FAILURES, (source, result._replace(facts=facts)))
            return
        size = sum(file.size for file in result)
        metrics.count_step(STEP, size=size, seconds=seconds)
        attempts = max((file.attempts for file in result), default=None)
        facts = merged(cutout.facts, Facts(bytes_out=size, write_attempts=attempts), msecs)
        learnt = Cutout(cutout.parts, cutout.model, facts)
        yield written(source, learnt, [file.uri for file in result], self.columns)

    def _write(self, source: Source, cutout: Cutout) -> List[stores.Written]:
        name = source.output_name
        if name is None:
            name = naming.output_name(
                source.name or naming.relative_name(source.uri, self.relative_to), ""
            )
        return [
            stores.write(
                self.output,
                name + part.suffix + self.encoding.suffix,
                part.data,
                self.encoding.mime_type,
                overwrite=self.overwrite,
            )
            for part in cutout.parts
        ]
