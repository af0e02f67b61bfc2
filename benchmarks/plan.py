"""What `rembg-beam plan` foretells for this machine, against a run of the same pictures.

Each run stands between two plans, whose mean counts: what else the machine does changes meanwhile.
CPU hardly feels that; a run's is that of its pictures beyond a short run's, which is its start.
"""

from pathlib import Path
from typing import Any, Dict, List

import graphs
import photos
import report
import sides
from sides import Bench, Counts

MODEL, SIZE = "tiny", "0.67"
COUNTS = Counts(20, 500)
QUICK = Counts(2, 4)

HEAD = ("pictures", "foretold", "a run", "deviation", "CPU foretold", "CPU of a run", "deviation")
NOTE = (
    "Seconds, start and end included, and milliseconds of CPU a picture: medians. Deviations are "
    "medians of those of each turn."
)


def measure(bench: Bench) -> report.Section:
    """The table, and the deviation for its bar."""
    counts = QUICK if bench.quick else COUNTS
    turns = [_turn(bench, counts) for _ in range(bench.repeats)]
    seconds, cpu = (_cells(turns, name, unit) for name, unit in (("seconds", 1), ("cpu", 1000)))
    table = report.table(HEAD, [[f"{counts.many} of {SIZE} MP, {MODEL}", *seconds, *cpu]])
    return report.Section([*table, "", NOTE], {"plan": _deviation(turns, "seconds")})


def _turn(bench: Bench, counts: Counts) -> Dict[str, List[float]]:
    """Seconds, and CPU seconds a picture: foretold, and of a run."""
    home = graphs.home(bench.place)
    side = sides.rembg_beam(bench, home, MODEL, SIZE)
    few = side(counts.few)
    before, run, after = _plan(bench, home, counts), side(counts.many), _plan(bench, home, counts)
    cost = sides.slope(few, run, counts.many - counts.few)
    foretold = {name: (before[name] + after[name]) / 2 for name in before}
    return {
        "seconds": [foretold["seconds"], run.seconds],
        "cpu": [foretold["cpu"], cost.cpu],
    }


def _plan(bench: Bench, home: Path, counts: Counts) -> Dict[str, float]:
    folder = photos.folder(bench.place, SIZE, counts.many)
    command: List[Any] = [sides.PYTHON.parent / "rembg-beam", "plan", "--json", "--model", MODEL]
    found = sides.answered([*command, "--input", folder, "--output", bench.place / "none"], home)
    here = found["rows"][0]
    return {"seconds": 3600 * here["hours"], "cpu": found["sample"]["cpu_seconds"]}


def _cells(turns: List[Dict[str, List[float]]], name: str, unit: float) -> List[str]:
    foretold, real = (
        report.figure(turn[name][side] for turn in turns).value * unit for side in (0, 1)
    )
    return [f"{foretold:.1f}", f"{real:.1f}", f"{_deviation(turns, name).value:.1f} %"]


def _deviation(turns: List[Dict[str, List[float]]], name: str) -> report.Figure:
    """In percent of a run's."""
    return report.figure(100 * abs(turn[name][0] / turn[name][1] - 1) for turn in turns)
