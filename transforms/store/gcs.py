"""gs:// by google-cloud-storage itself: one request to read a picture, one to write it.

In: URIs `gs://BUCKET/OBJECT`. Per call, without failures, the requests are

    read      1, checked against the checksum that came with it; `download` likewise
    write     1, always multipart; conditional where nothing may be overwritten; the size and the
              checksum in its answer are those of the object as stored
    size      1
    remove    1
    listing   1 for each thousand objects

Each is retried by google-cloud-storage's own policy (`RETRY`): on 408, 429, 5xx, time-outs and
connections that break, with a back-off that doubles and is drawn at random. Uploads too: the same
bytes under the same name may come twice. A conditional upload that was retried may find what an
attempt before it wrote, whose answer was lost; so one that finds its very bytes there has
succeeded, at the cost of one more request.

What is stored with `Content-Encoding: gzip` is unpacked, as all readers of gs:// do: that marks
how the object is carried, not what it is. What is only called `.gz` is not.

Fails with Python's own errors (see `refusals`), with `limits.TooLarge`, with `TimeoutError` when
`RETRY` has run out of time, and with `ValueError` for what is no gs:// URI.
`STORAGE_EMULATOR_HOST` names an emulator, which gets no credentials; otherwise they are those that
Beam uses, its options such as `--impersonate_service_account` included.
"""

import contextlib
import errno
import io
import os
import threading
from base64 import b64encode
from typing import Any, BinaryIO, Callable, Dict, Iterator, List, Optional, Tuple, TypeVar

import google_crc32c
import requests
from apache_beam.io.filesystems import FileSystems
from apache_beam.io.gcp import gcsio
from apache_beam.options.pipeline_options import PipelineOptions
from google.api_core.exceptions import GoogleAPICallError, RetryError
from google.auth.credentials import AnonymousCredentials
from google.auth.exceptions import GoogleAuthError
from google.cloud import storage
from google.cloud.storage.exceptions import DataCorruption, InvalidResponse
from google.cloud.storage.retry import DEFAULT_RETRY

from . import limits, refusals, uris
from .listed import Listed
from .retrying import Tried

T = TypeVar("T")

# Waits at most 1 s after the first failure, 2 s after the next, ... 32 s; gives up after 5 min.
RETRY = DEFAULT_RETRY.with_delay(initial=1.0, maximum=32.0, multiplier=2.0).with_timeout(300.0)

# For a connection, and between two packets of an answer.
TIMEOUT_SECONDS = (10.0, 60.0)

# Of one attempt of `RETRY`'s; with `checksum`, the bytes are checked.
_ONCE: Dict[str, Any] = {"timeout": TIMEOUT_SECONDS, "retry": None}
_CHECKED = {**_ONCE, "checksum": "crc32c"}

# Kept open for the next request; more threads than that would connect anew each time.
CONNECTIONS = 256

# The most that GCS lists in one answer.
PAGE = 1000

# Of an object that is read in pieces; each costs a request.
PIECE_BYTES = 4 << 20

_clients: Dict[Tuple[int, Optional[str]], storage.Client] = {}
_clients_lock = threading.Lock()


# As `stores.Store` has them; what each means is said there.


def read(uri: str, max_bytes: Optional[int], *_: Any) -> Tried[bytes]:
    return _tried(uri, _read, uri, max_bytes)


def download(uri: str, path: str) -> Tried[None]:
    return _tried(uri, lambda: _blob(uri).download_to_filename(path, **_CHECKED))


@contextlib.contextmanager
def opened(uri: str) -> Iterator[BinaryIO]:
    try:
        with _blob(uri).open("rb", chunk_size=PIECE_BYTES, retry=RETRY) as file:
            yield file
    except _REFUSALS as error:
        raise _explained(error, uri) from None


def write(
    folder: str, name: str, data: bytes, mime_type: str, overwrite: bool, durable: bool
) -> Tried[None]:
    uri = uris.join(folder, name)
    return _tried(uri, _upload, uri, data, mime_type, overwrite)


def size(uri: str) -> Optional[int]:
    found = _tried(uri, _find, uri).get()
    return None if found is None else found.size


