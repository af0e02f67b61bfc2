"""Many: whether a picture takes longer in a run of 10,000 than in one of 500.

The pictures are of 64 x 64 pixels, the model is the bundled one. Start-up is what a run of a
hundred takes. The short runs last seconds and are noisy, so they stand before and after each long
one, and their means count.
"""

from typing import List, Tuple

import graphs
import report
import sides
from sides import Bench, Cost, Counts, Side

BASE = 100
COUNTS = Counts(500, 10_000)
QUICK = Counts(2, 4)

NOTE = (
    "Per picture of 64 x 64 pixels with the bundled model, beyond a run of {} pictures, which is "
    "start-up. The bar's is the first row; the second hardly feels what else the machine does."
)


def measure(bench: Bench) -> report.Section:
    """The table, and the ratio for its bar."""
    counts = QUICK if bench.quick else COUNTS
    base = 1 if bench.quick else BASE
    side = sides.rembg_beam(bench, graphs.home(bench.place), "tiny", "small")
    found = [_turn(side, base, counts) for _ in range(bench.repeats)]
    time, ratio = _row("time", [(few.seconds, many.seconds) for few, many in found])
    cpu, _ = _row("CPU", [(few.cpu, many.cpu) for few, many in found])
    head = ["", *(f"{number:,} pictures" for number in counts), "ratio"]
    lines = [*report.table(head, [time, cpu]), "", NOTE.format(base)]
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
    ratio = report.figure(many / few for few, many in pairs)
    return [name, *(f"{1000 * value:.2f} ms" for value in medians), f"{ratio.value:.3f}"], ratio
