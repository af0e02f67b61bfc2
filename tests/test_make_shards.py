"""A job whose outputs are shards: what lies in them, and what a second run makes of them."""

import contextlib
import hashlib
import io
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, Dict, Iterator, List

import apache_beam as beam
import datasets
import pyarrow.dataset
import pyarrow.parquet
import pytest
from apache_beam.testing.test_pipeline import TestPipeline
from apache_beam.testing.util import assert_that, equal_to
from support import gs, kinds, web

from rembg_beam.pipelines import cli, runners
from rembg_beam.transforms import (
    RemoveBackground,
    RemoveBackgrounds,
    Source,
    elements,
    make_shards,
)
from rembg_beam.transforms.folder import layout
from rembg_beam.transforms.outcomes import RunColumns, written
from rembg_beam.transforms.outputs import shards
from rembg_beam.transforms.outputs.columns import Types
from rembg_beam.transforms.outputs.options import DataSet
from rembg_beam.transforms.outputs.plan import Shard
from rembg_beam.transforms.outputs.samples import Fields, Sample
from rembg_beam.transforms.outputs.writers import ShardFiles
from rembg_beam.transforms.runtime import metrics
from rembg_beam.transforms.store import uris
from rembg_beam.transforms.store.members import TarMember

PICTURES = 12
EACH = 5


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """Twelve pictures, one of which is none, and two of one stem."""
    folder = tmp_path / "many"
    (folder / "sub").mkdir(parents=True)
    for number in range(PICTURES - 2):
        data = b"bad" if number == 6 else kinds.saved(kinds.rgb(64, 48, number), "JPEG")
        (folder / f"{number}.jpg").write_bytes(data)
    (folder / "3.png").write_bytes(kinds.saved(kinds.rgb(64, 48, 33), "PNG"))
    (folder / "sub/v1.2.JPEG").write_bytes(kinds.saved(kinds.rgb(32, 32, 44), "JPEG"))
    return folder


# Beam's shuffle gives the same plan, by `test_both_ways_make_the_same_bytes`.
@pytest.fixture(params=["locally", pytest.param("by shuffle", marks=pytest.mark.long)])
def go(many: Path, tmp_path: Path, capfd: Any, request: pytest.FixtureRequest) -> Iterator[Any]:
    """Runs the command; its stdout, or with `fails` its stderr."""

    def go(*flags: object, output: str = "out", inputs: Any = None, fails: int = 0) -> str:
        capfd.readouterr()
        metrics.tally.clear()
        given = ["--input", str(many)] if inputs is None else inputs
        own = ["--output_format", "webdataset", "--samples_per_shard", EACH]
        where = output if output.startswith("gs:") else str(tmp_path / output)
        arguments = ["run", "--model", "tiny", "--output", where, *given, *own, *flags]
        status = cli.main(list(map(str, arguments)))
        out, err = capfd.readouterr()
        assert status == fails, err
        return str(err if fails else out)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runners, "is_one_process", lambda *_: request.param == "locally")
        yield go


def files(output: Path) -> Dict[str, bytes]:
    """The shards; nothing else lies beside them but the project's own."""
    found = {path.name: path.read_bytes() for path in output.iterdir() if path.is_file()}
    found.pop("wids.json", None)
    found.pop(".huggingface.yaml", None)
    assert all(layout.is_shard(name) for name in found), found.keys()
    folders = {path.name for path in output.iterdir() if path.is_dir()}
    assert folders - {uris.TEMPORARY} == {"_manifest"}  # which a run that is refused leaves for now
    return found


def samples(output: Path) -> Dict[str, Dict[str, bytes]]:
    """Of all shards, the members by extension, by key; each key is there once."""
    found: Dict[str, Dict[str, bytes]] = {}
    for name in sorted(files(output)):
        before = set(found)
        with tarfile.open(output / name) as tar:
            for member in tar:
                key, _, extension = member.name.partition(".")
                assert key not in before and extension not in found.get(key, {})
                found.setdefault(key, {})[extension] = tar.extractfile(member).read()  # type: ignore
    return found


