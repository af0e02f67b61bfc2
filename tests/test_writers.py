"""Shards on this machine: opened by the loaders that people use, and the same bytes each time."""

import io
import json
import multiprocessing
import os
import resource
import tarfile
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, Sequence

import datasets
import hypothesis
import numpy as np
import pandas
import pyarrow.parquet
import pytest
import webdataset
from hypothesis import strategies as st
from PIL import Image

from rembg_beam.transforms import Cutout, Outcome, Part, Source
from rembg_beam.transforms.elements import Facts
from rembg_beam.transforms.outcomes import RunColumns, written
from rembg_beam.transforms.outputs import columns, embedded_parquet
from rembg_beam.transforms.outputs.columns import Types
from rembg_beam.transforms.outputs.samples import Fields, Sample, original_suffix
from rembg_beam.transforms.outputs.writers import ShardFiles, Spooled

# What people's tables hold: from the sixth on it differs from the first five.
METADATA: List[Dict[str, Any]] = [
    {
        **{"caption": f"ä {n}", "price": n, "code": n, "stock": n, "tags": ["a", "b"], "note": "x"},
        **{"split": "train", "box": [n, n + 1], "sold": True, "image": "user's", "width": 7},
    }
    for n in range(5)
] + [
    {
        **{"caption": "", "price": 2.5, "code": "A7", "stock": None, "tags": [], "note": None},
        **{"box": [0.5], "sold": False, "more": {"k": [1]}, "image": "u", "width": 8},
    }
]
COLUMNS = Types()
for each in METADATA:
    COLUMNS = COLUMNS.add(each)
FIELDS = Fields(COLUMNS, keep_original=True)


def row(key: str, metadata: Dict[str, Any]) -> Outcome:
    source = Source.of(f"in/{key}.jpg", name=f"{key}.jpg", metadata=metadata)
    facts = Facts(width=48, height=32, foreground=1.0, model_checksum="md5:1")
    return written(source, Cutout([Part("", b"")], "tiny", facts), ["x"], RunColumns("tiny"))


@pytest.fixture
def samples(encoded: Callable[..., bytes]) -> List[Sample]:
    made = []
    for number, metadata in enumerate(METADATA):
        cutout, mask = encoded(mode="RGBA", seed=number), encoded(mode="L", seed=number)
        original = encoded("JPEG", seed=number)
        parts = [Part(".cutout", cutout), Part(".mask", mask)]
        key = f"x/{number}"
        made.append(Sample(key, (".jpg", original), parts, row(key, metadata)))
    return made


def spooled(
    folder: Path,
    samples: Sequence[Sample],
    format: str,
    fields: Fields = FIELDS,
    shard_bytes: int = 1 << 40,
) -> List[Spooled]:
    folder.mkdir(exist_ok=True)
    files = ShardFiles(str(folder), 0, format, fields, shard_bytes)
    for sample in samples:
        files.add(sample)
    return files.close()


@pytest.mark.parametrize("format", ["webdataset", "parquet"])
def test_the_same_bytes_each_time(tmp_path: Path, samples: List[Sample], format: str) -> None:
    one, two = (spooled(tmp_path / name, samples, format)[0] for name in "ab")
    assert one.file == two.file and one.path != two.path
    assert Path(one.path).read_bytes() == Path(two.path).read_bytes()
    assert one.file.size == os.path.getsize(one.path) and one.file.samples == len(samples)


def test_a_tar_holds_members_by_key(tmp_path: Path, samples: List[Sample]) -> None:
    long = "x/9" + "ä" * 99
    others = (("txt", b"caption"), ("MASK.png", b"theirs"), ("json", b"{}"))
    last = samples[0]._replace(key=long, others=others)
    ((_, path),) = spooled(tmp_path, [*samples, last], "webdataset")
    with tarfile.open(path) as archive:
        names = archive.getnames()
        assert {(each.mtime, each.uid, each.uname, each.mode) for each in archive} == {
            (0, 0, "box,width", 0o644)
        }
        files = [archive.extractfile(name) for name in names if name.endswith(".json")]
        json_members = [json.load(file) for file in files if file]
    assert names[:4] == ["x/0.image.jpg", "x/0.mask.png", "x/0.cutout.png", "x/0.json"]
    kinds = ("image.jpg", "mask.png", "cutout.png", "txt", "json")
    assert names[-5:] == [f"{long}.{kind}" for kind in kinds]
    assert len({tuple((name, type(v)) for name, v in each.items()) for each in json_members}) == 1
    assert {type(value) for value in json_members[0].values()} == {str, int, float, bool, list}
    assert json_members[0]["foreground"] == 1.0 and json_members[5]["more"] == '{"k": [1]}'


