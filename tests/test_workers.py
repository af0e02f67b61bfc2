"""Worker processes that die, as Beam's own way of starting them tells it."""

import threading
import types
from pathlib import Path
from typing import Any, List, Optional

import pytest
from apache_beam.runners.portability import local_job_service
from google.protobuf import struct_pb2  # type: ignore[import-untyped]

from rembg_beam.pipelines import workers


def ended(command: str, root: Path) -> Optional[workers.Death]:
    """What a watch notices of a worker process that is this command."""
    options = types.SimpleNamespace(pipeline_options=struct_pb2.Struct())
    provision: Any = types.SimpleNamespace(provision_info=options)
    worker = local_job_service.SubprocessSdkWorker(command.encode(), "localhost:1", provision)
    with workers.Watch(root) as watch:
        thread = threading.Thread(target=worker.run)
        thread.start()
        thread.join()
    return watch.death


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("kill -9 $$", "a worker process was ended by signal 9 (killed)"),
        ("sh -c 'kill -SEGV $$'; exit $?", "ended by signal 11 (segmentation fault)"),
        ("exit 3", "a worker process ended with exit status 3"),
    ],
)
def test_a_death_tells_how(tmp_path: Path, command: str, said: str) -> None:
    assert said in str(ended(command, tmp_path))
    assert threading.excepthook is threading.__excepthook__ or ended("exit 0", tmp_path) is None


@pytest.mark.parametrize(
    ("groups", "counter"),
    [
        ("0::/jobs/a", "sys/fs/cgroup/jobs/a/memory.events"),
        ("4:cpu,memory:/jobs/a", "sys/fs/cgroup/memory/jobs/a/memory.oom_control"),
        ("0::/gone", "sys/fs/cgroup/memory.events"),
        ("?", "proc/vmstat"),
    ],
)
def test_memory_that_ran_out(tmp_path: Path, groups: str, counter: str) -> None:
    for name, text in (("proc/self/cgroup", groups), (counter, "oom 7\noom_kill 1\nx 1")):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text + "\n")
    assert "memory" not in str(ended("kill -9 $$", tmp_path))
    more = f"echo oom_kill 2 > {tmp_path / counter}; kill -9 $$"
    assert "since memory ran out" in str(ended(more, tmp_path))


@pytest.mark.parametrize("of_pool", [True, False])
def test_a_pipeline_that_misses_a_worker_tells_of_a_pools_death(of_pool: bool) -> None:
    with workers.Watch(of_pool=of_pool) as watch:
        watch.judge(RuntimeError("no such file"))
        assert watch.death is None
        watch.judge(
            RuntimeError("failed in state FAILED: RuntimeError: Channel closed prematurely.")
        )
    assert str(watch.death) == ("a worker process of the pool is gone" if of_pool else "None")


def test_exceptions_of_other_threads_are_still_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: List[threading.ExceptHookArgs] = []
    monkeypatch.setattr(threading, "excepthook", heard.append)
    with workers.Watch(tmp_path) as watch:
        thread = threading.Thread(target=lambda: 1 / 0)
        thread.start()
        thread.join()
    assert watch.death is None and [each.exc_type for each in heard] == [ZeroDivisionError]