def rows(output: Path, latest: bool = True) -> List[Dict[str, Any]]:
    table = pyarrow.dataset.dataset(output / "_manifest", partitioning="hive").to_table()
    every = table.to_pylist()
    last = max(row["run"] for row in every)
    return [row for row in every if row["run"] == last or not latest]


def reads() -> int:
    return metrics.tally.snapshot().get("read_pictures", 0)


KEYS = ["0", "1", "2", "4", "5", "7", "8", "9", "sub/v1_2"]


def test_samples_and_rows_are_those_of_files(go: Any, many: Path, tmp_path: Path) -> None:
    out = go()
    assert out.startswith("11 written, 0 skipped, 1 failed") and reads() == PICTURES
    output = tmp_path / "out"
    assert sorted(files(output)) == ["00000.tar", "00001.tar", "00002.tar"]
    found = samples(output)
    both = [key for key in found if re.fullmatch("3-[0-9a-f]{8}", key)]
    assert sorted(found) == sorted([*KEYS, *both]) and len(both) == 2
    go("--output_format", "files", "--outputs", "cutout,mask", output="files")
    for sample in found.values():
        name = json.loads(sample.pop("json"))["name"]
        assert sorted(sample) == ["cutout.png", "mask.png"]
        for member, data in sample.items():
            assert data == (tmp_path / "files" / f"{name}.{member}").read_bytes()
    expected = {row["uri"]: row for row in rows(tmp_path / "files")}
    for row in rows(output):
        like = expected.pop(row["uri"])
        own = {"run", "outputs", "write_attempts", "worker"}
        own |= {name for name in row if name.endswith("_msecs")}
        assert {k: v for k, v in row.items() if k not in own} == {
            k: v for k, v in like.items() if k not in own
        }
        of_files = {k for k in own if like[k] is not None}
        of_files -= {"write_attempts", "write_waited_msecs"}
        assert {k for k in own if row[k] is not None} == of_files
        for uri in row["outputs"]:
            assert os.path.dirname(uri) == str(output) and os.path.exists(uri)
    assert not expected


def test_both_ways_make_the_same_bytes(many: Path, tmp_path: Path, capfd: Any) -> None:
    flags = ["run", "--model", "tiny", "--input", str(many), "--output_format", "webdataset"]
    found = []
    for name in ("locally", "by shuffle"):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(runners, "is_one_process", lambda *_, name=name: name == "locally")
            more = ["--samples_per_shard", "4", "--output", str(tmp_path / name)]
            assert cli.main([*flags, *more]) == 0
        found.append(files(tmp_path / name))
    assert len(found[0]) == 3 and found[0] == found[1]


def test_what_is_done_is_not_read_again(go: Any, many: Path, tmp_path: Path) -> None:
    go()
    before = files(tmp_path / "out")
    first = {row["uri"]: row for row in rows(tmp_path / "out")}
    out = go()
    assert out.startswith("0 written, 11 skipped, 1 failed") and reads() == 0
    assert files(tmp_path / "out") == before
    for row in rows(tmp_path / "out"):
        was = first.pop(row["uri"])
        kept = ("outputs", "width", "foreground", "peak", "bytes_out", "step", "error", "worker")
        assert {name: row[name] for name in kept} == {name: was[name] for name in kept}
        assert row["status"] == {"written": "skipped"}.get(was["status"], was["status"])
        assert row["status"] != "failed" or row["message"] == was["message"]
    assert not first


def test_more_pictures_make_more_shards(go: Any, many: Path, tmp_path: Path) -> None:
    go()
    before = files(tmp_path / "out")
    for name in ("0.png", "a.jpg", "b.jpg"):
        (many / name).write_bytes(kinds.saved(kinds.rgb(64, 48, len(name)), "PNG"))
    out = go("--samples_per_shard", 2)
    assert out.startswith("3 written, 11 skipped, 1 failed") and reads() == 3
    after = files(tmp_path / "out")
    assert {name: after[name] for name in before} == before
    assert sorted(set(after) - set(before)) == ["00003.tar", "00004.tar"]
    found = set(samples(tmp_path / "out"))
    assert {"0", "a", "b"} < found and sum(key.startswith("0-") for key in found) == 1


