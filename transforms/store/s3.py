"""s3:// by boto3: one request to read a picture, one to write it, and the first one wins.

In: URIs `s3://BUCKET/KEY`. Per call, without failures, the requests are

    read        1, checked against the checksum that came with it, if one did
    write       1 for up to 5 GB, with a checksum; 2 where nothing may be overwritten; `upload`
                likewise
    read_range  1; `download` likewise
    size        1; `found` likewise
    remove      1
    listing     1 for each thousand objects

A write that may not overwrite looks first, since some endpoints pass over conditions in silence,
and is then sent with `If-None-Match: *`: whoever comes second is refused, and has succeeded all the
same if its very bytes are there. One that replaces a file as it was found has `If-Match` with its
ETag. An endpoint that refuses such conditions, or a boto3 that has none, is written to without
them, and the log says so once; two writers who look at the same moment both write then. So it is
with files above 5 GB, which Beam's `S3FileSystem` sends in parts; it opens what is read in pieces,
too.

Retries and failures are those of `beam_files`: boto3 makes one attempt, and `retrying` the others.
The client is made from Beam's options, such as `--s3_endpoint_url`; what they leave open boto3
finds in the environment and in its files.
"""

import contextlib
import functools
import io
import itertools
import logging
import os
import threading
from typing import Any, BinaryIO, Callable, ContextManager, Dict, Iterator, Optional, Tuple, TypeVar

from apache_beam.options.pipeline_options import PipelineOptions, S3Options

from . import beam_files, crc32c, limits, refusals, s3_errors, uris
from .listed import Listed, Overwrite
from .retrying import Tried

T = TypeVar("T")

logger = logging.getLogger(__name__)

# What S3 takes by one request; more comes in parts.
LARGEST_PUT_BYTES = 5 << 30

# Kept open for the next request; more threads than that would connect anew each time.
CONNECTIONS = 256

# For a connection, and between two packets of an answer.
CONNECT_SECONDS, ANSWER_SECONDS = 10, 60

# Of the bodies that are read, at once.
_PIECE_BYTES = 1 << 20

# A client, and the process and the options that it was made for.
_client: Optional[Tuple[int, PipelineOptions, Any]] = None
_client_lock = threading.Lock()


# As `stores.Store` has them; what each means is said there.


def read(uri: str, max_bytes: Optional[int], *_: Any) -> Tried[bytes]:
    return _tried(uri, _read, uri, max_bytes)


def read_range(uri: str, offset: int, size: int) -> Tried[bytes]:
    return _tried(uri, _read_range, uri, offset, size)


def download(uri: str, path: str) -> Tried[None]:
    return _tried(uri, _download, uri, path)


def opened(uri: str) -> ContextManager[BinaryIO]:
    _take_apart(uri)
    return beam_files.opened(uri)


def write(
    folder: str, name: str, data: bytes, mime_type: str, overwrite: Overwrite, durable: bool
) -> Tried[None]:
    uri = uris.join(folder, name)
    return _tried(uri, _write, uri, io.BytesIO(data), len(data), mime_type, overwrite)


def upload(folder: str, name: str, path: str, mime_type: str, overwrite: Overwrite) -> Tried[None]:
    uri, size = uris.join(folder, name), os.path.getsize(path)
    if size > LARGEST_PUT_BYTES:
        # Beam sends it in parts, and has no condition for what puts them together.
        is_same = isinstance(overwrite, Listed) and overwrite.is_still(found(uri))
        return beam_files.upload(folder, name, path, mime_type, overwrite is True or is_same)
    with open(path, "rb") as file:
        return _tried(uri, _write, uri, file, size, mime_type, overwrite)


def size(uri: str) -> Optional[int]:
    about = found(uri)
    return None if about is None else about.size


def found(uri: str) -> Optional[Listed]:
    return _tried(uri, _find, uri).get()


def remove(uri: str) -> None:
    _tried(uri, lambda: client().delete_object(**_named(uri))).get()


def listing(folder: str, start: str, deep: bool, limit: Optional[int]) -> Iterator[Listed]:
    bucket, prefix = _take_apart(uris.join(folder, ""), needs_key=False)
    asked = {"Bucket": bucket, "Prefix": prefix + start, **({} if deep else {"Delimiter": "/"})}
    return itertools.islice(_pages(folder, len(prefix), asked), limit)


def client() -> Any:
    """boto3's client of this process, made when it is first needed; forked children make their
    own."""
    global _client
    options = beam_files.options()
    with _client_lock:
        if _client is None or _client[0] != os.getpid() or _client[1] is not options:
            _client = (os.getpid(), options, _new_client(options.view_as(S3Options)))
        return _client[2]


def _new_client(options: S3Options) -> Any:
    """As Beam's own, which makes one for each call, but for more threads and without retries."""
    import boto3
    from botocore.config import Config

    config = Config(
        max_pool_connections=CONNECTIONS,
        connect_timeout=CONNECT_SECONDS,
        read_timeout=ANSWER_SECONDS,
        retries={"total_max_attempts": 1},
    )
    return boto3.session.Session().client(
        "s3",
        config=config,
        region_name=options.s3_region_name,
        api_version=options.s3_api_version,
        use_ssl=not options.s3_disable_ssl,
        verify=options.s3_verify,
        endpoint_url=options.s3_endpoint_url,
        aws_access_key_id=options.s3_access_key_id,
        aws_secret_access_key=options.s3_secret_access_key,
        aws_session_token=options.s3_session_token,
    )


