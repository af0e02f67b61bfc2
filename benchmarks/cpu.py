"""CPU: what a picture costs the process's cores beyond the model, with U²-Netp.

The figure for the bars is the CPU of a picture of rembg-beam minus the floor's, a small difference
of two large numbers that drift with whatever else the machine does. So each run of rembg-beam
stands between two of the floor, whose mean is taken from it: a steady drift cancels out. The floor
is the fastest of its arrangements, not the one with the least CPU.

Beside it stands the same difference with a graph that costs nothing in place of the model, on all
sides. It is no bar's, but shows with little noise where the first figure should lie.
"""

import statistics
from typing import List, Tuple

import graphs
import report
import sides
import turns
from sides import Bench, Counts, Side

MODEL = "u2netp"

# By size; the counts with the model, without it, and without it for the plain DoFn.
CASES = {
    "0.67": (Counts(8, 72), Counts(20, 220), Counts(4, 24)),
    "2.7": (Counts(8, 40), Counts(10, 70), Counts(2, 8)),
}
QUICK = {"0.67": (Counts(2, 4), Counts(2, 4), Counts(1, 2))}

# More than the repeats of other sections: these figures are the noisiest.
MORE_REPEATS = 2

HEAD = (
    *("MP", "rembg-beam", "floor", "**above the floor** (lowest to highest)"),
    *("above the floor without the model", "plain DoFn without the model"),
)

NOTE = (
    "Milliseconds of CPU per picture, of all threads of the process. The third column is the "
    "bar's: each run against the mean of the floors before and after it, {} callers, the fastest "
    "arrangement. The last two have a graph that costs nothing in place of the model, on all "
    "sides, and show what the third should be but for noise and the model's slowdown beside "
    "other work."
)


def measure(bench: Bench) -> report.Section:
    """The table, and the differences as figures for the bars."""
    graphs.write_without(bench.place)
    callers = fastest(bench)
    rows, figures = [], {}
    for size, counts in (QUICK if bench.quick else CASES).items():
        row, figures[f"cpu {size}"] = _case(bench, size, counts, callers)
        rows.append(row)
    return report.Section([*report.table(HEAD, rows), "", NOTE.format(callers)], figures)


def fastest(bench: Bench) -> int:
    """How many callers the floor has at its fastest."""
    graph = graphs.write(bench.place, MODEL)
    counts = Counts(1, 2) if bench.quick else Counts(4, 24)
    paces = turns.take(bench.repeats, turns.floors(graph, counts))
    return int(turns.fastest_floor(paces).split()[-1])


def _case(
    bench: Bench, size: str, counts: Tuple[Counts, Counts, Counts], callers: int
) -> Tuple[List[str], report.Figure]:
    """A row of the table, and the figure for the bar."""
    more = 0 if bench.quick else MORE_REPEATS
    with_it = (bench, graphs.home(bench.place), MODEL, size)
    without = (bench, graphs.home_without(bench.place), graphs.WITHOUT, size)
    floor = sides.floor(graphs.write(bench.place, MODEL), callers=callers)
    ours, floors = between(sides.rembg_beam(*with_it), floor, counts[0], bench.repeats + more)
    above = report.figure(differences(ours, floors))

    floor = sides.floor(graphs.write_without(bench.place), callers=callers)
    alone, idle = between(sides.rembg_beam(*without), floor, counts[1], bench.repeats)
    plain = [_cpu(sides.plain_dofn(*without), counts[2]) for _ in range(bench.repeats)]
    row = [
        size,
        *(f"{statistics.median(values):.0f}" for values in (ours, floors)),
        f"{above.value:.1f} ({above.low:.1f} to {above.high:.1f})",
        f"{statistics.median(differences(alone, idle)):.1f}",
        f"{statistics.median(plain) - statistics.median(idle):.1f}",
    ]
    return row, above


def between(
    ours: Side, floor: Side, counts: Counts, repeats: int
) -> Tuple[List[float], List[float]]:
    """Milliseconds of CPU per picture: of each run, and of the floors around them, one more."""
    found, floors = [], [_cpu(floor, counts)]
    for _ in range(repeats):
        found.append(_cpu(ours, counts))
        floors.append(_cpu(floor, counts))
    return found, floors


def differences(found: List[float], floors: List[float]) -> List[float]:
    """Each run minus the mean of the floors beside it.

    >>> differences([15.0, 26.0], [10.0, 12.0, 14.0])
    [4.0, 13.0]
    """
    beside = zip(found, floors[:-1], floors[1:], strict=True)
    return [run - (before + after) / 2 for run, before, after in beside]


def _cpu(side: Side, counts: Counts) -> float:
    return 1000 * sides.per_picture(side, counts).cpu
