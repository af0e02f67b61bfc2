"""Two models: the bundled one, and U²-Net where its mask is suspect.

Pictures are of the generator that `tiny` was trained with, none of which it has seen; U²-Net has
random weights, and costs what the real one costs. Each side runs over few and over many, in turn.
"""

import sys
from pathlib import Path
from typing import Any, Dict, Tuple

import graphs
import numpy as np
import pyarrow.dataset
import report
import sides
from PIL import Image
from sides import Bench, Counts

SEED, SIDE = 20261129, 512

COUNTS, QUICK = Counts(6, 42), Counts(1, 2)

FIRST, SECOND = "tiny", "u2net"

SIDES: Dict[str, Tuple[str, ...]] = {
    f"`{FIRST}`": (FIRST,),
    f"`{FIRST}`, cascade `{SECOND}`": (FIRST, "--cascade", SECOND),
    f"`{SECOND}`": (SECOND,),
}

NOTE = (
    "Pictures of 512 x 512 that the generator makes, of all kinds; start-up left out. Expected: "
    "the CPU of the first model, and of the second for the share of pictures whose mask is suspect."
)


def measure(bench: Bench) -> report.Section:
    """Time, and the share of second runs."""
    graphs.write(bench.place, SECOND)
    counts = QUICK if bench.quick else COUNTS
    compared = {name: (_side(bench, words), counts) for name, words in SIDES.items()}
    paces = sides.take(bench.repeats, compared)
    second = share(bench, counts.few, counts.many)
    cpu = {name: [cost.cpu for cost in pace.costs] for name, pace in paces.items()}
    ratio = report.figure(b / (a + second * c) for a, b, c in zip(*cpu.values()))
    rows = [
        [name, f"{1000 * pace.seconds:.0f} ms", f"{1000 * report.figure(cpu[name]).value:.0f} ms"]
        for name, pace in paces.items()
    ]
    told = f"Second runs: {second:.0%}. CPU against what is expected: {ratio.value:.2f}."
    lines = report.table(["", "a picture", "of CPU"], rows)
    return report.Section([*lines, "", told, "", NOTE])


def share(bench: Bench, few: int, many: int) -> float:
    """Of the pictures that the longer run has more, those of which the second model was asked."""
    rows = pyarrow.dataset.dataset(_output(bench, many) / "_manifest", partitioning="hive")
    asked = {Path(row["uri"]).name: bool(row["cascade"]) for row in rows.to_table().to_pylist()}
    return float(np.mean([asked[f"{number:05}.jpg"] for number in range(few, many)]))


def _side(bench: Bench, words: Tuple[str, ...]) -> sides.Side:
    def run(number: int) -> sides.Cost:
        command = [sides.PYTHON.parent / "rembg-beam", "run", "--offline", "--max_failures", 0]
        output = sides.fresh(_output(bench, number) if words[1:] else bench.place / "single")
        places = ["--input", pictures(bench.place, number), "--output", output]
        return sides.timed([*command, *places, "--model", *words], graphs.home(bench.place))

    return run


def _output(bench: Bench, number: int) -> Path:
    return bench.place / f"cascade-{number}"


def pictures(place: Path, number: int) -> Path:
    """A folder of so many, made when it is first asked for."""
    made = place / f"made-{number}"
    if not made.exists():
        made.mkdir(parents=True)
        for index, pixels in enumerate(_made(number)):
            Image.fromarray(pixels).save(made / f"{index:05}.jpg", quality=90)
    return made


def _made(number: int) -> Any:
    sys.path.append(str(sides.ROOT))
    from training import batches

    return [pixels for pixels, _ in batches.fresh(SEED, number, SIDE, studio=False)]
