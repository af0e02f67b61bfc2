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

import contextlib
import functools
import os
import re
from typing import Iterator, NamedTuple, Optional, Tuple

from wcmatch import glob

from .. import naming
from ..elements import Source
from ..setting import did_you_mean
from ..store import stores, uris, web
from ..store.listed import Listed
from .passed_over import PassedOver
from .suffixes import PICTURE_SUFFIXES as PICTURE_SUFFIXES

_FLAGS = glob.GLOBSTAR | glob.NODIR | glob.NOUNIQUE
_WILDCARD = re.compile(r"[*?\[]")

# Where a name stops being what a listing can begin with: at a wildcard, or at what escapes one.
_LITERAL = re.compile(r"[^*?\[\\]*")


class NothingFound(ValueError):
    """An input that stands for no picture."""


# A URI, and what a listing says of its file, if it was one that found it.
_Found = Tuple[str, Optional[Listed]]


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
    for source, _ in find_listed(pattern, exclude, passed):
        yield source


def find_timed(
    pattern: str, *, exclude: Optional[str] = None
) -> Iterator[Tuple[Source, Optional[float]]]:
    """The same, with the time that each was written, None if nobody says; nothing for no match."""
    with contextlib.suppress(NothingFound):
        for source, listed in find_listed(pattern, exclude, PassedOver()):
            if not uris.is_local(source.uri):
                yield source, listed and listed.modified
            elif file := stores.found(source.uri):  # else it is gone again
                yield source, file.modified


def find_listed(
    pattern: str, exclude: Optional[str], passed: PassedOver
) -> Iterator[Tuple[Source, Optional[Listed]]]:
    """The same as `find`, remote pictures with what a listing says of them."""
    if uris.is_web(pattern):
        web.check(pattern)
        yield Source(pattern, naming.relative_name(pattern)), None
        return
    taken = _take_apart(pattern)
    found = False
    files_of = _local_files if uris.is_local(pattern) else _remote_files
    # Files of one folder come one after another.
    is_excluded = functools.lru_cache(maxsize=16)(functools.partial(_holds, exclude))
    for uri, listed in files_of(taken, passed):
        if not (uri == exclude or is_excluded(os.path.dirname(uri))):
            found = True
            yield Source(uri, naming.relative_name(uri, taken.base)), listed
    if not found and _may_be_a_remote_folder(pattern):
        yield from find_listed(pattern + "/", exclude, passed)
    elif not found and not passed.unlisted:
        raise NothingFound(_nothing_found(pattern, taken, exclude, passed))


def check(pattern: str, *, exclude: Optional[str] = None) -> None:
    """Raises `NothingFound` for an input without a picture, at the cost of the first match.

    Of a remote input one listed file is enough; whether it is a picture turns out in the run. Of a
    URL the form alone is looked at.
    """
    first(pattern, exclude=exclude)


def first(pattern: str, *, exclude: Optional[str] = None) -> Optional[str]:
    """The URI of the first match, None for one that the run will find; raises as `check` does."""
    if uris.is_local(pattern):
        path = uris.local_path(pattern)
        if os.path.exists(path) and not (os.path.isfile(path) or os.path.isdir(path)):
            raise NothingFound(
                f"{path!r} is a pipe, a socket or a device, no file: save the picture as one; a "
                "list of pictures may come from a pipe, by --input_list"
            )
    if uris.is_local(pattern) or uris.is_web(pattern):
        found = next(find(pattern, exclude=exclude), None)
        return found and found.uri
    taken = _take_apart(pattern)
    listed = next(_listed(taken, limit=1), None)
    if listed is None and not _may_be_a_remote_folder(pattern):
        raise NothingFound(_nothing_found(pattern, taken, exclude, PassedOver()))
    if listed is None:
        return first(pattern + "/", exclude=exclude)
    return listed[0] if listed and listed[0] == pattern else None


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


def _local_files(taken: _Input, passed: PassedOver) -> Iterator[_Found]:
    if not taken.is_folder:
        for path in glob.iglob(taken.pattern, flags=_FLAGS):
            yield uris.local_uri(path), None
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
                yield uris.local_uri(os.path.join(folder, name)), None
            else:
                passed.add(name)


def _remote_files(taken: _Input, passed: PassedOver) -> Iterator[_Found]:
    # In this matcher `//` of a scheme would be one separator: match below the fixed part.
    pattern = taken.pattern[len(taken.base) :]
    for uri, listed in _listed(taken):
        below = uri[len(taken.base) :]
        if uri.endswith("/"):
            continue
        if not taken.is_folder:
            if below == pattern or glob.globmatch(below, pattern, flags=_FLAGS | glob.FORCEUNIX):
                yield uri, listed
        elif is_picture_below(uri, taken.base):
            yield uri, listed
        elif not _is_hidden(below):
            passed.add(below.rpartition("/")[2])


def _listed(taken: _Input, limit: Optional[int] = None) -> Iterator[_Found]:
    """The remote files to look through: the one named, or those that a listing can narrow down."""
    pattern = taken.pattern[len(taken.base) :]
    if not (taken.is_folder or _WILDCARD.search(pattern)):
        if (size := stores.size(taken.pattern)) is not None:
            yield taken.pattern, Listed(taken.pattern, "", size)
        return
    deep = taken.is_folder or "/" in pattern or "**" in pattern
    start = _LITERAL.match(pattern)[0]  # type: ignore[index]
    for file in stores.listing(taken.base, start=start, deep=deep, limit=limit):
        yield file.uri, file


def is_picture_below(uri: str, folder: str) -> bool:
    """Whether a walk of a remote folder takes a file below it: a picture's suffix, nothing hidden.

    >>> is_picture_below("gs://b/.x/y/a.JPG", "gs://b/.x"), is_picture_below("gs://b/.a.jpg", "")
    (True, False)
    """
    return _is_picture(uri) and not _is_hidden(uri[len(folder) :])


def _is_hidden(below: str) -> bool:
    return any(part.startswith(".") for part in below.split("/"))


def _is_picture(name: str) -> bool:
    hidden = name.startswith(".")
    return not hidden and os.path.splitext(name)[1].lower() in PICTURE_SUFFIXES


def _nothing_found(pattern: str, taken: _Input, exclude: Optional[str], passed: PassedOver) -> str:
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
    if taken.is_folder and (tables := passed.tables(shown)):
        return f"{what}; {tables}"
    if taken.is_folder:
        return (
            f"{what}: a picture is {kind}; other files are named by a glob such as '{shown}/**/*'"
        )
    if not uris.is_local(pattern):
        return what
    return f"{what}; the working directory is {os.getcwd()!r}{_near(pattern)}"


def _near(pattern: str) -> str:
    """The end of a message about a local input that isn't there: what is, and is called alike."""
    folder, name = os.path.split(uris.local_path(pattern).rstrip(os.sep))
    try:
        names = os.listdir(folder or os.curdir)
    except (OSError, ValueError):
        return ""
    return did_you_mean(name, names, "", lambda found: repr(os.path.join(folder, found)))
