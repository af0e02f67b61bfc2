"""Folders that are watched: what is new comes once, on engines too, until the run is stopped."""

import errno
import os
import shutil
import signal
import subprocess
import time
import types
from pathlib import Path
from typing import Any, Callable, Dict, List

import apache_beam as beam
import psutil
import pyarrow.dataset
import pytest
from apache_beam import coders
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.testing.test_stream import TestStream
from apache_beam.testing.util import assert_that, equal_to
from apache_beam.transforms.window import TimestampedValue
from support import kinds
from support.elsewhere import Elsewhere
from support.engines import downloads, job, local

from rembg_beam.pipelines import cli
from rembg_beam.transforms import RemoveBackground, RemoveBackgrounds
from rembg_beam.transforms.folder import summary
from rembg_beam.transforms.sources.watch import FindNew

WAIT_SECONDS = 120


def change(step: str, folder: str) -> Any:
    """A look at a folder, after what the step says was done there."""
    what, name = step.split(":")
    path = Path(folder, name)
    if what == "put":
        path.write_bytes(b"x")
    elif what == "old":  # moved here with the time it was written elsewhere
        path.write_bytes(b"x")
        os.utime(path, (1, 1))
    elif what == "again":
        os.utime(path, (2, 2))
    elif what == "soon":  # by a clock that is ahead, or wrong
        os.utime(path, (time.time() + 1000,) * 2)
    elif what == "remove":
        path.unlink()
    return folder, time.time()


def looks(steps: List[str]) -> TestStream:
    """A second between two."""
    stream = TestStream(coder=coders.StrUtf8Coder()).advance_watermark_to(0)
    for number, step in enumerate(steps):
        timed = TimestampedValue(step, number)
        stream = stream.add_elements([timed]).advance_watermark_to(number + 1)
    return stream.advance_watermark_to_infinity()


