"""http:// and https://, by urllib3: whole answers, from the public internet alone.

    options      what a user may say: `WebOptions`
    urls         a URL -> its parts, the headers of a request, where a redirect leads
    hosts        whose turn it is at a host, and which is left alone
    addresses    an internet address -> whether a stranger's list may lead there
    connections  ... a connection to one that may be connected to
    watchdog     ... cut when its time is over
    packing      ... unpacked, if a server packs it unasked
    answers      what came -> a picture's bytes, or what is said in their place
    errors       what went wrong -> Python's own errors, naming URL, rule and way out
    parts        ... or some of its bytes, of a server that sends parts
    fetcher      all of it in a row, with redirects and further attempts
    filesystem   the same for any step of Beam's
    files        ... and by its options for what is no picture, such as a list

As a store it is only to read; what else is asked of it is refused.

In: URLs, of a list that nobody has checked, and `WebOptions`. Out: the bytes that a GET gives. What
the other side does is bounded: the bytes by `max_bytes` (as sent, and as unpacked where it packs
them), the time by `max_seconds`, redirects by `REDIRECTS`, connections to a host by
`connections_per_host`; an answer that may be another a little later is asked for again, after a
back-off; a host that says wait is left alone until then, for up to `hosts.PATIENCE_SECONDS`.

Where a connection goes is judged by its address, once the name is resolved and before anything is
sent, so that no name, spelling or redirect leads to a place that `addresses` refuses; proxies of
the environment, which would connect for us, are not used.

Fails with Python's own errors, each naming the URL without its secrets, the rule and the way out:
`PrivateAddress`, `OptedOut`, `limits.TooLarge`, `TooSlow`, `HostBusy`,
`FileNotFoundError`, `PermissionError`, `TimeoutError`, `ConnectionError`, other `OSError`s, and
`ValueError` for what is no URL that can be fetched.
"""

from .. import uris
from ..retrying import Tried
from .errors import HostBusy, OptedOut, PrivateAddress, TooSlow
from .fetcher import Fetcher, read
from .files import download, found, listing, opened, pieces, remove, size, upload, write
from .filesystem import WebFileOptions
from .options import DEFAULTS, WebOptions, checked_networks
from .urls import check

__all__ = [
    "DEFAULTS",
    "Fetcher",
    "HostBusy",
    "OptedOut",
    "PrivateAddress",
    "TooSlow",
    "WebFileOptions",
    "WebOptions",
    "check",
    "checked_networks",
    "download",
    "found",
    "listing",
    "opened",
    "pieces",
    "read",
    "read_range",
    "remove",
    "size",
    "upload",
    "write",
]


def read_range(uri: str, offset: int, size: int) -> Tried[bytes]:
    """Refuses: not every server gives parts of a file, nor the same file a second time."""
    shown = uris.without_secrets(uri)
    rule = f"{shown!r}: of the web's files no parts are read; copy it to a folder or a bucket"
    return Tried(None, 1, ValueError(rule))
