"""Read: `Source` -> `(Source, Stored)`.

In: sources. Out: each with the bytes of its file and its own rembg arguments. What the storage
refuses (a missing file, no permission, no such file system) comes out as `(Source, Failure)` on
the tag `FAILURES`.
"""

from typing import Any, Iterator, Tuple, Union

import apache_beam as beam
from apache_beam.pvalue import TaggedOutput

from . import metrics
from .concurrency import ConcurrentDoFn
from .elements import Failure, Source, Stored, as_source
from .failures import attempt
from .storage import files

STEP = "read"
FAILURES = "failures"

# Reading waits for the disk or the network, not for a core.
THREADS = 16


@beam.typehints.with_output_types(Tuple[Source, Stored])
class ReadPictures(ConcurrentDoFn[Source, Union[bytes, Failure]]):
    """Reads each source's file; see the module's docstring.

    Args:
      threads: files read at once in a process. Raise it for storage with a long latency; each
        costs the memory of one compressed picture.
    """

    def __init__(self, *, threads: int = THREADS) -> None:
        super().__init__(STEP, threads)

    def work(self, source: Source) -> Union[bytes, Failure]:
        return attempt(STEP, files.read, source.uri)

    def emit(self, source: Source, result: Union[bytes, Failure], seconds: float) -> Iterator[Any]:
        source = as_source(source)
        if isinstance(result, Failure):
            metrics.count_failure(STEP, seconds=seconds)
            yield TaggedOutput(FAILURES, (source, result))
        else:
            metrics.count_step(STEP, size=len(result), seconds=seconds)
            yield source, Stored(result, source.extras)
