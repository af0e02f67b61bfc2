"""A run that stopped anywhere, started again: the same files, and a row for every input."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Dict, List, Set, Tuple

import psutil
import pyarrow.dataset
import pyarrow.parquet
import pytest
from support import kinds

from rembg_beam.pipelines import cli, runners
from rembg_beam.transforms import RemoveBackground, SessionConfig
from rembg_beam.transforms.folder import earlier, existing, layout, record
from rembg_beam.transforms.models import catalogue
from rembg_beam.transforms.store import stores, uris


def rows(output: Path) -> List[Dict[str, Any]]:
    """Of all runs, the latest last."""
    table = pyarrow.dataset.dataset(output / "_manifest", partitioning="hive").to_table()
    return sorted(table.to_pylist(), key=lambda row: row["run"])


def latest(output: Path) -> List[Dict[str, Any]]:
    every = rows(output)
    return [row for row in every if row["run"] == every[-1]["run"]]


# `test_job` has both ways too, and is in `make test`.
@pytest.fixture(params=["locally", pytest.param("by shuffle", marks=pytest.mark.long)])
def go(photos: Path, tmp_path: Path, capfd: Any, request: pytest.FixtureRequest) -> Any:
    """Runs the command over the photos, with names joined in one way or the other; its status and
    streams."""

    def go(*flags: object, inputs: Any = None) -> Tuple[int, str, str]:
        capfd.readouterr()
        given = ["--input", str(photos)] if inputs is None else inputs
        status = cli.main(
            ["run", "--model", "tiny", "--output", str(tmp_path / "out"), *given, *map(str, flags)]
        )
        return status, *capfd.readouterr()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runners, "is_one_process", lambda *_: request.param == "locally")
        yield go


def test_what_is_done_is_left_and_its_row_keeps_its_facts(
    go: Any, tmp_path: Path, tree: Any
) -> None:
    go()
    before = {name: (tmp_path / "out" / name).stat().st_mtime_ns for name in tree(tmp_path / "out")}
    first = {row["uri"]: row for row in latest(tmp_path / "out")}
    (tmp_path / "out" / "sub" / "b.JPEG.png").unlink()
    status, out, _ = go()
    assert status == 0 and out.startswith("1 written, 6 skipped, 3 failed")
    after = {name: (tmp_path / "out" / name).stat().st_mtime_ns for name in tree(tmp_path / "out")}
    assert {name for name in after if before[name] != after[name]} == {"sub/b.JPEG.png"}
    for row in latest(tmp_path / "out"):
        if row["status"] == "skipped":
            facts = {**first[row["uri"]], "status": "skipped", "message": row["message"]}
            assert {**row, "run": None} == {**facts, "run": None}
            assert "is there already" in row["message"] and row["provider"] and row["peak"]


def test_without_its_manifest_a_picture_that_is_done_has_a_row_of_nulls(
    go: Any, tmp_path: Path
) -> None:
    go()
    for path in (tmp_path / "out/_manifest").glob("run=*/*.parquet"):
        path.unlink()
    status, out, _ = go()
    assert status == 0 and out.startswith("0 written, 7 skipped, 3 failed")
    for row in latest(tmp_path / "out"):
        assert row["status"] != "skipped" or (row["width"], row["provider"]) == (None, None)


def test_overwrite_and_fail(go: Any, tmp_path: Path) -> None:
    go()
    status, out, _ = go("--on_existing", "fail")
    assert status == 1 and out.startswith("0 written, 0 skipped, 10 failed")
    assert "(find, OutputExists): " in out and "'overwrite' write it again" in out
    assert go("--on-existing", "overwrite")[1].startswith("7 written, 0 skipped, 3 failed")


def test_a_folder_remembers_what_it_was_made_with(
    go: Any, tmp_path: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert go()[0] == 0
    status, out, err = go("--only_mask")
    assert (status, out) == (2, "")
    assert "only_mask was null and is true" in err and "--on_existing overwrite" in err
    monkeypatch.setattr(catalogue, "bundled_path", lambda: str(photos / "a.jpg"))
    assert "model_checksum was" in go()[2]
    monkeypatch.undo()
    assert go("--only_mask", "--on_existing=overwrite")[0] == 0
    assert go()[0] == 2 and go("--only_mask")[0] == 0
    assert go("--only_mask", "--max_failures", 99, "--remove_threads", 1)[0] == 0
    assert json.loads((tmp_path / "out/_manifest/_settings.json").read_text())["only_mask"] is True


def test_retry_failed_runs_what_failed_last(go: Any, tmp_path: Path, photos: Path) -> None:
    source = {"uri": str(photos / "empty.jpg"), "name": "e", "extras": {"only_mask": True}, "k": 1}
    (tmp_path / "list").write_text(json.dumps(source) + "\n{\n" + str(photos / "text.jpg"))
    inputs = ["--input", str(photos / "a.jpg"), "--input_list", str(tmp_path / "list")]
    assert go(inputs=inputs)[1].startswith("1 written, 0 skipped, 3 failed")
    (photos / "empty.jpg").write_bytes((photos / "a.jpg").read_bytes())
    assert "from --input or --input_list" in go("--retry_failed")[2]
    status, out, _ = go("--retry-failed", inputs=[])
    assert status == 0 and out.startswith("1 written, 0 skipped, 1 failed")
    (row,) = [row for row in latest(tmp_path / "out") if row["status"] == "written"]
    assert row["name"] == "e" and json.loads(row["metadata"]) == {"k": 1}
    assert json.loads(row["extras"]) == {"only_mask": True}
    (photos / "text.jpg").write_bytes((photos / "a.jpg").read_bytes())
    assert go("--retry_failed", inputs=[])[1].startswith("1 written, 0 skipped, 0 failed")
    status, out, _ = go("--retry_failed", inputs=[])
    assert status == 0 and "nothing to retry" in out


def test_old_outputs_of_other_settings_are_not_done(go: Any, tmp_path: Path, photos: Path) -> None:
    """As after a kill: the run that replaced the settings reached one picture of seven."""
    go()
    names = ("a.jpg.png", "sub/b.JPEG.png")
    with_background = {name: (tmp_path / "out" / name).read_bytes() for name in names}
    one = ["--input", str(photos / "a.jpg"), "--relative_to", str(photos)]
    assert go("--only_mask", "--on_existing=overwrite", inputs=one)[1].startswith("1 written")
    status, out, _ = go("--only_mask")
    assert status == 0 and out.startswith("6 written, 1 skipped, 3 failed")
    assert go("--only_mask")[1].startswith("0 written, 7 skipped, 3 failed")
    assert all((tmp_path / "out" / name).read_bytes() != with_background[name] for name in names)


@pytest.mark.long
def test_retry_failed_does_what_an_overwriting_run_failed_at(
    go: Any, tmp_path: Path, photos: Path
) -> None:
    go()
    whole = (photos / "a.jpg").read_bytes()
    (photos / "a.jpg").write_bytes(b"harmed")
    assert go("--on_existing", "overwrite")[1].startswith("6 written, 0 skipped, 4 failed")
    (photos / "a.jpg").write_bytes(whole)
    status, out, _ = go("--retry_failed", inputs=[])
    assert status == 0 and out.startswith("1 written, 0 skipped, 3 failed")
    assert go()[1].startswith("0 written, 7 skipped, 3 failed")


def test_an_output_of_another_picture_is_no_picture_done(
    go: Any, tmp_path: Path, photos: Path
) -> None:
    go()
    other = tmp_path / "other"
    other.mkdir()
    (other / "a.jpg").write_bytes((photos / "sub/b.JPEG").read_bytes())
    before = (tmp_path / "out/a.jpg.png").read_bytes()
    status, out, _ = go(inputs=["--input", str(other)])
    assert status == 1 and out.startswith("0 written, 0 skipped, 1 failed")
    (row,) = latest(tmp_path / "out")
    assert (row["error"], row["outputs"]) == ("OutputExists", [])
    for told in (str(photos / "a.jpg"), "a.jpg.png", "relative_to", "overwrite by on_existing"):
        assert told in row["message"]
    assert (tmp_path / "out/a.jpg.png").read_bytes() == before
    # The first is still done, however its path is written.
    path = os.path.relpath(photos / "a.jpg")
    line = {"uri": path, "name": "a.jpg"}
    (tmp_path / "list").write_text(json.dumps(line))
    inputs = ["--input_list", str(tmp_path / "list")]
    assert go(inputs=inputs)[1].startswith("0 written, 1 skipped")
    (tmp_path / "list").write_text(json.dumps({**line, "extras": {"only_mask": True}}))
    assert go(inputs=inputs)[1].startswith("0 written, 0 skipped, 1 failed")
    assert "made with the extras {}" in latest(tmp_path / "out")[0]["message"]
    # A failure of another picture doesn't make its output one's own.
    assert go("--on_existing=overwrite", inputs=["--input", str(other)])[1].startswith("1 written")
    assert go(inputs=["--input", str(other)])[1].startswith("0 written, 1 skipped")


def test_an_output_folder_that_is_a_link_to_nothing(go: Any, tmp_path: Path) -> None:
    (tmp_path / "out").symlink_to(tmp_path / "nowhere")
    status, out, err = go()
    assert (status, out) == (2, "") and str(tmp_path / "out") in err


def test_what_no_run_wrote_disturbs_none(go: Any, tmp_path: Path) -> None:
    go()
    (tmp_path / "out" / "loop.png").symlink_to("loop.png")
    with open(os.fsencode(tmp_path / "out") + b"/\xff.jpg.png", "wb") as file:
        file.write(b"?")
    (tmp_path / "out/a.jpg.png").write_bytes(b"")
    assert go()[1].startswith("1 written, 6 skipped, 3 failed")


def test_a_run_that_wrote_nothing_binds_no_folder(go: Any, tmp_path: Path, photos: Path) -> None:
    assert "1 failed" in go("--only_mask", inputs=["--input", str(photos / "text.jpg")])[1]
    assert go()[0] == 0
    assert go("--only_mask")[0] == 2


def test_a_checksum_that_was_not_known_is_filled_in(
    go: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, photos: Path
) -> None:
    file = tmp_path / "out/_manifest/_settings.json"
    monkeypatch.setattr(record, "_checksum", lambda session: None)
    go()
    assert json.loads(file.read_text())["model_checksum"] is None
    monkeypatch.undo()
    assert go()[0] == 0
    assert json.loads(file.read_text())["model_checksum"] is not None
    monkeypatch.setattr(record, "_checksum", lambda session: None)
    assert go()[0] == 0
    assert json.loads(file.read_text())["model_checksum"] is not None


def test_of_two_runs_that_start_at_once_one_makes_the_record(
    go: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go()
    answers = [None]
    read = record._read

    def late(*arguments: Any) -> Any:
        return answers.pop() if answers else read(*arguments)

    monkeypatch.setattr(record, "_read", late)
    status, _, err = go("--only_mask")
    assert status == 2 and "only_mask was null and is true" in err


def test_facts_of_other_bytes_are_not_told(go: Any, tmp_path: Path) -> None:
    go()
    output = tmp_path / "out/a.jpg.png"
    written = output.read_bytes()
    output.write_bytes(written + b"more")
    go()
    told = {row["name"]: row["width"] for row in latest(tmp_path / "out")}
    assert told["a.jpg"] is None and told["sub/b.JPEG"] is not None
    output.write_bytes(written)
    go()
    assert all(row["width"] for row in latest(tmp_path / "out") if row["outputs"])


@pytest.mark.long
def test_manifests_and_records_that_are_none(go: Any, tmp_path: Path) -> None:
    go()
    folder = tmp_path / "out/_manifest"
    foreign = folder / "run=zz/part-0.parquet"
    foreign.parent.mkdir()
    pyarrow.parquet.write_table(pyarrow.table({"uri": ["a"]}), foreign)
    status, _, err = go()
    assert status == 1 and "run=zz" in err and "no column metadata, outputs, status" in err
    foreign.unlink()
    (broken,) = folder.rglob("*.parquet")
    broken.write_bytes(b"PAR1")
    for status, _, err in (go(), go("--retry_failed", inputs=[])):
        assert status == 1 and broken.name in err and "remove it to go on without" in err
    (folder / "_settings.json").write_text("{")
    status, _, err = go()
    assert status == 2 and "_settings.json" in err and "no JSON object" in err
    assert go("--on_existing", "overwrite")[0] == 0
    broken.unlink()
    assert go()[1].startswith("0 written, 7 skipped")


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("width", ["x"], "Failed to parse"),
        ("outputs", ["x"], "cast"),
        ("metadata", [None], "a row has no metadata"),
        ("name", [7], None),
        ("extras", [7], None),
    ],
)
def test_rows_of_wrong_types(tmp_path: Path, column: str, value: List[Any], message: Any) -> None:
    path = tmp_path / "part-00000.parquet"
    kept = {"uri": ["a.jpg"], "status": ["failed"], "outputs": [["o"]], "metadata": ["{}"]}
    pyarrow.parquet.write_table(pyarrow.table({**kept, column: value}), path)
    found = earlier.rows(earlier.Manifest("r", str(path), None))
    if message is None:
        assert next(found)[column] == "7"
        return
    with pytest.raises(earlier.BadManifest, match=message):
        next(found)


@pytest.mark.long
def test_a_refusal_hides_no_failure(go: Any, tmp_path: Path, photos: Path) -> None:
    go()
    whole = (photos / "a.jpg").read_bytes()
    (photos / "a.jpg").write_bytes(b"harmed")
    go("--on_existing", "overwrite")
    (photos / "a.jpg").write_bytes(whole)
    # Rows of the same name, that touched nothing: OutputExists twice, NameClash once.
    assert go("--on_existing", "fail")[1].startswith("0 written, 0 skipped, 10 failed")
    other = tmp_path / "other"
    other.mkdir()
    (other / "a.jpg").write_bytes(whole)
    assert go(inputs=["--input", str(other)])[1].startswith("0 written, 0 skipped, 1 failed")
    both = [{"uri": str(path / "a.jpg"), "name": "a.jpg"} for path in (photos, other)]
    (tmp_path / "list").write_text("\n".join(map(json.dumps, both)))
    go(inputs=["--input_list", str(tmp_path / "list")])
    assert go("--retry_failed", inputs=[])[1].startswith("1 written, ")
    assert go()[1].startswith("0 written, 7 skipped, 3 failed")


def test_what_an_overwriting_run_over_another_folder_failed_at(
    go: Any, tmp_path: Path, photos: Path
) -> None:
    go()
    moved = tmp_path / "moved"
    photos.rename(moved)
    whole = (moved / "a.jpg").read_bytes()
    (moved / "a.jpg").write_bytes(b"harmed")
    inputs = ["--input", str(moved)]
    assert go("--on_existing", "overwrite", inputs=inputs)[1].startswith("6 written")
    (moved / "a.jpg").write_bytes(whole)
    assert go(inputs=inputs)[1].startswith("1 written, 6 skipped, 3 failed")


def test_rows_older_than_an_output_say_nothing_of_it(go: Any, tmp_path: Path, photos: Path) -> None:
    """As after a kill: outputs of a run that left no rows."""
    whole = (photos / "a.jpg").read_bytes()
    (photos / "a.jpg").write_bytes(b"harmed")
    assert go()[1].startswith("6 written, 0 skipped, 4 failed")
    (photos / "a.jpg").write_bytes(whole)
    moved = tmp_path / "moved"
    photos.rename(moved)
    inputs = ["--input", str(moved)]
    before = set((tmp_path / "out/_manifest").glob("run=*"))
    assert go("--on_existing", "overwrite", inputs=inputs)[1].startswith("7 written")
    for path in set((tmp_path / "out/_manifest").glob("run=*")) - before:
        shutil.rmtree(path)
    assert go(inputs=inputs)[1].startswith("0 written, 7 skipped, 3 failed")


def test_a_row_of_what_was_skipped_is_no_evidence(go: Any, tmp_path: Path, photos: Path) -> None:
    go(inputs=["--input", str(photos / "a.jpg")])
    for path in (tmp_path / "out/_manifest").glob("run=*"):
        shutil.rmtree(path)
    other = tmp_path / "other"
    other.mkdir()
    (other / "a.jpg").write_bytes(b"?")
    assert go(inputs=["--input", str(other)])[1].startswith("0 written, 1 skipped")
    assert go(inputs=["--input", str(photos / "a.jpg")])[1].startswith("0 written, 1 skipped")


def test_a_picture_is_the_same_through_a_link(go: Any, tmp_path: Path, photos: Path) -> None:
    go()
    (tmp_path / "link").symlink_to(photos)
    assert go(inputs=["--input", str(tmp_path / "link")])[1].startswith("0 written, 7 skipped")
    line = {"uri": "file://nas/a.jpg", "name": "a.jpg"}
    (tmp_path / "list").write_text(json.dumps(line))
    status, out, _ = go(inputs=["--input_list", str(tmp_path / "list")])
    assert status == 1 and out.startswith("0 written, 0 skipped, 1 failed")


def test_half_precision_is_among_what_pixels_follow_from(tmp_path: Path) -> None:
    full, half = (
        record.settings_of(RemoveBackground(output=str(tmp_path), session=session))
        for session in (SessionConfig("tiny"), SessionConfig("tiny", precision="fp16"))
    )
    assert half == {**full, "precision": "fp16"} != full


def test_a_run_that_has_written_nothing_yet_keeps_its_settings(
    go: Any, tmp_path: Path, photos: Path
) -> None:
    go("--only_mask", inputs=["--input", str(photos / "text.jpg")])
    for path in (tmp_path / "out/_manifest").glob("run=*"):
        shutil.rmtree(path)
    status, _, err = go()
    assert status == 2 and "only_mask was true and is null" in err


def test_without_times_nothing_of_replaced_settings_is_done(
    go: Any, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go()
    listing = stores.listing

    def timeless(*arguments: Any, **more: Any) -> Any:
        return (file._replace(modified=None) for file in listing(*arguments, **more))

    monkeypatch.setattr(stores, "listing", timeless)
    one = ["--input", str(photos / "a.jpg"), "--relative_to", str(photos)]
    go("--only_mask", "--on_existing=overwrite", inputs=one)
    assert go("--only_mask")[1].startswith("7 written, 0 skipped, 3 failed")


def test_settings_are_no_longer_replaced_once_all_is_written_again(go: Any, tmp_path: Path) -> None:
    file = tmp_path / "out/_manifest/_settings.json"
    go()
    go("--only_mask", "--on_existing=overwrite")
    assert "replaced" not in json.loads(file.read_text())
    # So that a copy, whose times are new, is done as well.
    shutil.copytree(tmp_path / "out", tmp_path / "copy", copy_function=shutil.copyfile)
    shutil.rmtree(tmp_path / "out")
    (tmp_path / "copy").rename(tmp_path / "out")
    assert go("--only_mask")[1].startswith("0 written, 7 skipped, 3 failed")


@pytest.mark.long
def test_a_run_that_failed_at_once_leaves_the_folder_as_it_was(
    go: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REMBG_HOME", str(tmp_path / "home"))
    file = tmp_path / "home/models/u2net/u2net.onnx"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"no model")
    harmed = ["--model", "u2net", "--offline", "--on_existing", "overwrite"]
    assert go(*harmed)[0] == 1
    assert go()[1].startswith("7 written")
    file = tmp_path / "out/_manifest/_settings.json"
    before = file.read_text()
    assert go(*harmed)[0] == 1
    assert file.read_text() == before
    assert go()[1].startswith("0 written, 7 skipped")


def test_a_record_is_not_put_back_over_a_later_runs(
    go: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go()
    settle = record.settle

    def after_another(*arguments: Any) -> None:
        monkeypatch.setattr(record, "settle", settle)
        assert go("--putalpha", "--on_existing=overwrite")[0] == 0
        settle(*arguments)

    monkeypatch.setattr(record, "settle", after_another)
    go("--only_mask", "--on_existing=overwrite")
    status, _, err = go("--only_mask")
    assert status == 2 and "putalpha was true" in err


def test_what_happens_to_the_record_changes_nothing_of_the_run(
    go: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise TimeoutError("no answer")

    go()
    monkeypatch.setattr(record, "settle", fail)
    status, out, err = go("--only_mask", "--on_existing=overwrite")
    assert status == 0 and out.startswith("7 written") and "stays as it is: no answer" in err


def test_an_older_manifest_does_not_end_the_run_that_wrote_the_record(
    go: Any, tmp_path: Path, photos: Path
) -> None:
    bad = ["--input", str(photos / "text.jpg")]
    go(inputs=bad)
    assert go("--only_mask", inputs=bad)[0] == 1
    newest = max((tmp_path / "out/_manifest").glob("run=*"))
    shutil.rmtree(newest)
    assert go()[0] == 2


def test_relative_paths_of_lists_are_those_of_the_folder_they_were_given_in(
    go: Any, tmp_path: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "list").write_text("a.jpg")
    inputs = ["--input_list", str(tmp_path / "list")]
    monkeypatch.chdir(photos)
    assert go(inputs=inputs)[1].startswith("1 written")
    (row,) = latest(tmp_path / "out")
    assert (row["uri"], row["name"]) == (str(photos / "a.jpg"), "a.jpg")
    other = tmp_path / "other"
    other.mkdir()
    (other / "a.jpg").write_bytes((photos / "a.jpg").read_bytes())
    monkeypatch.chdir(other)
    assert go(inputs=inputs)[1].startswith("0 written, 0 skipped, 1 failed")
    (tmp_path / "list").write_text(json.dumps({"uri": str(photos / "a.jpg"), "name": "a.jpg"}))
    assert go(inputs=inputs)[1].startswith("0 written, 1 skipped")


def test_retry_failed_takes_what_an_output_was_last_to_be_made_of(
    go: Any, tmp_path: Path, photos: Path
) -> None:
    moved = tmp_path / "moved"
    moved.mkdir()
    for folder in (photos, moved):
        shutil.copyfile(photos / "text.jpg", folder / "c.jpg")
        assert "1 failed" in go(inputs=["--input", str(folder / "c.jpg")])[1]
    shutil.copyfile(photos / "a.jpg", moved / "c.jpg")
    assert go("--retry_failed", inputs=[])[1].startswith("1 written, 0 skipped, 0 failed")
    assert "nothing to retry" in go("--retry_failed", inputs=[])[1]


def test_what_had_an_empty_mask_is_not_done_by_an_older_output(
    go: Any, tmp_path: Path, photos: Path
) -> None:
    one = ["--input", str(photos / "a.jpg")]
    assert go(inputs=one)[1].startswith("1 written")
    empty = ["--empty_mask", "skip", "--empty_mask_peak", "1"]
    assert go(*empty, "--on_existing=overwrite", inputs=one)[1].startswith("0 written, 1 skipped")
    assert go(*empty, inputs=one)[1].startswith("0 written, 1 skipped")
    (row,) = latest(tmp_path / "out")
    assert row["outputs"] == [] and "found nothing" in row["message"]


def row_of(run: str, **columns: Any) -> Dict[str, Any]:
    given = {"run": run, "at": None, "uri": "u", "name": "a.jpg", "status": "written"}
    return {**given, "outputs": ["o"], "extras": "{}", "bytes_out": 1, **columns}


def test_of_many_runs_the_last_of_each_kind_is_kept() -> None:
    columns: List[Dict[str, Any]] = [
        {"status": "written"},
        {"status": "skipped"},
        {"status": "failed", "outputs": [], "error": "BrokenPicture", "bytes_out": None},
        {"status": "skipped", "outputs": [], "bytes_out": None},
        {"status": "written", "bytes_out": 2},
    ]
    told = [
        each
        for number in range(20)
        for _, each in earlier.keyed_row(row_of(f"{number:02}", **columns[number % 5]))
    ]
    random.Random(0).shuffle(told)
    some, others = existing.last_of_each_kind(told[:9]), existing.last_of_each_kind(told[9:])
    kept = existing.last_of_each_kind([some, others])
    assert sorted(each.run_id for each in kept) == ["15", "16", "17", "18", "19"]


def test_fail_mode_refuses_whatever_is_there(go: Any, tmp_path: Path, photos: Path) -> None:
    go()
    (tmp_path / "out/a.jpg.png").write_bytes(b"")
    one = ["--input", str(photos / "sub/b.JPEG"), "--relative_to", str(photos)]
    go("--only_mask", "--on_existing=overwrite", inputs=one)
    go("--only_mask", "--on_existing=fail")
    steps = {row["name"]: (row["step"], row["error"]) for row in latest(tmp_path / "out")}
    assert steps["a.jpg"] == steps["sub/b.JPEG"] == ("find", "OutputExists")


def test_lines_and_pictures_without_a_name_are_not_retried(
    go: Any, tmp_path: Path, photos: Path
) -> None:
    (tmp_path / "list").write_bytes(b"\xff.jpg\n" + str(tmp_path / "x.jpg").encode())
    inputs = ["--input_list", str(tmp_path / "list"), "--relative_to", str(photos)]
    assert go(inputs=inputs)[1].startswith("0 written, 0 skipped, 2 failed")
    assert {row["error"] for row in latest(tmp_path / "out")} >= {"BadLine"}
    assert "nothing to retry" in go("--retry_failed", inputs=[])[1]


def test_retry_failed_leaves_what_would_fail_again(go: Any, tmp_path: Path, photos: Path) -> None:
    status, _, err = go("--retry_failed", inputs=[])
    assert status == 2 and "no manifest of an earlier run" in err
    assert not (tmp_path / "out").exists()
    pictures = [str(photos / "a.jpg"), str(photos / "sub/b.JPEG")]
    lines = [json.dumps({"uri": uri, "name": "same"}) for uri in pictures]
    (tmp_path / "list").write_text("\n".join(lines))
    assert "2 failed" in go(inputs=["--input_list", str(tmp_path / "list")])[1]
    assert "nothing to retry" in go("--retry_failed", inputs=[])[1]


def test_a_picture_named_often_is_one_row_that_says_how_often(
    go: Any, tmp_path: Path, photos: Path
) -> None:
    (tmp_path / "list").write_text(f"{photos}/a.jpg\n" * 3)
    go(inputs=["--input_list", str(tmp_path / "list"), "--relative_to", str(photos)])
    (row,) = rows(tmp_path / "out")
    assert row["duplicates"] == 2


def test_the_row_of_a_written_picture_says_what_it_took(go: Any, tmp_path: Path) -> None:
    go("--putalpha", inputs=None)
    for row in rows(tmp_path / "out"):
        if row["status"] == "written":
            assert row["bytes_out"] == sum(os.path.getsize(path) for path in row["outputs"])
            assert (row["read_attempts"], row["write_attempts"]) == (1, 1)
            assert json.loads(row["options"]) == {"putalpha": True}
            assert row["model_checksum"].startswith("sha256:")
            assert row["remove_msecs"] > 0
            times = {name: row[name] for name in row if name.endswith("_msecs")}
            assert len(times) == 9 and min(times.values()) >= 0, times
            parts = ("memory_waited_msecs", "model_waited_msecs", "model_msecs")
            assert row["model_msecs"] > 0
            assert sum(row[name] for name in parts) <= row["remove_msecs"] + 2
        else:
            assert row["bytes_in"] is not None and row["bytes_out"] is None
        assert row["bytes_in"] == os.path.getsize(row["uri"])


@pytest.mark.parametrize(
    ("flags", "error"), [(["--max_bytes", "300"], "TooLarge"), (["--max_pixels", "9"], "TooMany")]
)
def test_caps(go: Any, tmp_path: Path, flags: List[str], error: str) -> None:
    status, out, _ = go(*flags)
    assert status == 1 and f"{flags[0][2:]}={flags[1]}" in out
    assert any(row["error"].startswith(error) for row in rows(tmp_path / "out") if row["error"])


def test_clothes_that_are_done_in_part_are_done_again(
    rembg_home: Path, photos: Path, tmp_path: Path, capfd: Any, tree: Any
) -> None:
    flags = ["run", "--model", catalogue.CLOTH, "--offline", "--input", str(photos / "a.jpg")]
    flags += ["--output", str(tmp_path / "out")]
    assert cli.main(flags) == 0
    whole = tree(tmp_path / "out")
    assert len(whole) == 3
    capfd.readouterr()
    assert cli.main(flags) == 0
    assert capfd.readouterr().out.startswith("0 written, 1 skipped")
    (tmp_path / "out" / whole[1]).unlink()
    assert cli.main(flags) == 0
    assert capfd.readouterr().out.startswith("1 written, 0 skipped")
    assert tree(tmp_path / "out") == whole


# killed

KILLS = 20
PICTURES = 300


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("many")
    for number in range(PICTURES):
        data = kinds.saved(kinds.rgb(64, 48, number), "JPEG")
        (folder / f"{number % 7}").mkdir(exist_ok=True)
        (folder / f"{number % 7}/{number}.jpg").write_bytes(b"bad" if number % 50 == 9 else data)
    return folder


def start(many: Path, output: Path, *flags: str) -> "subprocess.Popen[str]":
    arguments = ["run", "--model", "tiny", "--input", str(many), "--output", str(output), *flags]
    return subprocess.Popen(
        [sys.executable, "-m", "rembg_beam.pipelines", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE if flags else subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )


def contents(output: Path) -> Dict[str, bytes]:
    """The cutouts; all else that lies there must be the project's own, and whole."""
    found = {}
    for path in output.rglob("*"):
        name = str(path.relative_to(output))
        is_told = name.startswith(layout.MANIFEST) or name == "metadata.parquet"
        if path.is_file() and not is_told:
            assert uris.TEMPORARY not in name
            found[name] = path.read_bytes()
    return found


