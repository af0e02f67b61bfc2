"""One job on every engine: the same files and the same rows."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, NamedTuple

import pytest
from support import installed, kinds, web
from support.engines import downloads, job, local
from support.engines.flink import Flink
from support.engines.pool import Pool
from support.engines.spark import Spark


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


@contextlib.contextmanager
def running(name: str, pool: Pool, folder: Path) -> Iterator[Any]:
    """An engine by its name; skips the test where it can't be had."""
    engines: Dict[str, Callable[[], Any]] = {
        "pool": lambda: pool,
        "multi_processing": local.multi_processing,
        "prism": local.prism,
        "flink": lambda: Flink(pool, folder),
        "spark": lambda: Spark(pool, folder),
    }
    try:
        engine = engines[name]()
    except downloads.Missing as missing:
        pytest.skip(f"no {name}: {missing}")
    yield engine
    if engine is not pool:
        engine.stop()


NAMES = ("multi_processing", "prism", "flink", "spark")
OTHERS = [pytest.param(name, marks=pytest.mark.engines) for name in NAMES]


@pytest.fixture(scope="module", params=[pytest.param("pool", marks=pytest.mark.long), *OTHERS])
def engine(
    request: pytest.FixtureRequest, pool: Pool, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Any]:
    with running(request.param, pool, tmp_path_factory.mktemp(request.param)) as engine:
        yield engine


@pytest.mark.long
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


@pytest.mark.long
def test_the_same_shards(engine: Any, expected: Expected, tmp_path: Path) -> None:
    flags = [*expected.flags, "--output_format", "webdataset", "--samples_per_shard", "30"]
    here = job.run(flags, tmp_path / "here")
    done = job.run([*flags, *engine.flags], tmp_path / "out")
    assert here.status == done.status == 0, done.err
    assert here.counts == done.counts and done.counts.startswith("192 written, 0 skipped, 8 fail")
    found = job.contents(tmp_path / "out")
    assert found == job.contents(tmp_path / "here")
    shards = [f"{n:05d}.tar" for n in range(7)]
    assert sorted(found) == [".huggingface.yaml", *shards, "wids.json"]
    assert job.rows(tmp_path / "out") == job.rows(tmp_path / "here")


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


@pytest.mark.engines
def test_resumed_after_the_whole_job_was_killed(
    engine: Any, pool: Pool, expected: Expected, tmp_path: Path
) -> None:
    process = job.start([*expected.flags, *engine.flags], tmp_path / "out")
    wait_for_outputs(process, tmp_path / "out", 20)
    os.killpg(process.pid, signal.SIGKILL)
    for worker in pool.workers():
        worker.kill()
    job.finish(process)
    assert 20 <= len(job.contents(tmp_path / "out", killed=True)) < job.PICTURES
    done = job.run([*expected.flags, *engine.flags], tmp_path / "out")
    assert done.status == expected.done.status, done.err
    assert job.contents(tmp_path / "out") == job.contents(expected.output)
    assert job.results(tmp_path / "out") == job.results(expected.output)


@pytest.mark.engines
@pytest.mark.parametrize("name", ["pool", "multi_processing", "prism"])
def test_a_run_that_is_stopped(name: str, pool: Pool, expected: Expected, tmp_path: Path) -> None:
    (tmp_path / name).mkdir()
    with running(name, pool, tmp_path / name) as engine:
        process = job.start([*expected.flags, *engine.flags], tmp_path / "out")
        wait_for_outputs(process, tmp_path / "out", 20)
        os.killpg(process.pid, signal.SIGTERM)
        done = job.finish(process, 30)
    assert done.status == 143, done.err
    assert "no file is half-written" in done.out and "goes on where it runs" not in done.err
    deadline = time.monotonic() + 20
    while pool.workers():
        assert time.monotonic() < deadline, "a worker stays behind"
        time.sleep(0.1)
    assert len(job.contents(tmp_path / "out", killed=name == "pool")) < job.PICTURES


@pytest.mark.engines
@pytest.mark.parametrize("name", ["multi_processing", "flink"])
def test_two_thousand_pictures_on_two_workers(name: str, pool: Pool, tmp_path: Path) -> None:
    for seed in range(2000):
        data = kinds.saved(kinds.rgb(32, 24, seed), "JPEG")
        (tmp_path / f"{seed}.jpg").write_bytes(data)
    (tmp_path / name).mkdir()
    with running(name, pool, tmp_path / name) as engine:
        inputs = ["--input", str(tmp_path / "*.jpg"), "--model", "tiny", *engine.flags]
        done = job.run(inputs, tmp_path / "out")
    assert done.status == 0, done.err
    assert done.counts == "2000 written, 0 skipped, 0 failed"
    rows = job.rows(tmp_path / "out", leave=lambda name: False)
    assert len(rows) == 2000
    shares = Counter(row["worker"] for row in rows)
    assert len(shares) >= 2 and min(shares.values()) > 100


@pytest.mark.engines
def test_metrics_count_what_rows_say(engine: Any, expected: Expected, tmp_path: Path) -> None:
    """Engines scope counters by stages of their own: the sums of all are the same."""
    arguments = [expected.flags[1], str(tmp_path / "out"), *engine.flags]
    done = subprocess.run(
        [sys.executable, "-c", COUNTING, *arguments], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    counts = json.loads(done.stdout.splitlines()[-1])
    rows = job.rows(tmp_path / "out")
    statuses = Counter(row["status"] for row in rows)
    assert counts["find_pictures"] == counts["read_pictures"] == len(rows)
    assert counts["outcomes_written"] == counts["write_pictures"] == statuses["written"]
    assert counts["outcomes_failed"] == counts["remove_failures"] == statuses["failed"] == 3
    assert counts["read_bytes"] == sum(row["bytes_in"] for row in rows)
    assert counts["write_bytes"] == sum(row["bytes_out"] or 0 for row in rows)


COUNTING = """
import json, sys
from collections import Counter
import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from rembg_beam.transforms import RemoveBackground, RemoveBackgrounds

photos, output, *flags = sys.argv[1:]
pipeline = beam.Pipeline(options=PipelineOptions(flags))
remove = RemoveBackground(output=output, session="tiny")
pipeline | RemoveBackgrounds(remove=remove, input=[photos])
result = pipeline.run()
result.wait_until_finish()
counts = Counter()
for counter in result.metrics().query()["counters"]:
    if counter.key.metric.namespace == "rembg_beam":
        counts[counter.key.metric.name] += counter.result or 0  # None for 0
print(json.dumps(counts))
"""


@pytest.mark.long
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


@pytest.mark.long
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
