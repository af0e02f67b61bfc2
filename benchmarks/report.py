"""What sections find -> tables, the bars beside what was measured, and `results.md`."""

import datetime
import importlib.metadata
import os
import platform
import shutil
import statistics
import subprocess
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import Iterable, List, Mapping, NamedTuple, Sequence

PACKAGES = (
    *("rembg-beam", "rembg", "onnxruntime", "onnxruntime-gpu", "onnxruntime-openvino"),
    *("apache-beam", "pillow", "numpy", "isal"),
)

QUICK = "**A quick run, to see that everything runs: its figures mean nothing.**"

METHOD = (
    "Medians of at least {}, all sides in turn, each a process of its own. Start-up is left out: "
    "each runs over few and over many pictures, and the difference counts. It took {:.0f} minutes."
)

HEAD = ("", "bar", "further", "measured (lowest to highest)", "met")


class Figure(NamedTuple):
    """A median, and the lowest and highest of what it is the median of."""

    value: float
    low: float
    high: float


def figure(values: Iterable[float]) -> Figure:
    """The figure of repeated measurements."""
    found = list(values)
    return Figure(statistics.median(found), min(found), max(found))


class Section(NamedTuple):
    """What a section found: lines of Markdown, and figures by the keys of `BARS`."""

    lines: List[str]
    figures: Mapping[str, Figure] = MappingProxyType({})
    title: str = ""
    failed: bool = False


class Bar(NamedTuple):
    """A goal.

    Attributes:
      key: of the figure that has to meet it.
      what: is measured.
      bar: to be reached.
      further: worth reaching.
      digits: after the point, of what was measured.
      unit: of all of them.
      at_least: whether more is better.
    """

    key: str
    what: str
    bar: float
    further: float
    digits: int
    unit: str = ""
    at_least: bool = False

    def row(self, figures: Mapping[str, Figure]) -> List[str]:
        """Its line of the table."""
        goals = [self.what, f"{self.bar:g}{self.unit}", f"{self.further:g}{self.unit}"]
        if self.key not in figures:
            return [*goals, "not measured", "-"]
        found = figures[self.key]
        value, low, high = (f"{number:.{self.digits}f}" for number in found)
        return [*goals, f"{value}{self.unit} ({low} to {high})", self.met(found.value)]

    def met(self, value: float) -> str:
        """Which goal a value meets, without rounding."""
        sign = 1 if self.at_least else -1
        if sign * value >= sign * self.further:
            return "further"
        return "bar" if sign * value >= sign * self.bar else "**no**"


