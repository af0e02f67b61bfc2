"""The sides that are compared, each a process of its own, and what a run of it costs.

Start-up is left out by `per_picture`: a side runs over few and over many pictures, and the
difference counts. Sides take turns, so that all see the same machine; a ratio is the median of the
ratios within each turn. A side that ends with an error raises `SideFailed` with its last words.
"""

import json
import os
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

import graphs
import photos
import report

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
CORES = len(os.sched_getaffinity(0))
PYTHON = Path(sys.executable)

# The name of a floor among other sides; what is left open is how many callers it has.
FLOOR = "floor of {}"


class SideFailed(RuntimeError):
    """A process that ended with an error."""


class Cost(NamedTuple):
    """Of a run, or of one picture: seconds of the clock, seconds of all cores together, and the
    process's peak memory in bytes."""

    seconds: float
    cpu: float
    peak: float = 0.0


class Counts(NamedTuple):
    """How many pictures the short and the long run of a side have."""

    few: int
    many: int


class Bench(NamedTuple):
    """What all sections share.

    Attributes:
      place: a temporary folder for photos, graphs and outputs.
      repeats: how often each figure is taken; medians are shown.
      quick: tiny numbers, to see that everything runs; the figures mean nothing.
    """

    place: Path
    repeats: int
    quick: bool


Side = Callable[[int], Cost]


def per_picture(side: Side, counts: Counts) -> Cost:
    """What one picture costs, start-up left out."""
    few, many = side(counts.few), side(counts.many)
    return slope(few, many, counts.many - counts.few)


def slope(few: Cost, many: Cost, number: int) -> Cost:
    """What one of the `number` pictures costs that the second run has more than the first."""
    return Cost((many.seconds - few.seconds) / number, (many.cpu - few.cpu) / number, many.peak)


class Pace(NamedTuple):
    """What a picture costs on one side, in each turn."""

    costs: List[Cost]

    @property
    def seconds(self) -> float:
        """The median."""
        return report.figure(cost.seconds for cost in self.costs).value

    @property
    def cores(self) -> float:
        """How many were busy; the median."""
        return report.figure(cost.cpu / cost.seconds for cost in self.costs).value

    def against(self, other: "Pace") -> report.Figure:
        """How many times as fast it is as another side of the same turns."""
        pairs = zip(self.costs, other.costs, strict=True)
        return report.figure(theirs.seconds / ours.seconds for ours, theirs in pairs)


def take(repeats: int, compared: Mapping[str, Tuple[Side, Counts]]) -> Dict[str, Pace]:
    """Each side in turn, `repeats` times."""
    paces: Dict[str, Pace] = {name: Pace([]) for name in compared}
    for _ in range(repeats):
        for name, (side, counts) in compared.items():
            paces[name].costs.append(per_picture(side, counts))
    return paces


def arrangements() -> List[int]:
    """How many callers the floor may have: 1, 2, 4 and so on, up to one per core."""
    return sorted({*(1 << power for power in range(CORES.bit_length())), CORES})


def floor(
    graph: Path,
    *,
    callers: int,
    batch: int = 1,
    provider: str = "CPU",
    python: Path = PYTHON,
) -> Side:
    """onnxruntime alone on a graph."""
    command = [python, HERE / "floor.py", graph]
    return lambda number: timed([*command, number, callers, batch, provider])


def floors(graph: Path, counts: Counts) -> Dict[str, Tuple[Side, Counts]]:
    """The floor on the CPU in each of its arrangements, to be given to `take`."""
    return {
        FLOOR.format(callers): (floor(graph, callers=callers), counts) for callers in arrangements()
    }


def fastest_floor(paces: Mapping[str, Pace]) -> str:
    """The name of the fastest floor among what `take` returns."""
    names = [name for name in paces if name.startswith(FLOOR.format(""))]
    return min(names, key=lambda name: paces[name].seconds)


def rembg_p(bench: Bench, home: Path, model: str, size: str) -> Side:
    """The command `rembg p`."""

    def run(number: int) -> Cost:
        command = [PYTHON.parent / "rembg", "p", "--model", model]
        inputs = photos.folder(bench.place, size, number)
        return timed([*command, inputs, fresh(bench.place / "rembg-p")], home)

    return run


