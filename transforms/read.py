"""Read: `Source` -> `(Source, Stored)`.

In: sources. Out: each with the bytes of its file and its own rembg arguments. What the storage
refuses (a missing file, no permission, no such file system) comes out as `(Source, Failure)` on
the tag `FAILURES`. What has to wait for its host is put off, and holds no thread.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, Optional, Tuple, Union

import apache_beam as beam

from . import coders as coders
from .elements import Facts, Failure, Source, Stored, as_source
from .runtime import memory
from .runtime.concurrency import Later
from .runtime.failures import attempt, failure
from .runtime.memory import Lease
from .runtime.step import Step
from .store import stores, web

STEP = "read"

# Reading waits for the disk or the network, not for a core.
THREADS = 16

# Of a file; larger than any camera's, smaller than what fills a worker.
MAX_BYTES = 100_000_000


class Read(NamedTuple):
    """A file's bytes, how many attempts they took, and the lease of their memory."""

    data: bytes
    attempts: int
    lease: Lease


@beam.typehints.with_output_types(Tuple[Source, Stored])
@dataclass(kw_only=True, eq=False)
class ReadPictures(Step[Source, Read]):
    """Reads each source's file; `RemoveBackground` says what its fields mean."""

    threads: int = THREADS
    max_memory: Optional[int] = None
    max_bytes: Optional[int] = MAX_BYTES
    web_options: web.WebOptions = web.DEFAULTS

    def __post_init__(self) -> None:
        super().__init__(STEP, self.threads)

    def setup(self) -> None:
        super().setup()
        memory.budget(self.max_memory)

    def work(self, source: Source) -> Union[Read, Failure, Later]:
        return attempt(STEP, _read, source.uri, self.max_bytes, self.web_options)

    def known(self, source: Source) -> Tuple[Source, Facts]:
        return as_source(source), Facts()

    def made(self, key: Source, source: Source, result: Read, facts: Facts) -> Tuple[int, Any]:
        # The step that takes it accounts for it from here.
        result.lease.release()
        size, room = len(result.data), round(result.lease.waited * 1000)
        facts = facts._replace(
            bytes_in=size,
            read_attempts=result.attempts,
            read_waited_msecs=(facts.read_waited_msecs or 0) + room,
            read_msecs=max((facts.read_msecs or 0) - room, 0),
        )
        return size, (key, Stored(result.data, key.extras, facts))


def _read(
    uri: str, max_bytes: Optional[int], web_options: web.WebOptions, attempts: int = 0
) -> Union[Read, Failure, Later]:
    expected = stores.expected_size(uri)
    lease = memory.budget().hold(memory.READ, min(expected, max_bytes or expected))
    try:
        found = stores.try_read(uri, max_bytes, web_options, attempts)
    except stores.PutOff as put_off:
        lease.release()
        again = partial(_read, uri, max_bytes, web_options, put_off.attempts)
        return Later(put_off.seconds, partial(attempt, STEP, again))
    if found.error is not None:
        lease.release()
        return failure(STEP, found.error, Facts(read_attempts=found.attempts))
    data = found.get()
    lease.resize(len(data))
    return Read(data, found.attempts, lease)
