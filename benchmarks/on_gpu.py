"""`make bench-gpu`: rembg-beam on a GPU, against onnxruntime alone on the same one; five minutes.

For each of three networks with random weights, in fp32, TF32 and fp16, one process of onnxruntime
alone (`gpu_floor`), then one of `rembg-beam run` (`gpu_ours`): JPEGs of 0.67 MP in, PNGs out.
Prints a table; a whole run on CUDA also writes `benchmarks/results-gpu.md`.

    python benchmarks/on_gpu.py --quick --provider CPU   # to see that everything runs
"""

import argparse
import itertools
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Callable, Iterator, List, NamedTuple, Optional, Sequence

import gpu_floor
import gpu_ours
import graphs
import photos
import report
import sides

RESULTS = sides.HERE / "results-gpu.md"

MEGAPIXELS = "0.67"
MODELS = ("u2net", "u2netp", "isnet-general-use")
KINDS = ("fp32", "TF32", "fp16")

# No side is started with less of the time left.
START_SECONDS = 10.0
# What a core feeds a GPU, and a process, whatever its cores: more pictures would take more time.
FED_BY_CORE, FED = 100, 1000
# Between two looks at the GPU.
LOOK_MILLISECONDS = 100

HEAD = (
    *("model", "precision", "onnxruntime alone", "its batch x callers", "rembg-beam", "of it"),
    *("in the model", "GPU computes", "cores busy", "levels moved"),
)

NOTE = (
    "On {}, JPEGs of 0.67 MP in, PNGs out, start-up left out; pictures per second. In the model: "
    "share of the time in which a run was under way. GPU computes: `utilization.gpu` of "
    "nvidia-smi, mean from its first look that is not zero to the last. Levels moved: by which a "
    "mask differs at most from the CPU's in fp32, of 255, before it is rounded; the weights are "
    "random, their edges steep."
)


class Scale(NamedTuple):
    """How much is done.

    Attributes:
      write: a folder and a network's name -> the path of its graph.
      models, batches: the networks, and the floor's batch sizes.
      floor_seconds: of each of the floor's arrangements.
      seconds, pictures: rembg-beam has the pictures of so many seconds at the floor's rate, or at
        that of the cores if it is lower, and so many at least.
      side_seconds: what a side takes at most.
    """

    write: Callable[[Path, str], Path]
    models: Sequence[str]
    batches: Sequence[int]
    floor_seconds: float
    seconds: float
    pictures: int
    side_seconds: float


WHOLE = Scale(graphs.write, MODELS, (1, 4, 8, 16, 32), 0.5, 8.0, 200, 60.0)
# A graph of no cost.
QUICK = Scale(
    *(lambda place, model: graphs.write_without(place), (graphs.WITHOUT,), (1, 2), 0.1, 0.0, 6),
    side_seconds=600.0,
)


class Run(NamedTuple):
    """What all rows share: a folder, how much is done, where, and when it must be over."""

    place: Path
    scale: Scale
    provider: str
    end: float


def main() -> int:
    """Measures; 1 if a row failed."""
    arguments = _arguments()
    scale = QUICK if arguments.quick else WHOLE
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        run = Run(Path(folder), scale, arguments.provider, start + 60 * arguments.minutes)
        pairs = list(itertools.product(scale.models, _kinds(run.provider)))
        rows = [_row(run, model, kind) for model, kind in pairs]
    minutes = (time.monotonic() - start) / 60
    lines = ["# Benchmarks on a GPU", "", f"{report.about()}.", ""]
    lines += [report.QUICK, ""] if arguments.quick else []
    lines += [*report.table(HEAD, rows), "", NOTE.format(run.provider)]
    text = "\n".join([*lines, "", f"It took {minutes:.1f} minutes."]) + "\n"
    print(text)
    is_whole = not arguments.quick and arguments.provider == "CUDA"
    output = arguments.output or (RESULTS if is_whole else None)
    has_failed = any(len(row) < len(HEAD) for row in rows)
    if output and not (has_failed and output == RESULTS):
        output.write_text(text)
    return int(has_failed)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--provider", default="CUDA", help="default CUDA")
    parser.add_argument("--minutes", type=float, default=5.0, help="in which it ends; default 5")
    parser.add_argument(
        "--quick", action="store_true", help="tiny numbers: the figures mean nothing"
    )
    parser.add_argument("--output", type=Path, help=f"default {RESULTS.name} for a whole run")
    return parser.parse_args()


