"""A URL -> the bytes that a GET gives, through redirects and after another attempt.

In: URLs and `WebOptions`. Out: bytes or an error, and the attempts. Errors are Python's own of
`errors`, `limits.TooLarge`, and `ValueError` for what is no URL.
"""

import errno
import os
import socket
import threading
from functools import partial
from typing import Any, Callable, Dict, Mapping, NamedTuple, Optional, Tuple, TypeVar

from .. import uris
from ..retrying import Backoff, PutOff, Tried, tried
from . import answers, parts
from .connections import Connections, Dial, Resolver, dial
from .errors import Answered, TooSlow, of_closed, of_status, raise_as_python
from .hosts import Closed, Hosts
from .options import DEFAULTS, WebOptions
from .urls import headers, joined, parsed
from .watchdog import Watch, Watchdog

REDIRECTS = 5

# Servers of the web are many, and some are gone for good: fewer attempts than for a store.
BACKOFF = Backoff(attempts=4, longest_seconds=8.0)

_MOVED = frozenset([301, 302, 303, 307, 308])

T = TypeVar("T")


class _Moved(NamedTuple):
    url: str


class _Wanted(NamedTuple):
    """What is asked for.

    Attributes:
      take: makes a value of a URL and its answer.
      headers: what the request says besides.
      statuses: of the answers that `take` knows.
    """

    take: Callable[[str, Any], Any]
    headers: Mapping[str, str] = {}
    statuses: Tuple[int, ...] = (200,)


class Fetcher:
    """Fetches URLs, from any number of threads; connections are kept for the next.

    Args:
      options: see `WebOptions`.
      resolver, dial: give the addresses of a name and connect to one; a test may give its own.
      backoff: between attempts.
    """

    def __init__(
        self,
        options: WebOptions = DEFAULTS,
        *,
        resolver: Resolver = socket.getaddrinfo,
        dial: Dial = dial,
        backoff: Backoff = BACKOFF,
    ) -> None:
        self.options = options
        self._backoff = backoff
        self._watchdog = Watchdog()
        self._hosts = Hosts(options.connections_per_host, backoff.clock)
        self._connections = Connections(options, resolver, dial)

    def read(self, uri: str, max_bytes: Optional[int] = None) -> Tried[bytes]:
        """The bytes of a URL's answer, or why there are none; waits where it has to."""
        return self._patiently(lambda made: self.read_or_put_off(uri, max_bytes, made))

    def read_or_put_off(self, uri: str, max_bytes: Optional[int], attempts: int) -> Tried[bytes]:
        """The same, but raises `PutOff` in place of waiting; so many attempts are made already."""
        return self._asked(uri, _Wanted(partial(answers.body, max_bytes=max_bytes)), attempts)

    def first_part(self, uri: str, end: int) -> parts.Part:
        """The bytes up to `end`, or all where its server sends no parts; raises why not."""
        wanted = _Wanted(partial(parts.first, end=end), parts.headers(0, end), parts.STATUSES)
        return self._patiently(lambda made: self._asked(uri, wanted, made)).get()

    def later_part(self, uri: str, start: int, end: int, of: parts.Part) -> bytes:
        """The bytes `[start, end)` of the file whose first part that is; raises why not."""
        take = partial(parts.later, start=start, end=end, of=of)
        wanted = _Wanted(take, parts.headers(start, end), parts.STATUSES)
        return self._patiently(lambda made: self._asked(uri, wanted, made)).get()

    def _patiently(self, ask: Callable[[int], Tried[T]]) -> Tried[T]:
        """What asking comes to, by the attempts made before; waits where that puts it off."""
        attempts = 0
        while True:
            try:
                return ask(attempts)
            except PutOff as put_off:
                self._backoff.sleep(put_off.seconds)
                attempts = put_off.attempts

    def _asked(self, uri: str, wanted: _Wanted, attempts: int) -> Tried[Any]:
        found = tried(self._attempt, uri, wanted, backoff=self._backoff, made=attempts)
        if isinstance(found.error, Closed):
            asked = found.attempts - 1
            if not found.error.given_up:
                raise PutOff(found.error.seconds, asked)
            return Tried(None, asked, of_closed(found.error, uri))
        if isinstance(found.error, Answered):
            return found._replace(error=of_status(found.error, uri))
        return found

    def _attempt(self, uri: str, wanted: _Wanted) -> Any:
        at, seconds = uri, self.options.max_seconds
        for _ in range(REDIRECTS + 1):
            host = str(parsed(at).host)
            with self._hosts.slot(host), self._watchdog.watch(seconds) as watch:
                try:
                    found = self._hop(at, uri, wanted, watch)
                except Answered as error:
                    self._heed(host, error, uri)
                    raise
                except Exception as error:
                    if not watch.is_over():  # else it failed since it was cut
                        raise_as_python(error, at)
                if watch.is_over():
                    limit = f"max_seconds={self.options.max_seconds:g}"
                    rule = f"it takes longer than {limit}: raise that, or leave the file out"
                    raise TooSlow(errno.ETIMEDOUT, rule, uris.without_secrets(uri))
                seconds = watch.remaining()
            if not isinstance(found, _Moved):
                return found
            at = found.url
        rule = f"it is redirected more than {REDIRECTS} times"
        raise OSError(errno.ELOOP, rule, uris.without_secrets(uri))

    def _heed(self, host: str, answer: Answered, uri: str) -> None:
        """Leaves a host alone that says wait; raises `HostBusy` if it is given up with that."""
        if answer.retry_after:
            closed = self._hosts.says_wait(host, answer.retry_after, str(answer))
            if closed is not None:
                raise of_closed(closed, uri)

    def _hop(self, url: str, first: str, wanted: _Wanted, watch: Watch) -> Any:
        """What is wanted of a URL, or where it is redirected to; `first` is the list's URL."""
        said = {**headers(self.options, url, first), **wanted.headers}
        response = self._connections.get(url, said, watch)
        try:
            if response.status in _MOVED and "location" in response.headers:
                answers.drain(response)
                return _Moved(joined(url, response.headers.getlist("location")[0]))
            if response.status not in wanted.statuses:
                answers.drain(response)
                host, wait = str(parsed(url).host), answers.wait_seconds(response)
                raise Answered(response.status, response.reason, host, wait)
            if not self.options.ignore_opt_out:
                answers.check_opt_out(url, response, self.options.web_user_agent)
            return wanted.take(url, response)
        except BaseException:
            response.close()
            raise


def read(
    uri: str,
    max_bytes: Optional[int],
    options: WebOptions = DEFAULTS,
    attempts: Optional[int] = None,
) -> Tried[bytes]:
    """The same, by the process's fetcher of these options; `PutOff` if `attempts` are given."""
    if attempts is None:
        return shared(options).read(uri, max_bytes)
    return shared(options).read_or_put_off(uri, max_bytes, attempts)


def shared(options: WebOptions) -> Fetcher:
    """The fetcher of this process; forked children make their own."""
    key = (os.getpid(), options)
    with _fetchers_lock:
        if key not in _fetchers:
            _fetchers[key] = Fetcher(options)
        return _fetchers[key]


_fetchers: Dict[Tuple[int, WebOptions], Fetcher] = {}
_fetchers_lock = threading.Lock()
