"""A URL -> the bytes that a GET gives, through redirects and after another attempt.

In: URLs and `WebOptions`. Out: bytes, and the attempts they took. Fails with Python's own errors
of `errors`, `limits.TooLarge`, and `ValueError` for what is no URL; each carries `attempts`.
"""

import errno
import os
import socket
import threading
from typing import Dict, NamedTuple, Optional, Tuple

from .. import uris
from ..retrying import Backoff, PutOff, Tried, attempts_of, counted, tried
from . import answers
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
        """The bytes of a URL's answer, and the attempts they took; waits where it has to."""
        attempts = 0
        while True:
            try:
                return self.read_or_put_off(uri, max_bytes, attempts)
            except PutOff as put_off:
                self._backoff.sleep(put_off.seconds)
                attempts = put_off.attempts

    def read_or_put_off(self, uri: str, max_bytes: Optional[int], attempts: int) -> Tried[bytes]:
        """The same, but raises `PutOff` in place of waiting; so many attempts are made already."""
        try:
            return tried(self._attempt, uri, max_bytes, backoff=self._backoff, made=attempts)
        except Closed as closed:
            asked = attempts_of(closed) - 1
            if not closed.given_up:
                raise PutOff(closed.seconds, asked) from None
            raise counted(of_closed(closed, uri), asked) from None
        except Answered as error:
            raise counted(of_status(error, uri), attempts_of(error)) from None

    def _attempt(self, uri: str, max_bytes: Optional[int]) -> bytes:
        at, seconds = uri, self.options.max_seconds
        for _ in range(REDIRECTS + 1):
            host = str(parsed(at).host)
            with self._hosts.slot(host), self._watchdog.watch(seconds) as watch:
                try:
                    found = self._hop(at, headers(self.options, at, uri), max_bytes, watch)
                except Answered as error:
                    self._heed(host, error, uri)
                    raise
                except Exception as error:
                    if watch.is_over():
                        raise self._too_slow(uri) from None
                    raise_as_python(error, at)
                if watch.is_over():
                    raise self._too_slow(uri)
                seconds = watch.remaining()
            if isinstance(found, bytes):
                return found
            at = found.url
        raise OSError(
            errno.ELOOP, f"it is redirected more than {REDIRECTS} times", uris.without_secrets(uri)
        )

    def _heed(self, host: str, answer: Answered, uri: str) -> None:
        """Leaves a host alone that says wait; raises `HostBusy` if it is given up with that."""
        if answer.retry_after:
            closed = self._hosts.says_wait(host, answer.retry_after, str(answer))
            if closed is not None:
                raise of_closed(closed, uri)

    def _hop(
        self, url: str, said: Dict[str, str], max_bytes: Optional[int], watch: Watch
    ) -> "_Found":
        """The answer's bytes, or where it is redirected to."""
        response = self._connections.get(url, said, watch)
        try:
            if response.status in _MOVED and "location" in response.headers:
                answers.drain(response)
                return _Moved(joined(url, response.headers.getlist("location")[0]))
            if response.status != 200:
                answers.drain(response)
                host, wait = str(parsed(url).host), answers.wait_seconds(response)
                raise Answered(response.status, response.reason, host, wait)
            if not self.options.ignore_opt_out:
                answers.check_opt_out(url, response, self.options.web_user_agent)
            return answers.body(url, response, max_bytes)
        except BaseException:
            response.close()
            raise

    def _too_slow(self, uri: str) -> TooSlow:
        return TooSlow(
            errno.ETIMEDOUT,
            f"it takes longer than max_seconds={self.options.max_seconds:g}: raise that, or leave "
            "the file out",
            uris.without_secrets(uri),
        )


class _Moved(NamedTuple):
    url: str


_Found = bytes | _Moved


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
