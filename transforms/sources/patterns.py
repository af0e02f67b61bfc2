"""Patterns and folders -> the pictures they stand for, as `Source` records.

`find` takes one input of the command:

- an existing local path is taken literally, brackets and all;
- a folder (local, or a remote URI without a file of its own) is walked recursively for files with
  a known picture suffix in any case, hidden ones left out;
- anything else is a glob: `*`, `?`, `[...]` stay within a component, `**/` matches any number of
  folders, none included, and hidden files match only where the pattern has the dot. Links to
  folders are not followed below the folder named, links to files are.

- an http or https URL is one picture, `?`, `*` and brackets in it being its own; nothing lists the
  web.

A source's name is its path relative to the pattern's fixed part: the folder itself, or the last
folder before the first wildcard. Files under `exclude` (the output folder) are left out.

`find` raises `NothingFound` for an input that matches no file, and what the storage raises. What a
walk leaves out is told as `PassedOver`: files that may be pictures and have no picture's suffix,
and folders below that can't be listed; one that was removed meanwhile has no files.
"""

import functools
import os
import re
from typing import Iterator, NamedTuple, Optional

from wcmatch import glob

from .. import naming
from ..elements import Source
from ..store import stores, uris, web
from .passed_over import PassedOver

PICTURE_SUFFIXES = frozenset(
    [
        *(".avif", ".bmp", ".gif", ".png", ".tif", ".tiff", ".webp"),
        *(".jfif", ".jpe", ".jpeg", ".jpg", ".mpo"),
        *(".j2k", ".jp2", ".jpx"),
        *(".heic", ".heif"),
    ]
)

_FLAGS = glob.GLOBSTAR | glob.NODIR | glob.NOUNIQUE
_WILDCARD = re.compile(r"[*?\[]")

# Where a name stops being what a listing can begin with: at a wildcard, or at what escapes one.
_LITERAL = re.compile(r"[^*?\[\\]*")


class NothingFound(ValueError):
    """An input that stands for no picture."""


class _Input(NamedTuple):
    """An input, taken apart: the folder its names are relative to, and what it matches there."""

    base: str
    pattern: str
    is_folder: bool


def find(
    pattern: str, *, exclude: Optional[str] = None, passed: Optional[PassedOver] = None
) -> Iterator[Source]:
    """The pictures of one input, as they are found; local ones by their absolute paths.

    Args:
      pattern: the input.
      exclude: the output folder, whose files are left out.
      passed: where to note what else is left out.
    """
    passed = PassedOver() if passed is None else passed
    if uris.is_web(pattern):
        web.check(pattern)
        yield Source(pattern, naming.relative_name(pattern))
        return
    taken = _take_apart(pattern)
    found = False
    files_of = _local_files if uris.is_local(pattern) else _remote_files
    # Files of one folder come one after another.
    is_excluded = functools.lru_cache(maxsize=16)(functools.partial(_holds, exclude))
    for uri in files_of(taken, passed):
        if not (uri == exclude or is_excluded(os.path.dirname(uri))):
            found = True
            yield Source(uri, naming.relative_name(uri, taken.base))
    if not found and _may_be_a_remote_folder(pattern):
        yield from find(pattern + "/", exclude=exclude, passed=passed)
    elif not found and not passed.unlisted:
        raise NothingFound(_nothing_found(pattern, taken, exclude))


def check(pattern: str, *, exclude: Optional[str] = None) -> None:
    """Raises `NothingFound` for an input without a picture, at the cost of the first match.

    Of a remote input one listed file is enough; whether it is a picture turns out in the run. Of a
    URL the form alone is looked at.
    """
    if uris.is_local(pattern):
        path = uris.local_path(pattern)
        if os.path.exists(path) and not (os.path.isfile(path) or os.path.isdir(path)):
            raise NothingFound(
                f"{path!r} is a pipe, a socket or a device, no file: save the picture as one; a "
                "list of pictures may come from a pipe, by --input_list"
            )
    if uris.is_local(pattern) or uris.is_web(pattern):
        next(find(pattern, exclude=exclude), None)
        return
    taken = _take_apart(pattern)
    if next(_listed(taken, limit=1), None) is None:
        if not _may_be_a_remote_folder(pattern):
            raise NothingFound(_nothing_found(pattern, taken, exclude))
        check(pattern + "/", exclude=exclude)


