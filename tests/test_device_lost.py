"""A GPU that is lost to its process: the process ends, and no picture is blamed."""

import os
import re
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Callable, List

import numpy as np
import pytest
from onnxruntime.capi.onnxruntime_pybind11_state import Fail
from support import card

from rembg_beam.pipelines import cli
from rembg_beam.transforms import Engine, SessionConfig
from rembg_beam.transforms.models import device_lost, sessions
from rembg_beam.transforms.models.batching import Batching
from rembg_beam.transforms.models.device_lost import DeviceLost

# As onnxruntime has it.
LOST = (
    "[ONNXRuntimeError] : 1 : FAIL : CUDA failure 700: an illegal memory access was encountered ; "
    "GPU=0 ; hostname=h ; file=/onnxruntime/core/providers/cuda/gpu_data_transfer.cc ; line=75 ; "
    "expr=cudaMemcpyAsync(dst_data, src_data, bytes, cudaMemcpyDeviceToHost, stream);"
)


@pytest.mark.parametrize(
    "text",
    [
        LOST,
        "CUDA failure 719: unspecified launch failure ; GPU=0 ; hostname=h",
        "CUDA failure 710: device-side assert triggered",
        "CUDA failure 46: CUDA-capable device(s) is/are busy or unavailable ; GPU=0",
        "CUDA failure 999: unknown error ; GPU=0 ; expr=cudaSetDevice(info_.device_id);",
        "CUDA failure 806: MPS client failed to connect to the MPS server",
        "CUDA error cudaErrorIllegalAddress:an illegal memory access was encountered",
        "Error Code 1: Cuda Runtime (unspecified launch failure)",
        "HIP failure 700: hipErrorIllegalAddress ; GPU=0",
        "Exception(3) tid(3b50) 887A0005 The GPU device instance has been suspended.",
    ],
)
def test_messages_that_mean_it(text: str) -> None:
    with pytest.raises(DeviceLost, match=r"at a\.jpg\. .* onnxruntime said: "):
        device_lost.check(RuntimeError(text), "a.jpg")


@pytest.mark.parametrize(
    "text",
    [
        "CUDA failure 2: out of memory ; GPU=0 ; expr=cudaMalloc((void**)&p, size);",
        "CUDA failure 1: invalid argument ; GPU=1 ; line=700 ; expr=cudaMemcpyAsync(a, b)",
        "CUDNN failure 5000: CUDNN_STATUS_EXECUTION_FAILED ; GPU=0 ; line=719",
        "CUDA failure 7000: ",
        "Got: 700 Expected: 719",
    ],
)
def test_messages_that_do_not(text: str) -> None:
    device_lost.check(RuntimeError(text), "a.jpg")


class Lost:
    """A session that is lost in its second run, as is every later one; a batch runs as one."""

    def __init__(self) -> None:
        self.runs = 0
        self._lock = threading.Lock()

    def run(self, names: Any, feeds: Any, options: Any = None) -> List[Any]:
        with self._lock:
            self.runs += 1
            if self.runs > 1:
                raise Fail(LOST)
        return [feeds["x"]]


def test_a_batch_is_not_tried_again_and_all_in_it_are_told() -> None:
    lost = Lost()
    batching = Batching(lost, max_size=4, at_once=1, wait_msecs=2000)

    def run(number: int) -> Any:
        try:
            return batching.run(None, {"x": np.full((1, 1), number)})[0].item()
        except Fail as error:
            return str(error)

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(run, range(8)))
    assert lost.runs == 2 and found.count(LOST) == 4


