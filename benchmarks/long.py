"""Long runs: their memory, and whether a picture takes longer in them.

Memory is the peak of a run over 500 pictures of 12 MP against one over 50. The bundled model is
used, so that pictures and not the model are what takes memory and time. The outputs are swept away
as they are written: those of one run would be several gigabytes of disk.

Time is that of a picture of 64 x 64 pixels in a run of 10,000 against one of 500. Start-up is what
a run of a hundred takes. The short runs last seconds and are noisy, so they stand before and after
each long one, and their means count.
"""

import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Iterator, List, Tuple

import graphs
import report
import sides
from sides import Bench, Cost, Counts, Side

QUICK = Counts(2, 4)

SIZE = "12"
PEAKS = Counts(50, 500)

# How old an output is when it is swept away, and how often that is looked after.
SWEPT_SECONDS = 1.0

BASE = 100
SMALL = Counts(500, 10_000)

PEAKS_NOTE = "Peak resident memory of the process, with the bundled model; medians."
SMALL_NOTE = (
    "Per picture of 64 x 64 pixels with the bundled model, beyond a run of {} pictures, which is "
    "start-up. The bar's is the first row; the second hardly feels what else the machine does."
)


def memory(bench: Bench) -> report.Section:
    """The table, and the ratio for its bar."""
    counts = QUICK if bench.quick else PEAKS
    size = "0.67" if bench.quick else SIZE
    side = sides.rembg_beam(bench, graphs.home(bench.place), "tiny", size)
    peaks = []
    with swept(bench.place / "rembg-beam"):
        for _ in range(bench.repeats):
            peaks.append([side(number).peak for number in counts])
    few, long = (report.figure(values).value / 1e6 for values in zip(*peaks, strict=True))
    ratio = report.figure(long / few for few, long in peaks)
    head = [f"{number} pictures" for number in counts]
    row = [f"{few:.0f} MB", f"{long:.0f} MB", f"{ratio.value:.3f}"]
    lines = [*report.table([*head, "ratio"], [row]), "", PEAKS_NOTE]
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


def many(bench: Bench) -> report.Section:
    """The table, and the ratio for its bar."""
    counts = QUICK if bench.quick else SMALL
    base = 1 if bench.quick else BASE
    side = sides.rembg_beam(bench, graphs.home(bench.place), "tiny", "small")
    found = [_turn(side, base, counts) for _ in range(bench.repeats)]
    seconds, ratio = _row("time", [(few.seconds, long.seconds) for few, long in found])
    cpu, _ = _row("CPU", [(few.cpu, long.cpu) for few, long in found])
    head = ["", *(f"{number:,} pictures" for number in counts), "ratio"]
    lines = [*report.table(head, [seconds, cpu]), "", SMALL_NOTE.format(base)]
    return report.Section(lines, {"many": ratio})


def _turn(side: Side, base: int, counts: Counts) -> Tuple[Cost, Cost]:
    """What a picture costs in a run of few and in a run of many."""
    short = base + counts.few
    before = side(base), side(short)
    long = side(base + counts.many)
    after = side(short), side(base)
    start = _mean(before[0], after[1])
    few = _mean(before[1], after[0])
    return sides.slope(start, few, counts.few), sides.slope(start, long, counts.many)


def _mean(one: Cost, other: Cost) -> Cost:
    return Cost((one.seconds + other.seconds) / 2, (one.cpu + other.cpu) / 2)


def _row(name: str, pairs: List[Tuple[float, float]]) -> Tuple[List[str], report.Figure]:
    """Milliseconds in runs of few and of many, and their ratio, which is also a figure."""
    medians = [report.figure(values).value for values in zip(*pairs, strict=True)]
    ratio = report.figure(long / few for few, long in pairs)
    return [name, *(f"{1000 * value:.2f} ms" for value in medians), f"{ratio.value:.3f}"], ratio
