"""A real web server on loopback that behaves badly where it is asked to, and counts."""

import gzip
import http.server
import re
import socket
import threading
import time
import urllib.parse
import zlib
from typing import Any, Callable, Dict, List, Optional, Tuple

from rembg_beam.transforms import WebOptions
from rembg_beam.transforms.store import web
from rembg_beam.transforms.store.retrying import Backoff, Tried
from rembg_beam.transforms.store.web import connections

LOOPBACK = WebOptions(allow_private_hosts=True, max_seconds=20)


class Clock:
    """Time that passes when somebody sleeps; `waits` are how long they did."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.waits: List[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds


def patience(clock: Clock, first_seconds: float = 1.0) -> Backoff:
    """Between attempts, a wait of that clock's."""
    return Backoff(attempts=4, first_seconds=first_seconds, sleep=clock.sleep, clock=clock)


class Raising(web.Fetcher):
    """A fetcher whose failures rise; `attempts` are those of its last URL."""

    attempts = 0

    def read_or_put_off(self, uri: str, max_bytes: Optional[int], attempts: int) -> Tried[bytes]:
        found = super().read_or_put_off(uri, max_bytes, attempts)
        self.attempts = found.attempts
        found.get()
        return found


def fetcher(options: WebOptions = LOOPBACK, **more: Any) -> Raising:
    """One that reaches this machine, and whose waits take no time."""
    return Raising(options, **{"backoff": patience(Clock()), **more})


class Server:
    """Serves `pictures` by their paths, and what `BEHAVIOURS` does; `url` is its address.

    Attributes:
      pictures: bytes by path, "/a.jpg".
      packed: the body of "/packed?CODINGS".
      headers: of the last request.
      paths, hosts: of all requests.
      connections: how many were made.
      most: how many there were at once.
      busy: hosts, as requests name them, that say wait: until what `time.monotonic`, and their
        `Retry-After`.
    """

    def __init__(self, context: Any = None) -> None:
        self.pictures: Dict[str, bytes] = {}
        self.packed = b""
        self.headers: Dict[str, str] = {}
        self.paths: List[str] = []
        self.hosts: List[str] = []
        self.connections = 0
        self.most = 0
        self.open = 0
        self.busy: Dict[str, Tuple[float, str]] = {}
        self.stopping = threading.Event()
        self._lock = threading.Lock()
        self._server = _Quiet(("127.0.0.1", 0), _handler(self))
        if context is not None:
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_address[1]
        self.url = f"http{'s' if context else ''}://127.0.0.1:{self.port}"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        self.stopping.set()
        self._server.shutdown()
        self._server.server_close()

    def count(self, opened: int) -> None:
        with self._lock:
            self.connections += opened > 0
            self.open += opened
            self.most = max(self.most, self.open)

    def asked(self, path: str, headers: Dict[str, str]) -> int:
        """How many times the path was asked for."""
        with self._lock:
            self.paths.append(path)
            self.hosts.append(headers.get("Host", ""))
            self.headers = headers
            return self.paths.count(path)