def _kinds(provider: str) -> Sequence[str]:
    return KINDS if provider == "CUDA" else [kind for kind in KINDS if kind != "TF32"]


def _row(run: Run, model: str, kind: str) -> List[str]:
    """A row; if a side fails, a short one that says why, and the others go on."""
    try:
        floor = gpu_floor.Floor(*_floor(run, model, kind))
        with _looks() as looks:
            ours = gpu_ours.Ours(*_ours(run, model, kind, floor.rate))
    except (sides.SideFailed, ValueError) as error:
        return [model, kind, f"**not measured**: {error}"]
    return [
        *(model, kind, f"{floor.rate:.1f}/s", f"{floor.batch} x {floor.callers}"),
        *(f"{ours.rate:.1f}/s", f"{ours.rate / floor.rate:.2f}", f"{ours.busy:.2f}"),
        *(_computing(looks), f"{ours.cores:.1f}", f"{floor.shift:.2f}"),
    ]


def _floor(run: Run, model: str, kind: str) -> Any:
    original = run.scale.write(run.place, model)
    path = _half(run, original) if kind == "fp16" else original
    words = [model, path, original, _provider(run, kind), run.scale.floor_seconds]
    script = sides.HERE / "gpu_floor.py"
    return _answer(run, [sides.PYTHON, script, *words, *run.scale.batches])


def _half(run: Run, path: Path) -> str:
    from rembg_beam.transforms.models import precision

    os.environ["REMBG_HOME"] = str(run.place)
    return precision.half(str(path))


def _ours(run: Run, model: str, kind: str, rate: float) -> Any:
    fed = min(rate, FED, FED_BY_CORE * sides.CORES)
    number = max(run.scale.pictures, int(fed * run.scale.seconds))
    output = sides.fresh(run.place / "rembg-beam")
    words = ["--input", photos.folder(run.place, MEGAPIXELS, number), "--max_failures", 0]
    words += ["--model", model, "--offline", "--provider", _provider(run, kind)]
    if kind == "fp16":
        words += ["--precision", "fp16", "--max_level_shift", 255]
    try:
        command = [sides.PYTHON, sides.HERE / "gpu_ours.py", output, *words]
        return _answer(run, command, run.scale.write(run.place, model).parents[2])
    finally:
        shutil.rmtree(output, ignore_errors=True)


def _provider(run: Run, kind: str) -> str:
    """With TF32 switched on or off, where there is such a switch."""
    if run.provider != "CUDA":
        return run.provider
    return "CUDA=" + json.dumps({"use_tf32": int(kind != "fp32")})


def _answer(run: Run, command: Sequence[Any], home: Optional[Path] = None) -> Any:
    left = run.end - time.monotonic()
    if left < START_SECONDS:
        raise sides.SideFailed("the time is over")
    return sides.answered(command, home, timeout=min(left, run.scale.side_seconds))


@contextmanager
def _looks() -> Iterator[List[float]]:
    """Percents of time that the GPU computed, one for each look; none where nvidia-smi has none."""
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
        looks += numbers(looking.communicate()[0])


def numbers(text: str) -> List[float]:
    """What nvidia-smi printed, without what it has no number for.

    >>> numbers("97\\n[N/A]\\n100\\n")
    [97.0, 100.0]
    """
    return [float(line) for line in text.split() if line.isdigit()]


def _computing(looks: List[float]) -> str:
    busy = [index for index, look in enumerate(looks) if look]
    return f"{statistics.mean(looks[busy[0] : busy[-1] + 1]):.0f} %" if busy else "-"


if __name__ == "__main__":
    sys.exit(main())
