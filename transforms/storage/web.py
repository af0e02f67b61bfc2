"""http:// and https://, by urllib3: whole answers, from the public internet alone.

In: URLs, of a list that nobody has checked, and `WebOptions`. Out: the bytes that a GET gives. What
the other side does is bounded: the bytes by `max_bytes` (as sent, and as unpacked where it packs
them), the time by `max_seconds`, redirects by `REDIRECTS`, connections to a host by
`connections_per_host`; an answer that may be another a little later is asked for again, after what
its `Retry-After` says or a back-off.

Where a connection goes is judged by its address, once the name is resolved and before anything is
sent, so that no name, spelling or redirect leads to a place that `addresses` refuses; proxies of
the environment, which would connect for us, are not used.

Fails with Python's own errors, each naming the URL without its secrets, the rule and the way out,
and carrying `attempts`: `PrivateAddress`, `OptedOut`, `limits.TooLarge`, `TooSlow`,
`FileNotFoundError`, `PermissionError`, `TimeoutError`, `ConnectionError`, other `OSError`s, and
`ValueError` for what is no URL that can be fetched.
"""

import base64
import contextlib
import errno
import http.client
import logging
import os
import re
import socket
import ssl
import threading
import urllib.parse
from dataclasses import dataclass
from typing import Any, Dict, Iterator, List, NamedTuple, NoReturn, Optional, Protocol, Tuple

import certifi
import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import (
    DecodeError,
    HTTPError,
    IncompleteRead,
    LocationValueError,
    ProtocolError,
    SSLError,
)
from urllib3.exceptions import TimeoutError as SilentServer

from .. import uris
from . import addresses, limits, refusals
from .retrying import Backoff, Tried, attempts_of, counted, tried
from .watchdog import Watch, Watchdog

USER_AGENT = "rembg-beam/0.1"
MAX_SECONDS = 60.0
CONNECTIONS_PER_HOST = 8

REDIRECTS = 5

# For a connection, and for the next bytes of an answer.
CONNECT_SECONDS = 10.0
SILENCE_SECONDS = 30.0

# Servers of the web are many, and some are gone for good: fewer attempts than for a store.
BACKOFF = Backoff(attempts=4, longest_seconds=8.0)

# The longest that `Retry-After` is heeded.
RETRY_AFTER_SECONDS = 60

# Hosts whose connections are kept open for the next picture.
HOSTS = 64

# As img2dataset has them: what a site may forbid to those who gather data.
OPT_OUTS = frozenset(["noai", "noimageai", "noindex", "noimageindex"])

# What stands before a colon in X-Robots-Tag and is no robot's name.
_WITH_VALUES = frozenset(
    ["max-image-preview", "max-snippet", "max-video-preview", "unavailable_after"]
)

_CHUNK_BYTES = 1 << 16

# More of an answer that is not wanted is not read for the sake of its connection.
_DRAINED_BYTES = 1 << 16

# Clients differ in where a host ends before a backslash; a line's end or NUL is in no URL.
_NO_URL = re.compile(r"[\x00-\x1f\x7f\\]")

_MOVED = frozenset([301, 302, 303, 307, 308])


class PrivateAddress(PermissionError):
    """A URL leads to a place that is not of the public internet."""


class OptedOut(PermissionError):
    """A site does not want its pictures gathered."""


class TooSlow(OSError):
    """An answer takes longer than `max_seconds`."""


@dataclass(frozen=True, kw_only=True)
class WebOptions:
    """How pictures are fetched from http(s).

    Attributes:
      allow_private_hosts: fetch also from addresses that are not of the public internet: an
        intranet's, this machine's. Only for lists whose every URL you trust.
      user_agent: what a server is told; name whom it may write to.
      max_seconds: of one attempt's answer, its redirects included.
      connections_per_host: requests at once, of one process; raise it for a server of your own.
      ignore_opt_out: fetch also what is sent with `X-Robots-Tag: noai`, `noimageai`, `noindex` or
        `noimageindex`.
    """

    allow_private_hosts: bool = False
    user_agent: str = USER_AGENT
    max_seconds: float = MAX_SECONDS
    connections_per_host: int = CONNECTIONS_PER_HOST
    ignore_opt_out: bool = False

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[\x20-\x7e]+", self.user_agent):
            raise ValueError(f"user_agent={self.user_agent!r} must be printable ASCII, not empty")
        if not self.max_seconds > 0:
            raise ValueError(f"max_seconds={self.max_seconds!r} must be above 0")
        if not isinstance(self.connections_per_host, int) or self.connections_per_host < 1:
            raise ValueError(
                f"connections_per_host={self.connections_per_host!r} must be a positive integer"
            )


