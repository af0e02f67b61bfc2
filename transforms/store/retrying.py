"""A call to a store -> its result and how many attempts it took.

For stores without a policy of their own: local files (a network mount fails now and then), the
web, and what Beam's FileSystems open; gs:// is retried by google-cloud-storage's policies, in
`gcs`. A failure that may pass is met by another attempt, after a wait that doubles and is drawn at
random below that, so that many workers don't come back at once. One that will not pass (not found,
no permission, too large, disk full) rises at once, and so does the last one when attempts run out;
either carries `attempts`, as the result does. Who has other work to do in the meantime gets
`PutOff` in place of a wait, and calls again.
"""

import errno
import http.client
import time
from dataclasses import dataclass
from typing import Any, Callable, Generic, NamedTuple, Optional, TypeVar

import requests
import tenacity
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
    """What a call returned, at which attempt."""

    value: T
    attempts: int


class PutOff(Exception):
    """The call is to be made again after so many seconds; so many attempts are made already."""

    def __init__(self, seconds: float, attempts: int) -> None:
        super().__init__(seconds, attempts)
        self.seconds = seconds
        self.attempts = attempts


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


BACKOFF = Backoff()


def tried(
    function: Callable[..., T],
    *arguments: Any,
    backoff: Optional[Backoff] = None,
    made: Optional[int] = None,
) -> Tried[T]:
    """`function(*arguments)`, called again while it fails in a way that may pass.

    Args:
      backoff: between attempts.
      made: the attempts made before this call, which raises `PutOff` in place of waiting; None to
        wait.

    >>> tried(int, "7")
    Tried(value=7, attempts=1)
    """
    backoff, before = backoff or BACKOFF, made or 0
    retrying = tenacity.Retrying(
        stop=tenacity.stop_after_attempt(backoff.attempts - before),
        wait=_Wait(backoff, before),
        retry=tenacity.retry_if_exception(is_transient),
        sleep=backoff.sleep,
        before_sleep=None if made is None else _put_off,
        reraise=True,
    )
    try:
        value = retrying(function, *arguments)
    except PutOff as put_off:
        raise PutOff(put_off.seconds, before + put_off.attempts) from None
    except Exception as error:
        raise counted(error, before + retrying.statistics["attempt_number"])
    return Tried(value, before + retrying.statistics["attempt_number"])


def _put_off(state: tenacity.RetryCallState) -> None:
    raise PutOff(state.upcoming_sleep, state.attempt_number)


class _Wait(tenacity.wait.wait_base):
    """The back-off, or longer where the error carries a server's `retry_after`, in seconds."""

    def __init__(self, backoff: Backoff, before: int) -> None:
        self._drawn = tenacity.wait_random_exponential(
            backoff.first_seconds * 2**before, backoff.longest_seconds
        )

    def __call__(self, state: tenacity.RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        return max(self._drawn(state), getattr(error, "retry_after", 0.0))


def counted(error: Exception, attempts: int) -> Exception:
    """The error, which from now on carries the attempts made."""
    error.attempts = attempts  # type: ignore[attr-defined]
    return error


def attempts_of(error: Exception) -> int:
    """The attempts that the error carries; one if none."""
    return getattr(error, "attempts", 1)


def is_transient(error: Any) -> bool:
    """Whether the same call may succeed a little later.

    >>> is_transient(ConnectionResetError()), is_transient(FileNotFoundError())
    (True, False)
    """
    if isinstance(error, _TYPES):
        return True
    if isinstance(error, BeamIOError) and error.exception_details:
        return any(map(is_transient, error.exception_details.values()))
    if isinstance(error, OSError) and error.errno in ERRNOS:
        return True
    return refusals.status_of(error) in STATUSES
