"""Memory: the peak of a run over 500 pictures of 12 MP against one over 50.

The bundled model is used, so that pictures and not the model are what takes memory and time. The
outputs are swept away as they are written: those of one run would be several gigabytes of disk.
"""

import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Iterator

import graphs
import report
import sides
from sides import Bench, Counts

SIZE = "12"
COUNTS = Counts(50, 500)
QUICK = Counts(2, 4)

# How old an output is when it is swept away, and how often that is looked after.
SWEPT_SECONDS = 1.0

NOTE = "Peak resident memory of the process, with the bundled model; medians."


def measure(bench: Bench) -> report.Section:
    """The table, and the ratio for its bar."""
    counts = QUICK if bench.quick else COUNTS
    size = "0.67" if bench.quick else SIZE
    side = sides.rembg_beam(bench, graphs.home(bench.place), "tiny", size)
    peaks = []
    with swept(bench.place / "rembg-beam"):
        for _ in range(bench.repeats):
            peaks.append([side(number).peak for number in counts])
    few, many = (report.figure(values).value / 1e6 for values in zip(*peaks, strict=True))
    ratio = report.figure(many / few for few, many in peaks)
    head = [f"{number} pictures" for number in counts]
    row = [f"{few:.0f} MB", f"{many:.0f} MB", f"{ratio.value:.3f}"]
    lines = [*report.table([*head, "ratio"], [row]), "", NOTE]
    return report.Section(lines, {"memory": ratio})


@contextmanager
def swept(output: Path) -> Iterator[None]:
    """Meanwhile removes the outputs of runs into a folder."""
    over = threading.Event()

    def sweep() -> None:
        while not over.wait(SWEPT_SECONDS):
            _remove_old(output)

    thread = threading.Thread(target=sweep)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _remove_old(output: Path) -> None:
    for path in output.glob("*.png"):
        # A new run may have removed it.
        with suppress(FileNotFoundError):
            if path.stat().st_mtime < time.time() - SWEPT_SECONDS:
                path.unlink()
