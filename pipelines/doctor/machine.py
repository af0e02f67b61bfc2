"""Machine: cores, memory, disk and compiled loops, as this process may use them.

In: nothing. Out: lines; warnings where a run would be slow, or might fail for lack of room.
"""

import os
import shutil
import tempfile
from typing import Iterator

from ...transforms.runtime import memory
from .line import Line, ok, warning

# Below, a worker has no room for a large model and a few pictures of 12 MP.
LEAST_MEMORY = 4_000_000_000

# Of the folder for temporary files: names of all pictures are sorted there, and models pass by.
LEAST_DISK = 2_000_000_000


def examine() -> Iterator[Line]:
    """Cores, memory, the folder for temporary files, and what numba keeps."""
    yield _cores()
    yield _memory()
    yield _disk(tempfile.gettempdir())
    yield _numba()


def _cores() -> Line:
    from loky import cpu_count

    mine, all_there = int(cpu_count()), os.cpu_count() or 1
    return ok("cores", f"{mine}" if mine == all_there else f"{mine} of {all_there}")


def _memory() -> Line:
    import psutil

    mine, all_there = memory.available(), int(psutil.virtual_memory().total)
    found = _gigabytes(mine) if mine == all_there else f"{_gigabytes(mine)} of the machine's"
    found += "" if mine == all_there else f" {_gigabytes(all_there)}"
    found += f"; pictures in flight take {_gigabytes(memory.default_limit())} at most"
    if mine < LEAST_MEMORY:
        way_out = f"give it {_gigabytes(LEAST_MEMORY)}, or lower --max_memory and --remove_threads"
        return warning("memory", found, way_out)
    return ok("memory", found)


def _disk(folder: str) -> Line:
    free = shutil.disk_usage(folder).free
    found = f"{_gigabytes(free)} free in {folder!r}"
    if free < LEAST_DISK:
        return warning("temporary files", found, "name a folder with more room by TMPDIR")
    return ok("temporary files", found)


def _numba() -> Line:
    """Whether what numba compiles is kept, as it decides for the package's own loops."""
    about = "compiled loops"
    try:
        from ...transforms.fast import plain_kernels

        path = plain_kernels.composite._cache.cache_path
    except Exception as error:
        way_out = "pictures are made by slower, equal ways; reinstall numba for this Python"
        return warning(about, f"numba doesn't work: {error}", way_out)
    if not os.access(path, os.W_OK):
        way_out = "name a folder that can be written to by NUMBA_CACHE_DIR"
        return warning(about, f"compiled anew by each process: {path!r} can't be written", way_out)
    return ok(about, f"kept in {path!r}")


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:.1f} GB"
