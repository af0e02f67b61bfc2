"""Counts of several processes, for the one that starts them."""

import subprocess
import sys
from typing import Dict

import pytest

from rembg_beam.transforms.runtime import metrics, shared

COUNTING = """
import os, signal
from rembg_beam.transforms.runtime import metrics
metrics.tally.add("find_pictures", 9)
for _ in range(3):
    metrics.tally.add("outcomes_written")
metrics.tally.add("read_bytes", 7)
os.kill(os.getpid(), signal.SIGKILL)
"""


def after_a_process() -> Dict[str, int]:
    subprocess.run([sys.executable, "-c", COUNTING])
    return shared.total()


@pytest.mark.long
def test_a_process_that_is_killed_has_counted() -> None:
    assert after_a_process() == {}
    with shared.gathered():
        assert after_a_process() == {"find_pictures": 9, "outcomes_written": 3}
        assert after_a_process() == {"find_pictures": 18, "outcomes_written": 6}
        shared.forget()
        assert after_a_process() == {"find_pictures": 9, "outcomes_written": 3}
    assert shared.total() == {} == metrics.tally.snapshot()
