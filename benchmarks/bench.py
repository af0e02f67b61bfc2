"""`make bench`: rembg-beam against onnxruntime alone, `rembg p`, a plain DoFn and `requests`.

Builds U²-Net and U²-Netp with random weights and photos of several sizes, and runs every side as a
process of its own, in turn, all in this one run. Prints tables, and what was measured beside the
bars; a whole run also writes `benchmarks/results.md`. It takes about 50 minutes on 2 cores.

    python benchmarks/bench.py --only cpu memory     # these sections, printed
    python benchmarks/bench.py --quick               # tiny numbers, to see that everything runs

Start-up is left out: each side runs over few and over many pictures, and what counts is the
difference. Figures are medians of `--repeats`, ratios medians of the ratios within each turn.
"""

import argparse
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import Callable, NamedTuple

import card
import cascade
import data_sets
import doors
import first
import gil
import long
import models
import plan
import providers
import report
import several
import sides
import speed
import web
from sides import Bench

RESULTS = sides.HERE / "results.md"


class Part(NamedTuple):
    """A section of the results: its title, and what measures it."""

    title: str
    measure: Callable[[Bench], report.Section]


PARTS = {
    "first": Part("The first seconds", first.measure),
    "speed": Part("Speed", speed.speed),
    "cpu": Part("CPU beside the model", speed.cpu),
    "outputs": Part("Several outputs", several.measure),
    "gil": Part("Python's lock", gil.measure),
    "shards": Part("Data sets", data_sets.measure),
    "doors": Part("In pipelines of one's own", doors.measure),
    "memory": Part("Memory", long.memory),
    "batch": Part("Batches", models.batch),
    "card": Part("A simulated card", card.card),
    "tiny": Part("The bundled model", models.tiny),
    "cascade": Part("Two models", cascade.measure),
    "many": Part("Many pictures", long.many),
    "plan": Part("What a plan foretells", plan.measure),
    "web": Part("Pictures of the web", web.web),
    "openvino": Part("OpenVINO with bf16", providers.openvino),
}


def main() -> int:
    """Measures; 1 if a section failed."""
    arguments = _arguments()
    start = time.monotonic()
    print(report.about(), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), arguments.repeats, arguments.quick)
        if not bench.quick:
            sides.warm_up(bench)
        found = [_measured(PARTS[name], bench) for name in PARTS if name in arguments.only]
    minutes = (time.monotonic() - start) / 60
    method = report.METHOD.format(arguments.repeats, minutes)
    text = report.document(found, report.QUICK if bench.quick else method)
    print(text)
    whole = set(arguments.only) == set(PARTS) and not arguments.quick
    output = arguments.output or (RESULTS if whole else None)
    if output:
        output.write_text(text)
    return 1 if any(section.failed for section in found) else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--only", nargs="+", choices=PARTS, default=list(PARTS), help="sections; default all"
    )
    parser.add_argument("--repeats", type=int, default=3, help="medians of so many; default 3")
    parser.add_argument(
        "--quick", action="store_true", help="tiny numbers, once: the figures mean nothing"
    )
    parser.add_argument(
        "--output", type=Path, help=f"default {RESULTS.name} for a whole run, else none"
    )
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.repeats = 1
    return arguments


def _measured(part: Part, bench: Bench) -> report.Section:
    """What a part finds; if it fails, why, and the others go on."""
    print(f"{part.title} ...", file=sys.stderr)
    start = time.monotonic()
    try:
        section = part.measure(bench)
    except Exception as error:
        traceback.print_exc()
        section = report.Section([f"**Failed**: {error}"], failed=True)
    minutes = (time.monotonic() - start) / 60
    print(f"{part.title}: {minutes:.1f} minutes", file=sys.stderr)
    return section._replace(title=part.title)


if __name__ == "__main__":
    sys.exit(main())
