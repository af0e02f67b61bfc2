"""Data sets: shards in and shards out against files in and files out, on the same pictures.

Both sides make cutouts and masks from one run of the model. The shards that are read are tar files
of `PER_SHARD` pictures, as WebDataset has them.
"""

import tarfile
from pathlib import Path
from typing import Any

import graphs
import photos
import report
import sides
from sides import Bench, Counts, Side

PER_SHARD = 50

# With a model, and with a graph that costs nothing in its place: what reading and writing cost.
CASES = {"u2netp": Counts(50, 250), "none": Counts(200, 1000)}
QUICK = Counts(2, 4)
SIZE = "0.67"

HEAD = ("model", "files", "shards", "shards against files (lowest to highest)")

NOTE = (
    "Pictures per second of 0.67 MP, JPEG in; cutouts and masks out, as PNG, in files or in tar "
    "shards of 50 that are read from tar shards of 50, on a local disk. For none a graph that "
    "costs nothing is in its place."
)


def measure(bench: Bench) -> report.Section:
    """The table, and the ratios as figures for the bars."""
    graphs.write(bench.place, "u2netp")
    graphs.write_without(bench.place)
    rows, figures = [], {}
    for model, counts in CASES.items():
        counts = QUICK if bench.quick else counts
        made = {"files": _files(bench, model), "shards": _shards(bench, model)}
        paces = sides.take(bench.repeats, {name: (side, counts) for name, side in made.items()})
        ratio = paces["shards"].against(paces["files"])
        told = f"{ratio.value:.2f} ({ratio.low:.2f} to {ratio.high:.2f})"
        rows.append([model, *(report.rate(paces[name].seconds) for name in made), told])
        figures[f"{model} shards"] = ratio
    return report.Section([*report.table(HEAD, rows), "", NOTE], figures)


def _files(bench: Bench, model: str) -> Side:
    return _side(bench, model, "files", ["--metadata", "none"], photos.folder)


def _shards(bench: Bench, model: str) -> Side:
    flags = ["--output_format", "webdataset", "--samples_per_shard", PER_SHARD]
    return _side(bench, model, "shards", flags, shards)


def _side(bench: Bench, model: str, kind: str, flags: Any, inputs_of: Any) -> Side:
    home, name = graphs.home, model
    if model == "none":
        home, name = graphs.home_without, graphs.WITHOUT

    def run(number: int) -> sides.Cost:
        command = [sides.PYTHON.parent / "rembg-beam", "run", "--model", name, "--offline", *flags]
        inputs = inputs_of(bench.place, SIZE, number)
        named = f"{inputs}/*.tar" if kind == "shards" else inputs
        places = ["--input", named, "--output", sides.fresh(bench.place / f"made-{kind}")]
        told = ["--outputs", "cutout,mask", "--max_failures", 0]
        return sides.timed([*command, *told, *places], home(bench.place))

    return run


def shards(place: Path, size: str, number: int) -> Path:
    """A folder of the same pictures in tar shards, made when it is first asked for."""
    made = place / f"shards-{size}-{number}"
    if not made.exists():
        made.mkdir(parents=True)
        pictures = sorted(photos.folder(place, size, number).iterdir())
        for start in range(0, number, PER_SHARD):
            name = made / f"{start // PER_SHARD:05}.tar"
            # They are links to a few files, and would be links there.
            with tarfile.open(name, "w", dereference=True) as shard:
                for path in pictures[start : start + PER_SHARD]:
                    shard.add(path, path.name)
    return made
