"""A URL -> what a request for it says, and where its redirect leads.

In: URLs of a list or of a `Location`, which nobody has checked. Out: their parts, the headers of a
request, the next URL. Fails with `ValueError`, naming the URL without its secrets, for what is no
URL that can be fetched.
"""

import base64
import contextlib
import re
import urllib.parse
from typing import Any, Dict, Tuple

import urllib3
from urllib3.exceptions import HTTPError

from .. import uris
from .options import WebOptions

# Clients differ in where a host ends before a backslash; a line's end or NUL is in no URL.
_NO_URL = re.compile(r"[\x00-\x1f\x7f\\]")


def check(uri: str) -> None:
    """Raises `ValueError` for what is no URL that can be fetched, without asking for it."""
    parsed(uri)


def parsed(uri: str) -> urllib3.util.Url:
    """The parts of a URL that can be fetched."""
    try:
        url = urllib3.util.parse_url(uri)
        if url.scheme in ("http", "https") and url.host and not _NO_URL.search(uri):
            return url
    except (HTTPError, ValueError):
        pass
    raise ValueError(
        f"{uris.without_secrets(uri)!r} is no URL that can be fetched: that is "
        "http://HOST/PATH or https://HOST/PATH"
    )


def joined(url: str, location: str) -> str:
    """Where a redirect leads; refused if that is no web address."""
    with contextlib.suppress(UnicodeError):
        # http.client reads headers as Latin-1; browsers take these bytes for UTF-8.
        location = location.encode("latin-1").decode("utf-8")
    try:
        target = urllib.parse.urljoin(url, location)
    except ValueError:
        raise ValueError(f"{uris.without_secrets(url)!r} is redirected to what is no URL") from None
    if not uris.is_web(target):
        raise ValueError(
            f"{uris.without_secrets(url)!r} is redirected to a URL of the scheme "
            f"{urllib.parse.urlsplit(target).scheme!r}, and only http:// and https:// are followed"
        )
    return target


def headers(options: WebOptions, url: str, first: str) -> Dict[str, str]:
    """What a request says; credentials only where the list's own URL leads to."""
    said = {"Accept": "*/*", "Accept-Encoding": "identity", "User-Agent": options.web_user_agent}
    given, now = parsed(first), parsed(url)
    if given.auth and _origin(given) == _origin(now):
        auth = urllib.parse.unquote(given.auth)
        pair = auth if ":" in auth else f"{auth}:"
        said["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
    return said


def _origin(url: urllib3.util.Url) -> Tuple[Any, ...]:
    return url.scheme, url.host, url.port or {"http": 80, "https": 443}[str(url.scheme)]
