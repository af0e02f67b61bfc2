"""What a server refuses, by HTTP status -> Python's own exceptions.

In: the status, the URI and the server's reason. Out: the exception, which names the URI without
its secrets, the rule and the way out; nobody needs to know the library that the answer came
through. Nothing can fail.
"""

import errno
from collections.abc import Mapping
from typing import Any, Dict, Optional, Tuple, Type

from . import uris

_REASON_CHARACTERS = 300

_NOT_FOUND = (FileNotFoundError, errno.ENOENT, "it is not there; check folder and name")
_NO_ACCESS = (
    PermissionError,
    errno.EACCES,
    "the store refuses access; give the account that runs this the right to it",
)
_EXISTS = (
    FileExistsError,
    errno.EEXIST,
    "it is there already and must not be overwritten; remove it, or allow it to be",
)
_BY_STATUS: Dict[int, Tuple[Type[OSError], int, str]] = {
    401: _NO_ACCESS,
    403: _NO_ACCESS,
    404: _NOT_FOUND,
    409: _EXISTS,
    410: _NOT_FOUND,
    412: _EXISTS,
}


def of_status(status: int, uri: str, reason: str = "") -> OSError:
    """The exception of a final answer; `reason` is what the server says, if anything.

    >>> of_status(404, "gs://b/a.jpg")
    FileNotFoundError(2, 'it is not there; check folder and name (HTTP 404)')
    """
    other = (OSError, errno.EINVAL, "the store did not do it; what it says is the reason")
    kind, number, rule = _BY_STATUS.get(status, other)
    said = in_short(reason)
    answer = f"HTTP {status}: {said}" if said else f"HTTP {status}"
    return kind(number, f"{rule} ({answer})", uris.without_secrets(uri))


def in_short(reason: str) -> str:
    """What a server says, on one line, short and without secrets.

    >>> in_short(" Not\\n Found ")
    'Not Found'
    """
    shown = "".join(sign if sign.isprintable() else " " for sign in reason)
    return uris.without_secrets_in(" ".join(shown.split()))[:_REASON_CHARACTERS]


def exists(uri: str) -> OSError:
    """The exception for a file that a run would have to overwrite and must not."""
    kind, number, rule = _EXISTS
    return kind(number, rule, uris.without_secrets(uri))


def status_of(error: Any) -> Optional[int]:
    """The HTTP status in an error of Google's, Beam's S3 client, botocore, azure or requests."""
    response = getattr(error, "response", None)
    if isinstance(response, Mapping):
        return response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    statuses = (
        getattr(error, "code", None),
        getattr(error, "status_code", None),
        getattr(response, "status_code", None),
    )
    return next((int(status) for status in statuses if isinstance(status, int)), None)