@pytest.mark.parametrize("format", ["webdataset", pytest.param("parquet", marks=pytest.mark.long)])
def test_of_other_columns_than_those_that_are_there_a_run_warns(
    go: Any, many: Path, caplog: pytest.LogCaptureFixture, format: str
) -> None:
    def again(*lines: Dict[str, Any]) -> List[str]:
        caplog.clear()
        (many / "list").write_text("\n".join(map(json.dumps, lines)))
        go("--output_format", format, inputs=["--input_list", many / "list"])
        return [each.message for each in caplog.records if "whose columns" in each.message]

    one, two = ({"uri": str(many / f"{n}.jpg"), "price": n, "sku": "x"} for n in (1, 2))
    assert again(one) == again(one) == again(one, two) == []
    three = {"uri": str(many / "3.jpg"), "price": 2.5, "size": 7}
    (said,) = again(one, two, three)
    assert "which differ: price, size" in said
    assert again(one, two, three) == []  # nothing is made


def test_a_lost_shard_is_made_again_and_no_other(go: Any, tmp_path: Path) -> None:
    go()
    output = tmp_path / "out"
    before = files(output)
    (output / "00001.tar").unlink()
    assert go().startswith("4 written, 7 skipped, 1 failed") and reads() == EACH
    assert files(output) == before
    (rows_file,) = output.glob("_manifest/run=*/shard-00002.parquet")
    rows_file.write_bytes(rows_file.read_bytes()[:-9])
    assert go().startswith("2 written, 9 skipped, 1 failed") and reads() == 2
    assert files(output) == before
    assert {row["status"] for row in rows(output, latest=False)} == {"written", "skipped", "failed"}
    assert go().startswith("0 written, 11 skipped, 1 failed") and reads() == 0


@pytest.mark.long
def test_retried_failures_go_to_further_shards(go: Any, many: Path, tmp_path: Path) -> None:
    go()
    before = files(tmp_path / "out")
    assert "nothing was written" in go("--retry_failed", inputs=[], fails=1)
    assert reads() == 1 and files(tmp_path / "out") == before
    shutil.copy(many / "5.jpg", many / "6.jpg")
    assert go("--retry_failed", inputs=[]).startswith("1 written, 0 skipped, 0 failed")
    after = files(tmp_path / "out")
    assert {name: after.pop(name) for name in before} == before and len(after) == 1
    found = samples(tmp_path / "out")
    assert found["6"]["cutout.png"] == found["5"]["cutout.png"]
    assert go("--retry_failed", inputs=[]).startswith("nothing to retry")
    assert go().startswith("0 written, 12 skipped, 0 failed") and reads() == 0


def test_duplicates_clashes_and_other_pictures(go: Any, many: Path, tmp_path: Path) -> None:
    listed = tmp_path / "list.jsonl"
    sources: List[Dict[str, Any]] = [
        {"uri": str(many / "0.jpg"), "name": "0.jpg"},
        {"uri": str(many / "1.jpg"), "name": "same"},
        {"uri": str(many / "2.jpg"), "name": "same"},
    ]
    listed.write_text("\n".join(map(json.dumps, sources)))
    go("--input", many, "--input_list", listed, inputs=[])
    found = {row["name"]: row for row in rows(tmp_path / "out")}
    assert found["0.jpg"]["duplicates"] == 1 and found["same"]["error"] == "NameClash"
    assert sorted(key for key in samples(tmp_path / "out") if key[0] != "3") == sorted(KEYS)
    sources = [{"uri": str(many / "5.jpg"), "name": "0.jpg"}]
    listed.write_text(json.dumps(sources[0]))
    go("--input_list", listed, inputs=[], fails=1)
    (row,) = rows(tmp_path / "out")
    assert row["error"] == "OutputExists"
    assert "00000.tar' was made of" in row["message"] and "/0.jpg" in row["message"]
    go("--on_existing", "fail", fails=1)
    assert reads() == 0
    assert {row["error"] for row in rows(tmp_path / "out")} == {"OutputExists", "NotAPicture"}