def plain_dofn(bench: Bench, home: Path, model: str, size: str) -> Side:
    """The DoFn that one writes without rembg-beam."""
    return _script(bench, home, "plain_dofn", model, size)


def pool(bench: Bench, home: Path, model: str, size: str) -> Side:
    """The script that a good engineer would write instead."""
    return _script(bench, home, "pool_script", model, size)


def _script(bench: Bench, home: Path, name: str, model: str, size: str) -> Side:
    """A program of this folder that takes a model, an input and an output."""

    def run(number: int) -> Cost:
        command = [PYTHON, HERE / f"{name}.py", model]
        inputs = photos.folder(bench.place, size, number)
        return timed([*command, inputs, fresh(bench.place / name.replace("_", "-"))], home)

    return run


def rembg_beam(
    bench: Bench,
    home: Path,
    model: str,
    size: str,
    flags: Sequence[Any] = (),
    python: Path = PYTHON,
    output: str = "rembg-beam",
) -> Side:
    """The command `rembg-beam run`; every picture must be written."""

    def run(number: int) -> Cost:
        command = [python.parent / "rembg-beam", "run", "--model", model, "--offline", *flags]
        inputs = photos.folder(bench.place, size, number)
        places = ["--input", inputs, "--output", fresh(bench.place / output)]
        return timed([*command, "--max_failures", 0, *places], home)

    return run


def timed(
    command: Sequence[Any],
    home: Optional[Path] = None,
    variables: Mapping[str, str] = MappingProxyType({}),
) -> Cost:
    """Runs a command, with `home` as rembg's and more environment variables, to its end."""
    through = [PYTHON, HERE / "measured.py"]
    cost = Cost(*answered(command, home, through=through, variables=variables))
    told = f"  {cost.seconds:6.1f} s, {cost.cpu:6.1f} s of CPU: {_shown(command)}"
    print(told, file=sys.stderr, flush=True)
    return cost


def answered(
    command: Sequence[Any],
    home: Optional[Path] = None,
    through: Sequence[Any] = (),
    variables: Mapping[str, str] = MappingProxyType({}),
    timeout: Optional[float] = None,
) -> Any:
    """What a command prints as JSON, or the one `through` which it is run; in so many seconds."""
    environment: Dict[str, str] = {**os.environ, "MODEL_CHECKSUM_DISABLED": "1", **variables}
    if home is not None:
        environment["REMBG_HOME"] = str(home)
    words = list(map(str, [*through, *command]))
    try:
        done = subprocess.run(words, env=environment, capture_output=True, timeout=timeout)
    except subprocess.TimeoutExpired:
        raise SideFailed(f"{_shown(command)}: it took more than {timeout:.0f} seconds")
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise SideFailed(f"{_shown(command)}: {said[-1] if said else 'no word why'}")
    return json.loads(done.stdout)


def _shown(command: Sequence[Any]) -> str:
    """A command, its paths without their folders."""
    return " ".join(Path(str(word)).name for word in command)


def fresh(folder: Path) -> Path:
    """A path at which there is nothing."""
    shutil.rmtree(folder, ignore_errors=True)
    return folder


def warm_up(bench: Bench) -> None:
    """Runs each side once: the first run after an installation compiles Python and numba code."""
    graphs.write_without(bench.place)
    common = (bench, graphs.home_without(bench.place), graphs.WITHOUT, "small")
    for side in (plain_dofn, rembg_p, pool, rembg_beam):
        # The section that needs the side will say why.
        with suppress(SideFailed):
            side(*common)(1)


def with_provider(name: str) -> Optional[Path]:
    """The Python whose onnxruntime lists a provider: this one, or its sister's."""
    code = f"import onnxruntime as o; assert '{name}' in ' '.join(o.get_available_providers())"
    for python in filter(Path.exists, [PYTHON, ROOT / ".venv-openvino" / "bin" / "python"]):
        if subprocess.run([python, "-c", code], capture_output=True).returncode == 0:
            return python
    return None
