"""`make bench`: rembg-beam against onnxruntime alone and a plain DoFn, both sides in one run.

Builds U²-Net and U²-Netp with random weights and photos of several sizes, runs every side as a
process of its own, alternating, and prints medians. Start-up is left out: each side runs over few
and over many pictures, and what counts is the difference. The decoded outputs of both pipelines
must be equal, pixel for pixel. Writes `benchmarks/results.md`.
"""

import argparse
import datetime
import importlib.metadata
import io
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, NamedTuple

import graphs
import numpy as np
from PIL import Image

HERE = Path(__file__).resolve().parent

MEGAPIXELS = {"0.67": (1000, 667), "1": (1224, 816), "2.7": (2000, 1334), "12": (4000, 3000)}


class Cost(NamedTuple):
    """Of one picture: seconds of the clock, and of all cores together."""

    seconds: float
    cpu: float


class Case(NamedTuple):
    """A model and a size of picture; how many pictures the short and the long run have."""

    model: str
    megapixels: str
    few: int
    many: int


CASES = (
    Case("u2netp", "0.67", 8, 40),
    Case("u2netp", "1", 8, 40),
    Case("u2netp", "2.7", 4, 20),
    Case("u2netp", "12", 3, 9),
    Case("u2net", "1", 3, 13),
)


def photo(size: Any, seed: int) -> bytes:
    """A JPEG of a photograph's texture: scikit-image's coffee, enlarged, with a sensor's noise."""
    import skimage.data

    image = Image.fromarray(skimage.data.coffee()).resize(size, Image.Resampling.BICUBIC)
    random = np.random.default_rng(seed)
    noise = random.normal(0, 4, (size[1], size[0], 3))
    pixels = (np.asarray(image) + noise).clip(0, 255).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def photos(folder: Path, size: Any, number: int) -> Path:
    folder.mkdir(parents=True)
    different = [photo(size, seed) for seed in range(min(number, 4))]
    for index in range(number):
        (folder / f"{index:04}.jpg").write_bytes(different[index % len(different)])
    return folder


def timed(command: List[Any], environment: Dict[str, str]) -> Cost:
    start = time.perf_counter()
    process = subprocess.Popen(
        list(map(str, command)),
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{command} failed: {status}")
    return Cost(time.perf_counter() - start, usage.ru_utime + usage.ru_stime)


def per_picture(run: Callable[[int], Cost], case: Case) -> Cost:
    few, many = run(case.few), run(case.many)
    number = case.many - case.few
    return Cost((many.seconds - few.seconds) / number, (many.cpu - few.cpu) / number)


def equal(ours: Path, theirs: Path) -> bool:
    names = sorted(path.name for path in theirs.glob("*.png"))
    assert names == sorted(path.name for path in ours.glob("*.png"))
    for name in names[:4]:
        with Image.open(ours / name) as one, Image.open(theirs / name) as other:
            if (one.mode, one.tobytes()) != (other.mode, other.tobytes()):
                return False
    return True


def measure(case: Case, place: Path, repeats: int) -> Dict[str, Any]:
    graph = place / "models" / case.model / f"{case.model}.onnx"
    environment = {**os.environ, "REMBG_HOME": str(place), "MODEL_CHECKSUM_DISABLED": "1"}
    size = MEGAPIXELS[case.megapixels]
    inputs = {
        number: photos(place / f"photos-{case.megapixels}-{case.model}-{number}", size, number)
        for number in (case.few, case.many)
    }
    cores = len(os.sched_getaffinity(0))
    beam = Path(sys.executable).parent / "rembg-beam"

    def floor(threads: int) -> Callable[[int], Cost]:
        command = [sys.executable, HERE / "floor.py", graph]
        return lambda number: timed([*command, number, threads], environment)

    def plain(number: int) -> Cost:
        output = place / "plain"
        shutil.rmtree(output, ignore_errors=True)
        command = [sys.executable, HERE / "plain_dofn.py", case.model]
        return timed([*command, inputs[number], output], environment)

    def ours(number: int) -> Cost:
        output = place / "ours"
        shutil.rmtree(output, ignore_errors=True)
        command = [beam, "run", "--model", case.model, "--offline", "--output", output]
        return timed([*command, "--input", inputs[number]], environment)

    sides: Dict[str, Callable[[int], Cost]] = {
        "floor, one call on all cores": floor(1),
        "floor, one call per core": floor(cores),
        "plain DoFn": plain,
        "rembg-beam": ours,
    }
    costs: Dict[str, List[Cost]] = {name: [] for name in sides}
    for _ in range(repeats):
        for name, side in sides.items():
            costs[name].append(per_picture(side, case))
    medians: Dict[str, Any] = {
        name: Cost(*(statistics.median(values) for values in zip(*found, strict=True)))
        for name, found in costs.items()
    }
    medians["pixels equal"] = equal(place / "ours", place / "plain")
    return medians


HEADER = """\
| model | MP | floor | plain DoFn | rembg-beam | of the floor | against the plain DoFn \
| CPU above the floor | pixels equal |
|---|---|---|---|---|---|---|---|---|"""


def row(case: Case, found: Dict[str, Any]) -> str:
    floors = [found["floor, one call on all cores"], found["floor, one call per core"]]
    floor = min(floors, key=lambda cost: cost.seconds)
    plain, ours = found["plain DoFn"], found["rembg-beam"]
    rates = [f"{1 / cost.seconds:.2f}/s" for cost in (floor, plain, ours)]
    ratios = [f"{floor.seconds / ours.seconds:.2f}", f"{plain.seconds / ours.seconds:.1f}"]
    cpu = f"{(ours.cpu - floor.cpu) * 1000:.0f} ms"
    same = "yes" if found["pixels equal"] else "**no**"
    return f"| {' | '.join([case.model, case.megapixels, *rates, *ratios, cpu, same])} |"


def about() -> str:
    names = ("rembg-beam", "rembg", "onnxruntime", "apache-beam", "pillow")
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in names)
    cores = len(os.sched_getaffinity(0))
    today = datetime.date.today().isoformat()
    return (
        f"{today}, {cores} cores ({platform.machine()}, {platform.system()}), no GPU, Python "
        f"{platform.python_version()}, {versions}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3, help="medians of so many; default 3")
    parser.add_argument("--models", nargs="+", default=list(graphs.GRAPHS))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        facts = []
        for model, stages in graphs.GRAPHS.items():
            path = place / "models" / model / f"{model}.onnx"
            convolutions, parameters = graphs.write(path, stages)
            megabytes = path.stat().st_size / 1e6
            facts.append(
                f"- {model}: {convolutions} convolutions, {parameters / 1e6:.2f} M parameters, "
                f"{megabytes:.1f} MB, {len(graphs.OUTPUTS)} outputs"
            )
        lines = ["# Benchmarks", "", about() + ".", "", *facts, "", HEADER]
        print("\n".join(lines), flush=True)
        for case in CASES:
            if case.model in arguments.models:
                lines.append(row(case, measure(case, place, arguments.repeats)))
                print(lines[-1], flush=True)
    foot = (
        f"Medians of {arguments.repeats}, start-up left out (see `bench.py`). Floor: onnxruntime "
        "alone on the same graph, the better of its two thread arrangements. Plain DoFn: session "
        "in `setup()`, `remove(bytes)`, file written, on FnApiRunner."
    )
    (HERE / "results.md").write_text("\n".join([*lines, "", foot, ""]))


if __name__ == "__main__":
    main()