def _read(uri: str, max_bytes: Optional[int]) -> bytes:
    answer = client().get_object(**_named(uri))
    with contextlib.closing(answer["Body"]) as body:
        data = b"".join(limits.capped(uri, body.read, max_bytes, _PIECE_BYTES))
    # boto3 knows this one only with another package, and checks some others.
    if _crc32c(answer) not in (None, crc32c.of(data)):
        raise s3_errors.passing(uri, "what came has not the checksum of what is stored")
    return data


def _read_range(uri: str, offset: int, size: int) -> bytes:
    if not size:
        return b""  # there is no such range
    try:
        with _body(uri, Range=f"bytes={offset}-{offset + size - 1}") as body:
            return b"".join(limits.capped(uri, body.read, size, _PIECE_BYTES))
    except Exception as error:
        if refusals.status_of(error) == 416:  # it ends before
            return b""
        raise


def _body(uri: str, **more: str) -> ContextManager[Any]:
    return contextlib.closing(client().get_object(**_named(uri), **more)["Body"])


def _download(uri: str, path: str) -> None:
    answer = client().get_object(**_named(uri))
    with contextlib.closing(answer["Body"]) as body:
        limits.copy(uri, body, path, answer["ContentLength"])


def _pages(folder: str, below: int, asked: Dict[str, str]) -> Iterator[Listed]:
    """The objects of a listing; their names begin `below` so many characters of their keys."""
    while True:
        page = _tried(folder, _page, asked).get()
        for each in page.get("Contents", ()):
            uri, modified = f"s3://{asked['Bucket']}/{each['Key']}", each["LastModified"]
            name, size = each["Key"][below:], each["Size"]
            yield Listed(uri, name, size, modified.timestamp(), version=each["ETag"])
        if not page.get("NextContinuationToken"):
            return
        asked = {**asked, "ContinuationToken": page["NextContinuationToken"]}


def _page(asked: Dict[str, str]) -> Any:
    return client().list_objects_v2(**asked)


def _find(uri: str) -> Optional[Listed]:
    try:
        head = client().head_object(**_named(uri), ChecksumMode="ENABLED")
    except Exception as error:
        if refusals.status_of(error) == 404:
            return None
        raise
    modified, name = head["LastModified"].timestamp(), uri.rpartition("/")[2]
    return Listed(uri, name, head["ContentLength"], modified, _crc32c(head), head["ETag"])


def _write(uri: str, data: BinaryIO, size: int, mime_type: str, overwrite: Overwrite) -> None:
    condition: Dict[str, str] = {}
    if isinstance(overwrite, Listed) and overwrite.is_still(_find(uri)):
        condition["IfMatch"] = str(overwrite.version)
    elif overwrite is not True:
        if _holds(uri, data, size):
            return  # what an attempt before, or a retried bundle, wrote
        condition["IfNoneMatch"] = "*"
    try:
        _put(uri, data, mime_type, condition)
    except Exception as error:
        # 404 for `If-Match` where it was removed by now.
        if refusals.status_of(error) != 412 and s3_errors.code(error) != "NoSuchKey":
            raise
        if not _holds(uri, data, size):
            raise refusals.exists(uri) from None


def _put(uri: str, data: BinaryIO, mime_type: str, condition: Dict[str, str]) -> None:
    """Makes an object, if the condition holds or the endpoint has none."""
    try:
        _send(uri, data, mime_type, condition)
    except Exception as error:
        if not (condition and s3_errors.refuses_conditions(error)):
            raise
        _send(uri, data, mime_type, {})
        _tell(client().meta.endpoint_url)


def _send(uri: str, data: BinaryIO, mime_type: str, condition: Dict[str, str]) -> None:
    more = {**condition, **_checksum(data)}
    data.seek(0)
    client().put_object(**_named(uri), Body=data, ContentType=mime_type, **more)


def _checksum(data: BinaryIO) -> Dict[str, str]:
    """Of what is sent; none where boto3 was told to send none, for endpoints that know none."""
    if getattr(client().meta.config, "request_checksum_calculation", "") != "when_supported":
        return {}
    data.seek(0)
    return {"ChecksumAlgorithm": "CRC32C", "ChecksumCRC32C": crc32c.of_file(data)}


def _crc32c(answer: Dict[str, Any]) -> Optional[str]:
    """Of all bytes of an object; of one that was sent in parts S3 may have that of their
    checksums, which ends with their number."""
    told = answer.get("ChecksumCRC32C")
    return told if told and "-" not in told else None


@functools.cache
def _tell(endpoint: str) -> None:
    logger.warning(
        "%s knows no conditional writes: of two workers that write a file at the same moment the "
        "last one wins; where two runs may make the same shards, let one run at a time write there",
        uris.without_secrets(endpoint),
    )


def _holds(uri: str, data: BinaryIO, size: int) -> bool:
    """Whether a file of these bytes is there; `FileExistsError` for one of others."""
    there = _find(uri)
    if there is None:
        return False
    if there.size == size:
        with _body(uri) as body:
            if beam_files.same(body, data):
                return True
    raise refusals.exists(uri)


def _named(uri: str) -> Dict[str, str]:
    return dict(zip(("Bucket", "Key"), _take_apart(uri)))


def _take_apart(uri: str, needs_key: bool = True) -> Tuple[str, str]:
    """The bucket and the key of an s3:// URI."""
    bucket, _, key = uri.partition("://")[2].partition("/")
    if not bucket or "@" in bucket or (needs_key and not key):
        raise ValueError(
            f"{uris.without_secrets(uri)!r} names no object: that is s3://BUCKET/KEY, without a "
            "user or password"
        )
    return bucket, key


def _tried(uri: str, function: Callable[..., T], *arguments: Any) -> Tried[T]:
    return beam_files.tried_at(uri, s3_errors.explained, uri, function, *arguments)