def results(output: Path) -> Set[Tuple[str, Tuple[str, ...]]]:
    names = [
        (row["uri"], tuple(os.path.relpath(o, output) for o in row["outputs"]))
        for row in latest(output)
    ]
    assert len(names) == len(set(names)) == PICTURES
    return set(names)


def pngs(output: Path) -> int:
    """How many there are, in folders that come and go."""
    return sum(name.endswith(".png") for _, _, names in os.walk(output) for name in names)


def killed_again_and_again(many: Path, output: Path, seed: int, took: float, times: int) -> int:
    """Starts so many runs, kills each at a moment by chance, and lets a last one end."""
    chance = random.Random(seed)
    kills = 0
    for _ in range(times):
        before = pngs(output)
        process = start(many, output)
        # Mostly in the middle of the work, now and then while it starts.
        while chance.random() < 0.99 and process.poll() is None:
            if pngs(output) > before:
                break
            time.sleep(0.02)
        time.sleep(chance.uniform(0, took / KILLS / 2))
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            kills += 1
        process.wait()
    assert start(many, output).wait() == 0
    return kills


@pytest.mark.long
def test_killed_at_many_moments_and_started_again(many: Path, tmp_path: Path) -> None:
    begin = time.monotonic()
    assert start(many, tmp_path / "calm").wait() == 0
    took = time.monotonic() - begin
    outputs = [tmp_path / "killed-0", tmp_path / "killed-1"]
    with ThreadPoolExecutor() as pool:
        common = [many] * 2, outputs, (0, 1), [took] * 2, [KILLS // 2] * 2
        kills = pool.map(killed_again_and_again, *common)
    assert sum(kills) >= KILLS // 2
    for output in outputs:
        assert contents(output) == contents(tmp_path / "calm")
        assert results(output) == results(tmp_path / "calm")


def kill_a_worker(process: "subprocess.Popen[str]", output: Path) -> None:
    """Once it has begun to write."""
    while process.poll() is None:
        workers = [
            child
            for child in psutil.Process(process.pid).children(recursive=True)
            if "sdk_worker" in " ".join(child.cmdline()) and child.name() != "sh"
        ]
        if workers and pngs(output) > 20:
            workers[-1].kill()
            return
        time.sleep(0.05)
    raise AssertionError("it ended before a worker could be killed")


WORKERS = ("--direct_running_mode=multi_processing", "--direct_num_workers=2")


@pytest.mark.long
def test_a_worker_process_that_is_killed_is_replaced(many: Path, tmp_path: Path) -> None:
    process = start(many, tmp_path / "out", *WORKERS)
    kill_a_worker(process, tmp_path / "out")
    out, err = process.communicate(timeout=240)
    assert process.returncode == 0, err
    assert err.count("ended by signal 9 (killed); new ones go on") == 1 and "Traceback" not in err
    assert f"{len(range(9, PICTURES, 50))} failed" in out
    assert len(contents(tmp_path / "out")) == PICTURES - len(range(9, PICTURES, 50))
    results(tmp_path / "out")


@pytest.mark.long
def test_a_run_that_can_not_go_on_tells_what_is_known(many: Path, tmp_path: Path) -> None:
    process = start(many, tmp_path / "out", *WORKERS, "--on_existing=fail")
    kill_a_worker(process, tmp_path / "out")
    begin = time.monotonic()
    out, err = process.communicate(timeout=240)
    assert time.monotonic() - begin < 10
    assert process.returncode == 1 and "Traceback" not in err
    assert "the run failed: a worker process was ended by signal 9" in err
    found = contents(tmp_path / "out")
    assert out == f"until then: {len(found)} files written, without rows; {GOES_ON}\n"
    assert set(os.listdir(tmp_path / "out")) <= {"_manifest", *map(str, range(7))}


GOES_ON = "the same command with --on_existing skip goes on from here"