def test_files_of_many_bytes_roll_over(go: Any, tmp_path: Path) -> None:
    go(output="whole")
    go("--shard_bytes", "1kB")
    assert samples(tmp_path / "out") == samples(tmp_path / "whole")
    assert {"00000.tar", "00000_1.tar", "00000_4.tar", "00002_1.tar"} < set(files(tmp_path / "out"))
    assert go("--shard_bytes", "1kB").startswith("0 written, 11 skipped")


@pytest.mark.parametrize("format", ["webdataset", "parquet"])
def test_what_a_killed_run_with_another_plan_left_is_gone(
    go: Any, tmp_path: Path, format: str
) -> None:
    output, suffix = tmp_path / "out", "tar" if format == "webdataset" else format
    flags = ("--output_format", format)
    go(*flags, "--samples_per_shard", 20)
    before = (output / f"00000.{suffix}").read_bytes()
    shutil.rmtree(next((output / "_manifest").glob("run=*")))
    for name in ("00001_1", "00099"):
        (output / f"{name}.{suffix}").write_bytes(before)
    assert go(*flags).startswith("11 written")
    assert sorted(files(output)) == [f"0000{n}.{suffix}" for n in range(3)]
    assert (output / f"00000.{suffix}").read_bytes() != before


@pytest.mark.parametrize("flags", [(), ("--on_existing", "overwrite")])
def test_shards_that_no_run_made_are_refused(go: Any, tmp_path: Path, flags: Any) -> None:
    """As img2dataset names its own."""
    output = tmp_path / "out"
    output.mkdir()
    for name in ("00000.tar", "00001.parquet"):
        (output / name).write_bytes(b"the user's only copy")
    said = go(*flags, fails=2)
    assert "out/00000.tar' is" in said and "an output folder of its own" in said
    found = {path.name: path.read_bytes() for path in output.iterdir() if path.is_file()}
    assert found == dict.fromkeys(("00000.tar", "00001.parquet"), b"the user's only copy")


@pytest.mark.long
def test_files_that_no_run_made_stay(go: Any, tmp_path: Path, caplog: Any) -> None:
    """Though they came later: one that is a tar, one that is none, and one that is older than what
    the folder was made with."""
    output = tmp_path / "out"
    go(output="copied")
    go()
    with tarfile.open(output / "00003.tar", "w") as theirs:
        theirs.add(tmp_path / "many" / "1.jpg", "1.jpg")
    (output / "00004.parquet").write_bytes(b"not even Parquet")
    shutil.copy(tmp_path / "copied" / "00001.tar", output / "00001_7.tar")
    os.utime(output / "00001_7.tar", (1, 1))
    (output / "00002.tar").unlink()
    (output / "00002.tar").write_bytes(b"in its place")
    before = files(output)
    assert go().startswith("2 written, 9 skipped")
    after = files(output)
    assert {name: after[name] for name in before} == before
    assert sorted(set(after) - set(before)) == ["00005.tar"]
    assert "00001_7.tar', one of 4, is called as a shard is, and no run made it" in caplog.text


@pytest.mark.long
def test_shards_are_never_overwritten_nor_mixed(go: Any, tmp_path: Path) -> None:
    go("--on_existing", "overwrite")
    before = files(tmp_path / "out")
    for flags in ([], ["--output_format", "files"]):
        said = go("--on_existing", "overwrite", *flags, fails=2)
        assert "'overwrite': shards are never overwritten, nor mixed with files; give" in said
        assert "out/00000.tar' is there" in said
    said = go("--output_format", "files", fails=2)
    assert 'output_format was "webdataset" and is null; outputs was [' in said
    assert said.endswith("Give the run a folder of its own\n")
    said = go("--keep_original", fails=2)
    assert "keep_original was null and is true" in said
    assert files(tmp_path / "out") == before
    go("--output_format", "files", output="files")
    for flags in ([], ["--on_existing", "overwrite"]):
        assert "files" in go(*flags, output="files", fails=2)
    assert not list((tmp_path / "files").glob("*.tar"))


