"""gs:// by google-cloud-storage itself: one request to read a picture, one to write it.

In: URIs `gs://BUCKET/OBJECT`. Per call, without failures, the requests are

    read      1, checked against the checksum that came with it; `download` likewise
    write     1, always multipart; conditional where nothing may be overwritten; the size and the
              checksum in its answer are those of the object as stored
    read_range  1, of which no checksum is known
    upload    2, which stream a file; 1 for a small one; else as `write`
    size      1; `found` likewise
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
Beam uses, its options such as `--impersonate_service_account` included; none with `--no_auth`.
"""

import contextlib
import errno
import io
import os
import threading
from typing import Any, BinaryIO, Callable, Dict, Iterator, List, Optional, Tuple, TypeVar

import requests
from apache_beam.io.filesystems import FileSystems
from apache_beam.io.gcp import gcsio
from apache_beam.options.pipeline_options import GoogleCloudOptions, PipelineOptions
from google.api_core.exceptions import GoogleAPICallError, RetryError, from_http_response
from google.api_core.retry import Retry
from google.auth.credentials import AnonymousCredentials
from google.auth.exceptions import GoogleAuthError
from google.cloud import storage
from google.cloud.storage.exceptions import DataCorruption, InvalidResponse
from google.cloud.storage.retry import DEFAULT_RETRY

from . import crc32c, limits, refusals, uris
from .gcs_errors import REFUSALS, explained
from .listed import Listed, Overwrite
from .retrying import Tried

T = TypeVar("T")

# Waits at most 1 s after the first failure, 2 s after the next, ... 32 s; gives up after 5 min.
RETRY = DEFAULT_RETRY.with_delay(initial=1.0, maximum=32.0, multiplier=2.0).with_timeout(300.0)

# Bytes a second; an upload that is cut off late, after five minutes, is tried again too.
SLOWEST = 1_000_000

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

# Of a file that is uploaded whole, by one request.
SMALL_BYTES = 8 << 20

_clients: Dict[Tuple[int, Optional[str]], storage.Client] = {}
_clients_lock = threading.Lock()


# As `stores.Store` has them; what each means is said there.


def read(uri: str, max_bytes: Optional[int], *_: Any) -> Tried[bytes]:
    return _tried(uri, _read, uri, max_bytes)


def read_range(uri: str, offset: int, size: int) -> Tried[bytes]:
    return _tried(uri, _read_range, uri, offset, size)


def download(uri: str, path: str) -> Tried[None]:
    return _tried(uri, lambda: _blob(uri).download_to_filename(path, **_CHECKED))


@contextlib.contextmanager
def opened(uri: str) -> Iterator[BinaryIO]:
    try:
        with _blob(uri).open("rb", chunk_size=PIECE_BYTES, retry=RETRY) as file:
            yield file
    except REFUSALS as error:
        raise explained(error, uri, RETRY.timeout) from None


def write(
    folder: str, name: str, data: bytes, mime_type: str, overwrite: Overwrite, durable: bool
) -> Tried[None]:
    uri = uris.join(folder, name)
    return _tried(uri, _upload, uri, data, mime_type, overwrite)


def upload(folder: str, name: str, path: str, mime_type: str, overwrite: Overwrite) -> Tried[None]:
    uri = uris.join(folder, name)
    retry = RETRY.with_timeout(RETRY.timeout + os.path.getsize(path) / SLOWEST)
    return _tried(uri, _upload_file, uri, path, mime_type, overwrite, retry=retry)


def size(uri: str) -> Optional[int]:
    about = found(uri)
    return None if about is None else about.size


def found(uri: str) -> Optional[Listed]:
    blob = _tried(uri, _find, uri).get()
    return None if blob is None else _listed(blob, uri.rpartition("/")[2])


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
        fields="items(name,size,timeCreated,crc32c,generation),nextPageToken",
        timeout=TIMEOUT_SECONDS,
        retry=RETRY,
    )
    try:
        for blob in pages:
            yield _listed(blob, blob.name[len(prefix) :])
    except REFUSALS as error:
        raise explained(error, folder, RETRY.timeout) from None


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
        options = FileSystems._pipeline_options or PipelineOptions([])
        no_auth = options.view_as(GoogleCloudOptions).no_auth
        made = gcsio.create_storage_client(options, use_credentials=not no_auth)
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


