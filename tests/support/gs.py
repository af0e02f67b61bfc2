"""Google Cloud Storage on loopback: gcp-storage-emulator, and a counting, failing proxy before it.

    client --> Proxy --> Emulator

The emulator is the real package, in memory, in a thread. It answers one request at a time and
leaves out what this project relies on, so the proxy does that as the documentation of GCS says:

- listings come in pages of at most 1,000, with `nextPageToken` (the emulator gives all at once);
- `ifGenerationMatch` answers 412 where there is an object of another generation, or with 0 of any
  (the emulator writes over it);
- a download has the headers X-Goog-Generation, X-Goog-Stored-Content-Length and, for an object
  stored with a content encoding, Content-Encoding and X-Goog-Stored-Content-Encoding.

All else goes through as it is. What the proxy asks of its own is not counted.
"""

import json
import logging
import random
import re
import socket
import struct
import threading
import time
import urllib.parse
from collections import Counter
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Tuple

from gcp_storage_emulator.server import create_server

PAGE = 1000

# What a request may meet instead of its answer: a refusal (an HTTP status), a connection that is
# reset before the emulator hears of it, half an answer, none although it was done, other bytes.
BUSY, BROKEN, RESET, CUT, LOST, GARBLED = "429", "503", "reset", "cut", "lost", "garbled"

_OBJECTS = re.compile(r"/storage/v1/b/([^/]+)/o(?:/(.*))?")


class Answer(NamedTuple):
    """A server's answer."""

    status: int
    headers: Dict[str, str]
    body: bytes


class Request(NamedTuple):
    """What a client asked for: the kind, the object's name, and what became of it."""

    kind: str
    name: str
    outcome: str


class Emulator:
    """gcp-storage-emulator in a thread, on a free port of loopback."""

    def __init__(self) -> None:
        logging.getLogger("gcp_storage_emulator").setLevel(logging.CRITICAL)
        self._server = create_server("127.0.0.1", 0, in_memory=True)
        # It writes an index of all objects after each change, which nobody reads in memory.
        self._server._storage._write_config_to_file = lambda: None
        self._server.start()
        while self._server._api._httpd is None:
            time.sleep(0.01)
        self.port = self._server._api._httpd.server_port
        self._one_at_a_time = threading.Lock()

    def ask(
        self, method: str, path: str, body: Optional[bytes] = None, headers: Any = None
    ) -> Answer:
        with self._one_at_a_time:
            connection = HTTPConnection("127.0.0.1", self.port, timeout=30)
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            data = answer.read()
            connection.close()
            return Answer(answer.status, dict(answer.headers), data)

    def empty(self, bucket: str) -> None:
        """Leaves this bucket, empty, and no other."""
        self.ask("GET", "/wipe")
        self.ask(
            *("POST", "/storage/v1/b", json.dumps({"name": bucket}).encode()),
            {"Content-Type": "application/json"},
        )

    def put(self, uri: str, data: bytes, **metadata: str) -> None:
        bucket, name = _parts(uri)
        query = urllib.parse.urlencode({"uploadType": "media", "name": name})
        path = f"/upload/storage/v1/b/{bucket}/o?{query}"
        assert self.ask("POST", path, data, {"Content-Type": "image/png"}).status == 200
        if metadata:
            path = f"/storage/v1/b/{bucket}/o/{urllib.parse.quote(name, safe='')}"
            body = json.dumps(metadata).encode()
            self.ask("PATCH", path, body, {"Content-Type": "application/json"})

    def get(self, uri: str) -> bytes:
        bucket, name = _parts(uri)
        answer = self.ask("GET", f"/download/storage/v1/b/{bucket}/o/{_quoted(name)}?alt=media")
        assert answer.status == 200, answer
        return answer.body

    def tree(self, bucket: str, folder: str = "") -> Dict[str, bytes]:
        """The objects below a folder, by the rest of their names."""
        listed = self.ask("GET", f"/storage/v1/b/{bucket}/o?prefix={_quoted(folder)}")
        names = [item["name"] for item in json.loads(listed.body)["items"]]
        return {name[len(folder) :]: self.get(f"gs://{bucket}/{name}") for name in names}

    def stop(self) -> None:
        self._server.stop()


