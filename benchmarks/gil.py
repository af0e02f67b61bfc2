"""How long a picture holds the interpreter's lock (GIL), of which a process has one.

`python gil.py FEW MANY ARGUMENT...` runs the command `rembg-beam` in this process and prints JSON:
the seconds of CPU for which any thread held the lock, and all seconds of CPU, from the outcome FEW
to the outcome MANY. A thread that never takes the lock itself looks every twentieth of a
millisecond who holds it, and adds up what that thread gets of a core until the next look. What it
waits for a core, while it holds the lock, is not counted: a machine with more cores lets it run.
CPython says who holds the lock in its runtime's memory, in words that are found by what they must
contain. `RuntimeError` where they aren't.
"""

import ctypes
import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any, Callable, Dict, NamedTuple, Tuple
from unittest import mock

import graphs
import numba
import numpy as np
import photos
import report
import sides
from sides import Bench, Counts

MICROSECONDS = 50

COUNTS, QUICK = Counts(300, 900), Counts(2, 4)

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
    """Seconds of the lock and of CPU, start-up and end left out."""
    flags = ["--model", graphs.WITHOUT, "--offline", "--max_failures", 0]
    places = ["--input", photos.folder(bench.place, "0.67", counts.many)]
    places += ["--output", sides.fresh(bench.place / "gil")]
    command = [sides.PYTHON, sides.HERE / "gil.py", *counts, "run", *flags, *places]
    held, cpu = sides.answered(command, graphs.home_without(bench.place))
    number = counts.many - counts.few
    return held / number, cpu / number


_libc = ctypes.CDLL(None)
_sleep, _copy, _read_clock = _libc.usleep, _libc.memmove, _libc.clock_gettime
_sleep.argtypes, _sleep.restype = [ctypes.c_uint], ctypes.c_int
_copy.argtypes, _copy.restype = [ctypes.c_size_t] * 3, ctypes.c_size_t
_read_clock.argtypes, _read_clock.restype = [ctypes.c_int, ctypes.c_size_t], ctypes.c_int


class Watched(NamedTuple):
    """What was seen: how often anybody looked, how often the lock was held, and for how many
    seconds of CPU."""

    looks: int
    held: int
    held_seconds: float


class Watch:
    """Looks at the lock, within a `with`."""

    def __init__(self) -> None:
        lock = _lock()
        self._ends, self._seen = np.zeros(1, np.int64), np.zeros(3, np.int64)
        _look(*lock, np.ones(1, np.int64), self._seen, MICROSECONDS)  # compiles it
        arguments = (*lock, self._ends, self._seen, MICROSECONDS)
        self._thread = threading.Thread(target=_look, args=arguments)

    def seen(self) -> Watched:
        """What was seen so far."""
        looks, held, nanoseconds = map(int, self._seen)
        return Watched(looks, held, nanoseconds / 1e9)

    def cpu(self) -> float:
        """Seconds of CPU of this process, but for what looking takes."""
        assert self._thread.ident is not None
        looking = time.clock_gettime(time.pthread_getcpuclockid(self._thread.ident))
        return time.process_time() - looking

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends[0] = 1
        self._thread.join()


def watched(work: Callable[[], Any]) -> Watched:
    """Runs it and watches the lock meanwhile."""
    with Watch() as watch:
        work()
        return watch.seen()


@numba.njit(nogil=True)
def _look(locked: Any, holder: Any, id_at: int, ends: Any, seen: Any, microseconds: int) -> None:
    number, clock, before = np.zeros(1, np.int64), 0, 0
    while ends[0] == 0:
        _sleep(microseconds)
        if clock:
            seen[2] += _nanoseconds(clock) - before
        seen[0] += 1
        clock = 0
        if locked[0] == 1:
            seen[1] += 1
            _copy(number.ctypes.data, holder[0] + id_at, 8)
            # A thread's own, as Linux numbers them.
            clock = (~number[0] << 3) | 6
            before = _nanoseconds(clock)


@numba.njit(nogil=True)
def _nanoseconds(clock: int) -> int:
    time = np.zeros(2, np.int64)
    _read_clock(clock, time.ctypes.data)
    return time[0] * 1_000_000_000 + time[1]


def _lock() -> Tuple[Any, Any, int]:
    """What CPython's `struct _gil_runtime_state` says of the lock.

    Returns:
      int32 [1], 1 while it is held (`locked`); int64 [1], the address of the state of the thread
      that had it last (`last_holder`, after the interval of switching); and where in such a state
      the system's number of its thread is.
    """
    runtime = _memory_of("_PyRuntime")
    ctypes.pythonapi.PyThreadState_Get.restype = ctypes.c_void_p
    this_thread = ctypes.pythonapi.PyThreadState_Get()
    interval = round(sys.getswitchinterval() * 1e6)
    state = (ctypes.c_uint64 * 64).from_address(this_thread)
    for _ in range(100):  # NumPy compares without the lock, which another thread may take meanwhile
        for index in np.flatnonzero(runtime[1:-1] == this_thread) + 1:
            locked = runtime[index + 1 :].view(np.int32)[:1]
            if runtime[index - 1] == interval and locked[0] == 1:
                id_at = 8 * list(state).index(threading.get_native_id())
                return locked, runtime[index:].view(np.int64)[:1], id_at
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


def main(few: str, many: str, *arguments: str) -> None:
    from rembg_beam.pipelines.cli import main as command
    from rembg_beam.transforms.runtime.metrics import tally

    answer = os.dup(1)
    os.dup2(2, 1)  # what the command itself prints
    marks: Dict[int, Tuple[Watched, float]] = {}
    add = tally.add

    def counted(name: str, number: int = 1) -> None:
        add(name, number)
        if name == "outcomes_written":
            marks[tally.snapshot()[name]] = watch.seen(), watch.cpu()

    with Watch() as watch, mock.patch.object(tally, "add", counted):
        command(list(arguments))
    (before, cpu_before), (after, cpu) = marks[int(few)], marks[int(many)]
    held = after.held_seconds - before.held_seconds
    os.write(answer, json.dumps([held, cpu - cpu_before]).encode())


if __name__ == "__main__":
    main(*sys.argv[1:])
