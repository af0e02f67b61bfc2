"""What google-cloud-storage raises -> Python's own exceptions.

In: one of `REFUSALS`, and the URI. Out: the exception, which names the URI without its secrets, the
rule and the way out. Nothing can fail.
"""

import errno
from typing import Any

import requests
from google.api_core.exceptions import GoogleAPICallError, RetryError
from google.auth.exceptions import GoogleAuthError
from google.cloud.storage.exceptions import InvalidResponse

from . import refusals, uris

REFUSALS = (
    GoogleAPICallError,
    InvalidResponse,
    RetryError,
    GoogleAuthError,
    requests.RequestException,
)


def explained(error: Exception, uri: str, seconds: float) -> OSError:
    """What the library raised, as Python's own exception; it was tried for so many seconds."""
    shown = uris.without_secrets(uri)
    if isinstance(error, RetryError):
        last = _in_short(error.cause)
        rule = f"the store kept failing for {seconds:.0f} s, at last with {last}; try later"
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
