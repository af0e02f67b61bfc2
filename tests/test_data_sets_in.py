"""Data sets in: jobs over WebDataset's shards and Parquet files, to their ends."""

import io
import json
import random
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List

import apache_beam as beam
import datasets
import pyarrow.dataset
import pyarrow.parquet
import pytest
import webdataset
from apache_beam.transforms import window
from support import gs

from rembg_beam.transforms import RemoveBackground, RemoveBackgrounds, SessionConfig, Source
from rembg_beam.transforms.sources.spread import Spread
from rembg_beam.transforms.store import blocks, cells, members, stores
from rembg_beam.transforms.store.members import BLOCK_BYTES, Cell, TarMember

PICTURES = 6


@pytest.fixture(autouse=True)
def _nothing_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stores, "_blocks", blocks.Blocks())
    monkeypatch.setattr(stores, "_cursors", cells.Cursors())


@pytest.fixture(
    params=[True, pytest.param(False, marks=pytest.mark.long)], ids=["locally", "by shuffle"]
)
def go(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[..., List[Dict[str, Any]]]:
    """Runs a job into a folder, and gives the rows of that run."""

    def go(run_id: str, **more: Any) -> List[Dict[str, Any]]:
        remove = RemoveBackground(output=str(tmp_path / "out"), session=SessionConfig("tiny"))
        job = RemoveBackgrounds(remove=remove, run_id=run_id, local_join=request.param, **more)
        with beam.Pipeline(runner="FnApiRunner") as pipeline:
            _ = pipeline | job
        data = pyarrow.dataset.dataset(tmp_path / "out" / "_manifest", partitioning="hive")
        return [row for row in data.to_table().to_pylist() if row["run"] == run_id]

    return go


@pytest.fixture
def pictures(encoded: Callable[..., bytes]) -> List[bytes]:
    return [encoded("PNG", seed=seed) for seed in range(PICTURES)]


@pytest.fixture
def shard(tmp_path: Path, pictures: List[bytes]) -> Path:
    path = tmp_path / "in" / "0.tar"
    path.parent.mkdir()
    with webdataset.TarWriter(str(path)) as sink:
        for index, data in enumerate(pictures):
            note = {"price": 1.0 * index}
            sink.write({"__key__": f"{index:04}", "png": data, "txt": f"No. {index}", "json": note})
    return path


def by_name(rows: List[Dict[str, Any]]) -> Dict[str, Dict[str, Any]]:
    return {row["name"]: row for row in rows}


def test_pictures_of_shards_are_done_as_files_are(
    go: Any, shard: Path, pictures: List[bytes], tmp_path: Path
) -> None:
    features = datasets.Features({"image": datasets.Image(), "label": datasets.Value("int64")})
    rows = [
        {"image": {"bytes": data, "path": "p.png"}, "label": n} for n, data in enumerate(pictures)
    ]
    table = tmp_path / "in" / "1.parquet"
    datasets.Dataset.from_list(rows, features=features).to_parquet(table, batch_size=4)
    for index, data in enumerate(pictures):
        (tmp_path / "in" / f"{index:04}.png").write_bytes(data)
    found = by_name(go("r1", input=[f"{tmp_path}/in/*.*"]))
    assert {row["status"] for row in found.values()} == {"written"} and len(found) == 3 * PICTURES
    for index in range(PICTURES):
        names = [f"{index:04}.png", f"0.tar/{index:04}.png", f"1.parquet/{index:09}.png"]
        outputs = {(tmp_path / "out" / f"{name}.png").read_bytes() for name in names}
        assert len(outputs) == 1
        of_file, of_shard, of_table = (found[name] for name in names)
        assert json.loads(of_shard["metadata"]) == {"txt": f"No. {index}", "price": 1.0 * index}
        assert json.loads(of_table["metadata"]) == {"label": index}
        assert stores.read(of_shard["uri"]).data == stores.read(of_file["uri"]).data
        assert isinstance(members.parse(of_table["uri"]), Cell)


def test_a_job_goes_on_within_shards(go: Any, shard: Path, tmp_path: Path) -> None:
    whole = shard.read_bytes()
    with tarfile.open(shard) as file:
        spoilt = file.getmember("0003.png")
    data = bytearray(whole)
    data[spoilt.offset_data : spoilt.offset_data + spoilt.size] = bytes(spoilt.size)
    shard.write_bytes(data)
    found = by_name(go("r1", input=[str(shard)]))
    failed = found.pop("0.tar/0003.png")
    assert failed["error"] == "NotAPicture" and len(found) == PICTURES - 1
    assert {row["status"] for row in found.values()} == {"written"}
    (tmp_path / "out" / "0.tar" / "0001.png.png").unlink()
    again = {name: row["status"] for name, row in by_name(go("r2", input=[str(shard)])).items()}
    expected = dict.fromkeys(again, "skipped")
    assert again == expected | {"0.tar/0001.png": "written", "0.tar/0003.png": "failed"}
    shard.write_bytes(whole)
    (retried,) = go("r3", retry_failed=True)
    assert (retried["name"], retried["status"]) == ("0.tar/0003.png", "written")
    assert retried["uri"] == failed["uri"] and retried["metadata"] == failed["metadata"]
    assert {row["status"] for row in go("r4", input=[str(shard)])} == {"skipped"}


def test_damage_is_told_by_rows(go: Any, shard: Path, tmp_path: Path) -> None:
    with tarfile.open(shard) as file:
        broken, last = file.getmember("0002.png"), file.getmember("0005.png")
    data = bytearray(shard.read_bytes()[: last.offset_data + 10])
    data[broken.offset_data - 512 : broken.offset_data] = b"?" * 512
    shard.write_bytes(data)
    rows = go("r1", input=[str(shard)])
    written = [row["name"] for row in rows if row["status"] == "written"]
    assert sorted(written) == [f"0.tar/{n:04}.png" for n in (0, 1, 3, 4)]
    failed = {row["message"].removeprefix(f"{shard}, ") for row in rows if row["step"] == "find"}
    starts = {message.partition(":")[0] for message in failed}
    assert f"byte {broken.offset}" in starts and f"byte {len(data)}" in starts
    (cut,) = (message for message in failed if "cut off" in message)
    assert "in the sample '0005', after 5 samples, the last '0004'" in cut
    assert go("r2", retry_failed=True) == []


@pytest.mark.long
def test_what_a_job_over_a_bucket_asks_for(
    go: Any,
    pictures: List[bytes],
    emulator: gs.Emulator,
    proxy: gs.Proxy,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Once to find the samples and once to read them, a request for each block."""
    block = 10_000
    monkeypatch.setattr(blocks, "BLOCK_BYTES", block)
    monkeypatch.setattr(members, "BLOCK_BYTES", block)
    file = io.BytesIO()
    with webdataset.TarWriter(file) as sink:
        for index in range(60):
            sink.write({"__key__": f"{index:04}", "png": pictures[index % PICTURES]})
    emulator.put("gs://b/0.tar", file.getvalue())
    rows = go("r1", input=["gs://b/*.tar"])
    assert len(rows) == 60 and {row["status"] for row in rows} == {"written"}
    there = -(-len(file.getvalue()) // block)
    # Where workers take blocks in any order, a block's first picture comes alone.
    assert there > 10 and proxy.counts()["read"] <= 3 * there + 2


# Reads all pictures of a data set; prints their number, and by how many megabytes the most memory
# that the process had grew meanwhile.
READ_ALL = """
import re, sys
from pathlib import Path
from rembg_beam.transforms import Columns
from rembg_beam.transforms.sources import readers
from rembg_beam.transforms.store import stores

def most():
    return int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])

