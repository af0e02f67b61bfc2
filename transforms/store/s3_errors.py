"""What boto3 raises -> Python's own exceptions.

In: a call that asks boto3, and the URI that it is about. Out: what it gives. Fails with `OSError`s
that name the URI without its secrets, the rule and the way out; with `ConnectionError` where
`retrying` may try again.
"""

import errno
from typing import Any, Callable, TypeVar

from . import refusals, uris
from .retrying import STATUSES

T = TypeVar("T")

# What S3 says, with HTTP 400, of a condition that it doesn't know, and of much else.
_UNKNOWN = ("InvalidArgument", "InvalidRequest", "NotImplemented")

# With HTTP 400 too: not all of the bytes arrived, or not as they were sent.
_PASSING = ("RequestTimeout", "BadDigest")


def explained(uri: str, function: Callable[..., T], *arguments: Any) -> T:
    """`function(*arguments)`, whose failures are told as the module's docstring says."""
    from botocore import exceptions

    unanswered = (
        exceptions.ConnectionError,
        exceptions.HTTPClientError,
        exceptions.IncompleteReadError,
        exceptions.FlexibleChecksumError,
    )
    try:
        return function(*arguments)
    except unanswered as error:
        raise passing(uri, f"no whole answer came ({type(error).__name__})") from None
    except (exceptions.NoCredentialsError, exceptions.PartialCredentialsError):
        rule = (
            "there are no credentials; run `aws configure`, or as a role that has the right to it"
        )
        raise PermissionError(errno.EACCES, rule, uris.without_secrets(uri)) from None
    except exceptions.ClientError as error:
        raise _of_answer(uri, error) from None


def passing(uri: str, said: str) -> ConnectionError:
    """Of a failure that may pass."""
    return ConnectionError(errno.EIO, f"{said}; try later", uris.without_secrets(uri))


def _of_answer(uri: str, error: Any) -> OSError:
    status = refusals.status_of(error) or 0
    # 409: another conditional write of the same key is on its way.
    if status == 409 or status in STATUSES or code(error) in _PASSING:
        return passing(uri, f"the store kept failing, at last with HTTP {status}: {code(error)}")
    reason = f"{code(error)}: {error.response['Error'].get('Message', '')}"
    return refusals.of_status(status, uri, reason)


def code(error: Any) -> str:
    """What S3 calls an error, such as `NoSuchKey`; nothing where it isn't of S3's.

    >>> code(ValueError())
    ''
    """
    return str(getattr(error, "response", {}).get("Error", {}).get("Code", ""))


def refuses_conditions(error: Any) -> bool:
    """Whether it is for the condition that the endpoint, or this boto3, didn't write."""
    from botocore.exceptions import ParamValidationError

    status = refusals.status_of(error)
    is_unknown = status == 501 or (status == 400 and code(error) in _UNKNOWN)
    return is_unknown or isinstance(error, ParamValidationError)