class Proxy:
    """Counts requests on their way to an emulator, and fails some of them.

    Attributes:
      fault: what a request meets, by its kind and name; None for nothing.
      requests: all that came, in the order of their answers.
      connections: how many were opened.
      sessions: names of objects by the ids of their uploads.
    """

    def __init__(self, emulator: Emulator) -> None:
        self.emulator = emulator
        self.fault: Callable[[str, str], Optional[str]] = lambda kind, name: None
        self.requests: List[Request] = []
        self.connections = 0
        self.sessions: Dict[str, str] = {}
        self.lock = threading.Lock()
        self.writing = threading.Lock()
        handler = type("Handler", (_Handler,), {"proxy": self})
        self._server = _Server(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def counts(self) -> Dict[str, int]:
        """How many requests of each kind came."""
        return dict(Counter(request.kind for request in self.requests))

    def clear(self) -> None:
        """Forgets what came, and fails nothing more."""
        self.fault = lambda kind, name: None
        self.requests.clear()
        self.connections = 0

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def at_random(seed: int, share: float) -> Callable[[str, str], Optional[str]]:
    """Faults of all sorts for a share of the requests."""
    generator = random.Random(seed)
    faults = (BUSY, BROKEN, RESET, CUT, LOST)
    return lambda kind, name: generator.choice(faults) if generator.random() < share else None


def first(number: int, fault: str, of: str) -> Callable[[str, str], Optional[str]]:
    """A fault for the first requests of one kind."""
    left = [number]

    def choose(kind: str, name: str) -> Optional[str]:
        if kind != of or not left[0]:
            return None
        left[0] -= 1
        return fault

    return choose


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    proxy: Proxy

    def setup(self) -> None:
        super().setup()
        with self.proxy.lock:
            self.proxy.connections += 1

    def log_message(self, *arguments: Any) -> None:
        pass

    def do_GET(self) -> None:
        self._handle()

    do_POST = do_PUT = do_DELETE = do_PATCH = do_GET

    def _handle(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        kind, name = _kind(self.command, self.path, body)
        if kind == "send":
            name = self.proxy.sessions.get(_upload_id(self.path), "")
        with self.proxy.lock:
            fault = self.proxy.fault(kind, name)
        answer = None if fault in (BUSY, BROKEN, RESET) else self._answer(kind, name, body)
        if fault is not None and fault.isdigit():
            answer = _refusal(int(fault))
        outcome = fault or str(answer.status if answer else "")
        with self.proxy.lock:
            self.proxy.requests.append(Request(kind, name, outcome))
        if answer is None or fault in (RESET, LOST):
            self._reset()
        else:
            self._send(_garbled(answer) if fault == GARBLED else answer, cut=fault == CUT)

    def _answer(self, kind: str, name: str, body: bytes) -> Answer:
        emulator = self.proxy.emulator
        wanted = re.search(r"ifGenerationMatch=(\d+)", self.path)
        if kind in ("write", "session", "send") and wanted:
            with self.proxy.writing:
                if self._generation(name) != wanted[1]:
                    return _refusal(412)
                answer = emulator.ask(self.command, self.path, body, dict(self.headers))
        else:
            answer = emulator.ask(self.command, self.path, body, dict(self.headers))
        if kind == "session" and answer.status == 200:
            self.proxy.sessions[_upload_id(answer.headers["Location"])] = name
        if kind == "list" and answer.status == 200:
            return _page(answer, self.path)
        if kind == "read" and answer.status in (200, 206):
            return self._with_headers(answer)
        return answer

    def _generation(self, name: str) -> str:
        bucket = self.path.split("/b/")[1].split("/")[0]
        path = f"/storage/v1/b/{bucket}/o/{_quoted(name)}"
        answer = self.proxy.emulator.ask("GET", path)
        return str(json.loads(answer.body)["generation"]) if answer.status == 200 else "0"

    def _with_headers(self, answer: Answer) -> Answer:
        path = self.path.split("?")[0].removeprefix("/download")
        stored = json.loads(self.proxy.emulator.ask("GET", path).body)
        headers = {
            **answer.headers,
            "X-Goog-Generation": stored["generation"],
            "X-Goog-Stored-Content-Length": str(stored["size"]),
        }
        if stored.get("contentEncoding"):
            headers["Content-Encoding"] = stored["contentEncoding"]
            headers["X-Goog-Stored-Content-Encoding"] = stored["contentEncoding"]
        return answer._replace(headers=headers)

    def _send(self, answer: Answer, cut: bool) -> None:
        self.send_response(answer.status)
        for key, value in answer.headers.items():
            if key.lower() not in ("content-length", "server", "date", "connection"):
                self.send_header(key, value)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body[: len(answer.body) // 2] if cut else answer.body)
        self.close_connection = self.close_connection or cut

    def _reset(self) -> None:
        linger = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.close_connection = True


def _kind(method: str, path: str, body: bytes) -> Tuple[str, str]:
    """The kind of a request and the object it is about.

    Kinds: read, write (multipart), session (begins an upload), send (all of its bytes), list, stat
    (of an object), bucket; batch and other ones are Beam's.
    """
    url = urllib.parse.urlsplit(path)
    objects = _OBJECTS.search(url.path)
    name = urllib.parse.unquote(objects[2] or "") if objects else ""
    if url.path.startswith("/upload/"):
        if "upload_id=" in url.query:
            return "send", ""
        return "write" if "uploadType=multipart" in url.query else "session", _uploaded_name(body)
    if url.path.startswith("/batch/"):
        return "batch", ""
    if method != "GET":
        return method.lower(), name
    if objects is None:
        return "bucket", ""
    if "alt=media" in url.query:
        return "read", name
    return ("stat", name) if name else ("list", "")


def _uploaded_name(body: bytes) -> str:
    """Of an upload, which begins with a JSON object."""
    return str(json.loads(body[body.index(b"{") : body.index(b"}") + 1])["name"])


def _upload_id(url: str) -> str:
    return urllib.parse.parse_qs(urllib.parse.urlsplit(url).query)["upload_id"][0]


def _page(answer: Answer, path: str) -> Answer:
    query = urllib.parse.parse_qs(urllib.parse.urlsplit(path).query)
    items = json.loads(answer.body).get("items", [])
    start = int(query.get("pageToken", ["0"])[0])
    end = start + min(PAGE, int(query.get("maxResults", [PAGE])[0]))
    page: Dict[str, Any] = {"kind": "storage#objects", "items": items[start:end]}
    if end < len(items):
        page["nextPageToken"] = str(end)
    return answer._replace(body=json.dumps(page).encode())


def _refusal(status: int) -> Answer:
    body = {"error": {"code": status, "message": f"the proxy says {status}"}}
    return Answer(status, {"Content-Type": "application/json"}, json.dumps(body).encode())


def _garbled(answer: Answer) -> Answer:
    """One with another last byte; where it is JSON, with another size."""
    if answer.headers.get("Content-type") == "application/json":
        stored = {**json.loads(answer.body), "size": "1"}
        return answer._replace(body=json.dumps(stored).encode())
    return answer._replace(body=answer.body[:-1] + bytes([answer.body[-1] ^ 1]))


def _parts(uri: str) -> Tuple[str, str]:
    bucket, _, name = uri.removeprefix("gs://").partition("/")
    return bucket, name


def _quoted(name: str) -> str:
    return urllib.parse.quote(name, safe="")
