"""Telling local paths from URIs.

A local file may be written as a path or as a `file://` URI; the latter also spells names that are
not UTF-8 (`%FF`), which no Beam string can. Pure functions; only `local_path` can fail: with
`ValueError` for a file URI that names another host.
"""

import os
import re
from typing import Optional
from urllib.parse import quote_from_bytes, unquote_to_bytes, urlsplit

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")


def scheme(uri: str) -> Optional[str]:
    """The scheme in lower case, None for a path.

    >>> scheme("gs://bucket/a.jpg"), scheme("C://a.jpg"), scheme("photos/a.jpg")
    ('gs', None, None)
    """
    match = _SCHEME.match(uri)
    return match[1].lower() if match else None


def is_local(uri: str) -> bool:
    """Whether the URI names a file of this machine.

    >>> is_local("file:///a.jpg"), is_local("a.jpg"), is_local("s3://b/a.jpg")
    (True, True, False)
    """
    return scheme(uri) in (None, "file")


def local_path(uri: str) -> str:
    """The path of a local URI.

    >>> local_path("file:///photos/a%20b.jpg"), local_path("a%20b.jpg")
    ('/photos/a b.jpg', 'a%20b.jpg')
    """
    if scheme(uri) is None:
        return uri
    parts = urlsplit(uri, allow_fragments=False)
    if parts.netloc not in ("", "localhost"):
        raise ValueError(
            f"{uri!r} names the host {parts.netloc!r}: a file URI has three slashes, file:///path"
        )
    path = parts.path + (f"?{parts.query}" if parts.query else "")
    return os.fsdecode(unquote_to_bytes(path))


def local_uri(path: str) -> str:
    """A URI for a path: the path itself, or a file URI where its name is not UTF-8.

    >>> local_uri("/photos/a.jpg"), local_uri("/photos/" + os.fsdecode(b"\\xff.jpg"))
    ('/photos/a.jpg', 'file:///photos/%FF.jpg')
    """
    try:
        path.encode("utf-8")
        return path
    except UnicodeEncodeError:
        return "file://" + quote_from_bytes(os.fsencode(os.path.abspath(path)))


def without_secrets(uri: str) -> str:
    """The URI for a log or an error: user, password and, of the web's, query left out.

    >>> without_secrets("https://me:pw@host/a.jpg?sig=1")
    'https://host/a.jpg'
    """
    if is_local(uri):
        return uri
    head, _, rest = uri.partition("://")
    host, slash, path = rest.partition("/")
    if scheme(uri) in ("http", "https"):
        path = path.partition("?")[0]
    return f"{head}://{host.rpartition('@')[2]}{slash}{path}"
