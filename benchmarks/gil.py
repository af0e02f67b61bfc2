"""How long a picture holds the interpreter's lock (GIL), of which a process has one.

`python gil.py ARGUMENT...` runs the command `rembg-beam` in this process and prints JSON: the
seconds for which any thread held the lock, and those of CPU. A thread that never takes the lock
itself looks every twentieth of a millisecond whether it is held: CPython says so in a word of its
runtime's memory, which is found by what it must contain. `RuntimeError` where it isn't. The time
for which a thread holds it is one of the clock: on a machine that does other work it grows.
"""

import ctypes
import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any, Callable, List, NamedTuple, Tuple

import graphs
import numba
import numpy as np
import photos
import report
import sides
from sides import Bench, Counts

MICROSECONDS = 50

COUNTS, QUICK = Counts(80, 380), Counts(2, 4)

HEAD = ("the lock held, a picture (lowest to highest)", "one process ends at", "CPU a picture")

NOTE = (
    "0.67 MP, JPEG in, PNG out, with a graph that costs nothing in place of the model. However "
    "many cores there are, a process makes no more pictures a second than the lock lets through."
)


def measure(bench: Bench) -> report.Section:
    """The table, and the milliseconds that the lock is held as the figure for the bar."""
    graphs.write_without(bench.place)
    counts = QUICK if bench.quick else COUNTS
    found = [_per_picture(bench, counts) for _ in range(bench.repeats)]
    held, cpu = (report.figure(1000 * value for value in column) for column in zip(*found))
    row = [
        f"{held.value:.2f} ms ({held.low:.2f} to {held.high:.2f})",
        f"{1000 / held.value:.0f} pictures/s",
        f"{cpu.value:.1f} ms",
    ]
    return report.Section([*report.table(HEAD, [row]), "", NOTE], {"gil": held})


def _per_picture(bench: Bench, counts: Counts) -> Tuple[float, float]:
    """Seconds of the lock and of CPU, start-up left out."""
    few, many = (_run(bench, number) for number in counts)
    number = counts.many - counts.few
    return (many[0] - few[0]) / number, (many[1] - few[1]) / number


def _run(bench: Bench, number: int) -> List[float]:
    """What `main` prints of a run over so many pictures."""
    flags = ["--model", graphs.WITHOUT, "--offline", "--max_failures", 0]
    places = ["--input", photos.folder(bench.place, "0.67", number)]
    places += ["--output", sides.fresh(bench.place / "gil")]
    command = [sides.PYTHON, sides.HERE / "gil.py", "run", *flags, *places]
    answer: List[float] = sides.answered(command, graphs.home_without(bench.place))
    return answer


_sleep = ctypes.CDLL(None).usleep
_sleep.argtypes, _sleep.restype = [ctypes.c_uint], ctypes.c_int


class Watched(NamedTuple):
    """What was seen: how often anybody looked, how often the lock was held, and the seconds."""

    looks: int
    held: int
    seconds: float

    @property
    def held_seconds(self) -> float:
        return self.seconds * self.held / self.looks


def watched(work: Callable[[], Any]) -> Watched:
    """Runs it and watches the lock meanwhile."""
    locked, ends, counts = _lock_word(), np.zeros(1, np.int64), np.zeros(2, np.int64)
    thread = threading.Thread(target=_look, args=(locked, ends, counts, MICROSECONDS))
    _look(locked, np.ones(1, np.int64), counts, MICROSECONDS)  # compiles it
    thread.start()
    start = time.perf_counter()
    try:
        work()
    finally:
        seconds = time.perf_counter() - start
        ends[0] = 1
        thread.join()
    return Watched(int(counts[0]), int(counts[1]), seconds)


@numba.njit(nogil=True)
def _look(locked: Any, ends: Any, counts: Any, microseconds: int) -> None:
    while ends[0] == 0:
        _sleep(microseconds)
        counts[0] += 1
        counts[1] += locked[0]


def _lock_word() -> Any:
    """int32 [1], 1 while the lock is held: `locked` of CPython's `struct _gil_runtime_state`, which
    follows the interval of switching and the thread that had the lock last."""
    runtime = _memory_of("_PyRuntime")
    ctypes.pythonapi.PyThreadState_Get.restype = ctypes.c_void_p
    this_thread = ctypes.pythonapi.PyThreadState_Get()
    interval = round(sys.getswitchinterval() * 1e6)
    for index in np.flatnonzero(runtime[1:-1] == this_thread) + 1:
        locked = runtime[index + 1 :].view(np.int32)[:1]
        if runtime[index - 1] == interval and locked[0] == 1:
            return locked
    raise RuntimeError("this Python doesn't keep its lock where CPython 3.11 to 3.13 does")


def _memory_of(symbol: str) -> Any:
    """uint64 [...]: from an exported symbol to the end of its segment."""
    start = ctypes.addressof(ctypes.c_char.in_dll(ctypes.pythonapi, symbol))
    for line in Path("/proc/self/maps").read_text().splitlines():
        low, high = (int(each, 16) for each in line.split()[0].split("-"))
        if low <= start < high:
            words = (ctypes.c_uint64 * ((high - start) // 8)).from_address(start)
            return np.ctypeslib.as_array(words)
    raise RuntimeError(f"{symbol} lies in no segment")


def main(arguments: List[str]) -> None:
    from rembg_beam.pipelines.cli import main as command

    answer = os.dup(1)
    os.dup2(2, 1)  # what the command itself prints
    start = time.process_time()
    seen = watched(lambda: command(arguments))
    cpu = time.process_time() - start
    os.write(answer, json.dumps([seen.held_seconds, cpu, seen.seconds]).encode())


if __name__ == "__main__":
    main(sys.argv[1:])
