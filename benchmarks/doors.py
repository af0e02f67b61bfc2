"""Doors: the transforms for pipelines of one's own, against `RemoveBackground` on the same photos.

Run as `python doors.py DOOR INPUT OUTPUT`: a pipeline in this process that reads a folder's
photos and writes their cutouts. DOOR is `RemoveBackground`, which reads and writes by itself, or
`CutOut` or `RunInference`, between two plain functions that do.
"""

import os
import sys
from functools import partial
from typing import Any, Tuple

import apache_beam as beam
import graphs
import photos
import report
import sides
from apache_beam.ml.inference.base import KeyedModelHandler, RunInference
from sides import Bench, Counts, Side

from rembg_beam.transforms import CutOut, RemBGModelHandler, RemoveBackground, SessionConfig

# With a model, and with a graph that costs nothing in its place: what a door itself costs.
CASES = {"u2netp": Counts(16, 144), "none": Counts(100, 900)}
QUICK = Counts(2, 4)
SIZE = "0.67"

DOORS = ("RemoveBackground", "CutOut", "RunInference")

HEAD = ("model", *DOORS, *(f"{door} against RemoveBackground" for door in DOORS[1:]))

NOTE = (
    "Pictures per second of 0.67 MP, JPEG in, PNG out, on FnApiRunner; ratios with the lowest and "
    "highest. `CutOut` and `RunInference` stand between a `Map` that reads a file and one that "
    "writes one, which nothing overlaps. For none a graph that costs nothing is in its place."
)


def measure(bench: Bench) -> report.Section:
    """The table, and the ratios with a model as figures for the bars."""
    graphs.write(bench.place, "u2netp")
    graphs.write_without(bench.place)
    rows, figures = [], {}
    for model, counts in CASES.items():
        compared = {door: (_side(bench, door, model), counts) for door in DOORS}
        if bench.quick:
            compared = {door: (side, QUICK) for door, (side, _) in compared.items()}
        paces = sides.take(bench.repeats, compared)
        ratios = {door: paces[door].against(paces[DOORS[0]]) for door in DOORS[1:]}
        told = [
            f"{found.value:.2f} ({found.low:.2f} to {found.high:.2f})" for found in ratios.values()
        ]
        rows.append([model, *(report.rate(paces[door].seconds) for door in DOORS), *told])
        figures |= {f"{model} {door}": ratio for door, ratio in ratios.items()}
    return report.Section([*report.table(HEAD, rows), "", NOTE], figures)


def _side(bench: Bench, door: str, model: str) -> Side:
    home = graphs.home_without if model == "none" else graphs.home

    def run(number: int) -> sides.Cost:
        inputs = photos.folder(bench.place, SIZE, number)
        output = sides.fresh(bench.place / "doors")
        cost = sides.timed([sides.PYTHON, __file__, door, inputs, output], home(bench.place))
        assert len(list(output.rglob("*.png"))) == number
        return cost

    return run


def main(door: str, folder: str, output: str) -> None:
    """Runs the pipeline."""
    paths = [os.path.join(folder, name) for name in sorted(os.listdir(folder))]
    os.makedirs(output, exist_ok=True)
    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        _ = pipeline | beam.Create(paths) | beam.Reshuffle() | _Door(door, output)


class _Door(beam.PTransform):
    def __init__(self, door: str, output: str) -> None:
        super().__init__()
        self.door, self.output = door, output
        self.session = SessionConfig(graphs.WITHOUT, offline=True)

    def expand(self, paths: beam.PCollection) -> beam.PCollection:
        if self.door == "RemoveBackground":
            return paths | RemoveBackground(output=self.output, session=self.session)
        pictures = paths | "Read" >> beam.Map(_read)
        if self.door == "CutOut":
            cutouts, _ = pictures | CutOut(session=self.session)
        else:
            results = pictures | RunInference(KeyedModelHandler(RemBGModelHandler(self.session)))
            cutouts = results | "Take their bytes" >> beam.MapTuple(_bytes_of)
        return cutouts | "Write" >> beam.MapTuple(partial(_write, self.output))


def _read(path: str) -> Tuple[str, bytes]:
    with open(path, "rb") as file:
        return path, file.read()


def _bytes_of(path: str, result: Any) -> Tuple[str, bytes]:
    (part,) = result.inference.parts
    return path, part.data


def _write(output: str, path: str, data: bytes) -> None:
    with open(os.path.join(output, os.path.basename(path) + ".png"), "wb") as file:
        file.write(data)


if __name__ == "__main__":
    main(*sys.argv[1:])
