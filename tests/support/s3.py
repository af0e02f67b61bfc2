"""S3 on loopback: moto's server, and what counts and fails requests before it.

    client --> Server --> moto

moto is the real package, in memory, behind a server in a thread. What it leaves out is done here as
the documentation of S3 says: conditional writes are made one after another, and bytes that have not
the CRC32C which they came with are refused. What a test puts and gets itself is not counted.
"""

import logging
import threading
import urllib.parse
from collections import Counter
from types import MappingProxyType
from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Optional, Tuple

from apache_beam.options.pipeline_options import PipelineOptions
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server
from werkzeug.test import Client, run_wsgi_app
from werkzeug.wrappers import Request, Response

from rembg_beam.transforms.store import crc32c

BUCKET = "bucket"

# What a request may meet instead of its answer: a refusal by an HTTP status, with S3's code for it.
# With LOST, it is done, and the answer says that it is not.
BUSY, CONFLICT = "503 SlowDown", "409 ConditionalRequestConflict"
UNKNOWN, INVALID = "501 NotImplemented", "400 InvalidArgument"
LOST = "500 InternalError"

# Of anybody: moto asks for a signature, and checks none.
_SIGNED = {"Authorization": "AWS4-HMAC-SHA256 Credential=a/20260101/us-east-1/s3/aws4_request"}


class Asked(NamedTuple):
    """What a client asked for: the kind, the object's key, and what became of it."""

    kind: str
    key: str
    status: int


class Server:
    """moto's server on a free port of loopback.

    Attributes:
      fault: what a request meets, by its kind and its headers; None for nothing.
      requests: all that came, in the order of their answers.
      deaf: whether conditions are passed over in silence.
      options: Beam's, for clients of it; they find in the environment where it is.
      page: the most that a listing has in one answer.
    """

    def __init__(self) -> None:
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self._moto = DomainDispatcherApplication(create_backend_app)
        self._direct = Client(self._moto)
        self._writing = threading.Lock()
        self._server = make_server("127.0.0.1", 0, self._answer, threaded=True)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self.options = PipelineOptions([])
        self.empty()
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def empty(self) -> None:
        """Leaves one bucket, empty; nothing fails any more."""
        self.fault: Callable[[str, Any], Optional[str]] = lambda kind, headers: None
        self.requests: List[Asked] = []
        self.deaf = False
        self.page = 1000
        assert self._direct.post("/moto-api/reset").status_code == 200
        assert self._direct.put(f"/{BUCKET}").status_code == 200

    def counts(self) -> Dict[str, int]:
        """How many requests of each kind came."""
        return dict(Counter(asked.kind for asked in self.requests))

    def put(self, key: str, data: bytes, headers: Mapping[str, str] = MappingProxyType({})) -> None:
        answer = self._direct.put(_path(key), data=data, headers={**_SIGNED, **headers})
        assert answer.status_code == 200, answer.text

    def get(self, key: str) -> bytes:
        answer = self._direct.get(_path(key), headers=_SIGNED)
        assert answer.status_code == 200, answer.text
        return answer.data

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, environ: Dict[str, Any], start_response: Any) -> Any:
        request = Request(environ)
        kind, key = _kind(request)
        fault = self.fault(kind, request.headers)
        done = _refusal(fault) if fault and fault != LOST else self._done(kind, environ, request)
        answer = _refusal(fault) if fault == LOST else done
        self.requests.append(Asked(kind, key, answer.status_code))
        return answer(environ, start_response)

    def _done(self, kind: str, environ: Dict[str, Any], request: Request) -> Response:
        if kind == "list":
            environ = {**environ, "QUERY_STRING": f"{environ['QUERY_STRING']}&max-keys={self.page}"}
        if kind != "write":
            return Response(*run_wsgi_app(self._moto, environ, buffered=True))
        told = request.headers.get("x-amz-checksum-crc32c")
        if told and told != crc32c.of(request.get_data()):
            return _refusal("400 BadDigest")
        headers = dict(request.headers)
        if self.deaf:
            headers = {key: value for key, value in headers.items() if not key.startswith("If-")}
        with self._writing:
            path = urllib.parse.quote(request.path)
            return self._direct.put(path, data=request.get_data(), headers=headers)


def first(number: int, fault: str, of: str) -> Callable[[str, Any], Optional[str]]:
    """A fault for the first requests of one kind."""
    left = [number]

    def choose(kind: str, headers: Any) -> Optional[str]:
        if kind != of or not left[0]:
            return None
        left[0] -= 1
        return fault

    return choose


def where_conditional(fault: str) -> Callable[[str, Any], Optional[str]]:
    """A fault for all conditional writes, as of an endpoint that doesn't know them."""
    return lambda kind, headers: (
        fault if kind == "write" and {"If-None-Match", "If-Match"} & {*headers.keys()} else None
    )


def _kind(request: Request) -> Tuple[str, str]:
    """The kind of a request and the key that it is about.

    Kinds: read, write (all of an object), stat, list, delete; those of uploads in parts
    are called by their methods.
    """
    key = request.path.removeprefix(f"/{BUCKET}").removeprefix("/")
    if "list-type" in request.args:
        return "list", request.args.get("prefix", "")
    if {"uploads", "uploadId"} & {*request.args}:
        return request.method, key
    kinds = {"GET": "read", "PUT": "write", "HEAD": "stat", "DELETE": "delete"}
    return kinds.get(request.method, request.method), key


def _path(key: str) -> str:
    return f"/{BUCKET}/{urllib.parse.quote(key)}"


def _refusal(fault: str) -> Response:
    status, code = fault.split()
    body = f"<Error><Code>{code}</Code><Message>the server says {status}</Message></Error>"
    return Response(body, int(status), content_type="application/xml")
