"""Speed: pictures per second of the floor, `rembg p`, the plain DoFn and rembg-beam, whose outputs
must be equal, pixel for pixel; and what a picture costs the process's cores beyond the model.

The figure for the bars is the CPU of a picture of rembg-beam minus the floor's, a small difference
of two large numbers that drift with whatever else the machine does. So each run of rembg-beam
stands between two of the floor, whose mean is taken from it: a steady drift cancels out. The floor
is the fastest of its arrangements, not the one with the least CPU.

Beside it stands the same difference with a graph that costs nothing in place of the model, on all
sides. It is no bar's, but shows with little noise where the first figure should lie.
"""

import statistics
from pathlib import Path
from typing import Dict, List, Mapping, NamedTuple, Tuple

import graphs
import report
import sides
from PIL import Image
from sides import Bench, Counts, Pace, Side


class Case(NamedTuple):
    """A model and a size of picture, and how many pictures run through the sides; those that work
    on one picture at a time, `rembg p` and the plain DoFn, show their pace with fewer."""

    model: str
    size: str
    counts: Counts
    slow: Counts


CASES = (
    Case("u2netp", "0.67", Counts(8, 40), Counts(2, 10)),
    Case("u2netp", "1", Counts(8, 56), Counts(2, 12)),
    Case("u2netp", "2.7", Counts(4, 28), Counts(2, 8)),
    Case("u2netp", "12", Counts(4, 16), Counts(1, 3)),
    Case("u2net", "1", Counts(4, 32), Counts(2, 10)),
)
QUICK = (Case("u2netp", "0.67", Counts(2, 4), Counts(1, 2)),)

SPEED_HEAD = (
    *("model", "MP", "floor", "rembg p", "plain DoFn", "rembg-beam"),
    *("of the floor", "against rembg p", "against the plain DoFn", "pixels equal"),
)

SPEED_NOTE = (
    "Pictures per second. Floor: onnxruntime alone on the same graph, the fastest of {} callers, "
    "each call on its share of the cores. Plain DoFn: session in `setup()`, `remove(bytes)`, file "
    "written, on FnApiRunner."
)

CPU_MODEL = "u2netp"

# By size of picture; the counts with the model, without it, and without it for the plain DoFn.
CPU_CASES = {
    "0.67": (Counts(8, 72), Counts(20, 220), Counts(4, 24)),
    "2.7": (Counts(8, 40), Counts(10, 70), Counts(2, 8)),
}
CPU_QUICK = {"0.67": (Counts(2, 4), Counts(2, 4), Counts(1, 2))}

# More than the repeats of other sections: these figures are the noisiest.
MORE_REPEATS = 2

CPU_HEAD = (
    *("MP", "rembg-beam", "floor", "**above the floor** (lowest to highest)"),
    *("above the floor without the model", "plain DoFn without the model"),
)

CPU_NOTE = (
    "Milliseconds of CPU per picture, of all threads of the process. The third column is the "
    "bar's: each run against the mean of the floors before and after it, {} callers, the fastest "
    "arrangement. The last two have a graph that costs nothing in place of the model, on all "
    "sides, and show what the third should be but for noise and the model's slowdown beside "
    "other work."
)


def speed(bench: Bench) -> report.Section:
    """The table, and the ratios as figures for the bars."""
    cases = QUICK if bench.quick else CASES
    lines = graphs.facts(bench.place, sorted({case.model for case in cases}))
    rows, figures = [], {}
    for case in cases:
        paces = sides.take(bench.repeats, _sides(bench, case))
        against = _against(paces)
        rows.append(_row(case, paces, against, _all_equal(bench.place)))
        figures.update({f"{case.model} {case.size} {name}": against[name] for name in against})
    callers = " or ".join(map(str, sides.arrangements()))
    lines += ["", *report.table(SPEED_HEAD, rows), "", SPEED_NOTE.format(callers)]
    return report.Section(lines, figures)


def _sides(bench: Bench, case: Case) -> Dict[str, Tuple[Side, Counts]]:
    graph = graphs.write(bench.place, case.model)
    common = (bench, graphs.home(bench.place), case.model, case.size)
    return {
        **sides.floors(graph, case.counts),
        "rembg p": (sides.rembg_p(*common), case.slow),
        "plain": (sides.plain_dofn(*common), case.slow),
        "rembg-beam": (sides.rembg_beam(*common), case.counts),
    }


