"""Telling local paths from URIs, and URIs from the credentials in them.

A local file may be written as a path or as a `file://` URI; the latter also spells names that are
not UTF-8 (`%FF`), which no Beam string can. Pure functions; only `local_path` can fail: with
`ValueError` for a file URI that names another host.

No user, password, signature or token of a URI may reach a log, a row or an error: what shows a URI
shows it `without_secrets`, and text of others, a library's error say, goes `without_secrets_in`.
"""

import os
import posixpath
import re
from typing import Optional
from urllib.parse import quote_from_bytes, unquote_to_bytes, urlsplit

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")

# A URI in a text ends at a blank or a quote.
_IN_TEXT = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://[^\s'\"<>]+")

# The folder below an output folder of what is being written; no picture is written into it.
TEMPORARY = ".rembg_beam_tmp"

# Stands where a secret was.
HIDDEN = "***"

_HOST = re.compile(r"(\[[^]]*\]|[^:]*)(:\d*)?")


def scheme(uri: str) -> Optional[str]:
    """The scheme in lower case, None for a path.

    >>> scheme("gs://bucket/a.jpg"), scheme("C://a.jpg"), scheme("photos/a.jpg")
    ('gs', None, None)
    """
    if "://" not in uri:
        return None
    match = _SCHEME.match(uri)
    return match[1].lower() if match else None


def is_local(uri: str) -> bool:
    """Whether the URI names a file of this machine.

    >>> is_local("file:///a.jpg"), is_local("a.jpg"), is_local("s3://b/a.jpg")
    (True, True, False)
    """
    return scheme(uri) in (None, "file")


def is_web(uri: str) -> bool:
    """Whether the URI is an http or https one.

    >>> is_web("https://host/a.jpg"), is_web("gs://bucket/a.jpg")
    (True, False)
    """
    return scheme(uri) in ("http", "https")


def join(folder: str, name: str) -> str:
    """The URI of `name` under `folder`; of an empty name the folder's, with a `/` at its end.

    >>> join("gs://bucket/out/", "x/a.jpg.png"), join("out", "a.jpg.png"), join("gs://b", "")
    ('gs://bucket/out/x/a.jpg.png', 'out/a.jpg.png', 'gs://b/')
    """
    return posixpath.join(folder, name)


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
            f"{without_secrets(uri)!r} names a host: a file URI has three slashes, file:///path"
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
    """The URI for a log, a row or an error: `***` for user, password and, of the web's, query.

    >>> without_secrets("https://me:pw@host/a.jpg?sig=1"), without_secrets("gs://b/a?b.jpg")
    ('https://***@host/a.jpg?***', 'gs://b/a?b.jpg')
    """
    plain = bare(uri)
    if plain == uri:
        return uri
    head, _, rest = uri.partition("://")
    before, query, _ = rest.partition("?") if is_web(uri) else (rest, "", "")
    user = f"{HIDDEN}@" if "@" in before else ""
    query = f"?{HIDDEN}" if query else ""
    return f"{head}://{user}{plain.partition('://')[2]}{query}"


def hides_secrets(uri: str) -> bool:
    """Whether a URI is one that `without_secrets` gave and that doesn't lead anywhere any more.

    >>> hides_secrets("https://***@host/a.jpg"), hides_secrets("https://host/a.jpg")
    (True, False)
    """
    return f"://{HIDDEN}@" in uri or (is_web(uri) and uri.endswith(f"?{HIDDEN}"))


def bare(uri: str) -> str:
    """The URI without its user and password and, of the web's, without query and fragment.

    >>> bare("https://me:pw@host/a.jpg?sig=1"), bare("gs://b/a?b.jpg")
    ('https://host/a.jpg', 'gs://b/a?b.jpg')
    """
    if scheme(uri) is None:
        return uri
    head, _, rest = uri.partition("://")
    authority = re.split("[/?#]" if is_web(uri) else "/", rest, maxsplit=1)[0]
    _, at, host = authority.rpartition("@")
    place = host + rest[len(authority) :]
    if not (at or _HOST.fullmatch(authority)):
        # A password may hold what it should have escaped.
        place = rest[len(authority) :].rpartition("@")[2]
    return f"{head}://{re.split('[?#]', place, maxsplit=1)[0] if is_web(uri) else place}"


def without_secrets_in(text: str) -> str:
    """The text with each URI in it as `without_secrets` gives it.

    >>> without_secrets_in("no file system for 'https://me:pw@host/a.jpg?sig=1'")
    "no file system for 'https://***@host/a.jpg?***'"
    """
    return _IN_TEXT.sub(lambda match: without_secrets(match[0]), text)