class _Quiet(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is what these tests are about."""


def _handler(server: Server) -> Any:
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # an answer is one packet
        disable_nagle_algorithm = True

        def setup(self) -> None:
            server.count(1)
            super().setup()

        def finish(self) -> None:
            server.count(-1)
            super().finish()

        def do_GET(self) -> None:
            times = server.asked(
                self.path, {name.title(): text for name, text in self.headers.items()}
            )
            until, retry_after = server.busy.get(self.headers.get("Host", ""), (0.0, ""))
            if time.monotonic() < until:
                self.answer(429, b"later", Retry_After=retry_after)
                return
            path, _, query = self.path.partition("?")
            behaviour = BEHAVIOURS.get(path.strip("/").partition("/")[0])
            if behaviour is not None:
                behaviour(self, server, query, times)
            elif path in server.pictures:
                self.answer(200, server.pictures[path])
            else:
                self.answer(404, b"no such picture")

        def answer(self, status: int, body: bytes, **headers: str) -> None:
            self.send_response(status)
            for name, value in {"Content_Length": str(len(body)), **headers}.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Nothing is said."""

    return Handler


def _two_lengths(handler: Any, server: Server, query: str, times: int) -> None:
    handler.answer(200, b"", Content_Length="1, 2")


def _slow(handler: Any, server: Server, query: str, times: int) -> None:
    """A byte of the body now and then, for ever."""
    handler.send_response(200)
    handler.send_header("Content-Length", "1000000")
    handler.end_headers()
    _drip(handler, server, b"x")


def _slow_headers(handler: Any, server: Server, query: str, times: int) -> None:
    """A byte of a header now and then, for ever."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    _drip(handler, server, b"x")


def _drip(handler: Any, server: Server, data: bytes) -> None:
    while not server.stopping.wait(0.05):
        handler.wfile.write(data)
        handler.wfile.flush()


def _silent(handler: Any, server: Server, query: str, times: int) -> None:
    server.stopping.wait(60)
    handler.close_connection = True


def _endless(handler: Any, server: Server, query: str, times: int) -> None:
    """Bytes without end, as fast as they are taken."""
    handler.send_response(200)
    handler.send_header("Connection", "close")
    handler.end_headers()
    while not server.stopping.is_set():
        handler.wfile.write(bytes(1 << 16))


def _too_short(handler: Any, server: Server, query: str, times: int) -> None:
    """A body that ends before its Content-Length."""
    body = server.pictures["/a.jpg"]
    handler.answer(200, body, Content_Length=str(len(body) + 1000), Connection="close")
    handler.close_connection = True


def _too_long(handler: Any, server: Server, query: str, times: int) -> None:
    """A body that goes on after its Content-Length."""
    body = server.pictures["/a.jpg"]
    handler.answer(200, body, Content_Length=str(len(body) // 2))


def _vast(handler: Any, server: Server, query: str, times: int) -> None:
    """A Content-Length above any cap."""
    handler.answer(200, b"", Content_Length=str(10**15))
    handler.close_connection = True


def _as_text(handler: Any, server: Server, query: str, times: int) -> None:
    """A picture that says it is a text."""
    handler.answer(200, server.pictures["/a.jpg"], Content_Type="text/html")


def _page(handler: Any, server: Server, query: str, times: int) -> None:
    """A text that says it is a picture."""
    handler.answer(200, b"<html>Please log in</html>", Content_Type="image/jpeg")


def _zipped(handler: Any, server: Server, query: str, times: int) -> None:
    body = gzip.compress(server.pictures["/a.jpg"])
    handler.answer(200, body, Content_Encoding="gzip")


def _bomb(handler: Any, server: Server, query: str, times: int) -> None:
    """A few hundred kilobytes that unpack to as many megabytes."""
    layers = int(query or 1)
    body = gzip.compress(bytes(300_000_000), 9) if layers == 1 else _layers(layers)
    handler.answer(200, body, Content_Encoding=", ".join(["gzip"] * layers))


_EMPTY_BLOCKS = b"\x00\x00\x00\xff\xff" * 13107

# What never ends, and stands for little: how an answer begins, and goes on.
FOREVER = {
    "empty-deflate": (b"Content-Encoding: deflate\r\n\r\n\x78\x9c", _EMPTY_BLOCKS),
    "empty-gzip": (b"Content-Encoding: gzip\r\n\r\n\x1f\x8b\x08\0\0\0\0\0\0\xff", _EMPTY_BLOCKS),
    "empty-members": (b"Content-Encoding: gzip\r\n\r\n", gzip.compress(b"") * 3000),
    "gzip-name": (b"Content-Encoding: gzip\r\n\r\n\x1f\x8b\x08\x08\0\0\0\0\0\xff", b"a" * 65536),
    "chunks": (b"Transfer-Encoding: chunked\r\n\r\n", b"10000\r\n" + bytes(65536) + b"\r\n"),
    "chunk-line": (b"Transfer-Encoding: chunked\r\n\r\n1;", b"a" * 65536),
    "trailers": (b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"X-A: b\r\n" * 1000),
    "header-line": (b"X-A: ", b"a" * 65536),
    "headers": (b"", b"".join(b"X-%d: %s\r\n" % (n, b"a" * 60000) for n in range(10))),
    "interim": (b"\r\n", b"HTTP/1.1 100 Continue\r\n\r\n" * 1000),
    "hints": (b"\r\n", b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 1000),
}


def _forever(handler: Any, server: Server, query: str, times: int) -> None:
    beginning, more = FOREVER[query]
    status = b"100 Continue" if query in ("interim", "hints") else b"200 OK"
    handler.wfile.write(b"HTTP/1.1 " + status + b"\r\n" + beginning)
    while not server.stopping.is_set():
        handler.wfile.write(more)
        handler.wfile.flush()


def _early_hints(handler: Any, server: Server, query: str, times: int) -> None:
    """Two answers that tell of another, and that."""
    handler.wfile.write(
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    )
    handler.answer(200, server.pictures["/a.jpg"])


def _packed(handler: Any, server: Server, query: str, times: int) -> None:
    """A label of the query's, and what it stands for lies in `packed`."""
    handler.answer(200, server.packed, Content_Encoding=urllib.parse.unquote(query))


def _transferred(handler: Any, server: Server, query: str, times: int) -> None:
    handler.answer(200, b"3\r\nabc\r\n0\r\n\r\n", Transfer_Encoding=urllib.parse.unquote(query))


def _layers(count: int) -> bytes:
    packing = zlib.compressobj(9, wbits=31)
    body = b"".join(packing.compress(bytes(10_000_000)) for _ in range(100)) + packing.flush()
    for _ in range(count - 1):
        body = gzip.compress(body, 9)
    return body


def _broken_gzip(handler: Any, server: Server, query: str, times: int) -> None:
    handler.answer(200, b"no gzip at all", Content_Encoding="gzip")


def _loop(handler: Any, server: Server, query: str, times: int) -> None:
    handler.answer(302, b"", Location=f"/loop/{times}")


def _moved(handler: Any, server: Server, query: str, times: int) -> None:
    """To wherever the query says."""
    handler.answer(int(handler.path[7:10]), b"over there", Location=urllib.parse.unquote(query))


def _busy(handler: Any, server: Server, query: str, times: int) -> None:
    """429, or what the path says, and a `Retry-After` of the query's; then the picture."""
    if times == 1:
        status = handler.path.partition("?")[0].removeprefix("/busy").strip("/")
        handler.answer(int(status or 429), b"later", Retry_After=query or "0")
    else:
        handler.answer(200, server.pictures["/a.jpg"])


def _status(handler: Any, server: Server, query: str, times: int) -> None:
    handler.answer(int(query), b"" if query == "204" else b"no")


def _cut(handler: Any, server: Server, query: str, times: int) -> None:
    """A connection that breaks in the middle, once."""
    body = server.pictures["/a.jpg"]
    if times == 1:
        handler.answer(200, body[: len(body) // 2], Content_Length=str(len(body)))
        handler.close_connection = True
    else:
        handler.answer(200, body)


def _robots(handler: Any, server: Server, query: str, times: int) -> None:
    handler.answer(200, server.pictures["/a.jpg"], X_Robots_Tag=query.replace("+", " "))


def _waiting(handler: Any, server: Server, query: str, times: int) -> None:
    time.sleep(0.05)
    handler.answer(200, server.pictures["/a.jpg"])


def _nonsense(handler: Any, server: Server, query: str, times: int) -> None:
    handler.wfile.write(b"\x00\x01\x02 not HTTP\r\n\r\n")
    handler.close_connection = True


def _negative_chunk(handler: Any, server: Server, query: str, times: int) -> None:
    """A chunk of -1 bytes, which is to read as many as come, and many that come."""
    handler.send_response(int(query or 200))
    handler.send_header("Transfer-Encoding", "chunked")
    if query:
        handler.send_header("Content-Length", "5")
    handler.end_headers()
    handler.wfile.write(b"-1\r\n")
    for _ in range(200):
        handler.wfile.write(bytes(1_000_000))
    handler.close_connection = True


def _many_headers(handler: Any, server: Server, query: str, times: int) -> None:
    handler.answer(200, b"", **{f"X_{n}": "x" for n in range(200)})


def _bad_header(handler: Any, server: Server, query: str, times: int) -> None:
    """A line among the headers that is none."""
    body = server.pictures["/a.jpg"]
    length = str(len(body)).encode()
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: " + length + b"\r\nno header\r\n\r\n")
    handler.wfile.write(body)


def _parts(handler: Any, server: Server, query: str, times: int) -> None:
    """Parts of what lies at the path, and its version; one thing wrong with them by the query."""
    data = server.pictures[handler.path.partition("?")[0]]
    told = {"ETag": f'"{zlib.crc32(data)}"', "Last_Modified": "Sat, 28 Nov 2026 12:00:00 GMT"}
    asked = re.fullmatch(r"bytes=(\d+)-(\d+)", handler.headers.get("Range", ""))
    if asked is None:
        handler.answer(200, data, **told)
        return
    start, end = int(asked[1]) + (query == "shifted"), int(asked[2]) + 1
    part = data[start:end][: 10 if query == "short" else None]
    if not part:
        handler.answer(416, b"", Content_Range=f"bytes */{len(data)}", **told)
        return
    told["Content_Range"] = f"bytes {start}-{min(end, len(data)) - 1}/{len(data)}"
    if query == "silent":
        del told["Content_Range"]
    if query == "packed":
        told["Content_Encoding"] = "gzip"
    handler.answer(206, part, **told)


BEHAVIOURS: Dict[str, Callable[[Any, Server, str, int], None]] = {
    "two-lengths": _two_lengths,
    "slow": _slow,
    "slow-headers": _slow_headers,
    "silent": _silent,
    "endless": _endless,
    "too-short": _too_short,
    "too-long": _too_long,
    "vast": _vast,
    "as-text": _as_text,
    "page.jpg": _page,
    "zipped": _zipped,
    "bomb": _bomb,
    "broken-gzip": _broken_gzip,
    "forever": _forever,
    "early-hints": _early_hints,
    "packed": _packed,
    "parts": _parts,
    "transferred": _transferred,
    "loop": _loop,
    "moved": _moved,
    "busy": _busy,
    "status": _status,
    "cut": _cut,
    "robots": _robots,
    "waiting": _waiting,
    "nonsense": _nonsense,
    "negative-chunk": _negative_chunk,
    "many-headers": _many_headers,
    "bad-header": _bad_header,
}


class Listener:
    """Counts the connections that come to a port of loopback, IPv4 and IPv6, and hangs up."""

    def __init__(self) -> None:
        self.connections = 0
        self._sockets = [socket.create_server(("127.0.0.1", 0))]
        self.port = self._sockets[0].getsockname()[1]
        six = self._on_six()
        if six is not None:
            self._sockets.append(six)
        for each in self._sockets:
            threading.Thread(target=self._run, args=(each,), daemon=True).start()

    def _on_six(self) -> Optional[socket.socket]:
        try:
            return socket.create_server(("::1", self.port), family=socket.AF_INET6)
        except OSError:  # a machine without IPv6
            return None

    def _run(self, listening: socket.socket) -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            self.connections += 1
            connection.close()

    def stop(self) -> None:
        for each in self._sockets:
            each.close()


class Dialled:
    """Connects to a server of this machine, whatever the address, and keeps a list of those."""

    def __init__(self, server: Server) -> None:
        self.port = server.port
        self.places: List[str] = []

    def __call__(self, family: int, place: Any, seconds: float) -> socket.socket:
        self.places.append(place[0])
        return connections.dial(socket.AF_INET, ("127.0.0.1", self.port), seconds)


def resolving_to(address: str) -> Any:
    """A resolver for which every name leads to an address; no name server is asked."""

    def resolve(host: str, port: int, *, type: int) -> List[Any]:
        if host == "127.0.0.1":
            return [(socket.AF_INET, type, 6, "", (host, port))]
        if ":" in address:
            return [(socket.AF_INET6, type, 6, "", (address, port, 0, 0))]
        return [(socket.AF_INET, type, 6, "", (address, port))]

    return resolve
