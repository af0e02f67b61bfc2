"""What engines are made of, by their own package managers, kept in `.engines/` of this checkout.

Each function gives the path of what it got; `Missing` says which tool or file can't be had here.
"""

import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import apache_beam

FLINK = "1.20"

JOB_SERVERS = (apache_beam.__version__, "2.75.0", "2.73.0")

_COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy"

FOLDER = Path(__file__).resolve().parents[3] / ".engines"


class Missing(Exception):
    """Something an engine needs is not to be had."""


def prism() -> Path:
    """Beam's Prism of the installed Beam's version, built by Go."""
    path = FOLDER / "bin" / f"prism-{apache_beam.__version__}"
    if not path.exists():
        module = "github.com/apache/beam/sdks/v2/go/cmd/prism"
        _call("go", "install", f"{module}@v{apache_beam.__version__}", GOBIN=str(path.parent))
        path.with_name("prism").rename(path)
    return path


def flink() -> Path:
    """The folder of Flink's jars, which its Python package brings."""
    folder = FOLDER / "flink"
    if not list(folder.glob("*/deps/lib/flink-dist-*.jar")):
        pip = ["-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder)]
        _call(sys.executable, *pip, f"apache-flink-libraries=={FLINK}.*")
        (archive,) = folder.glob("apache_flink_libraries-*.tar.gz")
        with tarfile.open(archive) as packed:
            packed.extractall(folder, filter="data")
    (jar,) = folder.glob("*/deps/lib/flink-dist-*.jar")
    return jar.parent


def job_server(kind: str) -> Path:
    """The jar of a job server of Beam's, "flink-1.20" or "spark-3"; one that lies in `.engines/`
    is taken, else the newest that Maven finds. Older ones serve a newer Python."""
    need("java")
    artifact = f"beam-runners-{kind}-job-server"
    return max(FOLDER.glob(f"{artifact}-*.jar"), default=None) or _fetched(artifact, *JOB_SERVERS)


def _fetched(artifact: str, version: str, *older: str) -> Path:
    named = f"-Dartifact=org.apache.beam:{artifact}:{version}"
    try:
        _call("mvn", "-q", "-B", _COPY, named, f"-DoutputDirectory={FOLDER}")
    except Missing:
        if not older:
            raise
        return _fetched(artifact, *older)
    return FOLDER / f"{artifact}-{version}.jar"


def java_example() -> str:
    """The class path of the example in Java, which Maven compiles."""
    need("java")
    folder = FOLDER / "java"
    shutil.copytree(FOLDER.parent / "examples" / "java", folder, dirs_exist_ok=True)
    path = folder / "target" / "class-path.txt"
    goal = "dependency:build-classpath"
    _call("mvn", "-q", "-B", "-f", str(folder), "compile", goal, f"-Dmdep.outputFile={path}")
    return f"{folder / 'target' / 'classes'}{os.pathsep}{path.read_text().strip()}"


def go_example() -> str:
    """The program of the example in Go, which Go compiles."""
    path = str(FOLDER / "bin" / "go-example")
    _call("go", "build", "-C", str(FOLDER.parent / "examples" / "go"), "-o", path)
    return path


def need(tool: str) -> None:
    """Raises `Missing` for a tool that isn't installed."""
    if shutil.which(tool) is None:
        raise Missing(f"{tool} is not installed")


def _call(tool: str, *arguments: str, **environment: str) -> None:
    need(tool)
    done = subprocess.run(
        [tool, *arguments], env={**os.environ, **environment}, capture_output=True, text=True
    )
    if done.returncode:
        said = (done.stdout + done.stderr).strip().splitlines()
        raise Missing(f"{tool} failed: {next((x for x in said if 'ERROR' in x), said[-1:])}")
