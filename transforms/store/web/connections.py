"""Connections to addresses that may be connected to, and urllib3's pools of them.

In: URLs. Out: answers that urllib3 reads. Where a connection goes is judged by its address, once
the name is resolved and before anything is sent. Fails with `errors.Refused` for an address that
`addresses` refuses, and with what sockets, TLS, http.client and urllib3 raise.
"""

import contextlib
import http.client
import logging
import re
import socket
import ssl
import threading
from typing import Any, Callable, Dict, List, Tuple

import certifi
import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection

from . import addresses
from .errors import CONNECT_SECONDS, SILENCE_SECONDS, MalformedAnswer, Refused
from .options import WebOptions
from .watchdog import Watch

# Hosts whose connections are kept open for the next picture.
HOSTS = 64


# As `socket.getaddrinfo`.
Resolver = Callable[..., List[Any]]

# As `dial`.
Dial = Callable[[int, Any, float], socket.socket]


def dial(family: int, place: Any, seconds: float) -> socket.socket:
    """A TCP connection to an address, made within so many seconds; it sends at once."""
    with contextlib.ExitStack() as undo:
        connection = undo.enter_context(socket.socket(family, socket.SOCK_STREAM))
        connection.settimeout(seconds)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.connect(place)
        undo.pop_all()
        return connection


class Connections:
    """Connections to many hosts, kept for the next request; for any number of threads.

    Args:
      options: see `WebOptions`.
      resolver: gives the addresses of a name.
      dial: connects to an address.
    """

    def __init__(self, options: WebOptions, resolver: Resolver, dial: Dial) -> None:
        self._opened = addresses.networks(options.allow_private_hosts)
        self._resolver = resolver
        self._dial = dial
        # urllib3 makes connections on the thread that asks, and hands them nothing of ours.
        self._thread = threading.local()
        # The system's authorities, or those that SSL_CERT_FILE names, and certifi's.
        context = ssl.create_default_context()
        context.load_verify_locations(certifi.where())
        self._pools = urllib3.PoolManager(
            num_pools=HOSTS, maxsize=options.connections_per_host, ssl_context=context
        )
        for name in ("urllib3.connection", "urllib3.connectionpool"):
            logging.getLogger(name).addFilter(_WITHOUT_QUERIES)
        self._pools.pool_classes_by_scheme = _pool_classes(
            self._connect, lambda connection: self._thread.watch.on(connection)
        )

    def get(self, url: str, headers: Dict[str, str], watch: Watch) -> Any:
        """The answer, its body unread; `watch` is told of the connection."""
        self._thread.watch = watch
        return self._pools.urlopen(
            "GET",
            url,
            headers=headers,
            timeout=SILENCE_SECONDS,
            redirect=False,
            retries=False,
            preload_content=False,
        )

    def _connect(self, host: str, port: int) -> socket.socket:
        """A connection to an address of a host, if none of its addresses is refused."""
        watch: Watch = self._thread.watch
        found = self._resolver(host, port, type=socket.SOCK_STREAM)
        for *_, place in found:
            refusal = addresses.refusal(str(place[0]), self._opened)
            if refusal is not None:
                raise Refused(str(place[0]), refusal)
        failures: List[OSError] = []
        for family, _, _, _, place in found:
            seconds = min(CONNECT_SECONDS, watch.remaining())
            try:
                with contextlib.ExitStack() as undo:
                    connection = undo.enter_context(self._dial(family, place, seconds))
                    watch.on(connection)
                    undo.pop_all()
                    return connection
            except OSError as error:
                failures.append(error)
        # A machine without IPv6 says of each such address that it can't be reached.
        told = [error for error in failures if isinstance(error, (ConnectionError, TimeoutError))]
        raise (told or failures or [ConnectionError(f"{host!r} has no address")])[0]


# Answers of 1xx, which tell that another follows.
_MOST_INTERIM = 16


class _Answer(http.client.HTTPResponse):
    def _read_status(self) -> Tuple[str, int, str]:
        # http.client passes over any number of 100, and takes 103 for the answer itself.
        for _ in range(_MOST_INTERIM):
            version, status, reason = super()._read_status()  # type: ignore[misc]
            if not 102 <= status < 200 and status != http.HTTPStatus.CONTINUE:
                return version, status, reason
            http.client.parse_headers(self.fp)
        raise MalformedAnswer(f"more than {_MOST_INTERIM} interim answers come first")

    def _safe_read(self, amt: int) -> bytes:
        # A chunk's length is read as any integer, and a file reads to its end for -1.
        if amt < 0:
            raise MalformedAnswer("a chunk's length is negative")
        return super()._safe_read(amt)  # type: ignore[misc]

    def _read_and_discard_trailer(self) -> None:
        # So many lines as headers may have, where http.client reads on for ever.
        http.client.parse_headers(self.fp)


class _WithoutQueries(logging.Filter):
    """urllib3 logs paths, of each request and of malformed headers; a query may hold secrets."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(
                re.sub(r"\?.*", "?***", value) if isinstance(value, str) else value
                for value in record.args
            )
        return True


_WITHOUT_QUERIES = _WithoutQueries()


def _pool_classes(connect: Any, go_on: Any) -> Dict[str, Any]:
    """urllib3's pools, of connections that `connect` makes and `go_on` is told to be used again."""

    class Watched:
        response_class: Any = _Answer

        def _new_conn(self: Any) -> socket.socket:
            return connect(self.host, self.port)

        def request(self: Any, *arguments: Any, **more: Any) -> None:
            if self.sock is None:
                # Here, since urllib3 overlooks a reset while it sends a request.
                self.connect()
            else:
                go_on(self.sock)
            super().request(*arguments, **more)  # type: ignore[misc]

    class Pool(urllib3.HTTPConnectionPool):
        class ConnectionCls(Watched, HTTPConnection):
            pass

    class SecurePool(urllib3.HTTPSConnectionPool):
        class ConnectionCls(Watched, HTTPSConnection):
            pass

    return {"http": Pool, "https": SecurePool}
