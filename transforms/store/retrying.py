"""A call to a store -> its value or its error, and how many attempts it took.

For stores without a policy of their own: local files (a network mount fails now and then), the
web, s3:// and what Beam's FileSystems open; gs:// is retried by google-cloud-storage's policies, in
`gcs`. A failure that may pass is met by another attempt, after a wait that doubles and is drawn at
random below that, so that many workers don't come back at once. One that will not pass (not found,
no permission, too large, disk full) ends them at once, and so does the last one when attempts run
out. `Tried` holds either, so that the attempts of a failure reach its row. Who has other work to do
in the meantime gets `PutOff` in place of a wait, and calls again.
"""

import errno
import http.client
import random
import time
from dataclasses import dataclass
from typing import Any, Callable, Generic, NamedTuple, Optional, TypeVar, cast

import requests
from apache_beam.io.filesystem import BeamIOError

from . import refusals

T = TypeVar("T")

# HTTP statuses of a server that is busy or broken for now.
STATUSES = frozenset([408, 429, 500, 502, 503, 504])

# A signal came between; a mount or its server is away for a moment.
ERRNOS = frozenset([errno.EINTR, errno.EAGAIN, errno.EBUSY, errno.EIO, errno.ESTALE])

_TYPES = (
    TimeoutError,
    ConnectionError,
    http.client.IncompleteRead,
    http.client.BadStatusLine,
    requests.ConnectionError,
    requests.Timeout,
    requests.exceptions.ChunkedEncodingError,
)


class Tried(NamedTuple, Generic[T]):
    """What a call came to, after how many attempts: its value, or the error it ended in."""

    value: Optional[T]
    attempts: int
    error: Optional[Exception] = None

    def get(self) -> T:
        """The value; raises the error."""
        if self.error is not None:
            raise self.error
        return cast(T, self.value)


@dataclass(eq=False)
class PutOff(Exception):
    """The call is to be made again after so many seconds; so many attempts are made already."""

    seconds: float
    attempts: int


@dataclass(frozen=True)
class Backoff:
    """How often to try, and how long to wait in between.

    Attributes:
      attempts: at most, the first included. Raise it for a store with long outages; a file that
        can't be had then takes longer to fail.
      first_seconds, longest_seconds: the longest wait after the first attempt, doubled after each
        further one, and where doubling ends.
      sleep, clock: wait, and tell the seconds; a test may give its own.
    """

    attempts: int = 6
    first_seconds: float = 1.0
    longest_seconds: float = 32.0
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic

    def seconds(self, attempt: int) -> float:
        """To wait after an attempt, the first being 1; drawn at random."""
        longest = min(self.first_seconds * 2 ** (attempt - 1), self.longest_seconds)
        return random.uniform(0, longest)


BACKOFF = Backoff()

# For what is tried again further down.
ONCE = Backoff(attempts=1)


def tried(
    function: Callable[..., T],
    *arguments: Any,
    backoff: Optional[Backoff] = None,
    made: Optional[int] = None,
) -> Tried[T]:
    """What `function(*arguments)` comes to, called again while it fails in a way that may pass.

    Args:
      backoff: between attempts.
      made: the attempts made before this call, which raises `PutOff` in place of waiting; None to
        wait.

    >>> tried(int, "7").value, tried(int, "x").error
    (7, ValueError("invalid literal for int() with base 10: 'x'"))
    """
    backoff = backoff or BACKOFF
    attempt = made or 0
    while True:
        attempt += 1
        try:
            return Tried(function(*arguments), attempt)
        except Exception as error:
            if attempt >= backoff.attempts or not is_transient(error):
                return Tried(None, attempt, error)
            # A server may have said how long.
            seconds = max(backoff.seconds(attempt), getattr(error, "retry_after", 0.0))
        if made is not None:
            raise PutOff(seconds, attempt)
        backoff.sleep(seconds)


def is_transient(error: Any) -> bool:
    """Whether the same call may succeed a little later.

    >>> is_transient(ConnectionResetError()), is_transient(FileNotFoundError())
    (True, False)
    """
    if isinstance(error, _TYPES) or (isinstance(error, OSError) and error.errno in ERRNOS):
        return True
    if isinstance(error, BeamIOError) and error.exception_details:
        return any(map(is_transient, error.exception_details.values()))
    return refusals.status_of(error) in STATUSES
