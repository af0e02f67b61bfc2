"""Providers other than the CPU's. Each runs in whichever environment has its onnxruntime: this one,
`.venv-openvino` or `.venv-gpu`.

OpenVINO with bf16, on a CPU with AMX: its speed, and the largest difference it makes. CUDA:
pictures per second by batch size, how busy the GPU is, and the cores it takes to feed it. With
another provider (`bench.py --quick --only cuda --provider CPU`) its code runs without a GPU.
"""

import shutil
import statistics
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping, Tuple

import graphs
import numpy as np
import photos
import report
import sides
from long import swept
from PIL import Image
from sides import Bench, Cost, Counts, Pace, Side

MODEL = "u2net"
SIZES = ("0.67", "2.7")
BATCHES = (1, 2, 4, 8, 16, 32)
COUNTS = {"0.67": Counts(256, 2304), "2.7": Counts(128, 1152)}

QUICK_SIZES = ("0.67",)
QUICK_BATCHES = (1, 2)
QUICK_COUNTS = Counts(2, 4)

# Between two looks at the GPU.
LOOK_MILLISECONDS = 100

CUDA_HEAD = (
    *("model", "MP", "batch", "floor", "rembg-beam", "of the floor"),
    *("GPU computes", "cores busy"),
)

CUDA_NOTE = (
    "On {}. Floor: onnxruntime alone there, same batch, the faster of one and two callers. GPU "
    "computes: `utilization.gpu` of nvidia-smi, from its first look that is not zero to the last, "
    "mean. Cores busy: CPU seconds by seconds of rembg-beam, start-up left out."
)

OPENVINO_SIZE = "1"
OPENVINO_COUNTS = Counts(8, 72)
OPENVINO_QUICK = Counts(1, 2)

BF16 = 'OpenVINO={"load_config": "{\\"CPU\\":{\\"INFERENCE_PRECISION_HINT\\":\\"bf16\\"}}"}'

OPENVINO_HEAD = (
    *("model", "MP", "floor", "floor on OpenVINO", "rembg-beam on OpenVINO", "of its floor"),
    *("of the CPU's floor", "largest difference of the map", "of a pixel, of 255"),
)

OPENVINO_NOTE = (
    "OpenVINO with bf16, onnxruntime alone and through `rembg-beam run`, beside onnxruntime alone "
    "on its own CPU provider. The map is the graph's first output, from 0 to 1; that of the "
    "bundled model, whose weights are trained, differs by {:.1e} at most."
)


def cuda(bench: Bench) -> report.Section:
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
    return report.Section([*report.table(CUDA_HEAD, rows), "", CUDA_NOTE.format(bench.provider)])


def _rows(bench: Bench, python: Path, batch: int) -> List[List[str]]:
    """A row for each size of photo; all sides of a batch size take turns."""
    shares: Dict[str, List[float]] = {}
    compared = _floors(bench, python, batch)
    for size in QUICK_SIZES if bench.quick else SIZES:
        counts = QUICK_COUNTS if bench.quick else COUNTS[size]
        side = _ours(bench, python, size, batch)
        shares[size] = []
        compared[size] = (_watched(side, counts.many, shares[size]), counts)
    paces = sides.take(bench.repeats, compared)
    floor = paces[sides.fastest_floor(paces)]
    return [_row(size, batch, floor, paces[size], shares[size]) for size in shares]


def _row(size: str, batch: int, floor: Pace, ours: Pace, shares: List[float]) -> List[str]:
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
    return {sides.FLOOR.format(callers): (side, counts) for callers, side in sides_of.items()}


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


def openvino(bench: Bench) -> report.Section:
    """The row, or why there is none."""
    if not (bench.quick or "amx_bf16" in Path("/proc/cpuinfo").read_text()):
        return report.Section(["Not measured: this CPU has no AMX with bf16."])
    python = sides.with_provider("OpenVINO")
    if python is None:
        return report.Section(["Not measured: no onnxruntime here has OpenVINO."])
    return _openvino(bench, python)


def _openvino(bench: Bench, python: Path) -> report.Section:
    counts = OPENVINO_QUICK if bench.quick else OPENVINO_COUNTS
    model = "u2netp" if bench.quick else MODEL
    graph = graphs.write(bench.place, model)
    common = (bench, graphs.home(bench.place), model, OPENVINO_SIZE)
    flags = ("--provider", BF16)
    ours = sides.rembg_beam(*common, flags, python)
    ours(1)  # compiles Python and numba code of an environment that is new
    paces = sides.take(
        bench.repeats,
        {
            **sides.floors(graph, counts),
            "alone": (sides.floor(graph, callers=1, provider=BF16, python=python), counts),
            "ours": (ours, counts),
        },
    )
    sides.rembg_beam(*common, output="on-the-cpu")(counts.few)
    folder = photos.folder(bench.place, OPENVINO_SIZE, counts.few)
    script = sides.HERE / "floor.py"
    largest, bundled = (
        sides.answered([python, script, path, folder, BF16]) for path in (graph, graphs.BUNDLED)
    )
    row = [
        *(model, OPENVINO_SIZE),
        *_compared(paces),
        f"{largest:.1e}",
        str(_of_pixels(bench.place)),
    ]
    return report.Section([*report.table(OPENVINO_HEAD, [row]), "", OPENVINO_NOTE.format(bundled)])


def _compared(paces: Mapping[str, Pace]) -> List[str]:
    """The rates, and the ratios of rembg-beam to both floors."""
    floor, alone, ours = (paces[name] for name in (sides.fastest_floor(paces), "alone", "ours"))
    rates = [report.rate(pace.seconds) for pace in (floor, alone, ours)]
    return [*rates, *(f"{ours.against(pace).value:.2f}" for pace in (alone, floor))]


def _of_pixels(place: Path) -> int:
    """The largest difference between what both providers have written."""
    found: List[int] = []
    for path in (place / "on-the-cpu").glob("*.png"):
        with Image.open(path) as one, Image.open(place / "rembg-beam" / path.name) as other:
            difference = np.asarray(one).astype(int) - np.asarray(other)
        found.append(int(np.abs(difference).max()))
    return max(found)
