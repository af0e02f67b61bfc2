"""A picture's URI -> the relative name of its output, a pure function of that picture alone.

The name is the picture's path relative to the folder it was found in (its pattern's fixed part, or
`relative_to`), else the whole URI without its scheme; the output is that name with the suffix of
the output's format behind it: `x/a.jpg` -> `x/a.jpg.png`. Since the input's own suffix stays,
`a.jpg`, `a.png` and `A.JPG` never meet; since it depends on nothing else, a retried or repeated
run writes the same picture to the same place.

A picture within a shard has the shard's name, and its own below that; `x/0.tar/a.jpg`.

A URL of the web's has host and path as its name, unquoted, a digest of its query behind them where
it has one; `^XX` stands there for what Windows' file systems refuse or drop.

`output_name` escapes what would leave the output folder or lie in a room of the project's own
there. Escapes are `%XX` of the UTF-8 bytes, and a `%` that could be read as one is escaped itself,
so that different names stay different. A byte of a file name that isn't UTF-8 is `\\xXX` in a name,
which must be, and `%XX` in its output's: the byte E9 gives `%E9.jpg.png`, a file `%E9.jpg`
`%25E9.jpg.png`. `relative_name` raises `ValueError` for a URI that does not lie under
`relative_to`.
"""

import functools
import hashlib
import os
import posixpath
import re
import urllib.parse
from typing import Optional

from .folder.layout import MANIFEST
from .store import members, uris

# File systems allow 255 bytes; the rest is left to suffixes (`.upper.png`).
COMPONENT_BYTES = 200

_LOOK_ALIKES = (
    "\u2044\u2215\u29f8\uff0f"  # / as FRACTION SLASH, DIVISION SLASH, BIG SOLIDUS, FULLWIDTH
    "\u2216\u29f5\u29f9\ufe68\uff3c"  # \
    "\u2024\ufe52\uff0e"  # .
)
# Of a URL's query in a name.
QUERY_CHARACTERS = 16

# No URL has it but as %5E, so it marks what a name of the web's can't keep.
_ESCAPE = "^"

# What some file system refuses or drops; a slash is here one that was %2F.
_UNSAFE_SOMEWHERE = re.compile(r'[<>:"|?*/\\^\x00-\x1f\x7f\udc80-\udcff]|[. ]$')
_RESERVED = re.compile(
    r"^(?:con|conin\$|conout\$|prn|aux|nul|(?:com|lpt)[\d¹²³])(?= *(?:\.|$))", re.IGNORECASE
)

# Behind a backslash of a file's own: it would be read as a byte's, so it becomes `\x5c`; and so
# does one that would be read as quoted.
_LIKE_A_BYTE = r"(?=(?:x5c)*x[89a-f][0-9a-f])"
_TO_QUOTE = re.compile(rf"\\{_LIKE_A_BYTE}")

# Of a component that stays as it is.
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_. -]*")

_UNSAFE = re.compile(
    r"(?P<bytes>(?:\\x[89a-f][0-9a-f])+)"
    rf"|(?P<quoted>\\x5c{_LIKE_A_BYTE})"
    rf"|[\x00-\x1f\x7f\\\ud800-\udfff{_LOOK_ALIKES}]"
    r"|%(?=[0-9A-Fa-f]{2}|~)"
    r"|(?<=^[A-Za-z]):"
)


def relative_name(uri: str, relative_to: Optional[str] = None) -> str:
    """The path of `uri` below `relative_to`; without it the whole URI but for its scheme.

    >>> relative_name("gs://bucket/x/a.jpg", "gs://bucket/x")
    'a.jpg'
    >>> relative_name("gs://bucket/x/a.jpg")
    'bucket/x/a.jpg'
    >>> relative_name("https://host:8080/x/a%20b.jpg?id=7")
    'host^3A8080/x/a b.jpg^qf422c82d6db73d91'
    """
    if relative_to is None:
        return _whole(uri).lstrip("/")
    base, path = _whole_folder(relative_to), _whole(uri)
    if uris.is_local(uri):
        base, path = os.path.abspath(base), os.path.abspath(path)
    base = base.rstrip("/") + "/"
    both_local = uris.is_local(uri) and uris.is_local(relative_to)
    same_store = both_local or uris.scheme(uri) == uris.scheme(relative_to)
    if not same_store or not path.startswith(base):
        raise ValueError(
            f"{uris.without_secrets(uri)!r} does not lie under relative_to="
            f"{uris.without_secrets(relative_to)!r}, so its output has no name; give the Source "
            "a name of its own, or a relative_to above all pictures"
        )
    return path[len(base) :]


