"""The standard output of a worker process, where nobody reads it.

Beam's worker pool gives its workers a pipe for it, from which it never reads (Beam issue 21589):
libraries print, 64 KiB fill the pipe, and whoever prints next waits for ever.

In: this process. Out: if it is such a worker, what it prints goes to stderr; any other is left
alone. Nothing here fails.
"""

import contextlib
import functools
import os
import stat

from . import harness


@functools.cache
def unblock() -> None:
    """Sends what a worker of a pool prints to stderr; the first call in a process counts."""
    with contextlib.suppress(OSError):  # of a descriptor that is closed
        if harness.is_of_a_pool() and stat.S_ISFIFO(os.fstat(1).st_mode):
            os.dup2(2, 1)