def test_new_and_changed_pictures_come_once(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    steps = ["none:", "put:a.jpg", "none:", "put:out.jpg", "old:b.jpg", "again:a.jpg", "put:a.txt"]
    steps += ["remove:b.jpg", "old:b.jpg", "none:"]
    with beam.Pipeline("BundleBasedDirectRunner", PipelineOptions(streaming=True)) as pipeline:
        found = (
            pipeline
            | looks(steps)
            | beam.Map(change, str(folder)).with_output_types(Any)
            | beam.ParDo(FindNew(None, str(folder / "out.jpg")))
            | beam.Map(lambda source, at=beam.DoFn.TimestampParam: (source.name, int(at)))
        )
        # Looked at by the number of the step.
        expected = [("a.jpg", 1), ("b.jpg", 4), ("a.jpg", 5), ("b.jpg", 8)]
        assert_that(found, equal_to(expected))


def test_what_was_just_written_waits_for_a_later_look(tmp_path: Path) -> None:
    """It may still be growing."""
    steps = ["put:a.jpg", "none:", "again:a.jpg", "put:b.jpg", "soon:b.jpg", "put:c.jpg", "none:"]
    with beam.Pipeline("BundleBasedDirectRunner", PipelineOptions(streaming=True)) as pipeline:
        found = (
            pipeline
            | looks(steps)
            | beam.Map(change, str(tmp_path)).with_output_types(Any)
            | beam.ParDo(FindNew(None, None, settle=100.0))
            | beam.Map(lambda source, at=beam.DoFn.TimestampParam: (source.name, int(at)))
        )
        assert_that(found, equal_to([("a.jpg", 2), ("b.jpg", 4)]))


def change_elsewhere(step: str, folder: str) -> Any:
    """The same, of a folder that the next look is refused."""
    if step == "refuse:":
        Elsewhere.failing["match"] = [PermissionError(errno.EACCES, "no right to it")]
    _, at = change(step, folder.removeprefix("elsewhere://"))
    return f"{folder}/", at


def test_a_look_that_the_store_fails_is_made_again(elsewhere: str, caplog: Any) -> None:
    """Nothing comes twice for it, and nothing is lost; but the first is to succeed."""
    steps = ["none:", "put:a.jpg", "refuse:", "put:b.jpg", "none:"]
    with beam.Pipeline("BundleBasedDirectRunner", PipelineOptions(streaming=True)) as pipeline:
        found = (
            pipeline
            | looks(steps)
            | beam.Map(change_elsewhere, elsewhere).with_output_types(Any)
            | beam.ParDo(FindNew(None, None))
            | beam.Map(lambda source, at=beam.DoFn.TimestampParam: (source.name, int(at)))
        )
        assert_that(found, equal_to([("a.jpg", 1), ("b.jpg", 3)]))
    assert f"{elsewhere}/ can't be looked at, the next look will tell: " in caplog.text
    find = FindNew(None, None)
    find.setup()
    nothing_seen = types.SimpleNamespace(read=lambda: None)
    with pytest.raises(PermissionError, match="no right to it"):
        list(find.process(change_elsewhere("refuse:", elsewhere), nothing_seen))


def test_what_can_not_be_watched_is_refused(
    tmp_path: Path, capfd: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    flags = ["--output", str(tmp_path / "out"), "--model", "tiny", "--watch", "30s"]
    assert cli.main(["run", "--input", str(tmp_path), *flags]) == 2
    assert (
        "--watch: FnApiRunner is no engine for pictures that keep coming; add --runner Prism"
        in capfd.readouterr().err
    )
    prism = ["--runner", "PrismRunner"]
    assert cli.main(["run", "--input", str(tmp_path / "none"), *flags, *prism]) == 2
    assert "matches no file" in capfd.readouterr().err
    assert cli.main(["run", "--input", str(tmp_path), *flags[:-1], "soon", *prism]) == 2
    assert "--watch: 'soon' must be a time, such as 30s, 5m or 1h" in capfd.readouterr().err
    (tmp_path / "list").write_text("a.jpg\n")
    assert cli.main(["run", "--input_list", str(tmp_path / "list"), *flags, *prism]) == 2
    assert "watch looks at folders and globs again and again" in capfd.readouterr().err
    flags = ["run", "--input", str(tmp_path), *flags, *prism]
    assert cli.main([*flags, "--metadata", "csv"]) == 2
    assert "metadata='csv': pictures without an end have no table" in capfd.readouterr().err
    assert cli.main([*flags, "--output_format", "webdataset"]) == 2
    assert "can't be put into shards" in capfd.readouterr().err
    (tmp_path / "file").write_text("window: 300")
    for window, where in ((["--window", "5m"], "--window"), (["--config", "file"], "file")):
        assert cli.main(["run", *window, *flags[1:5], "--model", "tiny"]) == 2
        assert f"{where}: window is for rows of pictures that keep" in capfd.readouterr().err
    (tmp_path / "file").write_text("window: null")
    nothing = ["--config", "file", "--input", "none", "--output", "out", "--model", "tiny"]
    assert cli.main(["run", *nothing]) == 2
    assert "matches no file" in capfd.readouterr().err
    remove = RemoveBackground(output="out", session="tiny")
    with pytest.raises(ValueError, match=r"watch=0\.5 must be a number of seconds, 1 or more"):
        RemoveBackgrounds(remove=remove, input=["photos"], watch=0.5)


def test_a_runner_that_would_wait_for_ever_is_warned_of(caplog: Any) -> None:
    remove = RemoveBackground(output="out", session="tiny")
    _ = beam.Pipeline("FnApiRunner") | RemoveBackgrounds(remove=remove, input=["photos"], watch=9)
    assert "FnApiRunner is no engine for pictures that keep coming" in caplog.text
    caplog.clear()
    _ = beam.Pipeline("PrismRunner") | RemoveBackgrounds(remove=remove, input=["photos"], watch=9)
    assert not caplog.records


@pytest.fixture
def prism() -> List[str]:
    try:
        return local.prism().flags
    except downloads.Missing as missing:
        pytest.skip(f"no Prism: {missing}")


def wait_until(
    holds: Callable[[], bool], process: "subprocess.Popen[str]", seconds: float = WAIT_SECONDS
) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert process.poll() is None, job.finish(process).err
        assert time.monotonic() < deadline
        time.sleep(0.1)


def rows(output: Path) -> List[Dict[str, Any]]:
    manifest = output / "_manifest"
    if not any(manifest.glob("run=*/*.parquet")):
        return []
    return list(pyarrow.dataset.dataset(manifest, partitioning="hive").to_table().to_pylist())


@pytest.mark.engines
def test_a_folder_is_watched_until_the_run_is_stopped(
    prism: List[str], photos: Path, tmp_path: Path
) -> None:
    folder, output = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    flags = ["--input", str(folder), "--model", "tiny", "--watch", "1s", "--window", "2s", *prism]
    process = job.start(flags, output)

    def statuses() -> List[Any]:
        return [(row["name"], row["status"]) for row in rows(output)]

    wait_until(lambda: (output / "_manifest/_settings.json").exists(), process)
    shutil.copy(photos / "a.jpg", folder)
    wait_until(lambda: statuses() == [("a.jpg", "written")], process)
    before = (output / "a.jpg.png").read_bytes()
    shutil.copy(photos / "text.jpg", folder)
    (folder / "sub").mkdir()
    shutil.copy(photos / "a.png", folder / "sub")
    wait_until(lambda: len(statuses()) == 3, process)
    shutil.copy(photos / "cmyk.jpg", folder / "a.jpg")
    wait_until(lambda: len(statuses()) == 4, process)
    assert (output / "a.jpg.png").read_bytes() != before
    os.killpg(process.pid, signal.SIGINT)
    done = job.finish(process, 60)
    assert done.status == 130 and "Traceback" not in done.err
    assert done.out.startswith("until then: 3 written, 0 skipped, 1 failed\n")
    (run,) = {row["run"] for row in rows(output)}
    assert summary.read(str(output), run).counts == {"written": 3, "skipped": 0, "failed": 1}
    written = [("a.jpg", "written")] * 2 + [("sub/a.png", "written")]
    assert sorted(statuses()) == sorted([*written, ("text.jpg", "failed")])


PICTURES, AT_ONCE, EARLY = 20_000, 500, 5_000
SOAK_WAIT_SECONDS = 600  # 500 pictures take 10 seconds where nothing else runs


@pytest.mark.engines
@pytest.mark.soak
def test_memory_stays_flat_where_pictures_come_and_go(
    prism: List[str], tmp_path: Path, tell: Callable[[str], None]
) -> None:
    """An hour of five pictures a second, as fast as they are done."""
    folder, output = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    flags = ["--input", str(folder), "--model", "tiny", "--watch", "1s", "--window", "10s", *prism]
    process = job.start(flags, output)
    worker = psutil.Process(process.pid)
    data = kinds.saved(kinds.rgb(64, 48, 1), "JPEG")
    memory: List[int] = []
    for begin in range(0, PICTURES, AT_ONCE):
        names = [f"{number}.jpg" for number in range(begin, begin + AT_ONCE)]
        for name in names:  # whole at once
            (tmp_path / "new").write_bytes(data)
            (tmp_path / "new").rename(folder / name)
        made = [output / f"{name}.png" for name in names]
        wait_until(lambda: all(path.exists() for path in made), process, SOAK_WAIT_SECONDS)  # noqa: B023
        for name in names:
            (folder / name).unlink()
        memory.append(worker.memory_info().rss)
    wait_until(lambda: len(rows(output)) >= PICTURES, process, SOAK_WAIT_SECONDS)
    os.killpg(process.pid, signal.SIGINT)
    assert job.finish(process, 60).status == 130
    assert len(rows(output)) == PICTURES
    assert {row["status"] for row in rows(output)} == {"written"}
    early = max(memory[EARLY // AT_ONCE :][:3])
    tell(f"{early / 1e6:.0f} MB after {EARLY}, {max(memory[-3:]) / 1e6:.0f} MB at the end")
    assert max(memory[-3:]) <= 1.1 * early