def output_name(name: str, suffix: str) -> str:
    """The path of an output below the output folder, `/` between its components.

    >>> output_name("x/a.jpg", ".png")
    'x/a.jpg.png'
    >>> output_name("../../etc/passwd", ".png")
    '%2E%2E/%2E%2E/etc/passwd.png'
    """
    components = name.split("/")
    safe = [_component(part, first=index == 0) for index, part in enumerate(components)]
    return "/".join(safe) + suffix


def encodable(path: str) -> str:
    r"""The path, in UTF-8 as Beam's strings must be: each byte that isn't is `\xXX`."""
    quoted = _TO_QUOTE.sub(r"\\x5c", path) if "\\" in path else path
    if quoted.isascii():
        return quoted
    return re.sub("[\udc80-\udcff]", lambda match: f"\\x{ord(match[0]) - 0xDC00:02x}", quoted)


def _whole(uri: str) -> str:
    if member := members.parse(uri):
        return f"{_whole(member.container)}/{encodable(member.path)}"
    if uris.is_local(uri):
        path = encodable(uris.local_path(uri).replace(os.sep, "/"))
        # Without `.`, `..` and `//`; POSIX would leave two slashes at the beginning.
        path = "/" + path.lstrip("/") if path.startswith("//") else path
        whole = posixpath.normpath(path) if path else ""
        return "" if whole == "." else whole
    path = uris.bare(uri).partition("://")[2]
    return _of_web(path, uri) if uris.is_web(uri) else encodable(path)


# Of many pictures the folder is the same.
_whole_folder = functools.lru_cache(maxsize=16)(_whole)


def _of_web(path: str, uri: str) -> str:
    """Host and path, unquoted and safe on every file system, and a digest of the query if any."""
    host, slash, below = path.partition("/")
    folders = [urllib.parse.unquote_to_bytes(part) for part in below.split("/")] if slash else []
    name = "/".join(_anywhere(os.fsdecode(part)) for part in [host.lower().encode(), *folders])
    query = uri.partition("#")[0].partition("?")
    if query[1]:
        name += f"{_ESCAPE}q{hashlib.sha256(query[2].encode()).hexdigest()[:QUERY_CHARACTERS]}"
    return name


def _anywhere(part: str) -> str:
    """A component of a URL as every file system takes it, Windows' too; no two the same, but where
    a file system takes names that differ in case or in Unicode's normal form for one."""
    text = _UNSAFE_SOMEWHERE.sub(lambda match: _marked(match[0]), part)
    return _RESERVED.sub(lambda match: _marked(match[0][0]) + match[0][1:], text)


def _marked(characters: str) -> str:
    return "".join(f"{_ESCAPE}{byte:02X}" for byte in os.fsencode(characters))


def _component(part: str, *, first: bool) -> str:
    if len(part) <= COMPONENT_BYTES and _PLAIN.fullmatch(part):
        return part
    if part in ("", ".", ".."):
        return "%2E" * len(part) or "%~"  # no name gives %~: its % would have been escaped
    if first and part.casefold() in (MANIFEST, uris.TEMPORARY):
        part, head = part[1:], f"%{ord(part[0]):02X}"
        return head + _escaped(part)
    return _shortened(_escaped(part))


def _escaped(part: str) -> str:
    return _UNSAFE.sub(_escape, part)


def _escape(match: "re.Match[str]") -> str:
    if match["quoted"]:
        return "%5C"
    if match["bytes"]:
        return _escaped_bytes(bytes.fromhex(match["bytes"].replace("\\x", "")))
    return _percent(os.fsencode(match[0]))


def _escaped_bytes(data: bytes) -> str:
    """Bytes as `%XX`; those that are UTF-8, which no file's name has so, in a way of their own."""
    characters = (
        (character, character.encode("utf-8", "surrogateescape"))
        for character in data.decode("utf-8", "surrogateescape")
    )
    return "".join(
        _percent(encoded) if "\udc80" <= character <= "\udcff" else _percent(encoded, "%~")
        for character, encoded in characters
    )


def _percent(data: bytes, mark: str = "%") -> str:
    return "".join(f"{mark}{byte:02X}" for byte in data)


def _shortened(part: str) -> str:
    data = part.encode("utf-8")
    if len(data) <= COMPONENT_BYTES:
        return part
    digest = hashlib.sha256(data).hexdigest()[:32]
    head = data[: COMPONENT_BYTES - len(digest) - 2].decode("utf-8", "ignore")
    return f"{head}%~{digest}"


class NameClash(ValueError):
    """Several pictures would be written to the same file."""


class OutputExists(FileExistsError):
    """A picture's output is there already."""
