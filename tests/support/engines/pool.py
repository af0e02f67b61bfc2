"""Beam's worker pool, in an environment that holds the wheel and does not see this checkout."""

import contextlib
import os
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Any, List, Sequence

import psutil

START_SECONDS = 60.0


def spawn(command: Sequence[object], log: Path, **more: Any) -> "subprocess.Popen[bytes]":
    """A process with a group of its own, for `end`; what it says goes into a file."""
    with log.open("wb") as file:
        return subprocess.Popen(
            [str(word) for word in command],
            stdout=file,
            stderr=file,
            start_new_session=True,
            **more,
        )


def end(process: "subprocess.Popen[bytes]") -> None:
    """Kills a process and those it started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("localhost", 0))
        return int(listener.getsockname()[1])


def wait_for(port: int, process: "subprocess.Popen[bytes]") -> None:
    """Until somebody listens there; fails when the process ends before."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as client:
            if client.connect_ex(("localhost", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError(f"nobody listens on port {port}; exit status {process.poll()}")


class Pool:
    """A pool that starts worker processes for whoever asks.

    Args:
      python: of the workers' environment.
      folder: that they start in, and the log lies in.
    """

    def __init__(self, python: Path, folder: Path) -> None:
        self.port = free_port()
        self.log = folder / "pool.log"
        command = [python, "-m", "apache_beam.runners.worker.worker_pool_main"]
        path = f"{python.parent}{os.pathsep}{os.environ['PATH']}"
        self._process = spawn(
            [*command, f"--service_port={self.port}"],
            self.log,
            cwd=folder,
            env={**os.environ, "PATH": path},
        )
        wait_for(self.port, self._process)

    @property
    def environment(self) -> List[str]:
        """Beam's options for workers of this pool."""
        return ["--environment_type=EXTERNAL", f"--environment_config=localhost:{self.port}"]

    @property
    def flags(self) -> List[str]:
        """Beam's options for a job that is run from the command's process, by these workers."""
        return ["--runner=PortableRunner", "--job_endpoint=embed", *self.environment]

    def workers(self) -> List[psutil.Process]:
        """Those alive."""
        children = psutil.Process(self._process.pid).children()
        return [child for child in children if child.status() != psutil.STATUS_ZOMBIE]

    def stop(self) -> None:
        end(self._process)
