"""A whole job in a pipeline of a user's own."""

import collections
import json
import re
import shutil
from pathlib import Path
from typing import Any, Dict, Iterator, List

import apache_beam as beam
import pyarrow.dataset
import pytest

from rembg_beam.pipelines import cli, runners
from rembg_beam.transforms import (
    Encoding,
    RemoveBackground,
    RemoveBackgrounds,
    RemoveOptions,
    SessionConfig,
    Source,
    naming,
)
from rembg_beam.transforms.folder import existing, record, summary
from rembg_beam.transforms.sources import readers


@pytest.fixture(
    autouse=True, params=["locally", pytest.param("by shuffle", marks=pytest.mark.long)]
)
def joined(request: pytest.FixtureRequest) -> Iterator[None]:
    """How names, files and rows are brought together, by jobs here and by the command."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runners, "is_one_process", lambda *_: request.param == "locally")
        patch.setitem(_more, "local_join", request.param == "locally")
        yield


_more: Dict[str, Any] = {}


def job(output: Path, **more: Any) -> RemoveBackgrounds:
    more = {**_more, **more}
    names = ("relative_to", "overwrite", "options", "encoding")
    own = {name: more.pop(name) for name in names if name in more}
    return RemoveBackgrounds(
        remove=RemoveBackground(output=str(output), session=SessionConfig("tiny"), **own), **more
    )


def rows(output: Path, run_id: str) -> List[Dict[str, Any]]:
    data = pyarrow.dataset.dataset(output / "_manifest", partitioning="hive")
    return [row for row in data.to_table().to_pylist() if row["run"] == run_id]


def statuses(output: Path, run_id: str) -> Dict[str, str]:
    return {Path(row["uri"]).name: row["status"] for row in rows(output, run_id)}


def do(made: RemoveBackgrounds, pictures: Any = None) -> None:
    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        start = pipeline if pictures is None else pipeline | beam.Create(pictures)
        _ = start | made


def test_it_finds_pictures_and_goes_on_where_it_stopped(
    photos: Path, tmp_path: Path, tree: Any
) -> None:
    output = tmp_path / "out"
    listed = tmp_path / "list.txt"
    listed.write_text(json.dumps({"uri": str(photos / "a.jpg"), "name": "sub/b.JPEG"}) + "\n{\n")
    named = {"input": [f"{photos}/*.jpg", f"{photos}/sub"], "input_list": [str(listed)]}
    do(job(output, **named, run_id="r1"))
    found = rows(output, "r1")
    assert {row["name"]: row["error"] for row in found if row["step"] == "find"} == {
        None: "BadLine"
    }
    assert sum(row["status"] == "written" for row in found) == 6
    done = summary.read(str(output), "r1")
    assert done.counts == {"written": 6, "skipped": 0, "failed": 4}
    assert done.providers == {"CPUExecutionProvider": summary.OnProvider(pictures=6)}
    names = ["a.jpg", "b.JPEG", "c[1].jpg", "cmyk.jpg", "sub/b.JPEG", "turned.jpg"]
    assert tree(output) == [f"{name}.png" for name in names]
    (output / "a.jpg.png").unlink()
    do(job(output, **named, run_id="r2"))
    again = {row["name"]: row["status"] for row in rows(output, "r2")}
    assert [name for name, status in again.items() if status == "written"] == ["a.jpg"]
    assert sum(status == "skipped" for status in again.values()) == 5
    assert again["text.jpg"] == "failed"


def test_several_inputs_and_lists_are_spread_over_workers(tmp_path: Path) -> None:
    """One alone needs no shuffle."""
    for number, labels in [(1, []), (2, ["Inputs", "Lists"])]:
        pipeline = beam.Pipeline()
        names = [str(tmp_path / str(each)) for each in range(number)]
        _ = pipeline | job(tmp_path / "out", input=names, input_list=names, local_join=False)
        graph = pipeline.to_runner_api().components.transforms.values()
        whole = "/MaybeReshuffle/Reshuffle"
        spread = [each.unique_name for each in graph if each.unique_name.endswith(whole)]
        assert sorted(name.split("/")[1] for name in spread) == labels


class Tables:
    """A reader of lists: `name,file` in each line, and no heading."""

    def check(self, uri: str) -> None:
        assert uri.endswith(".csv")

    def lines(self, uri: str, web_options: Any = None) -> Iterator[bytes]:
        for line in Path(uri).read_text().splitlines():
            name, file = line.split(",")
            yield json.dumps({"uri": file, "name": name}).encode()


def test_a_reader_of_lists_is_one_row(
    photos: Path, tmp_path: Path, tree: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(readers.READERS, ".csv", Tables())
    (tmp_path / "list.csv").write_text(f"one,{photos}/a.jpg\ntwo,{photos}/a.png\n")
    output = tmp_path / "out"
    arguments = ["--input_list", str(tmp_path / "list.csv"), "--output", str(output)]
    assert cli.main(["run", *arguments, "--model", "tiny"]) == 0
    assert tree(output) == ["one.png", "two.png"]


def test_a_collection_of_pictures_names_distinctly(photos: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    sources = [
        str(photos / "a.jpg"),
        f"{photos}/sub/../a.jpg",
        Source(str(photos / "a.png"), "same"),
        Source(str(photos / "cmyk.jpg"), "same"),
        "/elsewhere/b.jpg",
    ]
    do(job(output, relative_to=str(photos), run_id="r1"), sources)
    found = rows(output, "r1")
    assert sorted(
        (row["name"], row["error"], row["duplicates"]) for row in found if row["name"]
    ) == [
        ("a.jpg", None, 1),
        ("same", "NameClash", 0),
        ("same", "NameClash", 0),
    ]
    assert [row["error"] for row in found if not row["name"]] == ["ValueError"]
    (photos / "sub" / "b.JPEG").rename(photos / "b.jpg")
    do(job(output, relative_to=str(photos), run_id="r2"), [*sources[:1], str(photos / "b.jpg")])
    assert statuses(output, "r2") == {"a.jpg": "skipped", "b.jpg": "written"}


def test_what_comes_out_are_the_rows(photos: Path, tmp_path: Path) -> None:
    output, listed = tmp_path / "out", tmp_path / "list.txt"
    listed.write_text(f"{photos}/a.jpg\n{photos}/text.jpg\n{{\n{photos}/a.png\n")
    for run_id in ("r1", "r2"):
        made = job(output, input_list=[str(listed)], run_id=run_id)
        with beam.Pipeline(runner="FnApiRunner") as pipeline:
            lines = pipeline | made | beam.Map(lambda outcome: f"{outcome.uri} {outcome.status}")
            _ = lines | beam.io.WriteToText(str(tmp_path / run_id), shard_name_template="")
        told = sorted((tmp_path / run_id).read_text().splitlines())
        assert told == sorted(f"{row['uri']} {row['status']}" for row in rows(output, run_id))
        assert len(told) == 4


def test_those_that_failed_are_tried_again(photos: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    do(job(output, input=[str(photos)], run_id="r1"))
    (photos / "text.jpg").write_bytes((photos / "a.jpg").read_bytes())
    do(job(output, retry_failed=True, run_id="r2"))
    assert statuses(output, "r2") == {
        "text.jpg": "written",
        "empty.jpg": "failed",
        "truncated.jpg": "failed",
    }


def test_on_existing(photos: Path, tmp_path: Path) -> None:
    output, picture = tmp_path / "out", [str(photos / "a.jpg")]
    for run_id, on_existing, status in (
        ("r1", "fail", "written"),
        ("r2", "fail", "failed"),
        ("r3", "skip", "skipped"),
        ("r4", "overwrite", "written"),
    ):
        do(job(output, input=picture, on_existing=on_existing, run_id=run_id))
        assert statuses(output, run_id) == {"a.jpg": status}
    do(job(output, input=picture, since=4e9, run_id="r5"))
    assert statuses(output, "r5") == {"a.jpg": "written"}, "what is there is older"


WEBP = Encoding(format="webp")
OTHER = 'was made with other settings: format was null and is "webp"'


def test_a_folder_of_other_settings_is_refused(photos: Path, tmp_path: Path) -> None:
    """As the command does it: their records are one."""
    output, picture = tmp_path / "out", [str(photos / "a.jpg")]
    job(output, input=picture, encoding=WEBP, run_id="r0")  # leaves nothing, as it isn't run
    do(job(output, input=picture, run_id="r1"))
    with pytest.raises(record.OtherSettings, match=OTHER):
        beam.Pipeline() | job(output, input=picture, encoding=WEBP)
    words = ["run", "--input", picture[0], "--output", str(output), "--model", "tiny"]
    assert cli.main([*words, "--format", "webp"]) == 2
    do(job(output, input=picture, encoding=WEBP, compare_settings=False, run_id="r2"))
    do(job(output, input=picture, run_id="r3"))
    assert statuses(output, "r2") == {"a.jpg": "written"}
    assert statuses(output, "r3") == {"a.jpg": "skipped"}


def test_a_job_that_is_built_before_the_folder_is_refused_when_it_runs(
    photos: Path, tmp_path: Path
) -> None:
    output, picture = tmp_path / "out", [str(photos / "a.jpg")]
    pipeline = beam.Pipeline(runner="FnApiRunner")
    _ = pipeline | job(output, input=picture, encoding=WEBP)
    do(job(output, input=picture))
    with pytest.raises(record.OtherSettings, match=OTHER):
        pipeline.run()
    assert not list(output.glob("*.webp"))


def test_a_record_that_cant_be_read_fails_the_run_alone(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "out/_manifest/_settings.json").mkdir(parents=True)
    pipeline = beam.Pipeline(runner="FnApiRunner")
    _ = pipeline | job(tmp_path / "out", input=[str(photos / "a.jpg")])
    with pytest.raises(RuntimeError, match=r"_settings\.json"):
        pipeline.run()


@pytest.mark.long
def test_replaced_settings_are_written_down_before_any_output(photos: Path, tmp_path: Path) -> None:
    output, pictures = tmp_path / "out", [str(photos / name) for name in ("a.jpg", "cmyk.jpg")]
    opaque = RemoveOptions(bgcolor=(1, 2, 3, 255))
    do(job(output, input=pictures, run_id="r1"))
    do(job(output, input=pictures[:1], options=opaque, on_existing="overwrite", run_id="r2"))
    do(job(output, input=pictures, options=opaque, run_id="r3"))
    assert statuses(output, "r2") == {"a.jpg": "written"}
    assert statuses(output, "r3") == {"a.jpg": "skipped", "cmyk.jpg": "written"}


def test_no_step_asks_what_an_earlier_one_knew(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The output's name is derived once for each picture, the composite built once for each run.

    But for the metadata, which is made of the rows of all runs.
    """
    calls: collections.Counter[str] = collections.Counter()

    def counted(owner: Any, name: str) -> None:
        function = getattr(owner, name)

        def call(*arguments: Any, **more: Any) -> Any:
            calls[name] += 1
            return function(*arguments, **more)

        monkeypatch.setattr(owner, name, call)

    counted(naming, "output_name")
    counted(RemoveBackground, "__post_init__")
    arguments = ["--input", str(photos / "sub"), "--output", str(tmp_path / "out")]
    assert cli.main(["run", *arguments, "--model", "tiny", "--metadata", "none"]) == 0
    assert calls == {"output_name": 2, "__post_init__": 1}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"input": "photos"}, "input='photos' must be a list"),
        ({"on_existing": "ask"}, "on_existing='ask' must be one of skip, overwrite, fail"),
        ({"input": ["photos"], "retry_failed": True}, "retry_failed takes its pictures from"),
    ],
)
def test_jobs_that_make_no_sense(tmp_path: Path, arguments: Dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        job(tmp_path, **arguments)


def test_pictures_come_from_one_side(tmp_path: Path) -> None:
    message = "apply RemoveBackgrounds to a PCollection of pictures"
    with pytest.raises(ValueError, match=message):
        do(job(tmp_path))
    with pytest.raises(ValueError, match=message):
        do(job(tmp_path, input=["photos"]), ["a.jpg"])


def test_the_examples_of_the_docs_run(
    root: Path, tmp_path: Path, tree: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(root / "examples", tmp_path / "examples")
    monkeypatch.chdir(tmp_path)
    text = (root / "docs" / "jobs.md").read_text()
    names: Dict[str, Any] = {}
    for example in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        exec(compile(example, "jobs.md", "exec"), names)
    photos = ["animals/chelsea.png", "astronaut.jpg", "coffee.jpg", "rocket.jpg", "toys/1"]
    assert tree("cutouts") == [f"{photo}.png" for photo in photos]


_looked: List[str] = []
_real_outputs = existing.outputs


def _outputs(output: str, *arguments: Any) -> Any:
    _looked.append(output)
    return _real_outputs(output, *arguments)


def test_a_new_folder_is_not_joined_with_what_is_done(
    root: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a folder of this machine the command knows it; a second run looks."""
    _looked.clear()
    monkeypatch.setattr(existing, "outputs", _outputs)
    places = ["--input", str(root / "examples"), "--output", str(tmp_path / "out")]
    words = ["run", *places, "--model", "tiny", "--max_failures", "100%"]
    assert cli.main(words) == 0 and not _looked
    assert cli.main([*words, "--on_existing", "fail"]) == 0 and len(_looked) == 1
    assert cli.main(words) == 0 and len(_looked) == 2
    assert re.findall(r"^\d+ written, .* failed", capfd.readouterr().out, re.MULTILINE) == [
        "4 written, 0 skipped, 0 failed",
        "0 written, 0 skipped, 4 failed",
        "0 written, 4 skipped, 0 failed",
    ]
