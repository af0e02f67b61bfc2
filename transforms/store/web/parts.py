"""A part of a file of the web -> its bytes, and what its server says of the whole.

In: answers to requests with a `Range`. Out: `Part`. A server without ranges sends the whole in its
place, of which `MOST_BYTES` are held. Fails with `OSError` where a later part is of another version
than the first, with `limits.TooLarge`, and with what `answers.body` raises.
"""

import contextlib
import email.utils
import errno
import re
from typing import Any, Dict, NamedTuple, Optional, Tuple

from .. import uris
from . import answers
from .errors import MalformedAnswer

# Of a file whose server sends no parts; raise it for larger ones, each is in memory.
MOST_BYTES = 1_000_000_000

# What a server may answer to a request for a part.
STATUSES = (200, 206, 416)

_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18})", re.IGNORECASE)


class Part(NamedTuple):
    """What was sent of a file.

    Attributes:
      data: its first bytes, or all; none where only the size was asked for.
      size: of the whole file.
      version: what tells it from another version of the file, "" if its server doesn't.
      modified: when it was changed last, in seconds since 1970; None if its server doesn't say.
    """

    data: bytes
    size: int
    version: str
    modified: Optional[float]


def headers(start: int, end: int) -> Dict[str, str]:
    """Of a request for the bytes `[start, end)`."""
    return {"Range": f"bytes={start}-{end - 1}"}


def first(url: str, response: Any, end: int) -> Part:
    """The bytes up to `end`, or all; of the whole only its size, if `end` is 1."""
    version, modified = _version(response), _modified(response.headers.get("last-modified", ""))
    if response.status == 206:
        data, size = _checked(url, response, 0, end)
        return Part(data, size, version, modified)
    if response.status == 416:  # a file without bytes has no first one
        answers.drain(response)
        return Part(b"", 0, version, modified)
    length = response.headers.get("content-length", "")
    if end == 1 and re.fullmatch(r"\d{1,18}", length) and not _is_packed(response):
        response.close()
        return Part(b"", int(length), version, modified)
    data = answers.body(url, response, MOST_BYTES)
    return Part(data, len(data), version, modified)


def later(url: str, response: Any, start: int, end: int, of: Part) -> bytes:
    """The bytes `[start, end)` of the file whose first part that is."""
    if response.status == 206 and _version(response) == of.version:
        data, size = _checked(url, response, start, end)
        if size == of.size:
            return data
    answers.drain(response)
    raise OSError(errno.EINVAL, "it changed while it was read", uris.without_secrets(url))


def _checked(url: str, response: Any, start: int, end: int) -> Tuple[bytes, int]:
    """The bytes of the part that was asked for, and the size of the whole."""
    if _is_packed(response):
        raise MalformedAnswer("it sends parts of what it packed unasked")
    match = _RANGE.fullmatch(response.headers.get("content-range", "").strip())
    if not match:
        raise MalformedAnswer("it does not say which part it sends")
    size = int(match[3])
    end = min(end, size)
    data = answers.body(url, response, end - start)
    if (int(match[1]), int(match[2]) + 1, len(data)) != (start, end, end - start):
        raise MalformedAnswer("it sends another part than was asked for")
    return data, size


def _is_packed(response: Any) -> bool:
    return response.headers.get("content-encoding", "identity").strip().lower() != "identity"


def _version(response: Any) -> str:
    return str(response.headers.get("etag") or response.headers.get("last-modified") or "")


def _modified(text: str) -> Optional[float]:
    with contextlib.suppress(ValueError, TypeError, OverflowError):
        return email.utils.parsedate_to_datetime(text).timestamp()
    return None
