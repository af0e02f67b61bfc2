"""`rembg-beam run`, watched from inside. Run as `python gpu_ours.py OUTPUT ARGUMENTS...`, the
command's arguments without `--output`; prints `Ours` as JSON, all else goes to stderr.

Start-up and tail are left out: what counts lies between the moments at which a fifth and nineteen
twentieths of the pictures were written, by the times of their files.
"""

import contextlib
import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any, Iterator, List, NamedTuple, Tuple

import numpy as np
import onnxruntime

FROM, TO = 0.2, 0.95

LOOK_SECONDS = 0.05


class Ours(NamedTuple):
    """What was found.

    Attributes:
      rate: pictures per second.
      busy: share of the time in which the model ran, 0 to 1.
      cores: that were busy, of the CPU.
    """

    rate: float
    busy: float
    cores: float


class Watch:
    """Counts the seconds in which any session runs, and looks at the process's CPU time."""

    def __init__(self) -> None:
        self.looks: List[Tuple[float, float, float]] = []
        self._lock = threading.Lock()
        self._running = 0
        self._since = self._seconds = 0.0

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        with self._lock:
            if self._running == 0:
                self._since = time.time()
            self._running += 1
        try:
            yield
        finally:
            with self._lock:
                self._running -= 1
                if self._running == 0:
                    self._seconds += time.time() - self._since

    def look(self) -> None:
        with self._lock:
            now = time.time()
            seconds = self._seconds + (now - self._since if self._running else 0.0)
        self.looks.append((now, time.process_time(), seconds))


@contextlib.contextmanager
def watched() -> Iterator[Watch]:
    """Every session of this process, as long as this lasts."""
    watch, ended = Watch(), threading.Event()
    original = onnxruntime.InferenceSession.run

    def run(self: Any, *arguments: Any) -> Any:
        with watch.running():
            return original(self, *arguments)

    def look() -> None:
        while not ended.wait(LOOK_SECONDS):
            watch.look()

    onnxruntime.InferenceSession.run = run
    looking = threading.Thread(target=look)
    watch.look()
    looking.start()
    try:
        yield watch
    finally:
        ended.set()
        looking.join()
        watch.look()
        onnxruntime.InferenceSession.run = original


def measured(looks: List[Tuple[float, float, float]], written: List[float]) -> Ours:
    """What lies between, of looks (time, CPU seconds, seconds in runs) and the times of files.

    >>> measured([(0, 0, 0), (100, 200, 90)], list(range(101)))
    Ours(rate=1.0, busy=0.9, cores=2.0)
    """
    times = sorted(written)
    first, last = int(FROM * (len(times) - 1)), int(TO * (len(times) - 1))
    now, cpu, busy = zip(*looks)
    seconds = times[last] - times[first]
    cores, share = (
        float(np.diff(np.interp([times[first], times[last]], now, values))[0]) / seconds
        for values in (cpu, busy)
    )
    return Ours((last - first) / seconds, round(share, 6), round(cores, 6))


def main(output: str, *arguments: str) -> int:
    from rembg_beam.pipelines import cli

    answer = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    with watched() as watch:
        status = cli.main(["run", *arguments, "--output", output])
    if status:
        return status
    written = [os.stat(path).st_mtime_ns / 1e9 for path in Path(output).glob("*.png")]
    print(json.dumps(measured(watch.looks, written)), file=answer, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
