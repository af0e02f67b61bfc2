"""Several outputs: what mask and crop cost beside the cutout, on the CPU around the model.

Each side runs with a graph that costs nothing in place of the model, in turn, and so does the
floor, onnxruntime alone on that graph; what is more than the floor's is the work around the model.
"""

from typing import Dict, List, Sequence, Tuple

import graphs
import report
import sides
from sides import Bench, Counts, Side

# What each side asks for; the first is what the others are compared with.
ASKED = ("cutout", "cutout,mask", "cutout,mask,crop512")

CASES = {"0.67": Counts(20, 420), "2.7": Counts(10, 110)}
QUICK = {"0.67": Counts(2, 4)}

HEAD = ("MP", *(f"`{asked}`" for asked in ASKED), "against the cutout (lowest to highest)")

NOTE = (
    "Milliseconds of CPU per picture around the model; a graph that costs nothing is in its place. "
    "The mask is an ellipse with 40 % of the picture, 71 % of its width and height."
)


def measure(bench: Bench) -> report.Section:
    """The table, and the ratios of all three outputs to the cutout as figures for the bars."""
    graph = graphs.write_without(bench.place)
    rows, figures = [], {}
    for size, counts in (QUICK if bench.quick else CASES).items():
        compared: Dict[str, Tuple[Side, Counts]] = {
            "floor": (sides.floor(graph, callers=1), counts)
        }
        for asked in ASKED:
            compared[asked] = (_side(bench, size, asked), counts)
        paces = sides.take(bench.repeats, compared)
        floors = [cost.cpu for cost in paces.pop("floor").costs]
        above = {
            asked: [cost.cpu - floor for cost, floor in zip(pace.costs, floors, strict=True)]
            for asked, pace in paces.items()
        }
        ratio = figures[f"several {size}"] = report.figure(
            _ratios(above[ASKED[-1]], above[ASKED[0]])
        )
        cells = [f"{1000 * report.figure(above[asked]).value:.1f}" for asked in ASKED]
        against = f"{ratio.value:.2f} ({ratio.low:.2f} to {ratio.high:.2f})"
        rows.append([size, *cells, against])
    return report.Section([*report.table(HEAD, rows), "", NOTE], figures)


def _side(bench: Bench, size: str, asked: str) -> Side:
    home, flags = graphs.home_without(bench.place), ["--outputs", asked]
    return sides.rembg_beam(bench, home, graphs.WITHOUT, size, flags)


def _ratios(several: Sequence[float], alone: Sequence[float]) -> List[float]:
    return [one / other for one, other in zip(several, alone, strict=True)]
