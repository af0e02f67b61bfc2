"""What a server, a socket or urllib3 does -> Python's own errors, which name the URL.

In: an exception, or an answer that is no picture, and the URL. Out: the error to raise, with the
URL without its secrets, the rule and the way out. Nothing can fail.
"""

import errno
import http.client
import socket
import ssl
from dataclasses import dataclass
from typing import NoReturn, Optional, Tuple, Type

from urllib3 import exceptions

from .. import refusals, uris
from .addresses import Refusal
from .hosts import PATIENCE_SECONDS, Closed
from .urls import parsed

# For a connection, and for the next bytes of an answer.
CONNECT_SECONDS = 10.0
SILENCE_SECONDS = 30.0


class PrivateAddress(PermissionError):
    """A URL leads to a place that is not of the public internet."""


class OptedOut(PermissionError):
    """A site does not want its pictures gathered."""


class TooSlow(OSError):
    """An answer takes longer than `max_seconds`."""


class HostBusy(OSError):
    """A host wants to be left alone for longer than it is waited for."""


@dataclass(eq=False)
class Refused(Exception):
    """An address that is not to be connected to, and why."""

    address: str
    refusal: Refusal


class Answered(Exception):
    """A status other than 200; after `retry_after` seconds it may be another."""

    def __init__(self, status: int, reason: Optional[str], host: str, retry_after: float) -> None:
        super().__init__(status)
        self.host = host
        self.status_code = status
        self.reason = reason or http.client.responses.get(status, "")
        self.retry_after = retry_after

    def __str__(self) -> str:
        return f"HTTP {self.status_code} {refusals.in_short(self.reason)}".rstrip()


class MalformedAnswer(http.client.HTTPException):
    """What no server that speaks HTTP sends."""


def of_status(answer: Answered, uri: str) -> OSError:
    """The exception of an answer that stays what it is."""
    status = answer.status_code
    shown = uris.without_secrets(uri)
    said = str(answer)
    if answer.host != parsed(uri).host:
        said = f"{said} from {answer.host}, where it is redirected to"
    if status in (404, 410):
        return FileNotFoundError(errno.ENOENT, f"it is not there ({said})", shown)
    if status in (401, 402, 403, 407, 451):
        rule = f"its server refuses it ({said}); credentials may stand in its URL"
        return PermissionError(errno.EACCES, rule, shown)
    if status == 429:
        rule = f"its server is asked too often ({said}); {_SLOWER}"
        return OSError(errno.EIO, rule, shown)
    return OSError(errno.EIO, f"its server does not give it ({said})", shown)


def of_closed(closed: Closed, uri: str) -> HostBusy:
    """The exception of a host that is given up."""
    rule = (
        f"its host {closed.host} wants to be left alone for another {closed.seconds:.0f} s "
        f"({closed.why}), and no host is waited for longer than {PATIENCE_SECONDS:.0f} s; {_SLOWER}"
    )
    return HostBusy(errno.EUSERS, rule, uris.without_secrets(uri))


_SLOWER = "run the same command again later, with fewer --connections_per_host or processes"


# An error of Python's: its class, errno and rule.
_Told = Tuple[Type[OSError], Optional[int], str]

_BROKEN = (
    *(ConnectionError, http.client.HTTPException, ssl.SSLError),
    *(exceptions.ProtocolError, exceptions.SSLError),
)
_UNREACHABLE = (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EADDRNOTAVAIL)

# Their subclasses come of connections that broke.
_NOT_HTTP = (
    http.client.HTTPException,
    http.client.LineTooLong,
    http.client.UnknownProtocol,
    MalformedAnswer,
)


def raise_as_python(error: Exception, url: str) -> NoReturn:
    """Raises what urllib3 raised as what Python's own libraries would have, naming the URL."""
    error, shown = _unwrapped(error), uris.without_secrets(url)
    if isinstance(error, (exceptions.LocationValueError, UnicodeError)):
        raise ValueError(f"{shown!r} is no URL that can be fetched") from None
    told = _of_connecting(error) or _of_answer(error)
    if told is None:
        raise error
    kind, number, rule = told
    raise kind(number, rule, shown) from None


def _of_connecting(error: Exception) -> Optional[_Told]:
    if isinstance(error, Refused):
        return PrivateAddress, errno.EACCES, _of_refusal(error)
    if isinstance(error, socket.gaierror):
        if error.errno in (socket.EAI_AGAIN, socket.EAI_SYSTEM, socket.EAI_MEMORY):
            return ConnectionError, errno.EAGAIN, "its host's name isn't resolved now"
        return OSError, errno.EINVAL, "its host's name is not known"
    if isinstance(error, (exceptions.TimeoutError, TimeoutError)):
        rule = f"no connection within {CONNECT_SECONDS:g} s, or {SILENCE_SECONDS:g} s of silence"
        return TimeoutError, errno.ETIMEDOUT, rule
    if isinstance(error, ssl.SSLCertVerificationError):
        rule = f"its server's certificate is not valid: {error.verify_message}"
        return OSError, errno.EACCES, rule
    if isinstance(error, OSError) and error.errno in _UNREACHABLE:
        return ConnectionError, errno.ECONNREFUSED, f"its host can't be reached: {error.strerror}"
    return None


def _of_answer(error: Exception) -> Optional[_Told]:
    said = refusals.in_short(str(error))
    if isinstance(error, exceptions.IncompleteRead):
        rule = f"its answer ended after {error.partial} bytes, {error.expected} before its end"
        return ConnectionError, errno.EPIPE, rule
    if isinstance(error, exceptions.DecodeError):
        return OSError, errno.EINVAL, f"its Content-Encoding can't be undone: {said}"
    if isinstance(error, _BROKEN) and type(error) not in _NOT_HTTP:
        rule = f"its connection broke: {said or type(error).__name__}"
        return ConnectionError, errno.ECONNRESET, rule
    if isinstance(error, (exceptions.HTTPError, http.client.HTTPException)):
        return OSError, errno.EPROTO, f"its answer is not as HTTP has it: {said}"
    if isinstance(error, OSError) and error.filename is None:
        return OSError, error.errno, said
    return None


def _of_refusal(error: Refused) -> str:
    told = f"its host has the address {error.address}, which is {error.refusal.what}"
    if not error.refusal.can_be_opened:
        return f"{told}; nothing is fetched from there, with --allow_private_hosts neither"
    return (
        f"{told} and not of the public internet; only --allow_private_hosts "
        "(allow_private_hosts=True, and for a step of Beam's own in --rembg_beam_web_options), for "
        "all such addresses or with the network to open, would fetch it"
    )


def _unwrapped(error: Exception) -> Exception:
    """The cause that urllib3 wrapped when a connection could not be made or broke."""
    if isinstance(error, (exceptions.ProtocolError, exceptions.SSLError)):
        for inner in (*error.args, error.__cause__):
            if isinstance(inner, Exception):
                return _unwrapped(inner)
    return error
