"""The floor: onnxruntime alone on the same graph, N pictures, in its best thread arrangement.
Run as `python floor.py GRAPH N THREADS`: THREADS callers, each call on cores/THREADS threads."""

import os
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import onnxruntime


def main(path: str, number: int, threads: int) -> None:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = max(1, len(os.sched_getaffinity(0)) // threads)
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    tensor = np.random.default_rng(0).normal(0, 1, (1, 3, 320, 320)).astype(np.float32)
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda _: session.run(None, {"input.1": tensor}), range(number)))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