def test_originals_are_kept_and_columns_have_one_type(go: Any, many: Path, tmp_path: Path) -> None:
    listed = tmp_path / "list.jsonl"
    lines = [
        {"uri": str(path), "name": path.name, "price": 1, "n": 1}
        for path in sorted(many.glob("*.jpg"))
    ]
    lines[-1] |= {"price": 2.5, "sale": True, "n": None}
    listed.write_text("\n".join(map(json.dumps, lines)))
    go("--keep_original", "--input_list", listed, inputs=[])
    for key, sample in samples(tmp_path / "out").items():
        assert sample["image.jpg"] == (many / f"{key}.jpg").read_bytes()
        about = json.loads(sample["json"])
        assert type(about["price"]) is float and isinstance(about["n"], str)
        assert list(about)[-3:] == ["n", "price", "sale"]
    listed.write_text(json.dumps({"uri": str(many / "3.png"), "name": "3.png"}))
    go("--keep_original", "--input_list", listed, inputs=[])
    last = json.loads(samples(tmp_path / "out")["3-" + _digest("3.png")]["json"])
    assert type(last["price"]) is str and list(last)[-3:] == ["n", "price", "sale"]


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:8]


def test_on_gs(go: Any, tmp_path: Path, emulator: gs.Emulator, proxy: gs.Proxy) -> None:
    go()
    assert go(output="gs://b/out").startswith("11 written, 0 skipped, 1 failed")
    for name, data in files(tmp_path / "out").items():
        assert emulator.get(f"gs://b/out/{name}") == data
    writes = [each.name for each in proxy.requests if each.kind in ("write", "session", "send")]
    of_shards = [name for name in writes if name.endswith(".tar") or "/shard-" in name]
    assert len(of_shards) == 2 * 3  # a large one takes three
    assert go(output="gs://b/out").startswith("0 written, 11 skipped, 1 failed") and reads() == 0


@pytest.mark.parametrize("format", ["parquet", pytest.param("webdataset", marks=pytest.mark.long)])
def test_datasets_opens_the_folder(go: Any, tmp_path: Path, format: str) -> None:
    """Its shards, and neither rows nor indexes; a file of the user's that says which stays."""
    go("--output_format", format)
    for streaming in (False, True):
        opened = datasets.load_dataset(
            str(tmp_path / "out"),
            split="train",
            streaming=streaming,
            cache_dir=str(tmp_path / "cache"),
        )
        assert len(list(opened)) == PICTURES - 1
    config = tmp_path / "out/.huggingface.yaml"
    config.write_text("configs: []")
    go("--output_format", format)
    assert config.read_text() == "configs: []"


@pytest.mark.long
def test_parquet_holds_the_same_samples(go: Any, tmp_path: Path) -> None:
    go()
    go("--output_format", "parquet", output="parquet")
    assert sorted(files(tmp_path / "parquet")) == [f"0000{n}.parquet" for n in range(3)]
    table = pyarrow.parquet.ParquetDataset(sorted((tmp_path / "parquet").glob("*.parquet"))).read()
    found = {row["name"]: row for row in table.to_pylist()}
    assert len(found) == PICTURES - 1
    for sample in samples(tmp_path / "out").values():
        row = found.pop(json.loads(sample["json"])["name"])
        for part in ("cutout", "mask"):
            assert row[part]["bytes"] == sample[f"{part}.png"]
    out = go("--output_format", "parquet", output="parquet")
    assert out.startswith("0 written, 11 skipped, 1 failed") and reads() == 0


