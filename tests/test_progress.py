"""What is told of a run while it is at work."""

import json
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any, Dict, List

import apache_beam as beam
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rembg_beam.pipelines import cli
from rembg_beam.pipelines.progress import counted, exporter, shown, state
from rembg_beam.transforms.runtime import metrics


def counts(written: int, failed: int = 0, found: int = 0) -> Dict[str, int]:
    return {"outcomes_written": written, "outcomes_failed": failed, "find_pictures": found}


def test_the_rate_is_of_the_last_minute() -> None:
    watch = state.Watch(start=0.0)
    for second in range(0, 600, 5):
        made = 10 * min(second, 300) + max(second - 300, 0)
        now = watch.state(counts(made, found=10_000), float(second))
    assert now.rate == pytest.approx(1.0, rel=0.05)
    assert now.seconds_left == pytest.approx((10_000 - now.done) / now.rate)
    assert now.memory_bytes > 10_000_000


@settings(deadline=None)
@given(st.lists(st.integers(0, 50), min_size=1, max_size=200), st.integers(0, 10_000))
def test_states_against_a_slow_twin(steps: List[int], found: int) -> None:
    watch, history = state.Watch(start=0.0), [(0.0, 0)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(state, "memory", lambda: 0)
        for number, step in enumerate(steps, 1):
            now, done = 7.0 * number, history[-1][1] + step
            history.append((now, done))
            seen = watch.state(counts(done, found=found), now)
            # The last point that is a minute old, or the first.
            old = [at for at in history if at[0] <= now - state.WINDOW_SECONDS] or history[:1]
            rate = (done - old[-1][1]) / (now - old[-1][0])
            assert seen.rate == pytest.approx(rate)
            assert seen.found == max(found, done)
            assert (seen.seconds_left is None) == (rate == 0 or found <= done)


def test_json_lines(photos: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    arguments = ["--input", str(photos), "--output", str(tmp_path / "out"), "--model", "tiny"]
    assert cli.main(["run", *arguments, "--progress", "json"]) == 0
    lines = [line for line in capfd.readouterr().err.splitlines() if line.startswith("{")]
    last = json.loads(lines[-1])
    assert (last["found"], last["done"], last["written"], last["failed"]) == (10, 10, 7, 3)
    assert last["rate"] > 0 and last["seconds_left"] is None and last["memory_bytes"] > 0


def test_lines_and_nothing(
    photos: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shown.Lines, "seconds", 0.0)
    for kind in ("auto", "none"):
        arguments = ["--input", str(photos), "--output", str(tmp_path / kind), "--model", "tiny"]
        assert cli.main(["run", *arguments, "--progress", kind]) == 0
        err = capfd.readouterr().err
        assert (" GB\n" in err) == (kind == "auto"), err


def test_wrong_kinds_and_ports(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    arguments = ["run", "--input", "x", "--output", str(tmp_path), "--model", "tiny"]
    assert cli.main([*arguments, "--progress", "dots"]) == 2
    assert "--progress: 'dots' must be one of auto, bar, lines, json, none" in (
        capfd.readouterr().err
    )
    assert cli.main([*arguments, "--metrics_port", "70000"]) == 2
    assert "--metrics_port: '70000' must be an integer from 0 to 65535" in capfd.readouterr().err


def free_port() -> int:
    import socket

    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


def fetched(port: int) -> Dict[str, float]:
    from prometheus_client.parser import text_string_to_metric_families

    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        text = answer.read().decode()
    families = text_string_to_metric_families(text)
    return {
        " ".join([sample.name, *sample.labels.values()]): sample.value
        for family in families
        for sample in family.samples
    }


def test_prometheus_fetches_what_is_counted() -> None:
    port, told = free_port(), counts(5, 2, 9)
    with exporter.exported(port, lambda: {**told, "write_msecs": 70}):
        found = fetched(port)
        assert found["rembg_beam_outcomes_total written"] == 5
        assert found["rembg_beam_outcomes_total failed"] == 2
        assert found["rembg_beam_found_pictures"] == 9
        assert found["rembg_beam_step_msecs_total write"] == 70
        assert found["rembg_beam_memory_bytes"] > 10_000_000
        told["outcomes_written"] = 6
        assert fetched(port)["rembg_beam_outcomes_total written"] == 6
    with exporter.exported(port, dict):  # it was given back
        pass


def test_a_port_that_is_taken_is_said_before_the_run(
    photos: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    port, output = free_port(), tmp_path / "out"
    with exporter.exported(port, dict):
        arguments = ["--input", str(photos), "--output", str(output), "--model", "tiny"]
        assert cli.main(["run", *arguments, "--metrics_port", str(port)]) == 2
    assert f"--metrics_port {port} can't be had" in capfd.readouterr().err
    assert not list(output.glob("*.png"))


class Slow:
    """A result whose engine takes its time to answer, and fails at first."""

    def __init__(self) -> None:
        self.asked = 0
        self.may_answer = threading.Event()

    def metrics(self) -> Any:
        self.asked += 1
        if self.asked == 1:
            raise RuntimeError("UNAVAILABLE")
        self.may_answer.wait(60)
        return self._found.metrics()

    def of(self, found: Any) -> "Slow":
        self._found = found
        return self


def test_an_engine_is_asked_beside_and_its_failures_pass() -> None:
    metrics.tally.clear()
    pipeline = beam.Pipeline(runner="FnApiRunner")
    _ = pipeline | beam.Create([1, 2, 3]) | beam.Map(_counted)
    done = pipeline.run()
    assert counted.of_engine(done)["outcomes_written"] == 3
    metrics.tally.clear()
    slow = Slow().of(done)
    told = counted.Counts(seconds=0.01)
    assert told() == {}
    told.follow(lambda: slow)
    until = time.monotonic() + 60
    while slow.asked < 2 and time.monotonic() < until:
        time.sleep(0.02)
        assert told() == {}
    slow.may_answer.set()
    while "outcomes_written" not in told() and time.monotonic() < until:
        time.sleep(0.02)
    assert told()["outcomes_written"] == 3


def _counted(number: int) -> int:
    metrics.count("outcomes_written")
    return number
