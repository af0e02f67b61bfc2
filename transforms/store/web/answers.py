"""What a server answers -> the picture's bytes, or what it says in their place.

In: answers as urllib3 has them, their bodies unread. Out: bytes, within `max_bytes` as sent and as
unpacked; what a `Retry-After` or an `X-Robots-Tag` says. Fails with `limits.TooLarge`,
`OptedOut` and with what urllib3 raises; `errors` makes Python's own of that.
"""

import contextlib
import errno
import io
import re
from typing import Any, Optional

import urllib3
from urllib3.exceptions import HTTPError

from .. import limits, uris
from ..retrying import STATUSES
from . import packing
from .errors import MalformedAnswer, OptedOut

# More is taken for a mistake, and asked for again after it.
LONGEST_WAIT_SECONDS = 24 * 3600

# As img2dataset has them: what a site may forbid to those who gather data.
OPT_OUTS = frozenset(["noai", "noimageai", "noindex", "noimageindex"])

# What stands before a colon in X-Robots-Tag and is no robot's name.
_WITH_VALUES = frozenset(
    ["max-image-preview", "max-snippet", "max-video-preview", "unavailable_after"]
)

# Of a server that was asked too much and does not say for how long.
_TOO_MANY_SECONDS = 1.0

# More of an answer that is not wanted is not read for the sake of its connection.
_DRAINED_BYTES = 1 << 16


def body(url: str, response: Any, max_bytes: Optional[int]) -> bytes:
    """The whole of an answer; no more of it is asked for, or held, than `max_bytes` and one."""
    length = response.headers.get("content-length", "")
    limits.check(url, int(length) if re.fullmatch(r"\d{1,18}", length) else 0, max_bytes)
    transfer = response.headers.get("transfer-encoding", "chunked").strip().lower()
    if transfer not in ("", "identity", "chunked"):
        raise MalformedAnswer(f"its Transfer-Encoding, {transfer}, was not asked for")
    sent = limits.capped(url, lambda size: response.read(size, decode_content=False), max_bytes)
    encoding = response.headers.get("content-encoding", "")
    data = io.BytesIO()
    data.writelines(packing.unpacked(url, sent, encoding, max_bytes))
    return data.getvalue()


def drain(response: Any) -> None:
    """Reads what is not wanted, if that is little, so that its connection can be used again."""
    length = response.length_remaining
    if length is not None and length <= _DRAINED_BYTES:
        response.drain_conn()
    else:
        response.close()


def wait_seconds(response: Any) -> float:
    """How long a busy server wants to be left alone; 0 where it does not say wait."""
    if response.status not in STATUSES:
        return 0.0
    seconds = 0.0
    with contextlib.suppress(HTTPError, ValueError, OverflowError):
        retry = urllib3.Retry(retry_after_max=LONGEST_WAIT_SECONDS)
        seconds = float(retry.get_retry_after(response) or 0)
    return max(seconds, _TOO_MANY_SECONDS) if response.status == 429 else seconds


def opt_out(line: str, agent: str) -> Optional[str]:
    """The directive of an `X-Robots-Tag` that opts out, if it is meant for all or for `agent`.

    >>> opt_out("noarchive, noai", "rembg-beam"), opt_out("otherbot: noai", "rembg-beam")
    ('noai', None)
    >>> opt_out("max-snippet:-1, noindex", "rembg-beam"), opt_out("other: a, me: noai", "me")
    ('noindex', 'noai')
    """
    whom = "*"
    for directive in line.casefold().split(","):
        name, colon, rest = directive.partition(":")
        if colon and name.strip() not in _WITH_VALUES:
            whom, directive = name.strip(), rest
        if whom in ("*", agent) and directive.strip() in OPT_OUTS:
            return directive.strip()
    return None


def check_opt_out(url: str, response: Any, user_agent: str) -> None:
    """Raises `OptedOut` if the site does not want what it sends gathered."""
    agent = user_agent.partition("/")[0].strip().casefold()
    for line in response.headers.getlist("x-robots-tag"):
        if said := opt_out(line, agent):
            rule = (
                f"its site opts out of being gathered (X-Robots-Tag: {said}); only "
                "--ignore_opt_out (ignore_opt_out=True, and for a step of Beam's own in "
                "--rembg_beam_web_options) would fetch it"
            )
            raise OptedOut(errno.EACCES, rule, uris.without_secrets(url))