@pytest.mark.parametrize("store", ["local", pytest.param("gs", marks=pytest.mark.long)])
def test_other_members_are_carried_through(
    go: Any, many: Path, tmp_path: Path, store: str, request: pytest.FixtureRequest
) -> None:
    shard = tmp_path / "in.tar"
    with tarfile.open(shard, "w") as tar:
        for key in "012":
            tar.add(many / f"{key}.jpg", f"{key}.jpg")
            held = {"depth.npy": b"\x93NUMPY" + key.encode(), "wav": bytes(9), "txt": b"caption"}
            held |= {"cutout.png": b"a former run's"}
            for extension, data in held.items():
                if (key, extension) != ("2", "wav"):
                    about = tarfile.TarInfo(f"{key}.{extension}")
                    about.size = len(data)
                    tar.addfile(about, io.BytesIO(data))
    named = str(shard)
    if store == "gs":
        emulator = request.getfixturevalue("emulator")
        request.getfixturevalue("proxy")
        named = "gs://b/in.tar"
        emulator.put(named, shard.read_bytes())
    inputs = ["--input", named]
    go(inputs=inputs)
    go("--output_format", "parquet", inputs=inputs, output="parquet")
    table = pyarrow.parquet.read_table(tmp_path / "parquet" / "00000.parquet")
    assert table.schema.field("depth.npy").type == table.schema.field("wav").type == "binary"
    found = {key[-1]: sample for key, sample in samples(tmp_path / "out").items()}
    for key, row in zip("012", table.to_pylist()):
        sample = found[key]
        assert sample["depth.npy"] == row["depth.npy"] == b"\x93NUMPY" + key.encode()
        assert sample.get("wav") == row["wav"] == (None if key == "2" else bytes(9))
        assert sample["cutout.png"] == row["cutout"]["bytes"] != b"a former run's"
        about = json.loads(sample["json"])
        assert about["txt"] == "caption" and not {"wav", "depth.npy", "cutout.png"} & set(about)
    assert go(inputs=inputs).startswith("0 written, 3 skipped")


def test_a_member_that_can_not_be_read_fails_its_picture(
    go: Any, many: Path, tmp_path: Path
) -> None:
    listed, shard = tmp_path / "list.jsonl", tmp_path / "in.tar"
    with tarfile.open(shard, "w") as tar:
        tar.add(many / "0.jpg", "0.jpg")
    with tarfile.open(shard) as tar:
        member = tar.getmember("0.jpg")
    there = TarMember(str(shard), "0.jpg", member.offset_data, member.size).uri
    gone = TarMember(str(shard), "0.npy", 10**9, 7).uri
    lines = [{"uri": there, "name": "a"}, {"uri": there, "name": "b", "npy": gone}]
    listed.write_text("\n".join(map(json.dumps, lines)))
    assert go("--input_list", listed, inputs=[]).startswith("1 written, 0 skipped, 1 failed")
    (row,) = (row for row in rows(tmp_path / "out") if row["status"] == "failed")
    assert (row["name"], row["step"]) == ("b", "read") and "0.npy" in row["message"]


@pytest.mark.long
def test_pictures_of_a_host_that_makes_wait(
    go: Any, many: Path, tmp_path: Path, server: web.Server
) -> None:
    """They come late, and in order all the same; others go on meanwhile."""
    listed = tmp_path / "list.jsonl"
    sources = [{"uri": str(path), "name": f"b{path.name}"} for path in sorted(many.glob("*.jpg"))]
    listed.write_text(
        "\n".join(map(json.dumps, [{"uri": f"{server.url}/busy?1", "name": "a"}, *sources]))
    )
    flags = ("--input_list", listed, "--allow_private_hosts", "--samples_per_shard", 20)
    assert go(*flags, inputs=[]).startswith("10 written, 0 skipped, 1 failed")
    with tarfile.open(tmp_path / "out" / "00000.tar") as tar:
        assert tar.getnames()[0] == "a.mask.png"
    assert server.paths == ["/busy?1"] * 2
    (late,) = (row for row in rows(tmp_path / "out") if row["name"] == "a")
    assert late["read_attempts"] == 2 and late["read_msecs"] < 1000


