"""Whole runs over tables: rows that come back, failures that name a line, retries."""

import gzip
import json
import os
import shutil
from pathlib import Path
from typing import Any, Dict, List

import apache_beam as beam
import pyarrow.dataset
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.testing.util import assert_that, equal_to
from support import gs

from rembg_beam.pipelines import cli, runners
from rembg_beam.transforms import Columns, ReadSources, RemoveBackground, RemoveBackgrounds
from rembg_beam.transforms.sources import patterns


@pytest.fixture(params=["locally", pytest.param("by shuffle", marks=pytest.mark.long)])
def joined(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """How tables are read, and names, files and rows brought together."""
    monkeypatch.setattr(runners, "is_one_process", lambda *_: request.param == "locally")


def run(*arguments: object) -> int:
    return cli.main(["run", "--model", "tiny", *map(str, arguments)])


def last_rows(output: Path) -> List[Dict[str, Any]]:
    latest = max((output / "_manifest").glob("run=*"))
    return pyarrow.dataset.dataset(latest).to_table().to_pylist()


def statuses(output: Path) -> Dict[str, str]:
    return {row["name"]: row["status"] for row in last_rows(output) if row["name"]}


@pytest.fixture
def data(photos: Path, tmp_path: Path) -> Path:
    """Two folders of pictures, each with its table, as Hugging Face's ImageFolder has them."""
    data = tmp_path / "data"
    for split, picture in (("train", "a.jpg"), ("test", "a.png")):
        (data / split).mkdir(parents=True)
        shutil.copy(photos / picture, data / split / "1.jpg")
        (data / split / "metadata.csv").write_text(
            f"file_name,caption\n1.jpg,{split}\n2.jpg,absent\n,nothing\n"
        )
    return data


@pytest.mark.usefixtures("joined")
def test_tables_of_a_glob(data: Path, tmp_path: Path, tree: Any) -> None:
    output = tmp_path / "out"
    arguments = ("--input", data / "*/metadata.csv", "--output", output)
    assert run(*arguments) == 0
    assert tree(output) == ["test/1.jpg.png", "train/1.jpg.png"]
    found = last_rows(output)
    assert sorted(
        (row["name"], row["status"], row["metadata"]) for row in found if row["name"]
    ) == [
        ("test/1.jpg", "written", '{"caption": "test"}'),
        ("test/2.jpg", "failed", '{"caption": "absent"}'),
        ("train/1.jpg", "written", '{"caption": "train"}'),
        ("train/2.jpg", "failed", '{"caption": "absent"}'),
    ]
    bad = [
        (row["uri"], row["step"], row["error"], row["message"]) for row in found if not row["name"]
    ]
    rule = "its `file_name` is '' and must be a URI or a path"
    assert sorted(bad) == [
        (",nothing", "find", "BadLine", f"{data}/{split}/metadata.csv, line 4: {rule}")
        for split in ("test", "train")
    ]
    assert run(*arguments) == 0
    assert statuses(output)["train/1.jpg"] == "skipped"
    shutil.copy(data / "test" / "1.jpg", data / "test" / "2.jpg")
    assert run("--retry_failed", "--output", output) == 0
    assert statuses(output) == {"test/2.jpg": "written", "train/2.jpg": "failed"}
    assert {row["metadata"] for row in last_rows(output)} == {'{"caption": "absent"}'}


@pytest.mark.usefixtures("joined")
def test_names_are_relative_to_a_folder_of_the_users(data: Path, tmp_path: Path, tree: Any) -> None:
    (data / "more.tsv").write_text(f"k\turl\tn\n1\t{data}/test/1.jpg\t\n2\ttrain/1.jpg\tx\n")
    columns = ("--uri_column", "URL", "--name_column", "n", "--relative_to", tmp_path)
    assert run("--input", data / "more.tsv", *columns, "--output", tmp_path / "out") == 0
    assert tree(tmp_path / "out") == ["data/test/1.jpg.png", "x.png"]
    tables = ("--input", data / "train/metadata.csv", "--output", tmp_path / "out2")
    assert run(*tables, "--relative_to", data / "test") == 1
    (row, *_) = [row for row in last_rows(tmp_path / "out2") if row["error"] == "ValueError"]
    assert "does not lie under relative_to" in row["message"]


@pytest.mark.usefixtures("joined")
def test_tables_beside_pictures_and_lists(photos: Path, tmp_path: Path, tree: Any) -> None:
    rows = f"""url,extras\n{photos}/a.jpg,\n{photos}/a.png,'{{"k": 1}}'\n""".replace('"', '""')
    (tmp_path / "t.csv").write_text(rows.replace("'", '"'))
    (tmp_path / "u.jsonl").write_text(json.dumps({"path": f"{photos}/c[1].jpg", "id": 7}) + "\n")
    (tmp_path / "list.jsonl").write_text(json.dumps({"uri": str(photos / "A.JPG")}) + "\n")
    output = tmp_path / "out"
    inputs = ("--input", photos / "sub", "--input", tmp_path / "u.jsonl")
    lists = ("--input_list", tmp_path / "list.jsonl", "--input_list", tmp_path / "t.csv")
    assert run(*inputs, *lists, "--output", output) == 0
    below = str(photos).lstrip("/")
    written = {f"{below}/{name}.png" for name in ("a.jpg", "c[1].jpg", "A.JPG")}
    assert {name for name in tree(output) if name.startswith(below)} == written
    (failed,) = [row for row in last_rows(output) if row["status"] == "failed"]
    assert failed["uri"] == f"{photos}/a.png" and failed["extras"] == '{"k": 1}'


@pytest.mark.usefixtures("joined")
def test_tables_of_a_store(
    emulator: gs.Emulator, proxy: gs.Proxy, encoded: Any, tmp_path: Path, tree: Any
) -> None:
    for number in range(3):
        emulator.put(f"gs://b/in/x/{number}.jpg", encoded("JPEG", width=40, height=30, seed=number))
    table = "path,n\nx/0.jpg,0\ngs://b/in/x/1.jpg,1\n".encode("utf-16")
    emulator.put("gs://b/in/table.tsv", table.replace(b",", b"\t"))
    emulator.put("gs://b/in/deep/t.jsonl", b'{"uri": "../x/2.jpg"}\n{"uri": "gone.jpg"}\n')
    inputs = ("--input", "gs://b/in/table.tsv", "--input", "gs://b/in/**/*.jsonl")
    assert run(*inputs, "--output", tmp_path) == 0
    assert tree(tmp_path) == ["b/in/x/1.jpg.png", "b/in/x/2.jpg.png", "x/0.jpg.png"]
    assert statuses(tmp_path)["deep/gone.jpg"] == "failed"


def test_read_sources_in_a_pipeline(data: Path, photos: Path) -> None:
    with beam.Pipeline() as pipeline:
        sources, failures = pipeline | ReadSources(
            input=[f"{data}/*/*.csv", f"{photos}/a.jpg"],
            columns=Columns(name_column="caption"),
        )
        named = {
            (f"{data}/train/1.jpg", "train"),
            (f"{data}/train/2.jpg", "absent"),
            (f"{data}/test/1.jpg", "test"),
            (f"{data}/test/2.jpg", "absent"),
            (f"{photos}/a.jpg", "a.jpg"),
        }
        bad = [f"{data}/{split}/metadata.csv, line 4" for split in ("train", "test")]
        names = sources | beam.Map(lambda source: (source.uri, source.name))
        where = failures | beam.Map(lambda failed: failed[1].message.partition(":")[0])
        assert_that(names, equal_to(named), "sources")
        assert_that(where, equal_to(bad), "failures")
    with pytest.raises(ValueError, match="no input: name pictures"):
        ReadSources()
    with pytest.raises(ValueError, match=r"input='a\.csv' must be a list of them"):
        ReadSources(input="a.csv")


@pytest.mark.usefixtures("joined")
def test_what_a_broken_table_lacks_is_one_failure(data: Path, tmp_path: Path, tree: Any) -> None:
    rows = [f"{data}/{split}/1.jpg,{os.urandom(49_999).hex()}" for split in ("test", "train")]
    whole = gzip.compress("\n".join(["url,k", *rows, *rows]).encode())
    (data / "z.csv.gz").write_bytes(whole[: len(whole) * 3 // 8])
    assert run("--input", data / "*.csv.gz", "--output", tmp_path / "out") == 0
    assert tree(tmp_path / "out") == [f"{data}/test/1.jpg.png".lstrip("/")]
    (failed,) = [row for row in last_rows(tmp_path / "out") if row["error"]]
    assert (failed["uri"], failed["error"], failed["step"]) == (
        f"{data}/z.csv.gz",
        "BadList",
        "find",
    )
    assert failed["message"].startswith(f"{data}/z.csv.gz: its suffix says gzip, and it can't be")


@pytest.mark.usefixtures("joined")
def test_a_table_of_a_glob_that_is_none_is_a_failure(data: Path, tmp_path: Path) -> None:
    (data / "z.csv").write_text("a,b\n1,2\n")
    output = str(tmp_path / "out")
    made = RemoveBackgrounds(
        input=[f"{data}/**/*.csv"],
        remove=RemoveBackground(output=output, session="tiny"),
        local_join=runners.is_one_process(runners.HERE, PipelineOptions()),
    )
    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        _ = pipeline | made
    found = {(row["name"], row["status"], row["error"]) for row in last_rows(Path(output))}
    assert {("test/1.jpg", "written", None), ("train/1.jpg", "written", None)} < found
    assert (None, "failed", "BadList") in found


def test_one_good_table_among_the_first_is_enough(data: Path, tmp_path: Path, capfd: Any) -> None:
    for name in ("0.csv", "1.csv"):
        (data / name).write_text("a,b\n1,2\n")
    (data / "2.csv").write_text("url,k\ntest/1.jpg,7\n")
    flags = ("--input", f"{data}/?.csv", "--output", tmp_path / "out")
    assert run(*flags) == 0
    assert "1 written, 0 skipped, 2 failed" in capfd.readouterr().out
    (data / "2.csv").write_text("a,b\n1,2\n")
    assert run("--input", f"{data}/?.csv", "--output", tmp_path / "other") == 2
    assert "none of its columns is called uri" in capfd.readouterr().err


@pytest.mark.long
@pytest.mark.usefixtures("joined")
def test_empty_tables_and_those_that_can_not_be_opened_are_rows(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (data / "0.csv").write_bytes(b"")
    (data / "1.csv").write_text("url,k\n")
    (data / "2.csv").symlink_to("nowhere.csv")
    for name in ("0.csv", "1.csv", "2.csv"):
        assert run("--input", data / name, "--output", tmp_path / "out") == 2
    assert f"--input '{data}/2.csv': " in capsys.readouterr().err
    assert run("--input", f"{data}/?.csv", "--output", tmp_path / "out") == 2
    (data / "3.csv").write_text("url,k\ntest/1.jpg,7\n")
    assert run("--input", f"{data}/?.csv", "--output", tmp_path / "out") == 0
    found = {row["uri"]: (row["status"], row["error"]) for row in last_rows(tmp_path / "out")}
    assert found == {
        f"{data}/0.csv": ("failed", "NamesNothing"),
        f"{data}/2.csv": ("failed", "FileNotFoundError"),
        f"{data}/test/1.jpg": ("written", None),
    }


@pytest.mark.parametrize("flag", ["--input", "--input_list"])
def test_a_table_is_checked_before_a_run(
    tmp_path: Path, flag: str, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "t.csv"
    table.write_text("link,price\na.jpg,7\n")
    assert run(flag, table, "--output", tmp_path / "out") == 2
    said = capsys.readouterr().err
    assert f"{flag} '{table}': none of its columns is called uri, url" in said
    assert "say by --uri_column which one" in said and "it has link, price" in said
    assert run(flag, table, "--uri_column", "lin", "--output", tmp_path / "out") == 2
    assert "it has no column 'lin' (--uri_column); did you mean 'link'?" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_folder_of_tables_says_how_to_name_them(data: Path) -> None:
    for picture in data.glob("*/*.jpg"):
        picture.unlink()
    with pytest.raises(patterns.NothingFound) as caught:
        patterns.check(str(data))
    assert str(caught.value).endswith(
        "holds no picture; it holds 2 tables or shards (2 .csv), which are read where they are "
        f"named, such as by '{data}/**/*.csv'"
    )
