"""Models alone: what the bundled one costs beside U²-Netp, and how large batches become.

`tiny` and U²-Netp, both in onnxruntime on one thread, take turns in this process; what counts is
the median of the ratios of neighbours. Batches are of 16 callers of one `Batching`, each with its
next call as soon as the last is answered, in a process of their own: `python models.py GRAPH
CALLERS CALLS` prints how many calls and runs there were, as JSON.
"""

import json
import sys
import threading
import time
from typing import Any

import floor
import graphs
import numpy as np
import onnxruntime
import report
import sides
from sides import Bench

RUNS = 20

CALLERS = 16
CALLS = 10

QUICK = 2

TINY_HEAD = ("tiny", "U²-Netp", "ratio")
TINY_NOTE = "Milliseconds of CPU for one picture at 320 x 320, medians."
BATCH_NOTE = (
    "16 threads call one `Batching` of U²-Netp on the CPU, each again as soon as it is answered; "
    "calls divided by runs of the graph."
)


def tiny(bench: Bench) -> report.Section:
    """Both costs, and their ratio as the figure for the bar."""
    runs = QUICK if bench.quick else RUNS * bench.repeats
    sessions = [_session(path) for path in (graphs.BUNDLED, graphs.write(bench.place, "u2netp"))]
    x = np.random.default_rng(0).normal(0, 1, (1, 3, graphs.SIZE, graphs.SIZE)).astype(np.float32)
    for session in sessions:
        _cost(session, x)
    costs = [[1000 * _cost(session, x) for session in sessions] for _ in range(runs)]
    ours, u2netp = (report.figure(column) for column in zip(*costs))
    ratio = report.figure(a / b for a, b in costs)
    row = [f"{ours.value:.1f} ms", f"{u2netp.value:.0f} ms", f"{ratio.value:.3f}"]
    return report.Section([*report.table(TINY_HEAD, [row]), "", TINY_NOTE], {"tiny": ratio})


def _session(path: Any) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _cost(session: onnxruntime.InferenceSession, x: Any) -> float:
    """Seconds of CPU of one run."""
    start = time.process_time()
    session.run(None, {session.get_inputs()[0].name: x})
    return time.process_time() - start


def batch(bench: Bench) -> report.Section:
    """The mean batch."""
    place = bench.place
    graph = graphs.write_without(place) if bench.quick else graphs.write(place, "u2netp")
    command = [sides.PYTHON, sides.HERE / "models.py", graph]
    found = []
    for _ in range(bench.repeats):
        calls, runs = sides.answered([*command, CALLERS, QUICK if bench.quick else CALLS])
        found.append(calls / runs)
    mean = report.figure(found)
    line = f"Mean batch: {mean.value:.1f} of {CALLERS}."
    return report.Section([line, "", BATCH_NOTE], {"batch": mean})


def main(path: str, callers: int, calls: int) -> None:
    from rembg_beam.transforms.models.batching import Batching

    batching = Batching(floor.open_session(path, 1, "CPU"), max_size=callers)
    tensor = np.random.default_rng(0).normal(0, 1, (1, 3, 320, 320)).astype(np.float32)

    def call() -> None:
        for _ in range(calls):
            batching.run(None, {"input.1": tensor})

    threads = [threading.Thread(target=call) for _ in range(callers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(json.dumps([batching.calls, batching.runs]))


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