DEFAULTS = WebOptions()


class Resolver(Protocol):
    """Resolves names as `socket.getaddrinfo` does."""

    def __call__(self, host: str, port: int, *, type: int) -> List[Any]: ...


class Fetcher:
    """Fetches URLs, from any number of threads; connections are kept for the next.

    Args:
      options: see `WebOptions`.
      resolver: gives the addresses of a name; a test may give its own.
      backoff: between attempts.
    """

    def __init__(
        self,
        options: WebOptions = DEFAULTS,
        *,
        resolver: Resolver = socket.getaddrinfo,
        backoff: Backoff = BACKOFF,
    ) -> None:
        self.options = options
        self._resolver = resolver
        self._backoff = backoff
        self._watchdog = Watchdog()
        self._hosts = _Hosts(options.connections_per_host)
        self._thread = threading.local()
        self._pools = urllib3.PoolManager(
            num_pools=HOSTS, maxsize=options.connections_per_host, ssl_context=_ssl_context()
        )
        _URLLIB3_LOG.addFilter(_WITHOUT_QUERIES)
        self._pools.pool_classes_by_scheme = _pool_classes(self._connect, self._go_on)

    def read(self, uri: str, max_bytes: Optional[int] = None) -> Tried[bytes]:
        """The bytes of a URL's answer, and the attempts they took."""
        try:
            return tried(self._attempt, uri, max_bytes, backoff=self._backoff)
        except _Answered as error:
            raise counted(_of_status(error, uri), attempts_of(error)) from None

    def _attempt(self, uri: str, max_bytes: Optional[int]) -> bytes:
        at, seconds = uri, self.options.max_seconds
        for _ in range(REDIRECTS + 1):
            url = _url(at)
            with self._hosts.slot(str(url.host)), self._watchdog.watch(seconds) as watch:
                self._thread.watch = watch
                try:
                    found = self._hop(at, _headers(self.options, at, uri), max_bytes)
                except Exception as error:
                    if watch.is_over():
                        raise self._too_slow(uri) from None
                    _raise_as_python(error, at)
                if watch.is_over():
                    raise self._too_slow(uri)
                seconds = watch.remaining()
            if isinstance(found, bytes):
                return found
            at = found.url
        raise OSError(
            errno.ELOOP, f"it is redirected more than {REDIRECTS} times", uris.without_secrets(uri)
        )

    def _hop(self, url: str, headers: Dict[str, str], max_bytes: Optional[int]) -> "_Found":
        """The answer's bytes, or where it is redirected to."""
        response = self._pools.urlopen(
            "GET",
            url,
            headers=headers,
            timeout=SILENCE_SECONDS,
            redirect=False,
            retries=False,
            preload_content=False,
        )
        try:
            if response.status in _MOVED and "location" in response.headers:
                _drain(response)
                return _Moved(_join(url, response.headers.getlist("location")[0]))
            if response.status != 200:
                _drain(response)
                host = str(_url(url).host)
                raise _Answered(response.status, response.reason, _retry_after(response), host)
            self._check_opt_out(url, response)
            return _body(url, response, max_bytes)
        except BaseException:
            response.close()
            raise

    def _connect(self, host: str, port: int, timeout: Any) -> socket.socket:
        """A connection to an address of a host, if none of its addresses is refused."""
        watch: Watch = self._thread.watch
        found = self._resolver(host, port, type=socket.SOCK_STREAM)
        if not self.options.allow_private_hosts:
            for *_, place in found:
                what = addresses.refusal(str(place[0]))
                if what is not None:
                    raise _Refused(str(place[0]), what)
        failures: List[OSError] = []
        for family, kind, protocol, _, place in found:
            with contextlib.ExitStack() as undo:
                try:
                    connection = undo.enter_context(socket.socket(family, kind, protocol))
                    connection.settimeout(min(CONNECT_SECONDS, watch.remaining()))
                    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    connection.connect(place)
                    watch.on(connection)
                    undo.pop_all()
                    return connection
                except OSError as error:
                    failures.append(error)
        # A machine without IPv6 says of each such address that it can't be reached.
        told = [error for error in failures if isinstance(error, (ConnectionError, TimeoutError))]
        raise (told or failures or [ConnectionError(f"{host!r} has no address")])[0]

    def _go_on(self, connection: Optional[socket.socket]) -> None:
        """Another request is made on a connection that is there already."""
        if connection is not None:
            self._thread.watch.on(connection)

    def _check_opt_out(self, url: str, response: Any) -> None:
        if self.options.ignore_opt_out:
            return
        agent = self.options.user_agent.partition("/")[0].strip().casefold()
        for line in response.headers.getlist("x-robots-tag"):
            said = opt_out(line, agent)
            if said is not None:
                raise OptedOut(
                    errno.EACCES,
                    f"its site opts out of being gathered (X-Robots-Tag: {said}); only "
                    "--ignore_opt_out (ignore_opt_out=True) would fetch it",
                    uris.without_secrets(url),
                )

    def _too_slow(self, uri: str) -> TooSlow:
        return TooSlow(
            errno.ETIMEDOUT,
            f"it takes longer than max_seconds={self.options.max_seconds:g}: raise that, or leave "
            "the file out",
            uris.without_secrets(uri),
        )