def test_webdataset_opens_tars(tmp_path: Path, samples: List[Sample]) -> None:
    spooled(tmp_path, samples, "webdataset", shard_bytes=8_000)
    names = sorted(str(path) for path in tmp_path.glob("*.tar"))
    assert len(names) > 1
    found = list(webdataset.WebDataset(names, shardshuffle=False).decode("pil"))
    assert sorted(each["__key__"] for each in found) == [sample.key for sample in samples]
    by_key = {each["__key__"]: each for each in found}
    for sample in samples:
        one = by_key[sample.key]
        cutout = Image.open(io.BytesIO(sample.parts[0].data))
        assert one["json"]["name"] == sample.row.name
        assert one["image.jpg"].size == one["mask.png"].size == (48, 32)
        assert one["cutout.png"].convert("RGB").tobytes() == cutout.convert("RGB").tobytes()


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("format", ["webdataset", "parquet"])
def test_datasets_opens_both(
    tmp_path: Path, samples: List[Sample], format: str, streaming: bool
) -> None:
    """What comes after the first five, of which types are inferred, is read too."""
    suffix = "tar" if format == "webdataset" else format
    spooled(tmp_path / "out", samples, format)
    opened = datasets.load_dataset(
        format,
        data_files=str(tmp_path / "out" / f"*.{suffix}"),
        split="train",
        streaming=streaming,
        cache_dir=str(tmp_path / "cache"),
    )
    found = list(opened)
    assert len(found) == len(samples)
    if format == "webdataset":
        pictures = [{"image": one["image.jpg"], "cutout": one["cutout.png"]} for one in found]
        found = [{**one["json"], **own} for one, own in zip(found, pictures)]
    else:
        assert opened.features["image"] == opened.features["cutout"] == datasets.Image()
        assert opened.features["box"] == datasets.List(datasets.Value("float64"))
        about = pyarrow.parquet.read_schema(tmp_path / "out/00000.parquet").metadata[b"huggingface"]
        noted = json.loads(about)["info"]["features"]
        # What `datasets` before 4 knows, too.
        assert {each["_type"] for each in noted.values()} == {"Image", "Value", "Sequence"}
        assert [one["image_"] for one in found] == ["user's"] * 5 + ["u"]
    assert [one["price"] for one in found] == [0.0, 1.0, 2.0, 3.0, 4.0, 2.5]
    assert [one["code"] for one in found] == ["0", "1", "2", "3", "4", "A7"]
    nothing = "" if format == "webdataset" else None
    assert found[-1]["stock"] == found[-1]["note"] == found[-1]["split"] == nothing
    assert found[0]["stock"] == ("0" if format == "webdataset" else 0)
    assert [one["width"] for one in found] == [7] * 5 + [8]
    assert {one["cutout"].mode for one in found} == {"RGBA"}
    assert found[0]["image"].size == (48, 32)


def test_pandas_and_pyarrow_open_parquet(tmp_path: Path, samples: List[Sample]) -> None:
    ((_, path),) = spooled(tmp_path, samples, "parquet")
    table = pandas.read_parquet(path)
    assert list(table.columns[:3]) == ["image", "mask", "cutout"]
    assert table["cutout"][0]["bytes"] == samples[0].parts[0].data
    assert table["mask"][0]["path"] == "x/0.mask.png"
    assert pyarrow.parquet.read_table(path)["stock"].to_pylist() == [0, 1, 2, 3, 4, None]


def test_row_groups_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded_parquet, "GROUP_BYTES", 100_000)
    made = [
        Sample(f"{n:03}", None, [Part(".cutout", os.urandom(9_000))], row("a", {}))
        for n in range(40)
    ]
    files = spooled(tmp_path, made, "parquet", Fields(Types()), shard_bytes=200_000)
    assert [file.samples for file, _ in files] == [23, 17]
    groups = pyarrow.parquet.ParquetFile(files[0].path).metadata
    assert [groups.row_group(n).num_rows for n in range(groups.num_row_groups)] == [11, 11, 1]


def test_keys_come_in_order(tmp_path: Path, samples: List[Sample]) -> None:
    for wrong in (samples[::-1], [samples[0]] * 2):
        folder = tmp_path / str(len(wrong))
        with pytest.raises(ValueError, match="order of their keys"):
            spooled(folder, wrong, "webdataset")