def is_under(uri: str, folder: str) -> bool:
    """Whether a file lies in a folder or deeper; local links in the folders are resolved.

    >>> is_under("gs://b/out/a.png", "gs://b/out"), is_under("gs://b/outer/a.png", "gs://b/out")
    (True, False)
    """
    if uris.is_local(uri) != uris.is_local(folder):
        return False
    if uris.is_local(uri):
        head, tail = os.path.split(os.path.abspath(uris.local_path(uri)))
        uri = os.path.join(os.path.realpath(head), tail)
        folder = os.path.realpath(uris.local_path(folder))
    return uri.startswith(folder.rstrip("/" + os.sep) + "/") or uri == folder


def _holds(folder: Optional[str], other: str) -> bool:
    """Whether the files of another folder lie in the first or deeper."""
    return folder is not None and is_under(uris.join(other, "x"), folder)


def _take_apart(pattern: str) -> _Input:
    if not uris.is_local(pattern):
        is_folder = pattern.endswith("/") and not _WILDCARD.search(pattern)
        return _Input(_fixed_part(pattern), pattern, is_folder)
    given = uris.local_path(pattern)
    path = os.path.abspath(given)
    if os.path.isdir(path):
        return _Input(path, path, True)
    if os.path.lexists(path):
        return _Input(os.path.dirname(path), glob.escape(path), False)
    fixed = _fixed_part(given)
    base = os.path.join(os.path.abspath(fixed or "."), "")
    return _Input(base, glob.escape(base) + given[len(fixed) :], False)


def _may_be_a_remote_folder(pattern: str) -> bool:
    return not (uris.is_local(pattern) or pattern.endswith("/") or _WILDCARD.search(pattern))


def _fixed_part(pattern: str) -> str:
    wildcard = _WILDCARD.search(pattern)
    fixed = pattern[: wildcard.start()] if wildcard else pattern
    return fixed[: fixed.rfind("/") + 1]


def _local_files(taken: _Input, passed: PassedOver) -> Iterator[str]:
    if not taken.is_folder:
        yield from map(uris.local_uri, glob.iglob(taken.pattern, flags=_FLAGS))
        return

    def note(error: OSError) -> None:
        if error.filename == taken.base:
            raise error
        if not isinstance(error, FileNotFoundError):
            passed.unlisted.append(error)

    for folder, folders, names in os.walk(taken.base, onerror=note):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if _is_picture(name):
                yield uris.local_uri(os.path.join(folder, name))
            else:
                passed.add(name)


def _remote_files(taken: _Input, passed: PassedOver) -> Iterator[str]:
    # In this matcher `//` of a scheme would be one separator: match below the fixed part.
    pattern = taken.pattern[len(taken.base) :]
    for uri in _listed(taken):
        below = uri[len(taken.base) :]
        if uri.endswith("/"):
            continue
        if not taken.is_folder:
            if below == pattern or glob.globmatch(below, pattern, flags=_FLAGS | glob.FORCEUNIX):
                yield uri
        elif not any(part.startswith(".") for part in below.split("/")):
            if _is_picture(uri):
                yield uri
            else:
                passed.add(below.rpartition("/")[2])


def _listed(taken: _Input, limit: Optional[int] = None) -> Iterator[str]:
    """The remote files to look through: the one named, or those that a listing can narrow down."""
    pattern = taken.pattern[len(taken.base) :]
    if not (taken.is_folder or _WILDCARD.search(pattern)):
        if stores.size(taken.pattern) is not None:
            yield taken.pattern
        return
    deep = taken.is_folder or "/" in pattern or "**" in pattern
    start = _LITERAL.match(pattern)[0]  # type: ignore[index]
    for file in stores.listing(taken.base, start=start, deep=deep, limit=limit):
        yield file.uri


def _is_picture(name: str) -> bool:
    hidden = name.startswith(".")
    return not hidden and os.path.splitext(name)[1].lower() in PICTURE_SUFFIXES


def _nothing_found(pattern: str, taken: _Input, exclude: Optional[str]) -> str:
    shown = uris.without_secrets(pattern)
    if pattern == "-":
        return "'-' is no file: a list of pictures is read from standard input by --input_list -"
    kind = f"a file whose suffix is one of {' '.join(sorted(PICTURE_SUFFIXES))}"
    what = f"{shown!r} matches no file"
    if taken.is_folder:
        what = f"The folder {shown!r} holds no picture"
    if exclude is not None and is_under(taken.base + "/x", exclude):
        output = uris.without_secrets(exclude)
        return f"{what} outside the output folder {output!r}, which is never an input"
    if taken.is_folder:
        return (
            f"{what}: a picture is {kind}; other files are named by a glob such as '{shown}/**/*'"
        )
    return f"{what}; the working directory is {os.getcwd()!r}" if uris.is_local(pattern) else what
