"""CUDA: pictures per second by batch size, how busy the GPU is, and the cores it takes to feed it.

Runs in whichever environment has onnxruntime-gpu: this one, or `.venv-gpu`. With another provider
(`bench.py --quick --only cuda --provider CPU`) the same code runs without a GPU.
"""

import shutil
import statistics
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Dict, Iterator, List, Tuple

import graphs
import report
import sides
import turns
from memory import swept
from sides import Bench, Cost, Counts, Side

MODEL = "u2net"
SIZES = ("0.67", "2.7")
BATCHES = (1, 2, 4, 8, 16, 32)
COUNTS = {"0.67": Counts(256, 2304), "2.7": Counts(128, 1152)}

QUICK_SIZES = ("0.67",)
QUICK_BATCHES = (1, 2)
QUICK_COUNTS = Counts(2, 4)

# Between two looks at the GPU.
LOOK_MILLISECONDS = 100

HEAD = (
    *("model", "MP", "batch", "floor", "rembg-beam", "of the floor"),
    *("GPU computes", "cores busy"),
)

NOTE = (
    "On {}. Floor: onnxruntime alone there, same batch, the faster of one and two callers. GPU "
    "computes: `utilization.gpu` of nvidia-smi, from its first look that is not zero to the last, "
    "mean. Cores busy: CPU seconds by seconds of rembg-beam, start-up left out."
)


def measure(bench: Bench) -> report.Section:
    """The table, or why there is none."""
    python = sides.with_provider(bench.provider)
    if python is None:
        return report.Section([f"Not measured: no onnxruntime here has {bench.provider}."])
    graph = graphs.write(bench.place, MODEL)
    try:
        sides.floor(graph, callers=1, provider=bench.provider, python=python)(1)
    except sides.SideFailed as error:
        return report.Section([f"Not measured: {bench.provider} does not work here: {error}"])
    _ours(bench, python, QUICK_SIZES[0], 1)(1)  # compiles code of an environment that is new
    with swept(bench.place / "rembg-beam"):
        batches = QUICK_BATCHES if bench.quick else BATCHES
        rows = [row for batch in batches for row in _rows(bench, python, batch)]
    return report.Section([*report.table(HEAD, rows), "", NOTE.format(bench.provider)])


def _rows(bench: Bench, python: Path, batch: int) -> List[List[str]]:
    """A row for each size of photo; all sides of a batch size take turns."""
    shares: Dict[str, List[float]] = {}
    compared = _floors(bench, python, batch)
    for size in QUICK_SIZES if bench.quick else SIZES:
        counts = QUICK_COUNTS if bench.quick else COUNTS[size]
        side = _ours(bench, python, size, batch)
        shares[size] = []
        compared[size] = (_watched(side, counts.many, shares[size]), counts)
    paces = turns.take(bench.repeats, compared)
    floor = paces[turns.fastest_floor(paces)]
    return [_row(size, batch, floor, paces[size], shares[size]) for size in shares]


def _row(
    size: str, batch: int, floor: turns.Pace, ours: turns.Pace, shares: List[float]
) -> List[str]:
    return [
        *(MODEL, size, str(batch)),
        *(report.rate(pace.seconds) for pace in (floor, ours)),
        f"{ours.against(floor).value:.2f}",
        f"{statistics.median(shares):.0f} %" if shares else "-",
        f"{ours.cores:.1f}",
    ]


def _floors(bench: Bench, python: Path, batch: int) -> Dict[str, Tuple[Side, Counts]]:
    graph = graphs.write(bench.place, MODEL)
    counts = QUICK_COUNTS if bench.quick else COUNTS[SIZES[0]]
    more: Dict[str, Any] = {"batch": batch, "provider": bench.provider, "python": python}
    sides_of = {callers: sides.floor(graph, callers=callers, **more) for callers in (1, 2)}
    return {turns.FLOOR.format(callers): (side, counts) for callers, side in sides_of.items()}


def _ours(bench: Bench, python: Path, size: str, batch: int) -> Side:
    flags = ("--provider", bench.provider, "--max_batch_size", batch)
    home = graphs.home(bench.place)
    return sides.rembg_beam(bench, home, MODEL, size, flags, python)


def _watched(side: Side, number: int, shares: List[float]) -> Side:
    """The side; of its runs over `number` pictures the GPU's share is added to `shares`."""

    def run(pictures: int) -> Cost:
        with _looks() as looks:
            cost = side(pictures)
        if pictures == number and any(looks):
            busy = [index for index, look in enumerate(looks) if look]
            shares.append(statistics.mean(looks[busy[0] : busy[-1] + 1]))
        return cost

    return run


@contextmanager
def _looks() -> Iterator[List[float]]:
    """Percents of time that the GPU computed, one for each look; none without nvidia-smi."""
    looks: List[float] = []
    if shutil.which("nvidia-smi") is None:
        yield looks
        return
    query = ["nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits"]
    command = [*query, "--id=0", f"--loop-ms={LOOK_MILLISECONDS}"]
    looking = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        yield looks
    finally:
        looking.terminate()
        looks += [float(line) for line in looking.communicate()[0].split()]
