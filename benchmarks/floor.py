"""The floor: onnxruntime alone on a graph, some pictures' tensors in batches, by some callers.
Run as `python floor.py GRAPH PICTURES CALLERS BATCH PROVIDER`.

On the CPU each call has the cores divided by the callers. PROVIDER is `CPU`, `CUDA`, or one with
options as `rembg-beam run --provider` takes them; it must have every convolution of the graph, by
onnxruntime's own record.

`python floor.py GRAPH FOLDER PROVIDER` prints the largest difference that a provider makes to the
graph's first output over a folder's photos, as JSON.
"""

import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from rembg_beam.transforms.models import placement, rembg_session

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def open_session(path: str, callers: int, provider: str) -> Any:
    """An onnxruntime session on one provider, or the error that it isn't in use."""
    name, _, given = provider.partition("=")
    full = f"{name}ExecutionProvider"
    options = onnxruntime.SessionOptions()
    if name == "CPU":
        options.intra_op_num_threads = max(1, len(os.sched_getaffinity(0)) // callers)
    providers = [(full, json.loads(given or "{}"))]
    options.add_session_config_entry(rembg_session.RECORD, "1")
    session = onnxruntime.InferenceSession(path, options, providers=providers)
    found = placement.assignment(session)
    if not placement.is_in_use(found, (full,)):
        raise RuntimeError(f"onnxruntime runs it on {found.provider}, not on {full}")
    return session


def run(path: str, pictures: int, callers: int, batch: int, provider: str) -> None:
    session = open_session(path, callers, provider)
    tensor = np.random.default_rng(0).normal(0, 1, (batch, 3, 320, 320)).astype(np.float32)

    def call(_: int) -> None:
        session.run(None, {"input.1": tensor})

    with ThreadPoolExecutor(callers) as pool:
        list(pool.map(call, range(pictures // batch)))


def compare(path: str, folder: str, provider: str) -> None:
    sessions = [open_session(path, 1, name) for name in ("CPU", provider)]
    largest = 0.0
    for photo in sorted(Path(folder).iterdir()):
        feeds = {"input.1": _tensor(photo)}
        right, found = (session.run(None, feeds)[0] for session in sessions)
        largest = max(largest, float(np.abs(right - found).max()))
    print(json.dumps(largest))


def _tensor(photo: Path) -> "np.ndarray[Any, np.dtype[np.float32]]":
    """float32 [1, 3, 320, 320], as U²-Net takes it."""
    from PIL import Image

    with Image.open(photo) as image:
        pixels = np.asarray(image.resize((320, 320), Image.Resampling.LANCZOS))
    return ((pixels / pixels.max() - MEAN) / STD).transpose(2, 0, 1)[np.newaxis].astype(np.float32)


if __name__ == "__main__":
    graph, *words, where = sys.argv[1:]
    if len(words) == 1:
        compare(graph, words[0], where)
    else:
        run(graph, *map(int, words), where)
