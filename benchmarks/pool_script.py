"""What a good engineer would write instead, on one machine: a pool of processes, each with a
session of its own, and a quick PNG. Run as `python pool_script.py MODEL INPUT OUTPUT`."""

import multiprocessing
import os
import sys
from pathlib import Path
from typing import Any

from PIL import Image

made: Any = None


def begin(model: str) -> None:
    import onnxruntime
    import rembg

    global made
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    made = rembg.new_session(model, sess_opts=options, providers=["CPUExecutionProvider"])


def work(paths: Any) -> None:
    import rembg

    source, target = paths
    with Image.open(source) as image:
        rembg.remove(image, session=made).save(target, compress_level=1)


def main(model: str, folder: str, output: str) -> None:
    os.makedirs(output, exist_ok=True)
    pairs = [(path, Path(output, f"{path.name}.png")) for path in sorted(Path(folder).iterdir())]
    cores = len(os.sched_getaffinity(0))
    with multiprocessing.get_context("spawn").Pool(cores, begin, [model]) as pool:
        for _ in pool.imap_unordered(work, pairs):
            pass


if __name__ == "__main__":
    main(*sys.argv[1:])
