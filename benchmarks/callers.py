"""Callers of one `Batching`, each with its next call as soon as the last is answered.
Run as `python callers.py GRAPH CALLERS CALLS`; prints how many calls and runs there were, as JSON.
"""

import json
import sys
import threading

import floor
import numpy as np

from rembg_beam.transforms.models.batching import Batching


def main(path: str, callers: int, calls: int) -> None:
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