def read(uri: str, max_bytes: Optional[int], options: WebOptions = DEFAULTS) -> Tried[bytes]:
    """The same, by the process's fetcher of these options."""
    return fetcher(options).read(uri, max_bytes)


def fetcher(options: WebOptions) -> Fetcher:
    """The fetcher of this process; forked children make their own."""
    key = (os.getpid(), options)
    with _fetchers_lock:
        if key not in _fetchers:
            _fetchers[key] = Fetcher(options)
        return _fetchers[key]


_fetchers: Dict[Tuple[int, WebOptions], Fetcher] = {}
_fetchers_lock = threading.Lock()


def check(uri: str) -> None:
    """Raises `ValueError` for what is no URL that can be fetched, without asking for it."""
    _url(uri)


def opt_out(line: str, agent: str) -> Optional[str]:
    """The directive of an `X-Robots-Tag` that opts out, if it is meant for all or for `agent`.

    >>> opt_out("noarchive, noai", "rembg-beam"), opt_out("otherbot: noai", "rembg-beam")
    ('noai', None)
    >>> opt_out("max-snippet:-1, noindex", "rembg-beam"), opt_out("other: a, me: noai", "me")
    ('noindex', 'noai')
    """
    whom = "*"
    for directive in line.casefold().split(","):
        name, colon, rest = directive.partition(":")
        if colon and name.strip() not in _WITH_VALUES:
            whom, directive = name.strip(), rest
        if whom in ("*", agent) and directive.strip() in OPT_OUTS:
            return directive.strip()
    return None


class _Moved(NamedTuple):
    url: str


_Found = bytes | _Moved


class _Refused(Exception):
    """An address that is not to be connected to, and what it is."""


class _Answered(Exception):
    """A status other than 200; after `retry_after` seconds it may be another."""

    def __init__(self, status: int, reason: Optional[str], retry_after: float, host: str) -> None:
        super().__init__(status)
        self.host = host
        self.status_code = status
        self.reason = reason or http.client.responses.get(status, "")
        self.retry_after = retry_after


class _Hosts:
    """Slots, so many for each host; a host without users takes no memory."""

    def __init__(self, slots: int) -> None:
        self._slots = slots
        self._lock = threading.Lock()
        self._free: Dict[str, threading.Semaphore] = {}
        self._users: Dict[str, int] = {}

    @contextlib.contextmanager
    def slot(self, host: str) -> Iterator[None]:
        with self._lock:
            free = self._free.setdefault(host, threading.Semaphore(self._slots))
            self._users[host] = self._users.get(host, 0) + 1
        try:
            with free:
                yield
        finally:
            with self._lock:
                self._users[host] -= 1
                if not self._users[host]:
                    del self._users[host], self._free[host]


class _MalformedAnswer(http.client.HTTPException):
    """What no server that speaks HTTP sends."""


class _Answer(http.client.HTTPResponse):
    def _safe_read(self, amt: int) -> bytes:
        # A chunk's length is read as any integer, and a file reads to its end for -1.
        if amt < 0:
            raise _MalformedAnswer("a chunk's length is negative")
        return super()._safe_read(amt)  # type: ignore[misc]


