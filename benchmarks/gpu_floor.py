"""The floor on a GPU: onnxruntime alone, at the batch size and number of callers that suit it best.
Run as `python gpu_floor.py MODEL GRAPH ORIGINAL PROVIDER SECONDS BATCH...`; prints `Floor` as JSON.

MODEL is of `graphs.GRAPHS`, GRAPH the file to run, ORIGINAL the one whose masks on the CPU are the
right ones; PROVIDER as `rembg-beam run --provider` takes it. Every convolution must be there, by
onnxruntime's record. Only the output that rembg reads is fetched. Each arrangement runs for SECONDS
after a run that isn't counted; batches that fail, for want of memory, end the search.
"""

import itertools
import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any, List, NamedTuple

import floor
import graphs
import numpy as np

CALLERS = (1, 2)

# Photos whose masks are compared.
COMPARED = 4


class Floor(NamedTuple):
    """What was found.

    Attributes:
      rate: pictures per second.
      batch, callers: of the fastest.
      shift: levels, of 255, by which a mask differs at most from the CPU's in fp32, not rounded.
    """

    rate: float
    batch: int
    callers: int
    shift: float


def main(
    model: str, path: str, original: str, provider: str, seconds: float, *batches: int
) -> None:
    graph = graphs.GRAPHS[model]
    session = floor.open_session(path, max(CALLERS), provider)
    pictures = [graphs.tensor(graph, seed) for seed in range(COMPARED)]
    shift = _shift(graph, session, floor.open_session(original, 1, "CPU"), pictures)
    found: List[Floor] = []
    for batch, callers in itertools.product(batches, CALLERS):
        stacked = np.concatenate([pictures[index % COMPARED] for index in range(batch)])
        try:
            rate = batch * _runs(graph, session, stacked, callers, seconds)
        except Exception as error:
            if not found:
                raise
            print(f"no batches of {batch}: {error}", file=sys.stderr)
            break
        found.append(Floor(rate, batch, callers, shift))
    print(json.dumps(max(found)))


def _shift(graph: graphs.Graph, session: Any, right: Any, pictures: List[Any]) -> float:
    found = 0.0
    for picture in pictures:
        one, other = (
            _stretched(each.run([graph.outputs[0]], {graph.input: picture})[0])
            for each in (session, right)
        )
        found = max(found, float(np.abs(one - other).max()))
    return found


def _stretched(map: Any) -> Any:
    """A map stretched to 0 to 255, as rembg does it."""
    low, high = map.min(), map.max()
    return (map - low) / (high - low) * 255


def _runs(graph: graphs.Graph, session: Any, tensor: Any, callers: int, seconds: float) -> float:
    """Runs per second of so many callers."""

    def call(end: float) -> int:
        number = 0
        while number == 0 or time.perf_counter() < end:
            session.run([graph.outputs[0]], {graph.input: tensor})
            number += 1
        return number

    with ThreadPoolExecutor(callers) as pool:
        list(pool.map(call, [0.0] * callers))
        start = time.perf_counter()
        number = sum(pool.map(call, [start + seconds] * callers))
    return number / (time.perf_counter() - start)


if __name__ == "__main__":
    words = sys.argv[1:]
    main(*words[:4], float(words[4]), *map(int, words[5:]))