def remove(uri: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        _tried(uri, lambda: _blob(uri).delete(**_ONCE)).get()


def listing(folder: str, start: str, deep: bool, limit: Optional[int]) -> Iterator[Listed]:
    bucket, prefix = _take_apart(uris.join(folder, ""), needs_name=False)
    pages = client().list_blobs(
        bucket,
        prefix=prefix + start or None,
        delimiter=None if deep else "/",
        page_size=PAGE,
        max_results=limit,
        fields="items(name,size,timeCreated),nextPageToken",
        timeout=TIMEOUT_SECONDS,
        retry=RETRY,
    )
    try:
        for blob in pages:
            uri, name = f"gs://{bucket}/{blob.name}", blob.name[len(prefix) :]
            # Each overwriting creates anew; `updated` would tell of changed metadata too.
            yield Listed(uri, name, blob.size, blob.time_created.timestamp())
    except _REFUSALS as error:
        raise _explained(error, folder) from None


def client() -> storage.Client:
    """The client of this process, made when it is first needed; forked children make their own."""
    key = (os.getpid(), os.environ.get("STORAGE_EMULATOR_HOST"))
    with _clients_lock:
        if key not in _clients:
            _clients.clear()
            _clients[key] = _new_client(emulator=key[1])
        return _clients[key]


def _new_client(emulator: Optional[str]) -> storage.Client:
    if not emulator:
        made = gcsio.create_storage_client(FileSystems._pipeline_options or PipelineOptions([]))
    elif emulator.startswith(("http://", "https://")):
        made = storage.Client(project="emulator", credentials=AnonymousCredentials())
    else:
        raise ValueError(
            f"the environment variable STORAGE_EMULATOR_HOST is {emulator!r} and must begin "
            "with http:// or https://, then host and port; without it, gs:// is Google's own"
        )
    # It would ask for each bucket's metadata in the background, to describe traces nobody takes.
    made._bucket_metadata_cache = None
    session = made._http
    if not getattr(session, "is_mtls", False):
        for scheme in ("https://", "http://"):
            session.mount(scheme, requests.adapters.HTTPAdapter(pool_maxsize=CONNECTIONS))
    return made


def _read(uri: str, max_bytes: Optional[int]) -> bytes:
    data = limits.Capped(uri, max_bytes)
    _blob(uri).download_to_file(data, **_CHECKED)
    return data.getvalue()


def _upload(uri: str, data: bytes, mime_type: str, overwrite: bool) -> None:
    # As GCS writes CRC32C.
    checksum = b64encode(google_crc32c.value(data).to_bytes(4, "big")).decode()
    sent = (len(data), checksum)
    # The public methods turn to resumable uploads, of two requests and more, above 8 MiB.
    try:
        answer = _blob(uri)._do_multipart_upload(
            client(),
            io.BytesIO(data),
            content_type=mime_type,
            size=len(data),
            predefined_acl=None,
            if_generation_match=None if overwrite else 0,
            if_generation_not_match=None,
            if_metageneration_match=None,
            if_metageneration_not_match=None,
            **_CHECKED,
        )
    except InvalidResponse as error:
        there = _find(uri) if error.response.status_code == 412 else None
        if there is not None and (there.size, there.crc32c) == sent:
            return
        raise
    stored = answer.json()
    if (int(stored["size"]), stored["crc32c"]) != sent:
        raise ConnectionError("what is stored is not what was sent")


def _find(uri: str) -> Optional[storage.Blob]:
    blob = _blob(uri)
    return blob.bucket.get_blob(blob.name, **_ONCE)


def _blob(uri: str) -> storage.Blob:
    bucket, name = _take_apart(uri)
    return client().bucket(bucket).blob(name)


def _take_apart(uri: str, needs_name: bool = True) -> Tuple[str, str]:
    """The bucket and the name of a gs:// URI."""
    bucket, _, name = uri.partition("://")[2].partition("/")
    if not bucket or "@" in bucket or (needs_name and not name):
        raise ValueError(
            f"{uris.without_secrets(uri)!r} names no object: that is gs://BUCKET/NAME, without a "
            "user or password"
        )
    return bucket, name


_REFUSALS = (
    GoogleAPICallError,
    InvalidResponse,
    RetryError,
    GoogleAuthError,
    requests.RequestException,
)


def _tried(uri: str, function: Callable[..., T], *arguments: Any) -> Tried[T]:
    """What `function(*arguments)` comes to, called again as `RETRY` says."""
    failures: List[Exception] = []
    try:
        value = RETRY(_once, on_error=failures.append)(function, *arguments)
        return Tried(value, len(failures) + 1)
    except RetryError as error:
        return Tried(None, len(failures), _explained(error, uri))
    except Exception as error:
        explained = _explained(error, uri) if isinstance(error, _REFUSALS) else error
        return Tried(None, len(failures) + 1, explained)


def _once(function: Callable[..., T], *arguments: Any) -> T:
    """`function(*arguments)`; what the policy doesn't know to be passing, in words that it does."""
    try:
        return function(*arguments)
    except DataCorruption:
        raise ConnectionError("what came has not the checksum of what is stored") from None
    except GoogleAuthError as error:
        if error.retryable:
            raise ConnectionError(f"no token for now ({type(error).__name__})") from None
        raise


def _explained(error: Exception, uri: str) -> OSError:
    """What the library raised, as Python's own exception."""
    shown = uris.without_secrets(uri)
    if isinstance(error, RetryError):
        last = _in_short(error.cause)
        rule = f"the store kept failing for {RETRY.timeout:.0f} s, at last with {last}; try later"
        return TimeoutError(errno.ETIMEDOUT, rule, shown)
    if isinstance(error, GoogleAuthError):
        rule = (
            f"there are no valid credentials ({type(error).__name__}); run `gcloud auth "
            "application-default login`, or run as a service account that has the right to it"
        )
        return PermissionError(errno.EACCES, rule, shown)
    status = refusals.status_of(error)
    if status is None:
        return OSError(errno.EINVAL, f"it can't be had: {_in_short(error)}", shown)
    return refusals.of_status(status, uri, _reason(error))


def _in_short(error: Any) -> str:
    status = refusals.status_of(error)
    said = uris.without_secrets_in(str(error))[:200]
    return f"{type(error).__name__}: {said}" if status is None else f"HTTP {status}"


def _reason(error: Any) -> str:
    """What the server says, in JSON or not."""
    try:
        return str(error.response.json()["error"]["message"])
    except (AttributeError, KeyError, TypeError, ValueError):
        return getattr(error.response, "text", "")
