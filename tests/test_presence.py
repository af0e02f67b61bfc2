"""Two runs at once on one output folder: the second knows, and the dead alarm nobody."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, List

import pyarrow.dataset
import pytest

from rembg_beam.pipelines import cli, status
from rembg_beam.transforms.folder import presence
from rembg_beam.transforms.folder.presence import Presence

KILLED = """
import os, sys
from rembg_beam.transforms.folder.presence import Presence
Presence(sys.argv[1], "killed")
os._exit(9)
"""


def markers(output: Path) -> List[Path]:
    return list((output / "_manifest").glob("_running-*"))


def left_behind(output: Path, **more: Any) -> Path:
    """The file of a run on another machine."""
    about = {"since": "2026-01-02T03:04:05Z", "process": 1, "host": "far", "machine": ["x"]}
    path = output / "_manifest" / "_running-far.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({**about, **more}))
    return path


def test_the_second_run_says_so(photos: Path, tmp_path: Path, capfd: Any) -> None:
    flags = ["--model", "tiny", "--input", str(photos), "--output", str(tmp_path / "out")]
    with Presence(str(tmp_path / "out"), "first"):
        assert cli.main(["run", *flags]) == 0
    said = capfd.readouterr()
    assert said.err.count("another run has been at work on") == 1
    assert f"(process {os.getpid()} on " in said.err and "the same work twice" in said.err
    assert said.out.startswith("7 written")
    assert cli.main(["run", *flags]) == 0
    assert "another run" not in capfd.readouterr().err
    assert markers(tmp_path / "out") == []


def test_runs_that_fail_or_are_refused_leave_nothing(photos: Path, tmp_path: Path) -> None:
    flags = ["--model", "tiny", "--input", str(photos), "--output", str(tmp_path / "out")]
    assert cli.main(["run", *flags, "--provider", "CUDA"]) == status.FAILED_RUN
    assert cli.main(["run", *flags, "--runner", "Foo"]) == status.WRONG_USE
    assert markers(tmp_path / "out") == []


def test_a_killed_run_of_this_machine_alarms_nobody(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", KILLED, tmp_path])
    assert len(markers(tmp_path)) == 1
    with Presence(str(tmp_path), "next") as present:
        assert present.warning() is None
        assert [path.name for path in markers(tmp_path)] == ["_running-next.json"]


def test_a_number_that_another_process_has_now(tmp_path: Path) -> None:
    left_behind(tmp_path, machine=presence._machine(), process=os.getpid(), started=1.5)
    with Presence(str(tmp_path), "next") as present:
        assert present.warning() is None


@pytest.mark.parametrize("content", [None, "{", "[]", '{"process": "x", "machine": 7}'])
def test_a_run_elsewhere_is_told_until_it_is_silent(tmp_path: Path, content: Any) -> None:
    path = left_behind(tmp_path)
    if content is not None:
        path.write_text(content)
    with Presence(str(tmp_path), "one") as present:
        assert "another run" in str(present.warning())
        if content is None:
            assert "2026-01-02T03:04:05Z (process 1 on far)" in str(present.warning())
    assert path.exists()
    silent = time.time() - presence.SILENT_SECONDS - 60
    os.utime(path, (silent, silent))
    with Presence(str(tmp_path), "two") as present:
        assert present.warning() is None
    assert not path.exists()


def test_beats(tmp_path: Path) -> None:
    with Presence(str(tmp_path), "one", beat_seconds=0.01):
        (path,) = markers(tmp_path)
        path.unlink()
        deadline = time.monotonic() + 60
        while not path.exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        assert path.exists()


def test_readers_of_the_rows_do_not_see_it(photos: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    flags = ["--model", "tiny", "--input", str(photos), "--output", str(output)]
    with Presence(str(output), "one"):
        assert cli.main(["run", *flags]) == 0
        rows = pyarrow.dataset.dataset(output / "_manifest", partitioning="hive")
        assert rows.count_rows() == 10
