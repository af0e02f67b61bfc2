"""The first seconds: what a newcomer waits for, and short runs with their start and end.

The first run on a new machine has an empty cache of numba's (and, as pip leaves it, compiled
Python); all runs are whole processes, from the shell's call to their end.
"""

import shutil
import tempfile
from typing import Any, Dict, List, Tuple

import graphs
import photos
import report
import sides
from sides import Bench, Cost, Side

EXAMPLES = sides.ROOT / "examples"
ONE = EXAMPLES / "animals"

# Pictures of 1 MP that a short run has.
SHORT = 60
QUICK = 2

TOLD = (["--help"], ["--version"], ["models"])

NOTE = (
    "Whole processes. Pool: `multiprocessing.Pool` of one process a core, each with a session of "
    "one thread, `rembg.remove` and `save(compress_level=1)`. Peak memory is that of the largest "
    "process."
)


def measure(bench: Bench) -> report.Section:
    """Both tables, and the figures for the bars."""
    figures = {**_waits(bench), **_short(bench)}
    shown = {
        "first": "first run on a new machine, 4 pictures, `tiny`",
        "first rembg p": "first `rembg p` of one picture there",
        "warm": "one picture, `tiny`",
        "told": f"the slowest of {', '.join(f'`rembg-beam {words[0]}`' for words in TOLD)}",
    }
    rows = [[what, *(f"{value:.2f} s" for value in figures[key])] for key, what in shown.items()]
    lines = [*report.table(["", "median", "lowest", "highest"], rows), ""]
    costs = [[name, *each] for name, each in _table(figures).items()]
    head = ["60 pictures of 1 MP, U²-Netp", "seconds", "peak memory"]
    lines += [*report.table(head, costs), "", NOTE]
    return report.Section(lines, {key: figures[key] for key in figures if " of " not in key})


def _waits(bench: Bench) -> Dict[str, report.Figure]:
    """Seconds that single runs take."""
    beam = sides.PYTHON.parent / "rembg-beam"
    run = [beam, "run", "--model", "tiny", "--input"]
    told: Dict[str, List[float]] = {key: [] for key in ("first", "first rembg p", "warm", "told")}
    graphs.write(bench.place, "u2netp")
    home = graphs.home(bench.place)
    for _ in range(bench.repeats):
        output = ["--output", sides.fresh(bench.place / "first")]
        told["first"].append(_anew([*run, EXAMPLES, *output]).seconds)
        rembg = [sides.PYTHON.parent / "rembg", "p", "--model", "u2netp"]
        output_p = sides.fresh(bench.place / "first-p")
        told["first rembg p"].append(
            _anew([*rembg, photos.folder(bench.place, "small", 1), output_p], home).seconds
        )
        sides.fresh(bench.place / "first")
        told["warm"].append(sides.timed([*run, ONE, *output]).seconds)
        told["told"].append(max(sides.timed([beam, *words]).seconds for words in TOLD))
    return {key: report.figure(values) for key, values in told.items()}


def _anew(command: List[Any], home: Any = None) -> Cost:
    """What a command takes where numba has compiled nothing yet."""
    cache = tempfile.mkdtemp()
    try:
        return sides.timed(command, home, {"NUMBA_CACHE_DIR": cache})
    finally:
        shutil.rmtree(cache)


def _short(bench: Bench) -> Dict[str, report.Figure]:
    """A short run on each side, in turn: seconds, peaks, and their ratios."""
    graphs.write(bench.place, "u2netp")
    common = (bench, graphs.home(bench.place), "u2netp", "small" if bench.quick else "1")
    each: Dict[str, Side] = {
        "rembg-beam": sides.rembg_beam(*common),
        "pool": sides.pool(*common),
        "rembg p": sides.rembg_p(*common),
        "plain DoFn": sides.plain_dofn(*common),
    }
    number = QUICK if bench.quick else SHORT
    turns = [{name: side(number) for name, side in each.items()} for _ in range(bench.repeats)]
    figures = {
        "short pool": _ratio("seconds", [(turn["pool"], turn["rembg-beam"]) for turn in turns]),
        "peak rembg p": _ratio("peak", [(turn["rembg-beam"], turn["rembg p"]) for turn in turns]),
    }
    for name in each:
        figures[f"seconds of {name}"] = report.figure(turn[name].seconds for turn in turns)
        figures[f"peak of {name}"] = report.figure(turn[name].peak for turn in turns)
    return figures


def _ratio(what: str, pairs: List[Tuple[Cost, Cost]]) -> report.Figure:
    return report.figure(getattr(one, what) / getattr(other, what) for one, other in pairs)


def _table(figures: Dict[str, report.Figure]) -> Dict[str, List[str]]:
    names = [key.removeprefix("seconds of ") for key in figures if key.startswith("seconds of ")]
    return {
        name: [
            f"{figures[f'seconds of {name}'].value:.1f} s",
            f"{figures[f'peak of {name}'].value / 1e6:.0f} MB",
        ]
        for name in names
    }