def _read_range(uri: str, offset: int, size: int) -> bytes:
    data = limits.Capped(uri, size)
    if not size:
        return b""  # there is no such range
    try:
        _blob(uri).download_to_file(
            data, start=offset, end=offset + size - 1, checksum=None, **_ONCE
        )
    except limits.TooLarge:
        rule = (
            "all of it comes where a part was asked for, as of what is stored with a "
            "Content-Encoding: store it without"
        )
        raise OSError(errno.EINVAL, rule, uris.without_secrets(uri)) from None
    except GoogleAPICallError as error:
        if refusals.status_of(error) != 416:  # it ends before
            raise
    return data.getvalue()


def _upload(uri: str, data: bytes, mime_type: str, overwrite: Overwrite) -> None:
    # The public methods turn to resumable uploads, of two requests and more, above 8 MiB.
    def send() -> Any:
        return _blob(uri)._do_multipart_upload(
            client(),
            io.BytesIO(data),
            content_type=mime_type,
            size=len(data),
            predefined_acl=None,
            if_generation_match=_generation(overwrite),
            if_generation_not_match=None,
            if_metageneration_match=None,
            if_metageneration_not_match=None,
            **_CHECKED,
        )

    _store(uri, (len(data), crc32c.of(data)), send)


def _upload_file(uri: str, path: str, mime_type: str, overwrite: Overwrite) -> None:
    size = os.path.getsize(path)
    with open(path, "rb") as file:
        if size <= SMALL_BYTES:
            return _upload(uri, file.read(), mime_type, overwrite)
        sent = (size, crc32c.of_file(file))
        file.seek(0)
        _store(uri, sent, lambda: _stream(uri, file, sent, mime_type, overwrite))


def _stream(
    uri: str, file: BinaryIO, sent: Tuple[int, str], mime_type: str, overwrite: Overwrite
) -> requests.Response:
    """Sends a file in one piece, which becomes an object only if it has that size and checksum."""
    blob = _blob(uri)
    size, blob.crc32c = sent
    session = blob.create_resumable_upload_session(
        content_type=mime_type,
        size=size,
        if_generation_match=_generation(overwrite),
        **{**_ONCE, "checksum": None},
    )
    answer = client()._http.put(session, data=file, timeout=TIMEOUT_SECONDS)
    if answer.status_code == 308:  # "Resume Incomplete"
        raise ConnectionError("not all of it has arrived")
    if not answer.ok:
        raise from_http_response(answer)
    return answer


def _generation(overwrite: Overwrite) -> Optional[int]:
    """That an object must have to be written over: None for any, 0 for one that is not there."""
    if isinstance(overwrite, Listed):
        return int(overwrite.version or 0)
    return None if overwrite else 0


def _store(uri: str, sent: Tuple[int, str], send: Callable[[], requests.Response]) -> None:
    """Has `send` make an object; what is stored then must have the size and checksum `sent`."""
    try:
        stored = send().json()
    except (InvalidResponse, GoogleAPICallError) as error:
        there = _find(uri) if refusals.status_of(error) == 412 else None
        if there is not None and (there.size, there.crc32c) == sent:
            return
        raise
    if (int(stored["size"]), stored["crc32c"]) != sent:
        raise ConnectionError("what is stored is not what was sent")


def _listed(blob: storage.Blob, name: str) -> Listed:
    uri = f"gs://{blob.bucket.name}/{blob.name}"
    # Each overwriting creates anew; `updated` would tell of changed metadata too.
    created = blob.time_created.timestamp()
    return Listed(uri, name, blob.size, created, blob.crc32c, str(blob.generation))


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


def _tried(
    uri: str, function: Callable[..., T], *arguments: Any, retry: Optional[Retry] = None
) -> Tried[T]:
    """What `function(*arguments)` comes to, called again as the policy says, `RETRY` by default."""
    policy: Any = retry or RETRY
    failures: List[Exception] = []
    try:
        value = policy(_once, on_error=failures.append)(function, *arguments)
        return Tried(value, len(failures) + 1)
    except RetryError as error:
        return Tried(None, len(failures), explained(error, uri, policy.timeout))
    except Exception as error:
        told = explained(error, uri, policy.timeout) if isinstance(error, REFUSALS) else error
        return Tried(None, len(failures) + 1, told)


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