@pytest.fixture
def losing(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Emulated GPUs, lost to their process from a call on; what was asked of them since."""
    asked: List[Any] = []

    def begin() -> List[Any]:
        def run(self: Any, *arguments: Any) -> Any:
            asked.append(arguments)
            raise Fail(LOST)

        monkeypatch.setattr(card.EmulatedSession, "run", run)
        return asked

    monkeypatch.setattr(sessions, "IDLE_SECONDS", 0.0)
    with card.emulated():
        yield begin


def test_an_engine_says_so_for_every_later_picture(
    rembg_home: Path, losing: Any, encoded: Callable[..., bytes]
) -> None:
    with Engine(SessionConfig("u2netp", "CUDA", offline=True)) as engine:
        assert engine.remove(encoded()).parts
        losing()
        for _ in range(2):
            with pytest.raises(DeviceLost, match=r"at mine.* 700: an illegal memory"):
                engine.attempt(encoded(), "{}", "mine")


def test_a_run_fails_without_a_row(
    rembg_home: Path, losing: Any, photos: Path, tmp_path: Path, capfd: Any, monkeypatch: Any
) -> None:
    asked, open_session = [], sessions.acquire

    def acquire(*arguments: Any) -> Any:
        loaded = open_session(*arguments)
        asked.append(losing())
        return loaded

    monkeypatch.setattr("rembg_beam.transforms.engine.sessions.acquire", acquire)
    arguments = ["run", "--input", photos, "--output", tmp_path / "out"]
    arguments += ["--model", "u2netp", "--provider", "CUDA", "--offline"]
    assert cli.main(list(map(str, arguments))) == 1
    err = capfd.readouterr().err
    assert "the run failed: " in err and "the GPU is lost to this process" in err
    assert f"at {photos}/" in err and "CUDA failure 700" in err
    assert not list((tmp_path / "out").rglob("*.parquet"))


ENDING = """
from rembg_beam.transforms.models.device_lost import DeviceLost
from rembg_beam.transforms.runtime import harness
harness.end(DeviceLost("the device is lost"))
"""
HARNESS = "from apache_beam.runners.worker.sdk_worker import SdkHarness;"


@pytest.mark.parametrize(("program", "status"), [(HARNESS + ENDING, -9), (ENDING, 0)])
def test_a_worker_process_ends_and_no_other(program: str, status: int) -> None:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == status
    assert done.stderr == ("this worker process ends: the device is lost\n" if status else "")


# In each process that is started with this in its path: the device is lost in the runs that a
# file counts, one for each byte.
LOSES = f"""
import importlib.abc, sys
class Losing(importlib.abc.MetaPathFinder):
    def find_spec(self, name, *more):
        if name == "rembg_beam.transforms.engine":
            sys.meta_path.remove(self)
            from rembg_beam.transforms.models import batching
            def run(self, *arguments, run=batching.Batching.run_one):
                with open({{path!r}}, "r+b") as file:
                    left = file.read()
                    file.truncate(max(len(left) - 1, 0))
                if left:
                    raise RuntimeError({LOST!r})
                return run(self, *arguments)
            batching.Batching.run_one = run
sys.meta_path.insert(0, Losing())
"""


@pytest.mark.long
@pytest.mark.parametrize(("losses", "status"), [(1, 0), (1000, 1)])
def test_worker_processes_are_replaced_some_times(
    photos: Path, tmp_path: Path, losses: int, status: int
) -> None:
    (tmp_path / "losses").write_bytes(bytes(losses))
    (tmp_path / "site").mkdir()
    (tmp_path / "site/sitecustomize.py").write_text(LOSES.format(path=str(tmp_path / "losses")))
    command = [sys.executable, "-m", "rembg_beam.pipelines", "run", "--model", "tiny"]
    command += ["--input", str(photos), "--output", str(tmp_path / "out")]
    command += ["--direct_running_mode=multi_processing", "--direct_num_workers=2"]
    done = subprocess.run(
        command,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "site")},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == status, done.stderr
    assert "this worker process ends: the GPU is lost" in done.stderr
    assert "ended by signal 9 (killed); new ones go on" in done.stderr
    if status:
        assert "the run failed: a worker process was ended by signal 9" in done.stderr
        assert "after 3 before it" in done.stderr
    else:
        # What the first process had written by then is found done.
        told = re.search(r"(\d+) written, (\d+) skipped, 3 failed", done.stdout)
        assert told and int(told[1]) + int(told[2]) == 7, done.stdout