class _WithoutQueries(logging.Filter):
    """urllib3 logs each request's path, at debug level, and a query may hold secrets."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(
                re.sub(r"\?.*", "?***", value) if isinstance(value, str) else value
                for value in record.args
            )
        return True


_URLLIB3_LOG = logging.getLogger("urllib3.connectionpool")
_WITHOUT_QUERIES = _WithoutQueries()


def _pool_classes(connect: Any, go_on: Any) -> Dict[str, Any]:
    """urllib3's pools, of connections that `connect` makes and that tell of each request."""

    class Watched:
        response_class: Any = _Answer

        def _new_conn(self: Any) -> socket.socket:
            return connect(self._dns_host, self.port, self.timeout)

        def request(self: Any, *arguments: Any, **more: Any) -> None:
            if self.sock is None:
                # Here, since urllib3 overlooks a reset while it sends a request.
                self.connect()
            else:
                go_on(self.sock)
            super().request(*arguments, **more)  # type: ignore[misc]
            # For what urllib3 says of malformed headers.
            told = self._response_options
            self._response_options = told._replace(request_url=told.request_url.partition("?")[0])

    class Connection(Watched, HTTPConnection):
        pass

    class SecureConnection(Watched, HTTPSConnection):
        pass

    class Pool(urllib3.HTTPConnectionPool):
        ConnectionCls = Connection

    class SecurePool(urllib3.HTTPSConnectionPool):
        ConnectionCls = SecureConnection

    return {"http": Pool, "https": SecurePool}


def _ssl_context() -> ssl.SSLContext:
    """Verifies by the system's authorities, or those that SSL_CERT_FILE names, and by certifi's."""
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context


def _url(uri: str) -> urllib3.util.Url:
    try:
        url = urllib3.util.parse_url(uri)
        if url.scheme in ("http", "https") and url.host and not _NO_URL.search(uri):
            return url
    except (HTTPError, ValueError):
        pass
    raise ValueError(
        f"{uris.without_secrets(uri)!r} is no URL that can be fetched: that is "
        "http://HOST/PATH or https://HOST/PATH"
    )


def _join(url: str, location: str) -> str:
    """Where a redirect leads; refused if that is no web address."""
    with contextlib.suppress(UnicodeError):
        # http.client reads headers as Latin-1; browsers take these bytes for UTF-8.
        location = location.encode("latin-1").decode("utf-8")
    try:
        target = urllib.parse.urljoin(url, location)
    except ValueError:
        raise ValueError(f"{uris.without_secrets(url)!r} is redirected to what is no URL") from None
    if not uris.is_web(target):
        raise ValueError(
            f"{uris.without_secrets(url)!r} is redirected to a URL of the scheme "
            f"{urllib.parse.urlsplit(target).scheme!r}, and only http:// and https:// are followed"
        )
    return target


def _headers(options: WebOptions, url: str, first: str) -> Dict[str, str]:
    """What a request says; credentials only where the list's own URL leads to."""
    headers = {"Accept": "*/*", "Accept-Encoding": "identity", "User-Agent": options.user_agent}
    given, now = _url(first), _url(url)
    if given.auth and _origin(given) == _origin(now):
        auth = urllib.parse.unquote(given.auth)
        pair = auth if ":" in auth else f"{auth}:"
        headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
    return headers


def _origin(url: urllib3.util.Url) -> Tuple[Any, ...]:
    return url.scheme, url.host, url.port or {"http": 80, "https": 443}[str(url.scheme)]


def _body(url: str, response: Any, max_bytes: Optional[int]) -> bytes:
    length = response.headers.get("content-length", "")
    limits.check(url, int(length) if re.fullmatch(r"\d{1,18}", length) else 0, max_bytes)
    data = limits.Capped(url, max_bytes)
    for chunk in response.stream(_CHUNK_BYTES, decode_content=True):
        data.write(chunk)
    return data.getvalue()


def _drain(response: Any) -> None:
    """Reads what is not wanted, if that is little, so that its connection can be used again."""
    length = response.length_remaining
    if length is not None and length <= _DRAINED_BYTES:
        response.drain_conn()
    else:
        response.close()


def _retry_after(response: Any) -> float:
    try:
        seconds = urllib3.Retry(retry_after_max=RETRY_AFTER_SECONDS).get_retry_after(response)
    except (HTTPError, ValueError, OverflowError):
        return 0.0
    return float(seconds or 0)