@pytest.mark.parametrize("format", ["webdataset", "parquet"])
def test_memory_is_flat(tmp_path: Path, format: str) -> None:
    """Over 300 MB of samples, in a process of its own."""
    process = multiprocessing.get_context("fork").Process(
        target=_write_300_mb, args=(tmp_path, format)
    )
    process.start()
    process.join()
    assert process.exitcode == 0


def _write_300_mb(folder: Path, format: str) -> None:
    data = os.urandom(1 << 20)

    def made() -> Any:
        for number in range(300):
            if number == 70:
                peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
            yield Sample(f"{number:05}", None, [Part(".cutout", bytes(data))], row("a", {}))

    peaks: List[int] = []
    ((file, _),) = spooled(folder, made(), format, Fields(Types()))
    assert file.size > 300 << 20
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peaks[0]
    os._exit(0 if grown < 48 << 10 else 1)


def test_originals_have_one_suffix() -> None:
    assert original_suffix({".PNG", ".png"}) == ".png" and original_suffix({""}) == ".jpg"


TEXTS = st.sampled_from(["", "7", "\u00e4"])
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(), TEXTS)
VALUES = st.one_of(SCALARS, st.lists(SCALARS, max_size=3), st.just({"k": 1}))
ROWS = st.lists(st.dictionaries(st.sampled_from("abc"), VALUES), max_size=6)


def over(rows: Sequence[Dict[str, Any]]) -> Types:
    found = Types()
    for row in rows:
        found = found.add(row)
    return found


@hypothesis.given(ROWS, ROWS, ROWS)
def test_a_union_is_the_same_in_any_order(one: Any, two: Any, three: Any) -> None:
    a, b, c = map(over, (one, two, three))
    assert a.merged(b) == b.merged(a) == over([*one, *two])
    assert a.merged(b.merged(c)) == a.merged(b).merged(c) == over([*three, *two, *one])
    assert a.merged(a) == a and a.merged(Types()) == a


@hypothesis.given(ROWS)
def test_types_are_those_of_a_slow_twin(rows: Any) -> None:
    stored, members = over(rows).stored(), over(rows).stored(nulls=False)
    for name in stored:
        seen = [row.get(name) for row in rows]
        assert stored[name] == slow_type(seen)
        is_text = [] in seen or any(map(is_null, seen))
        assert members[name] == ("text" if is_text else stored[name])
    for row in rows:
        held, member = columns.values(row, stored), columns.values(row, members, "")
        assert list(held) == list(member) == sorted(stored)
        assert all(value is None or fits(value, stored[name]) for name, value in held.items())
        assert all(fits(value, members[name]) for name, value in member.items())
        json.dumps([held, member], allow_nan=False)


def is_null(value: Any) -> bool:
    return value is None or (isinstance(value, float) and not np.isfinite(value))


HOLDS: Dict[str, Callable[[Any], bool]] = {
    "bool": lambda value: type(value) is bool,
    "int": lambda value: type(value) is int and -(2**63) <= value < 2**63,
    "float": lambda value: HOLDS["int"](value) or (type(value) is float and not is_null(value)),
    "text": lambda value: type(value) is str,
}


def slow_type(seen: Sequence[Any]) -> str:
    """The first type that holds all that is there."""
    there = [value for value in seen if not is_null(value)]
    are_lists = all(isinstance(value, list) for value in there)
    flat = [each for value in there for each in value] if are_lists else []
    for values, ending in ((there, ""), (flat, "s")):
        for name, holds in HOLDS.items():
            if values and all(map(holds, values)):
                return name + ending
    return "text"


def fits(value: Any, type: str) -> bool:
    if type.endswith("s"):
        return isinstance(value, list) and all(fits(each, type[:-1]) for each in value)
    return {"bool": bool, "int": int, "float": float, "text": str}[type] is value.__class__


def test_many_columns_cost_no_more_each() -> None:
    """Of pictures that have each their own: not all that came before is looked at again."""

    def seconds(pictures: int) -> float:
        started = time.process_time()
        over([{f"{number}": number} for number in range(pictures)])
        return time.process_time() - started

    assert min(seconds(16_000) for _ in range(3)) < 40 * min(seconds(1_000) for _ in range(3))


def test_types_are_found_once(monkeypatch: pytest.MonkeyPatch) -> None:
    found = over([{"n": 1}])
    assert found.stored() is found.stored() and found.stored() == {"n": "int"}
    assert found.add({"n": None}).stored(nulls=False) == {"n": "text"}
