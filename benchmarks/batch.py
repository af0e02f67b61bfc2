"""Batches: how many of 16 callers share a run of the graph, on average, through `Batching`."""

import graphs
import report
import sides
from sides import Bench

MODEL = "u2netp"

CALLERS = 16
CALLS = 10
QUICK = 2

NOTE = (
    "16 threads call one `Batching` of U²-Netp on the CPU, each again as soon as it is answered; "
    "calls divided by runs of the graph."
)


def measure(bench: Bench) -> report.Section:
    """The mean batch."""
    place = bench.place
    graph = graphs.write_without(place) if bench.quick else graphs.write(place, MODEL)
    command = [sides.PYTHON, sides.HERE / "callers.py", graph]
    found = []
    for _ in range(bench.repeats):
        calls, runs = sides.answered([*command, CALLERS, QUICK if bench.quick else CALLS])
        found.append(calls / runs)
    mean = report.figure(found)
    line = f"Mean batch: {mean.value:.1f} of {CALLERS}."
    return report.Section([line, "", NOTE], {"batch": mean})
