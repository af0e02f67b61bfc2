"""A file that is not there -> what may be wrong with the way it was named.

In: the local path or URI as it was looked for. Out: a hint for whoever named it, "" if there is
none, as for all of the web. Lists come out of other tools, and hold what a shell, a spreadsheet or
Windows would have understood. Nothing can fail.
"""

import os
import re

from . import uris

_SUFFIX = r"\.(?i:jpe?g|png|webp|avif|gif|bmp|tiff?|heic)"

# What a path has somewhere, and what that means. The first that fits is told.
_LOCAL = {
    r"(^|/)~[\w.-]*/": "`~` is the shell's: write the folder's whole path",
    r"(^|/)\$\w|(^|/)\$\{": "variables are the shell's: write the whole path",
    r"(^|/)#": "lists have no comments: leave such lines out",
    r"(^|/)[A-Za-z]:([\\/]|$)": "that is a path of Windows, which this machine has not",
    r"(^|/)file:/": "a file URI has three slashes, file:///path",
    r"(^|/)[\"'].*[\"']$": "quotes are part of a name: leave them out",
    rf"{_SUFFIX}[,;\t]": "a line is one name: leave a table's other columns out",
    r"\\": "folders are divided by `/`",
    r"%[0-9A-Fa-f]{2}": "in a path `%20` is no blank, in a file:// URI it is",
}
_ANY = {
    r"[*?\[]": "a list names single files: give a pattern by --input",
    r"/$": "that names a folder, and a list names files: give a folder by --input",
}


def absent(uri: str) -> str:
    r"""What may be wrong with a name that no file has.

    >>> absent("/home/me/x\\a.jpg"), absent("gs://b/a.jpg")
    ('folders are divided by `/`', '')
    """
    if uris.is_web(uri):
        return ""
    local = uris.is_local(uri)
    name = uris.local_path(uri) if local else uri
    known = {**(_LOCAL if local and os.name != "nt" else {}), **_ANY}
    return next((hint for pattern, hint in known.items() if re.search(pattern, name)), "")
