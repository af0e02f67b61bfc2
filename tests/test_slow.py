"""Pictures in work for long are named while they are, by one thread that sleeps till then."""

import logging
import threading
from pathlib import Path
from typing import Any, Callable, List

import pytest

from rembg_beam.pipelines import cli
from rembg_beam.transforms import RemBGDoFn, RemoveBackground, SessionConfig
from rembg_beam.transforms.models import opening
from rembg_beam.transforms.runtime import slow


class Said:
    """What a watchdog said, and a way to wait for it."""

    def __init__(self) -> None:
        self.lines: List[str] = []
        self._more = threading.Semaphore(0)

    def __call__(self, message: str, *arguments: Any) -> None:
        self.lines.append(message % arguments)
        self._more.release()

    def next(self) -> str:
        assert self._more.acquire(timeout=60)
        return self.lines[-1]


def test_a_late_one_is_named_while_it_is_in_work_and_then_ever_more_rarely() -> None:
    said = Said()
    dog = slow.Watchdog(said)
    with dog.watch("slow.jpg", 0.02):
        for _ in range(3):
            assert said.next().startswith("slow.jpg is in work for")
    assert said.lines[0].endswith("longer than max_picture_seconds=0.02")


def test_one_in_time_is_not_named_and_the_first_that_is_late_is_the_one_named() -> None:
    said = Said()
    dog = slow.Watchdog(said)
    with dog.watch("patient.jpg", 600), dog.watch("also patient.jpg", float("inf")):
        with dog.watch("done.jpg", 600):
            pass
        with dog.watch("late.jpg", 0.01):
            assert "late.jpg" in said.next()
    assert all(line.startswith("late.jpg") for line in said.lines)


def test_one_that_kept_the_watchdog_from_running_is_named_at_its_end() -> None:
    times = iter([0.0, 5.0, 5.0])
    said = Said()
    dog = slow.Watchdog(said, clock=lambda: next(times))
    dog._thread = threading.current_thread()  # that is busy
    with dog.watch("slow.jp2", 4.0):
        pass
    assert said.lines == ["slow.jp2 was in work for 5 s, longer than max_picture_seconds=4"]


def test_it_takes_one_thread_however_many_pictures() -> None:
    said = Said()
    dog = slow.Watchdog(said)
    before = threading.active_count()
    for number in range(1000):
        with dog.watch(str(number), 600):
            pass
    assert threading.active_count() == before + 1
    assert not dog._in_work and not said.lines


class Waiting:
    """An onnxruntime session that takes until it is told to go on."""

    def __init__(self, inner: Any) -> None:
        self.inner, self.go_on = inner, threading.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def run(self, *arguments: Any) -> Any:
        assert self.go_on.wait(60)
        return self.inner.run(*arguments)


def test_the_log_names_a_picture_that_the_model_holds_up(
    encoded: Callable[..., bytes], caplog: pytest.LogCaptureFixture
) -> None:
    held: List[Waiting] = []

    def opener(config: SessionConfig) -> opening.Loaded:
        loaded = opening.open_session(config)
        held.append(Waiting(loaded.session.inner_session))
        loaded.session.inner_session = held[0]
        return loaded

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if "JPEG of" in record.getMessage():  # its header has been read
                held[0].go_on.set()

    logger, handler = logging.getLogger(slow.__name__), Handler()
    logger.addHandler(handler)
    dofn = RemBGDoFn(SessionConfig("tiny"), max_picture_seconds=0.02, opener=opener)
    dofn.setup()
    data = encoded("JPEG", width=60)
    result = dofn.work(("https://user:secret@host/a.jpg?key=secret", data))
    dofn.teardown()
    logger.removeHandler(handler)
    assert "secret" not in caplog.text
    said = next(line for line in caplog.messages if "JPEG of" in line)
    name = f"https://***@host/a.jpg?*** ({len(data)} bytes), JPEG of 60x32,"
    assert said.startswith(f"{name} is in work for")
    assert hasattr(result, "cutout")


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), "60", True])
def test_a_time_that_is_none_is_refused(seconds: Any) -> None:
    with pytest.raises(ValueError, match=r"max_picture_seconds=.* must be above 0"):
        RemoveBackground(output="out", session="tiny", max_picture_seconds=seconds)
    with pytest.raises(ValueError, match=r"max_picture_seconds=.* must be above 0"):
        RemBGDoFn(SessionConfig("tiny"), max_picture_seconds=seconds)


def test_the_command_has_the_option(
    photos: Path, tmp_path: Path, capfd: Any, caplog: pytest.LogCaptureFixture
) -> None:
    flags = ["run", "--input", str(photos / "a.jpg"), "--model", "tiny"]
    flags += ["--output", str(tmp_path / "out")]
    assert cli.main([*flags, "--max-picture-seconds", "0"]) == 2
    assert "max_picture_seconds=0.0 must be above 0" in capfd.readouterr().err
    assert cli.main([*flags, "--max-picture-seconds", "0.000001"]) == 0
    assert f"{photos / 'a.jpg'} (" in caplog.text
