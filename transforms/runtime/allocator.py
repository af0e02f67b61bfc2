"""The C library's allocator, told to keep what a picture has freed for the next one.

A picture in work is some arrays of megabytes that live for milliseconds. glibc gives such memory
back to the kernel as soon as it is freed, and the next picture gets it anew, zeroed page by page:
in a thread alone 3,000 pages at 0.67 MP, a third of the CPU around the model and half of the time
that Python's lock is held, in which memory is freed; in a run with several threads, which use each
other's, 100 pages. Told of larger thresholds, it keeps it. Nothing here fails: other
C libraries, and environments that say themselves how glibc should do it, are left as they are.
"""

import ctypes
import functools
import os
import platform

# Each thread's part of the heap may keep so much when its pictures are done, and what is larger is
# the kernel's own: the most that glibc takes for the latter. With half of it for both, pictures of
# 2.7 MP gain nothing; with twice as much for the former memory grows and nothing is faster.
KEPT_BYTES = 32 << 20

# Of glibc's `malloc.h`.
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3

_VARIABLES = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TOP_PAD_")


@functools.cache
def keep_freed() -> bool:
    """Does it, once in a process; whether it did."""
    tunables = os.environ.get("GLIBC_TUNABLES", "")
    is_said = "glibc.malloc." in tunables or any(map(os.environ.get, _VARIABLES))
    if platform.libc_ver()[0] != "glibc" or is_said:
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return all(mallopt(name, KEPT_BYTES) for name in (_M_MMAP_THRESHOLD, _M_TRIM_THRESHOLD))
