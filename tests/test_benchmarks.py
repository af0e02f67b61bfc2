"""`make bench`: its graphs are the published ones, its bars are judged strictly, and it runs."""

import contextlib
import doctest
import hashlib
import importlib
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Collection, Iterator, NamedTuple

import pytest


@pytest.fixture
def module(root: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Imports a module of `benchmarks/`."""
    monkeypatch.syspath_prepend(root / "benchmarks")
    return importlib.import_module


def test_the_graph_has_the_published_size(module: Any, tmp_path: Path) -> None:
    (line,) = module("graphs").facts(tmp_path, ["u2netp"])
    assert line == (
        "- u2netp: 119 convolutions, 1.13 M parameters (1.13 M with batch norms folded), 4.5 MB, "
        "7 outputs"
    )


def test_the_lock_is_seen_held_and_released(module: Any) -> None:
    watched, data = module("gil").watched, bytes(20_000_000)
    # How near the seconds are is judged by the nearest of a few: the clocks of a thread, read from
    # another, jump on a machine that is busy.
    spun = [Spun.of(watched) for _ in range(5)]
    assert all(spin.looks > 20 for spin in spun)
    assert min(abs(spin.share - 1) for spin in spun) < 0.1
    hashed = watched(lambda: [hashlib.sha256(data) for _ in range(5)])
    assert hashed.looks > 20 and hashed.held < 0.2 * hashed.looks
    # One that waits for a core, which it has to share with others, isn't slower for the lock.
    with busy(os.sched_getaffinity(0)):
        crowded = [Spun.of(watched) for _ in range(5)]
    waited = [spin for spin in crowded if spin.cpu < 0.8 * SPIN]
    assert all(spin.held > 0.7 * spin.looks for spin in waited)
    assert min(abs(spin.share - 1) for spin in waited) < 0.15


SPIN = 0.2


class Spun(NamedTuple):
    """A thread that held the lock for `SPIN` seconds: what was seen of it, its seconds of CPU."""

    looks: int
    held: int
    share: float
    cpu: float

    @classmethod
    def of(cls, watched: Any) -> "Spun":
        took = []

        def spin() -> None:
            start, end = time.thread_time(), time.perf_counter() + SPIN
            while time.perf_counter() < end:
                pass
            took.append(time.thread_time() - start)

        seen = watched(spin)
        return cls(seen.looks, seen.held, seen.held_seconds / took[0], took[0])


@contextlib.contextmanager
def busy(cores: Collection[int]) -> Iterator[None]:
    """Processes that keep these cores busy, two each."""
    spinning = [sys.executable, "-c", "print(flush=True)\nwhile True: pass"]
    processes = [subprocess.Popen(spinning, stdout=subprocess.PIPE) for _ in (*cores, *cores)]
    try:
        for process in processes:
            assert process.stdout is not None and process.stdout.readline()
        yield
    finally:
        for process in processes:
            process.kill()
            process.communicate()


def test_the_graph_without_a_model_has_its_signature(module: Any, tmp_path: Path) -> None:
    import onnxruntime

    graphs = module("graphs")
    paths = [graphs.write(tmp_path, "u2netp"), graphs.write_without(tmp_path)]
    ends = []
    for path in paths:
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        found = [*session.get_inputs(), *session.get_outputs()]
        ends.append([(end.name, end.shape, end.type) for end in found])
    assert ends[0] == ends[1]


def test_bars_are_met_without_rounding(module: Any) -> None:
    report = module("report")
    ratio = report.Bar("key", "a ratio", 0.95, 0.97, 2, at_least=True)
    assert [ratio.met(value) for value in (0.97, 0.9699, 0.9499)] == ["further", "bar", "**no**"]
    cost = report.Bar("key", "a cost", 25, 16, 1, " ms")
    assert [cost.met(value) for value in (16, 16.01, 25.01)] == ["further", "bar", "**no**"]
    assert cost.row({}) == ["a cost", "25 ms", "16 ms", "not measured", "-"]
    row = cost.row({"key": report.figure([30, 10, 20])})
    assert row[3:] == ["20.0 ms (10.0 to 30.0)", "bar"]


def test_doctests_hold(module: Any) -> None:
    for name in ("card", "gpu_ours", "on_gpu", "report", "speed"):
        found = doctest.testmod(module(name))
        assert found.attempted and not found.failed


@pytest.mark.long
def test_a_simulated_card_computes_one_batch_after_another(module: Any, tmp_path: Path) -> None:
    """In the whole transform, of real JPEGs."""
    card, sides = module("card"), module("sides")
    bench = sides.Bench(tmp_path, 1, True)
    found = card.measured(bench, card.Kind(20, 10))
    assert 0 < found.busy <= 1.001 and 1 <= found.batch <= card.QUICK
    assert len(list((tmp_path / "card").glob("*.png"))) == card.QUICK
    one = card.of_rate(310)
    assert one.rate == pytest.approx(310) and one.launch / one.each == pytest.approx(2 / 3.1)


def test_a_card_that_the_cores_can_feed_is_busy(module: Any) -> None:
    card = module("card")
    kind = card.of_rate(card.SHARE * 1000 * 8 / card.AROUND_MSECS)
    found = card.simulated(kind, 8, at_once=2, threads=56, pictures=320)
    assert found.busy >= 0.95 and found.batch >= 14


@pytest.mark.long
def test_a_quick_run_of_a_section(root: Path, tmp_path: Path) -> None:
    output = tmp_path / "results.md"
    command = [sys.executable, str(root / "benchmarks" / "bench.py"), "--quick", "--output"]
    done = subprocess.run([*command, output, "--only", "memory"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    text = output.read_text()
    assert "## Memory" in text and "pixels equal" not in text
    (row,) = (line for line in text.splitlines() if line.startswith("| peak memory, 500"))
    assert "not measured" not in row


# Loaded by every process when it starts.
ON_AN_EMULATED_CARD = """
import sys
sys.path.insert(0, {tests!r})
from support import card
emulated = card.emulated()
emulated.__enter__()
"""


@pytest.mark.long
def test_a_quick_run_on_an_emulated_gpu(root: Path, tmp_path: Path) -> None:
    """One whose nvidia-smi has no number for how busy it is."""
    (tmp_path / "sitecustomize.py").write_text(
        ON_AN_EMULATED_CARD.format(tests=str(root / "tests"))
    )
    smi = tmp_path / "nvidia-smi"
    smi.write_text("#!/bin/sh\necho '[N/A]'\n")
    smi.chmod(0o755)
    output = tmp_path / "results.md"
    done = subprocess.run(
        [sys.executable, root / "benchmarks" / "on_gpu.py", "--quick", "--output", output],
        env={**os.environ, "PYTHONPATH": str(tmp_path), "PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [line.split(" | ") for line in output.read_text().splitlines() if "u2netp" in line]
    assert [(len(row), row[1]) for row in rows] == [(10, "fp32"), (10, "TF32"), (10, "fp16")]
    assert [row[7] for row in rows] == ["-"] * 3
    assert [row[9].rstrip(" |") == "0.00" for row in rows] == [True, True, False]
