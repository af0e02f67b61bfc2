"""What pipelines of other languages need here without Docker: each a process on loopback.

A pipeline in Java asks Python's expansion service for a step, and sends all to Beam's job server,
which runs it with the workers of both.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any, List

from . import downloads
from .pool import end, free_port, spawn, wait_for

_PORTABILITY = "apache_beam.runners.portability"


class Service:
    """A process that listens on a port, and its log."""

    def __init__(self, command: List[str], log: Path, port: int, **more: Any) -> None:
        self.port, self.log = port, log
        self._process = spawn(command, log, **more)
        wait_for(port, self._process)

    @property
    def address(self) -> str:
        return f"localhost:{self.port}"

    def stop(self) -> None:
        end(self._process)


def expansion_service(folder: Path) -> Service:
    """Of this package's transforms, with workers of its own; they start in the folder."""
    port = free_port()
    flags = [f"--port={port}", "--fully_qualified_name_glob=rembg_beam.*"]
    command = [sys.executable, "-m", f"{_PORTABILITY}.expansion_service_main", *flags]
    return Service(
        [*command, "--serve_loopback_worker"], folder / "expansion.log", port, cwd=folder
    )


def job_server(folder: Path) -> Service:
    """Beam's own, in Python, which takes pipelines of any language."""
    port = free_port()
    command = [sys.executable, "-m", f"{_PORTABILITY}.local_job_service_main", f"--port={port}"]
    return Service(command, folder / "job_server.log", port, cwd=folder)


def java_workers(folder: Path) -> Service:
    """Workers with the example's classes."""
    port = free_port()
    address = {"beam:option:environment_options:v1": [f"external_service_address=localhost:{port}"]}
    service = "org.apache.beam.fn.harness.ExternalWorkerService"
    command = ["java", "-cp", downloads.java_example(), service]
    environment = {**os.environ, "PIPELINE_OPTIONS": json.dumps(address)}
    return Service(command, folder / "java.log", port, cwd=folder, env=environment)
