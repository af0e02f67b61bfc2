"""A dry run says what a run then does, and leaves nothing behind."""

import json
import os
import re
import tarfile
from pathlib import Path
from typing import Any, Callable, Dict, List, Tuple

import pytest
from support.stdio import stdin

from rembg_beam.pipelines import cli
from rembg_beam.transforms.models import sessions

Run = Callable[..., Tuple[int, str, str]]


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """Runs the command into a folder; its status and both streams."""

    def run(*arguments: object, output: object = tmp_path / "out") -> Tuple[int, str, str]:
        capfd.readouterr()
        given = [str(argument) for argument in arguments]
        status = cli.main(["run", *given, "--output", str(output), "--model", "tiny"])
        return (status, *capfd.readouterr())

    return run


@pytest.fixture
def dry(run: Run, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A dry run, of which one that loads a model fails."""

    def dry(*arguments: object, **more: object) -> Tuple[int, str, str]:
        with monkeypatch.context() as patch:
            patch.setattr(sessions, "acquire", None)
            return run("--dry-run", *arguments, **more)

    return dry


def listed(out: str) -> Dict[str, List[str]]:
    """The outputs of each picture that is listed."""
    pairs = re.findall(r"^(.*) -> (.*)$", out, re.MULTILINE)
    return {uri: outputs.split(", ") for uri, outputs in pairs}


def test_it_lists_what_a_run_then_writes(
    run: Run, dry: Run, photos: Path, tmp_path: Path, tree: Any, not_pictures: Any
) -> None:
    out, more = tmp_path / "out", ("--outputs", "cutout,mask", "--format", "webp")
    status, said, _ = dry("--input", photos, *more)
    assert status == 0 and not out.exists()
    assert "10 to do (8 .jpg, 1 .png, 1 .jpeg); 0 done already; 0 would fail\n" in said
    found = listed(said)
    assert len(found) == 10
    assert run("--input", photos, *more)[0] == 0
    written = {str(out / name) for name in tree(out)}
    fail = {str(photos / name) for name in not_pictures}
    assert {o for uri, outputs in found.items() if uri not in fail for o in outputs} == written
    status, said, _ = dry("--input", photos, *more)
    assert status == 0 and set(listed(said)) == fail
    assert "3 to do (3 .jpg); 7 done already; 0 would fail\n" in said
    status, _, err = dry("--input", photos)
    assert status == 2 and "was made with other settings: format was " in err


def test_it_says_which_shards_and_keys(run: Run, dry: Run, photos: Path, tmp_path: Path) -> None:
    shards = ("--output_format", "webdataset", "--samples_per_shard", 4)
    status, said, _ = dry("--input", photos, *shards)
    assert status == 0 and "shards to be made: 3, 00000.tar to 00002.tar\n" in said
    told = [outputs[0].split(" as ") for outputs in listed(said).values()]
    assert run("--input", photos, *shards)[0] == 0
    made = set()
    for path in (tmp_path / "out").glob("*.tar"):
        with tarfile.open(path) as archive:
            made |= {(str(path), name.split(".")[0]) for name in archive.getnames()}
    assert made < set(map(tuple, told)) and len(told) == len(made) + 3
    status, said, _ = dry("--input", photos, *shards)  # those that failed are settled
    assert "0 to do; 7 done already; 3 would fail (" in said and "to be made" not in said


def test_lists_repetitions_and_what_would_fail(dry: Run, photos: Path, tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text("uri,sku\nphotos/a.png,7\n", "utf-8")
    lines = [photos / "a.jpg", photos / "a.jpg", json.dumps({"uri": "x.jpg", "name": "a"}), "{"]
    lines += [json.dumps({"uri": "y.jpg", "name": "a"})]
    with stdin("\n".join(map(str, lines)).encode()):
        status, said, _ = dry("--input_list", "-", "--input", tmp_path / "table.csv")
    assert status == 0
    assert "2 to do (1 .png, 1 .jpg); 0 done already; 3 would fail (2 NameClash, 1 BadLine)" in said
    assert "named more than once: 1 times, done once\n" in said
    assert "would fail: { (BadLine): -, line 4: not a JSON object" in said
    assert re.search(
        r"would fail: .*/x.jpg \(NameClash\): '.*/y.jpg' would be written to 'a' ", said
    )
    assert not (tmp_path / "out").exists()


def test_of_many_the_first_are_listed(dry: Run, photos: Path) -> None:
    _, said, _ = dry(2, "--input", photos)
    assert len(listed(said)) == 2 and "\n... and 8 more\n" in said
    status, _, err = dry(-2, "--input", photos)
    assert status == 2 and "--dry_run -2: it must be 0 or more" in err


def test_what_a_run_refuses(dry: Run, photos: Path, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    status, _, err = dry("--input", photos, output=file / "out")
    assert (
        status == 2 and f"--output '{file}/out' can't be written to: '{file}' is no folder" in err
    )
    query = "bq://SELECT uri FROM t"
    status, _, err = dry("--input", query)
    assert status == 2 and f"--input {query!r}: BigQuery is read by a job, and nothing is" in err
    assert "leave out --dry_run, or export some rows to a Parquet file" in err
    twice = [json.dumps({"uri": uri, "name": "a"}) for uri in ("x.jpg", "y.jpg")]
    (tmp_path / "list.txt").write_text("\n".join(twice))
    status, _, err = dry("--input_list", tmp_path / "list.txt")
    assert status == 1 and "the run would fail: nothing was written or found done" in err
    status, _, err = dry("--input", photos, "--input_list", tmp_path / "list.txt")
    assert status == 0, err
    more = ("--max_failures", 1)
    status, _, err = dry("--input", photos, "--input_list", tmp_path / "list.txt", *more)
    assert status == 1 and "2 of 12 failed, more than --max_failures 1 allows" in err


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_can_not_be_written_to(dry: Run, photos: Path, tmp_path: Path) -> None:
    (tmp_path / "shut").mkdir(mode=0o500)
    status, _, err = dry("--input", photos, output=tmp_path / "shut" / "out")
    assert status == 2 and "can't be written to: [Errno 13] this user may not" in err


def test_folders_that_may_be_filled_yet(dry: Run, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    watched = ("--watch", "1m", "--runner", "PrismRunner", "--input", tmp_path / "empty")
    status, said, err = dry(*watched)
    assert status == 0 and said.startswith("0 to do; 0 done already; 0 would fail\n"), err
    status, said, err = dry("--retry_failed", output=tmp_path / "none")
    assert status == 2 and "has no manifest of an earlier run" in err
