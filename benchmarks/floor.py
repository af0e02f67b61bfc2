"""The floor: onnxruntime alone on a graph, some pictures' tensors in batches, by some callers.
Run as `python floor.py GRAPH PICTURES CALLERS BATCH PROVIDER`.

On the CPU each call has the cores divided by the callers. PROVIDER is `CPU`, `CUDA`, or one with
options as `rembg-beam run --provider` takes them; it must be the one in use.
"""

import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import onnxruntime


def open_session(path: str, callers: int, provider: str) -> Any:
    """An onnxruntime session on one provider, or the error that it isn't in use."""
    name, _, given = provider.partition("=")
    full = f"{name}ExecutionProvider"
    options = onnxruntime.SessionOptions()
    if name == "CPU":
        options.intra_op_num_threads = max(1, len(os.sched_getaffinity(0)) // callers)
    providers = [(full, json.loads(given or "{}"))]
    session = onnxruntime.InferenceSession(path, options, providers=providers)
    if session.get_providers()[0] != full:
        raise RuntimeError(f"onnxruntime runs it on {session.get_providers()[0]}, not on {full}")
    return session


def main(path: str, pictures: int, callers: int, batch: int, provider: str) -> None:
    session = open_session(path, callers, provider)
    tensor = np.random.default_rng(0).normal(0, 1, (batch, 3, 320, 320)).astype(np.float32)

    def call(_: int) -> None:
        session.run(None, {"input.1": tensor})

    with ThreadPoolExecutor(callers) as pool:
        list(pool.map(call, range(pictures // batch)))


if __name__ == "__main__":
    graph, *numbers, where = sys.argv[1:]
    main(graph, int(numbers[0]), int(numbers[1]), int(numbers[2]), where)