BARS = (
    Bar("first", "first run on a new machine, 4 pictures, `tiny`", 10, 6, 1, " s"),
    Bar("warm", "one picture, `tiny`, start and end included", 2.0, 1.5, 2, " s"),
    Bar("told", "`--help`, `--version`, `models`", 0.5, 0.3, 2, " s"),
    Bar(
        "short pool",
        "60 pictures of 1 MP, U²-Netp, whole, against a pool of processes",
        1.1,
        1.15,
        2,
        at_least=True,
    ),
    Bar("peak rembg p", "peak memory at 1 MP, U²-Netp, against `rembg p`", 1.3, 1.1, 2),
    Bar(
        "u2net 1 floor", "1 MP, U²-Net, pictures/s against the floor", 0.95, 0.97, 3, at_least=True
    ),
    Bar(
        "u2netp 1 floor",
        "1 MP, U²-Netp, pictures/s against the floor",
        0.88,
        0.92,
        3,
        at_least=True,
    ),
    Bar("u2netp 1 plain", "1 MP, U²-Netp, against the plain DoFn", 3.0, 3.4, 2, at_least=True),
    Bar(
        "u2netp 12 floor",
        "12 MP, U²-Netp, pictures/s against the floor",
        0.64,
        0.70,
        2,
        at_least=True,
    ),
    Bar("u2netp 12 plain", "12 MP, U²-Netp, against the plain DoFn", 8, 10, 1, at_least=True),
    Bar("cpu 0.67", "CPU per picture above the floor's, 0.67 MP", 25, 16, 1, " ms"),
    Bar("cpu 2.7", "CPU per picture above the floor's, 2.7 MP", 95, 60, 1, " ms"),
    Bar(
        "several 0.67",
        "CPU of cutout, mask and 512 px crop against the cutout, 0.67 MP",
        1.35,
        1.2,
        2,
    ),
    Bar("several 2.7", "the same at 2.7 MP", 1.35, 1.2, 2),
    Bar("gil", "Python's lock held per picture, 0.67 MP", 1.0, 0.6, 2, " ms"),
    Bar(
        "u2netp RunInference",
        "RunInference against RemoveBackground, U²-Netp, 0.67 MP",
        0.9,
        1.0,
        2,
        at_least=True,
    ),
    Bar("u2netp CutOut", "CutOut against RemoveBackground, the same", 0.9, 1.0, 2, at_least=True),
    Bar(
        "u2netp shards",
        "shards in, shards out against files in, files out, U²-Netp, 0.67 MP",
        0.95,
        1.0,
        2,
        at_least=True,
    ),
    Bar("memory", "peak memory, 500 pictures of 12 MP against 50", 1.15, 1.0, 3),
    Bar(
        "card",
        "simulated card of 70 % of what the cores feed, share of time busy",
        0.95,
        0.97,
        2,
        at_least=True,
    ),
    Bar("batch", "mean batch with 16 callers and a batchable graph", 8, 14, 1, at_least=True),
    Bar("tiny", "CPU of `tiny` against U²-Netp's, one picture", 0.1, 0.05, 3),
    Bar("many", "time per picture at 10,000 against 500 small pictures", 1.1, 1.0, 3),
    Bar("plan", "seconds that `plan` foretells for 500 pictures, off a run's by", 15, 5, 1, " %"),
    Bar("web", "5,000 URLs of one server, against `requests`", 1.0, 1.2, 2, at_least=True),
)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> List[str]:
    """Lines of a Markdown table.

    >>> table(["a", "b"], [["1", "2"]])
    ['| a | b |', '|---|---|', '| 1 | 2 |']
    """
    lines = [f"| {' | '.join(cells)} |" for cells in (head, *rows)]
    return [lines[0], "|---" * len(head) + "|", *lines[1:]]


def document(sections: Iterable[Section], method: str) -> str:
    """All of the results: how they came about, the bars, then each section."""
    found = list(sections)
    figures = {key: each.figures[key] for each in found for key in each.figures}
    lines = ["# Benchmarks", "", about() + ".", "", method, ""]
    lines += table(HEAD, [bar.row(figures) for bar in BARS])
    for section in found:
        lines += ["", f"## {section.title}", "", *section.lines]
    return "\n".join(lines) + "\n"


def rate(seconds: float) -> str:
    """Pictures per second of the seconds per picture."""
    return f"{1 / seconds:.2f}/s"


def about() -> str:
    """The date, the machine and the versions."""
    gigabytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    parts = [
        datetime.date.today().isoformat(),
        f"{len(os.sched_getaffinity(0))} cores ({_processor()}, {platform.system()})",
        f"{gigabytes:.0f} GB of memory",
        _gpu(),
        f"Python {platform.python_version()}",
        *_versions(),
    ]
    return ", ".join(parts)


def _versions() -> List[str]:
    found = []
    for name in PACKAGES:
        with suppress(importlib.metadata.PackageNotFoundError):
            found.append(f"{name} {importlib.metadata.version(name)}")
    return found


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _gpu() -> str:
    if shutil.which("nvidia-smi") is None:
        return "no GPU"
    command = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    names = subprocess.run(command, capture_output=True, text=True).stdout.split("\n")
    return names[0].strip() or "no GPU"
