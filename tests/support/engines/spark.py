"""Beam's job server for Spark, with Spark in it; workers are a pool's."""

from pathlib import Path
from typing import List

import psutil

from . import downloads
from .pool import Pool, end, free_port, spawn, wait_for


class Spark:
    """A job server and a pool.

    Args:
      pool: of the workers.
      folder: for the log.
    """

    def __init__(self, pool: Pool, folder: Path) -> None:
        jar = downloads.job_server("spark-3")
        self._pool = pool
        port = free_port()
        command = ["java", "-jar", jar, "--spark-master-url=local[2]", f"--job-port={port}"]
        ports = ["--artifact-port=0", "--expansion-port=0"]
        self._server = spawn([*command, *ports], folder / "job-server.log", cwd=folder)
        wait_for(port, self._server)
        endpoint = f"--job_endpoint=localhost:{port}"
        self.flags = ["--runner=PortableRunner", endpoint, *pool.environment]

    def workers(self) -> List[psutil.Process]:
        return self._pool.workers()

    def stop(self) -> None:
        end(self._server)
