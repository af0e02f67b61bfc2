"""Ten thousand pictures through one run: its memory stays what it was after a thousand."""

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import List

import psutil
import pyarrow.dataset
import pytest
from support import kinds

PICTURES = 10_000
EARLY = 1_000
EVERY = 50  # one is bad


@pytest.mark.soak
def test_memory_stays_flat(tmp_path: Path) -> None:
    originals = [kinds.saved(kinds.rgb(64, 48, seed), "JPEG") for seed in range(20)]
    for number in range(PICTURES):
        path = tmp_path / "photos" / f"{number % 100}" / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        bad = number % EVERY == 0
        path.write_bytes(b"bad" if bad else originals[number % len(originals)])
    command = [sys.executable, "-m", "rembg_beam.pipelines", "run", "--model", "tiny"]
    process = subprocess.Popen(
        [*command, "--input", tmp_path / "photos", "--output", tmp_path / "out"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    memory: List[int] = []
    early = 0
    while process.poll() is None:
        time.sleep(0.5)
        try:
            memory.append(psutil.Process(process.pid).memory_info().rss)
        except psutil.Error:
            break
        if not early and _written(tmp_path / "out") >= EARLY:
            early = len(memory) - 1
    assert process.wait() == 0
    start, end = max(memory[early : early + 3]), max(memory[-6:-1])
    print(f"{start / 1e6:.0f} MB after {EARLY}, {end / 1e6:.0f} MB at the end")
    assert end <= 1.1 * start
    rows = pyarrow.dataset.dataset(tmp_path / "out/_manifest", partitioning="hive").to_table()
    statuses = rows.column("status").to_pylist()
    assert len(statuses) == PICTURES
    assert statuses.count("failed") == PICTURES // EVERY
    assert _written(tmp_path / "out") == PICTURES - PICTURES // EVERY


def _written(output: Path) -> int:
    return sum(
        name.endswith(".png")
        for folder, _, names in os.walk(output)
        if "_manifest" not in folder
        for name in names
    )
