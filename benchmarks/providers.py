"""OpenVINO with bf16, on a CPU with AMX: its speed, and the largest difference it makes. It runs in
whichever environment has its onnxruntime: this one, or `.venv-openvino`.
"""

from pathlib import Path
from typing import List, Mapping

import graphs
import numpy as np
import photos
import report
import sides
from PIL import Image
from sides import Bench, Counts, Pace

MODEL = "u2net"

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
