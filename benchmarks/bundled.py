"""The bundled model: its CPU time beside U²-Netp's, both alone in onnxruntime on one thread.

Runs of the two take turns, in this process; what counts is the median of the ratios of neighbours.
"""

import time
from typing import Any

import graphs
import numpy as np
import onnxruntime
import report
from sides import Bench

RUNS = 20
QUICK = 2

HEAD = ("tiny", "U²-Netp", "ratio")
NOTE = "Milliseconds of CPU for one picture at 320 x 320, medians."


def measure(bench: Bench) -> report.Section:
    """Both costs, and their ratio as the figure for the bar."""
    runs = QUICK if bench.quick else RUNS * bench.repeats
    sessions = [_session(path) for path in (graphs.BUNDLED, graphs.write(bench.place, "u2netp"))]
    x = np.random.default_rng(0).normal(0, 1, (1, 3, graphs.SIZE, graphs.SIZE)).astype(np.float32)
    for session in sessions:
        _cost(session, x)
    costs = [[1000 * _cost(session, x) for session in sessions] for _ in range(runs)]
    tiny, u2netp = (report.figure(column) for column in zip(*costs))
    ratio = report.figure(a / b for a, b in costs)
    row = [f"{tiny.value:.1f} ms", f"{u2netp.value:.0f} ms", f"{ratio.value:.3f}"]
    return report.Section([*report.table(HEAD, [row]), "", NOTE], {"tiny": ratio})


def _session(path: Any) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _cost(session: onnxruntime.InferenceSession, x: Any) -> float:
    """Seconds of CPU of one run."""
    start = time.process_time()
    session.run(None, {session.get_inputs()[0].name: x})
    return time.process_time() - start