before = most()
found = readers.read(sys.argv[1], "x", Columns())
count = sum(len(stores.read(each.uri).data) == 100_000 for each in found)
print(count, (most() - before) // 1024)
"""


@pytest.mark.long
@pytest.mark.parametrize("suffix", [".tar", ".parquet"])
def test_a_large_shard_is_not_held(suffix: str, tmp_path: Path) -> None:
    """300 MB; of Parquet in one row group, of pages of usual size."""
    rows = (random.Random(n).randbytes(100_000) for n in range(3_000))
    path = tmp_path / f"0{suffix}"
    if suffix == ".tar":
        with webdataset.TarWriter(str(path)) as sink:
            for index, data in enumerate(rows):
                sink.write({"__key__": f"{index:05}", "jpg": data})
    else:
        table = pyarrow.table({"image": pyarrow.array(rows, pyarrow.binary())})
        pages = {"use_dictionary": False, "write_batch_size": 10}
        pyarrow.parquet.write_table(table, path, compression="none", **pages)
    done = subprocess.run(
        [sys.executable, "-c", READ_ALL, path], capture_output=True, text=True, check=True
    )
    count, megabytes = map(int, done.stdout.split())
    assert count == 3_000 and megabytes < 100


def _sources() -> List[Source]:
    found = [Source(f"{n}.jpg") for n in range(50)]
    for index in range(150):
        found.append(
            Source(TarMember("gs://b/0.tar", f"{index}", index * BLOCK_BYTES // 50, 9).uri)
        )
        found.append(Source(Cell("x.parquet", "image", index // 100, index % 100).uri))
    random.Random(0).shuffle(found)
    return found


_came: List[Any] = []


class Keep(beam.DoFn):
    def process(
        self, source: Source, windowed: Any = beam.DoFn.WindowedValueParam
    ) -> Iterator[None]:
        _came.append((source.uri, int(windowed.timestamp), windowed.windows))
        yield from ()


@pytest.mark.parametrize("windows", [None, window.FixedWindows(40)], ids=["one", "fixed"])
def test_neighbours_come_together_and_in_order(windows: Any) -> None:
    _came.clear()
    sources = _sources()
    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        timed = (
            pipeline
            | beam.Create(list(enumerate(sources)), reshuffle=False)
            | beam.Map(lambda each: window.TimestampedValue(each[1], each[0])).with_output_types(
                Source
            )
        )
        timed = timed | beam.WindowInto(windows) if windows else timed
        _ = timed | Spread() | beam.ParDo(Keep())
    assert {(uri, at) for uri, at, _ in _came} == {(s.uri, at) for at, s in enumerate(sources)}
    for _, at, (its,) in _came:
        assert windows is None or its == window.IntervalWindow(at // 40 * 40, at // 40 * 40 + 40)
    keys = [members.spread_key(uri) for uri, *_ in _came]
    orders = [members.order(uri) for uri, *_ in _came]
    for key in {each for each in keys if each}:
        mine = [index for index, each in enumerate(keys) if each == key]
        assert mine == list(range(mine[0], mine[-1] + 1)), "others came in between"
        assert [orders[n] for n in mine] == sorted(str(orders[n]) for n in mine)
