"""Flink with two task managers, and Beam's job server for it; workers are a pool's."""

import json
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import List

import psutil

from . import downloads
from .pool import START_SECONDS, Pool, end, free_port, spawn, wait_for

TASK_MANAGERS = 2

_CONFIG = """
jobmanager.rpc.address: localhost
jobmanager.rpc.port: {rpc}
jobmanager.memory.process.size: 1g
rest.port: {rest}
rest.address: localhost
rest.bind-address: localhost
taskmanager.host: localhost
taskmanager.numberOfTaskSlots: 1
taskmanager.cpu.cores: 1.0
taskmanager.memory.framework.heap.size: 128m
taskmanager.memory.framework.off-heap.size: 64m
taskmanager.memory.jvm-metaspace.size: 256m
taskmanager.memory.jvm-overhead.min: 128m
taskmanager.memory.jvm-overhead.max: 128m
taskmanager.memory.task.heap.size: 384m
taskmanager.memory.task.off-heap.size: 64m
taskmanager.memory.network.min: 64m
taskmanager.memory.network.max: 64m
taskmanager.memory.managed.size: 256m
restart-strategy.type: fixed-delay
restart-strategy.fixed-delay.attempts: 5
restart-strategy.fixed-delay.delay: 1 s
"""

_JOB_MANAGER = "org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint"
_TASK_MANAGER = "org.apache.flink.runtime.taskexecutor.TaskManagerRunner"

# What Flink's own scripts pass on to Java 17.
_OPENS = [
    option
    for package in ("java.lang", "java.net", "java.nio", "java.util", "java.util.concurrent")
    for option in ("--add-opens", f"java.base/{package}=ALL-UNNAMED")
]


class Cluster:
    """Flink's processes; `rest` is the port that it hears on, `count()` the task managers it has.

    Args:
      folder: for its settings and logs.
    """

    def __init__(self, folder: Path) -> None:
        downloads.need("java")
        jars = downloads.flink()
        self.rest = free_port()
        config = _CONFIG.format(rpc=free_port(), rest=self.rest)
        (folder / "config.yaml").write_text(config)
        java = ["java", "-Xmx512m", "-Dlog4j2.level=INFO", *_OPENS, "-cp", f"{jars}/*"]
        names = [_JOB_MANAGER, *[_TASK_MANAGER] * TASK_MANAGERS]
        self._processes = [
            spawn([*java, name, "--configDir", folder], folder / f"{number}.log", cwd=folder)
            for number, name in enumerate(names)
        ]
        try:
            self._wait()
        except BaseException:
            self.stop()
            raise

    def _wait(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        wait_for(self.rest, self._processes[0])
        while self.count() < TASK_MANAGERS:
            assert time.monotonic() < deadline, "Flink has not got its task managers"
            time.sleep(0.2)

    def count(self) -> int:
        try:
            with urllib.request.urlopen(f"http://localhost:{self.rest}/taskmanagers") as answer:
                return len(json.load(answer)["taskmanagers"])
        except urllib.error.HTTPError:  # while it starts
            return 0

    def stop(self) -> None:
        for process in self._processes:
            end(process)


class Flink:
    """A cluster, a job server and a pool.

    Args:
      pool: of the workers.
      folder: for settings and logs.
    """

    def __init__(self, pool: Pool, folder: Path) -> None:
        jar = downloads.job_server(f"flink-{downloads.FLINK}")
        self._pool = pool
        self._cluster = Cluster(folder)
        port = free_port()
        command = ["java", "-jar", jar, f"--flink-master=localhost:{self._cluster.rest}"]
        ports = [f"--job-port={port}", "--artifact-port=0", "--expansion-port=0"]
        self._server = spawn([*command, *ports], folder / "job-server.log", cwd=folder)
        try:
            wait_for(port, self._server)
        except BaseException:
            self.stop()
            raise
        endpoint = f"--job_endpoint=localhost:{port}"
        parallel = f"--parallelism={TASK_MANAGERS}"
        self.flags = ["--runner=PortableRunner", endpoint, parallel, *pool.environment]

    def workers(self) -> List[psutil.Process]:
        return self._pool.workers()

    def stop(self) -> None:
        end(self._server)
        self._cluster.stop()
