"""Read: `Source` -> `(Source, Stored)`.

In: sources. Out: each with the bytes of its file and its own rembg arguments. What the storage
refuses (a missing file, no permission, no such file system) comes out as `(Source, Failure)` on
the tag `FAILURES`.
"""

from typing import Any, Iterator, NamedTuple, Optional, Tuple, Union

import apache_beam as beam
from apache_beam.pvalue import TaggedOutput

from . import memory, metrics
from .concurrency import ConcurrentDoFn
from .elements import Failure, Source, Stored, as_source
from .failures import attempt
from .memory import Lease
from .storage import files

STEP = "read"
FAILURES = "failures"

# Reading waits for the disk or the network, not for a core.
THREADS = 16


class Read(NamedTuple):
    """A file's bytes, and the lease of the memory they take."""

    data: bytes
    lease: Lease


@beam.typehints.with_output_types(Tuple[Source, Stored])
class ReadPictures(ConcurrentDoFn[Source, Union[Read, Failure]]):
    """Reads each source's file; see the module's docstring.

    Args:
      threads: files read at once in a process. Raise it for storage with a long latency; each
        costs the memory of one compressed picture.
      max_memory: bytes of pictures in flight in a process; see `memory`.
    """

    def __init__(self, *, threads: int = THREADS, max_memory: Optional[int] = None) -> None:
        super().__init__(STEP, threads)
        self.max_memory = max_memory

    def setup(self) -> None:
        memory.budget(self.max_memory)

    def work(self, source: Source) -> Union[Read, Failure]:
        return attempt(STEP, _read, source.uri)

    def emit(self, source: Source, result: Union[Read, Failure], seconds: float) -> Iterator[Any]:
        source = as_source(source)
        if isinstance(result, Failure):
            metrics.count_failure(STEP, seconds=seconds)
            yield TaggedOutput(FAILURES, (source, result))
        else:
            metrics.count_step(STEP, size=len(result.data), seconds=seconds)
            # The step that takes it accounts for it from here.
            result.lease.release()
            yield source, Stored(result.data, source.extras)


def _read(uri: str) -> Read:
    lease = memory.budget().hold(memory.READ, files.expected_size(uri))
    data = files.read(uri)
    lease.resize(len(data))
    return Read(data, lease)
