"""One job on every engine: the same files and the same rows."""

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Iterator, List, NamedTuple

import pytest
from support import installed, web
from support.engines import downloads, job
from support.engines.pool import Pool
from support.engines.prism import Prism


class Expected(NamedTuple):
    """The job's flags, and what it comes to in one process."""

    flags: List[str]
    output: Path
    done: job.Done


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Expected]:
    folder = tmp_path_factory.mktemp("job")
    server = web.Server()
    flags = job.write(folder, server.url)
    server.pictures["/a.jpg"] = (folder / "photos/RGB JPEG.jpg").read_bytes()
    yield Expected(flags, folder / "out", job.run(flags, folder / "out"))
    server.stop()


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of an environment that holds the wheel."""
    folder = tmp_path_factory.mktemp("installed")
    installed.build(folder, "--wheel")
    (wheel,) = folder.glob("*.whl")
    return installed.install(wheel, folder / "environment")


@pytest.fixture(scope="module")
def pool(python: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pool]:
    pool = Pool(python, tmp_path_factory.mktemp("pool"))
    yield pool
    pool.stop()


def started(name: str, pool: Pool) -> Any:
    """An engine by its name."""
    try:
        return {"pool": lambda: pool, "prism": Prism}[name]()
    except downloads.Missing as missing:
        pytest.skip(f"no {name}: {missing}")


ENGINES = ["pool", pytest.param("prism", marks=pytest.mark.engines)]


@pytest.fixture(scope="module", params=ENGINES)
def engine(request: pytest.FixtureRequest, pool: Pool) -> Iterator[Any]:
    engine = started(request.param, pool)
    yield engine
    engine.stop()


def test_the_job_holds_every_kind_of_outcome(expected: Expected) -> None:
    rows = job.rows(expected.output)
    assert len(rows) == job.PICTURES and expected.done.status == 0, expected.done.err
    assert expected.done.counts.startswith("192 written, 0 skipped, 8 failed\n")
    assert {row["error"] for row in rows if row["error"]} == {
        *("BadLine", "EmptyFile", "FileNotFoundError", "NameClash", "NotAPicture"),
        "TruncatedPicture",
    }
    assert [row["duplicates"] for row in rows if row["duplicates"]] == [1]
    assert sum(row["uri"].startswith("http:") for row in rows) == 2


def test_the_same_files_and_rows(engine: Any, expected: Expected, tmp_path: Path) -> None:
    done = job.run([*expected.flags, *engine.flags], tmp_path / "out")
    assert done.status == expected.done.status, done.err
    assert done.counts == expected.done.counts
    assert job.contents(tmp_path / "out") == job.contents(expected.output)
    assert job.rows(tmp_path / "out") == job.rows(expected.output)


def wait_for_outputs(process: "subprocess.Popen[str]", output: Path, count: int) -> None:
    deadline = time.monotonic() + 120
    while sum(name.endswith(".png") for _, _, names in os.walk(output) for name in names) < count:
        assert process.poll() is None, job.finish(process).err
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.long
def test_a_worker_process_that_is_killed(pool: Pool, expected: Expected, tmp_path: Path) -> None:
    process = job.start([*expected.flags, *pool.flags], tmp_path / "out")
    wait_for_outputs(process, tmp_path / "out", 20)
    (worker,) = pool.workers()
    worker.kill()
    done = job.finish(process)
    assert done.status == expected.done.status, done.err
    assert done.err.count("a worker process of the pool is gone; new ones go on") == 1
    assert "Traceback" not in done.err
    assert job.contents(tmp_path / "out") == job.contents(expected.output)
    assert job.results(tmp_path / "out") == job.results(expected.output)


def test_what_workers_print_holds_nothing_up(
    pool: Pool, expected: Expected, tmp_path: Path, root: Path
) -> None:
    arguments = [str(root / "examples/rocket.jpg"), str(tmp_path / "out"), *pool.flags]
    subprocess.run([sys.executable, "-c", CHATTY, *arguments], check=True, timeout=240)
    assert len(job.contents(tmp_path / "out")) == 1
    assert pool.log.read_bytes().count(b"x" * 1_000_000) == 1


CHATTY = """
import os, sys
import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from rembg_beam.transforms import RemoveBackground
from rembg_beam.transforms.models.opening import open_session

def chatty(config):
    print("x" * 1_000_000)
    os.write(1, b"y" * 1_000_000)
    return open_session(config)

picture, output, *flags = sys.argv[1:]
with beam.Pipeline(options=PipelineOptions(flags)) as pipeline:
    remove = RemoveBackground(output=output, session="tiny", opener=chatty)
    pipeline | beam.Create([picture]) | remove
"""


def test_relative_paths_belong_to_where_the_command_starts(
    pool: Pool, photos: Path, tmp_path: Path
) -> None:
    (tmp_path / "list.txt").write_text("photos/a.jpg\n")
    inputs = ["--input", "photos/sub/*", "--input_list", "list.txt", "--model", "tiny"]
    done = job.run([*inputs, *pool.flags], "out", cwd=tmp_path)
    assert done.counts == "3 written, 0 skipped, 0 failed", done.err
    assert set(job.contents(tmp_path / "out")) == {
        *("photos/a.jpg.png", "b.JPEG.png", "turned.jpg.png"),
    }


@pytest.mark.long
def test_a_failure_says_why(pool: Pool, photos: Path, tmp_path: Path) -> None:
    model = ["--model", "u2net_custom", "--model_path", str(tmp_path / "none.onnx")]
    done = job.run(["--input", str(photos), *model, *pool.flags], tmp_path / "out")
    assert done.status == 1 and "Traceback" not in done.err
    assert "none.onnx" in done.err and "the pool is gone" not in done.err
