"""Speed: pictures per second of the floor, `rembg p`, the plain DoFn and rembg-beam.

The outputs must be equal, pixel for pixel.
"""

from pathlib import Path
from typing import Dict, List, Mapping, NamedTuple, Tuple

import graphs
import report
import sides
import turns
from PIL import Image
from sides import Bench, Counts, Side


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

HEAD = (
    *("model", "MP", "floor", "rembg p", "plain DoFn", "rembg-beam"),
    *("of the floor", "against rembg p", "against the plain DoFn", "pixels equal"),
)

NOTE = (
    "Pictures per second. Floor: onnxruntime alone on the same graph, the fastest of {} callers, "
    "each call on its share of the cores. Plain DoFn: session in `setup()`, `remove(bytes)`, file "
    "written, on FnApiRunner."
)


def measure(bench: Bench) -> report.Section:
    """The table, and the ratios as figures for the bars."""
    cases = QUICK if bench.quick else CASES
    lines = graphs.facts(bench.place, sorted({case.model for case in cases}))
    rows, figures = [], {}
    for case in cases:
        paces = turns.take(bench.repeats, _sides(bench, case))
        against = _against(paces)
        rows.append(_row(case, paces, against, _all_equal(bench.place)))
        figures.update({f"{case.model} {case.size} {name}": against[name] for name in against})
    callers = " or ".join(map(str, sides.arrangements()))
    lines += ["", *report.table(HEAD, rows), "", NOTE.format(callers)]
    return report.Section(lines, figures)


def _sides(bench: Bench, case: Case) -> Dict[str, Tuple[Side, Counts]]:
    graph = graphs.write(bench.place, case.model)
    common = (bench, graphs.home(bench.place), case.model, case.size)
    return {
        **turns.floors(graph, case.counts),
        "rembg p": (sides.rembg_p(*common), case.slow),
        "plain": (sides.plain_dofn(*common), case.slow),
        "rembg-beam": (sides.rembg_beam(*common), case.counts),
    }


def _against(paces: Mapping[str, turns.Pace]) -> Dict[str, report.Figure]:
    """rembg-beam's pace over that of each other side."""
    others = {"floor": turns.fastest_floor(paces), "rembg p": "rembg p", "plain": "plain"}
    ours = paces["rembg-beam"]
    return {name: ours.against(paces[other]) for name, other in others.items()}


def _row(
    case: Case,
    paces: Mapping[str, turns.Pace],
    against: Mapping[str, report.Figure],
    same: bool,
) -> List[str]:
    shown = (turns.fastest_floor(paces), "rembg p", "plain", "rembg-beam")
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