def _of_status(answer: _Answered, uri: str) -> OSError:
    """The exception of an answer that stays what it is."""
    status = answer.status_code
    shown = uris.without_secrets(uri)
    said = f"HTTP {status} {refusals.in_short(answer.reason)}".rstrip()
    if answer.host != _url(uri).host:
        said = f"{said} from {answer.host}, where it is redirected to"
    if status in (404, 410):
        return FileNotFoundError(errno.ENOENT, f"it is not there ({said})", shown)
    if status in (401, 402, 403, 407, 451):
        rule = f"its server refuses it ({said}); credentials may stand in its URL"
        return PermissionError(errno.EACCES, rule, shown)
    return OSError(errno.EIO, f"its server does not give it ({said})", shown)


_BROKEN = (ConnectionError, http.client.HTTPException, ProtocolError, SSLError, ssl.SSLError)
_UNREACHABLE = (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EADDRNOTAVAIL)

# Their subclasses come of connections that broke.
_NOT_HTTP = (
    http.client.HTTPException,
    http.client.LineTooLong,
    http.client.UnknownProtocol,
    _MalformedAnswer,
)


def _raise_as_python(error: Exception, url: str) -> NoReturn:
    """Raises what urllib3 raised as what Python's own libraries would have, naming the URL."""
    error, shown = _unwrapped(error), uris.without_secrets(url)
    if isinstance(error, _Refused):
        place, what = error.args
        raise PrivateAddress(
            errno.EACCES,
            f"its host has the address {place}, which is {what} and not of the public internet; "
            "only --allow_private_hosts (allow_private_hosts=True) would fetch it",
            shown,
        ) from None
    if isinstance(error, socket.gaierror):
        if error.errno in (socket.EAI_AGAIN, socket.EAI_SYSTEM, socket.EAI_MEMORY):
            raise ConnectionError(
                errno.EAGAIN, "its host's name isn't resolved now", shown
            ) from None
        raise OSError(errno.EINVAL, "its host's name is not known", shown) from None
    if isinstance(error, (SilentServer, TimeoutError)):
        rule = f"no connection within {CONNECT_SECONDS:g} s, or {SILENCE_SECONDS:g} s of silence"
        raise TimeoutError(errno.ETIMEDOUT, rule, shown) from None
    if isinstance(error, ssl.SSLCertVerificationError):
        rule = f"its server's certificate is not valid: {error.verify_message}"
        raise OSError(errno.EACCES, rule, shown) from None
    if isinstance(error, IncompleteRead):
        rule = f"its answer ended after {error.partial} bytes, {error.expected} before its end"
        raise ConnectionError(errno.EPIPE, rule, shown) from None
    if isinstance(error, DecodeError):
        rule = "its Content-Encoding can't be undone"
        raise OSError(errno.EINVAL, rule, shown) from None
    if isinstance(error, (LocationValueError, UnicodeError)):
        raise ValueError(f"{shown!r} is no URL that can be fetched") from None
    if type(error) in _NOT_HTTP:
        rule = f"its answer is not as HTTP has it: {refusals.in_short(str(error))}"
        raise OSError(errno.EPROTO, rule, shown) from None
    if isinstance(error, OSError) and error.errno in _UNREACHABLE:
        rule = f"its host can't be reached: {error.strerror}"
        raise ConnectionError(errno.ECONNREFUSED, rule, shown) from None
    if isinstance(error, _BROKEN):
        rule = f"its connection broke: {refusals.in_short(str(error)) or type(error).__name__}"
        raise ConnectionError(errno.ECONNRESET, rule, shown) from None
    if isinstance(error, HTTPError):
        rule = f"its answer is not as HTTP has it: {refusals.in_short(str(error))}"
        raise OSError(errno.EPROTO, rule, shown) from None
    if isinstance(error, OSError) and error.filename is None:
        raise OSError(error.errno, refusals.in_short(str(error)), shown) from None
    raise error


def _unwrapped(error: Exception) -> Exception:
    """The cause that urllib3 wrapped when a connection could not be made or broke."""
    if isinstance(error, (ProtocolError, SSLError)):
        for inner in (*error.args, error.__cause__):
            if isinstance(inner, Exception):
                return _unwrapped(inner)
    return error