def test_ctrl_c_leaves_whole_shards(many: Path, tmp_path: Path) -> None:
    for number in range(100):
        shutil.copy(many / "1.jpg", many / f"more-{number}.jpg")
    output = tmp_path / "out"
    process = start(many, output, "--remove_threads=1", stdout=subprocess.PIPE)
    while not list(output.glob("*.tar")):
        assert process.poll() is None
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 130 and b"no file is half-written" in said
    whole = files(output)
    assert not (output / uris.TEMPORARY).exists() and 0 < len(whole) < 16
    told = int(said.split(b"until then: ")[1].split()[0])
    # Rows are counted once their shard is known to be there; two are uploaded at once.
    assert told <= len(samples(output)) <= told + 3 * 7


def test_outcomes_come_out_of_a_pipeline(many: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    job = RemoveBackgrounds(
        remove=RemoveBackground(output=str(output), session="tiny"),
        dataset=DataSet(output_format="webdataset", samples_per_shard=2),
    )
    with TestPipeline(runner="FnApiRunner") as pipeline:
        found = pipeline | beam.Create([str(many / f"{each}.jpg") for each in (1, 6, 7)]) | job
        assert_that(
            found | beam.Map(lambda row: row.status), equal_to(["written"] * 2 + ["failed"])
        )
    assert sorted(files(output)) == ["00000.tar", "00001.tar"]
    assert sorted(row["status"] for row in rows(output)) == ["failed", "written", "written"]


def test_another_run_took_the_number(many: Path, tmp_path: Path) -> None:
    """It may have made the shard of other pictures: that is no row of this run's."""
    output = tmp_path / "out"
    job = RemoveBackgrounds(
        remove=RemoveBackground(output=str(output), session="tiny"),
        dataset=DataSet(output_format="webdataset"),
        input=[str(many / "1.jpg")],
        run_id="r1",
    )
    source = Source("/x.jpg", "x.jpg")
    cutout = elements.Cutout([elements.Part(".cutout", b"x")], "tiny", elements.Facts())
    row = written(source, cutout, ["00000.tar"], RunColumns("tiny"))

    def taken(spool: str, number: int, *more: Any) -> Any:
        theirs = ShardFiles(str(tmp_path), number, *more)
        theirs.add(Sample("x", None, cutout.parts, row))
        shards.write(str(output), number, theirs.close(), [row], run_id="r2", format="webdataset")
        return ShardFiles(spool, number, *more)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(RuntimeError, match="of other pict"):
        patch.setattr(make_shards, "ShardFiles", taken)
        with beam.Pipeline(runner="FnApiRunner") as pipeline:
            _ = pipeline | job


def test_a_bundle_that_is_run_again_takes_what_it_made(many: Path, tmp_path: Path) -> None:
    """Its first shard is whole; of the second the rows are not there yet."""
    output = tmp_path / "out"

    def run() -> Dict[str, Any]:
        metrics.tally.clear()
        remove = RemoveBackground(output=str(output), session="tiny")
        dataset = DataSet(output_format="webdataset")
        made = make_shards.MakeShards(make_shards.Job(replace(remove), dataset, remove.columns()))
        sources = [Source(str(many / f"{n}.jpg"), f"{n}.jpg") for n in (1, 2, 6, 7)]
        made.setup()
        made.start_bundle()
        found: List[Any] = []
        for number in range(2):
            some = sources[2 * number :][:2]
            keys = [str(source.name)[0] for source in some]
            found += made.process(Shard(number, keys, some, Fields(Types()), ".jpg"), "r1")
        found += [each.value for each in made.finish_bundle()]
        made.teardown()
        return {str(row.name): row for row in found}

    first = run()
    assert reads() == 4
    (output / layout.shard_rows("r1", 1)).unlink()
    again = run()
    assert reads() == 2 and list(again) == list(first)
    assert [again[name] == first[name] for name in ("1.jpg", "2.jpg")] == [True, True]
    assert [row.status for row in again.values()].count("failed") == 1


# killed

MANY = 60
EACH_OF_MANY = 60


def start(many: Path, output: Path, *flags: str, **more: Any) -> "subprocess.Popen[bytes]":
    arguments = ["run", "--model", "tiny", "--input", str(many), "--output", str(output)]
    arguments += ["--output_format", "webdataset", "--samples_per_shard", "7"]
    return subprocess.Popen(
        [sys.executable, "-m", "rembg_beam.pipelines", *arguments, *flags],
        **{"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, **more},
        start_new_session=True,
    )


def made(output: Path) -> int:
    """How many files are there, rows and what is in the spool among them."""
    return sum(len(names) for _, _, names in os.walk(output))


def kill_again_and_again(many: Path, output: Path, kills: int) -> int:
    """Kills runs at moments by chance, most of them while shards are made; lets a last one end."""
    chance, killed = random.Random(kills), 0
    for _ in range(kills):
        process, before = start(many, output), made(output)
        while process.poll() is None and made(output) < before + chance.randint(1, 9):
            time.sleep(0.005)
        time.sleep(chance.uniform(0, 0.1))
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        killed += process.wait() == -signal.SIGKILL
    assert start(many, output).wait() == 0
    return killed


@pytest.mark.long
@pytest.mark.parametrize("kills", [20])
def test_killed_and_started_again(tmp_path: Path, kills: int) -> None:
    many = tmp_path / "many"
    many.mkdir()
    for number in range(MANY):
        data = kinds.saved(kinds.rgb(64, 48, number), "JPEG")
        (many / f"{number}.jpg").write_bytes(b"bad" if number % 20 == 9 else data)
    calm = start(many, tmp_path / "calm")
    assert kill_again_and_again(many, tmp_path / "killed", kills) > kills / 2
    assert calm.wait() == 0
    assert samples(tmp_path / "killed") == samples(tmp_path / "calm")
    assert files(tmp_path / "killed") == files(tmp_path / "calm")
    assert not (tmp_path / "killed" / uris.TEMPORARY).exists()
    found = [(row["uri"], row["error"]) for row in rows(tmp_path / "killed")]
    assert sorted(found) == sorted((row["uri"], row["error"]) for row in rows(tmp_path / "calm"))


@pytest.mark.long
def test_memory_is_that_of_a_few_shards(tmp_path: Path) -> None:
    def peak(shards: int) -> int:
        many = tmp_path / f"many-{shards}"
        many.mkdir()
        for number in range(shards * EACH_OF_MANY):
            data = kinds.saved(kinds.rgb(300, 200, number % 256), "JPEG")
            (many / f"{number}.jpg").write_bytes(data)
        output = tmp_path / f"out-{shards}"
        process = start(many, output, f"--samples_per_shard={EACH_OF_MANY}", "--keep_original")
        _, status, used = os.wait4(process.pid, 0)
        assert status == 0 and len(files(output)) == shards
        return used.ru_maxrss

    few, more = peak(5), peak(50)
    print(f"{few / 1e3:.0f} MB for 5 shards, {more / 1e3:.0f} MB for 50")
    assert more <= 1.1 * few


def test_a_later_run_names_originals_as_those_that_are_there(go: Any, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for name, kind in (("p", "PNG"), ("j", "JPEG")):
        photo = photos / f"{name}.{kind.lower()}"
        photo.write_bytes(kinds.saved(kinds.rgb(64, 48, 1), kind))
        go("--keep_original", inputs=["--input", str(photo)])
    shards_of = str(tmp_path / "out" / "*.tar")
    loaded = datasets.load_dataset("webdataset", data_files=shards_of, split="train")
    assert [each["image.png"].format for each in loaded] == ["PNG", "JPEG"]