def _against(paces: Mapping[str, Pace]) -> Dict[str, report.Figure]:
    """rembg-beam's pace over that of each other side."""
    others = {"floor": sides.fastest_floor(paces), "rembg p": "rembg p", "plain": "plain"}
    ours = paces["rembg-beam"]
    return {name: ours.against(paces[other]) for name, other in others.items()}


def _row(
    case: Case,
    paces: Mapping[str, Pace],
    against: Mapping[str, report.Figure],
    same: bool,
) -> List[str]:
    shown = (sides.fastest_floor(paces), "rembg p", "plain", "rembg-beam")
    return [
        *(case.model, case.size),
        *(report.rate(paces[name].seconds) for name in shown),
        *(f"{figure.value:.2f}" for figure in against.values()),
        "yes" if same else "**no**",
    ]


def _all_equal(place: Path) -> bool:
    """Whether rembg-beam's outputs are those of both others, as far as these have them."""
    pairs = [
        *((path, f"{path.stem}.jpg.png") for path in (place / "rembg-p").glob("*.png")),
        *((path, path.name) for path in (place / "plain-dofn").glob("*.png")),
    ]
    return bool(pairs) and all(_equal(path, place / "rembg-beam" / name) for path, name in pairs)


def _equal(one: Path, other: Path) -> bool:
    with Image.open(one) as first, Image.open(other) as second:
        return (first.mode, first.tobytes()) == (second.mode, second.tobytes())


def cpu(bench: Bench) -> report.Section:
    """The table, and the differences as figures for the bars."""
    graphs.write_without(bench.place)
    callers = _fastest(bench)
    rows, figures = [], {}
    for size, counts in (CPU_QUICK if bench.quick else CPU_CASES).items():
        row, figures[f"cpu {size}"] = _case(bench, size, counts, callers)
        rows.append(row)
    return report.Section([*report.table(CPU_HEAD, rows), "", CPU_NOTE.format(callers)], figures)


def _fastest(bench: Bench) -> int:
    """How many callers the floor has at its fastest."""
    graph = graphs.write(bench.place, CPU_MODEL)
    counts = Counts(1, 2) if bench.quick else Counts(4, 24)
    paces = sides.take(bench.repeats, sides.floors(graph, counts))
    return int(sides.fastest_floor(paces).split()[-1])


def _case(
    bench: Bench, size: str, counts: Tuple[Counts, Counts, Counts], callers: int
) -> Tuple[List[str], report.Figure]:
    """A row of the table, and the figure for the bar."""
    more = 0 if bench.quick else MORE_REPEATS
    with_it = (bench, graphs.home(bench.place), CPU_MODEL, size)
    without = (bench, graphs.home_without(bench.place), graphs.WITHOUT, size)
    floor = sides.floor(graphs.write(bench.place, CPU_MODEL), callers=callers)
    ours, floors = _between(sides.rembg_beam(*with_it), floor, counts[0], bench.repeats + more)
    above = report.figure(differences(ours, floors))

    floor = sides.floor(graphs.write_without(bench.place), callers=callers)
    alone, idle = _between(sides.rembg_beam(*without), floor, counts[1], bench.repeats)
    plain = [_milliseconds(sides.plain_dofn(*without), counts[2]) for _ in range(bench.repeats)]
    row = [
        size,
        *(f"{statistics.median(values):.0f}" for values in (ours, floors)),
        f"{above.value:.1f} ({above.low:.1f} to {above.high:.1f})",
        f"{statistics.median(differences(alone, idle)):.1f}",
        f"{statistics.median(plain) - statistics.median(idle):.1f}",
    ]
    return row, above


def _between(
    ours: Side, floor: Side, counts: Counts, repeats: int
) -> Tuple[List[float], List[float]]:
    """Milliseconds of CPU per picture: of each run, and of the floors around them, one more."""
    found, floors = [], [_milliseconds(floor, counts)]
    for _ in range(repeats):
        found.append(_milliseconds(ours, counts))
        floors.append(_milliseconds(floor, counts))
    return found, floors


def differences(found: List[float], floors: List[float]) -> List[float]:
    """Each run minus the mean of the floors beside it.

    >>> differences([15.0, 26.0], [10.0, 12.0, 14.0])
    [4.0, 13.0]
    """
    beside = zip(found, floors[:-1], floors[1:], strict=True)
    return [run - (before + after) / 2 for run, before, after in beside]


def _milliseconds(side: Side, counts: Counts) -> float:
    return 1000 * sides.per_picture(side, counts).cpu
