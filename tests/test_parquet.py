"""Parquet files as inputs: pictures embedded in rows or named by them."""

import datetime
import io
import json
import random
from decimal import Decimal
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Union

import datasets
import pandas
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from support import gs

from rembg_beam.transforms import Source
from rembg_beam.transforms.sources import parquet, readers
from rembg_beam.transforms.sources.columns import BadRow, Columns
from rembg_beam.transforms.sources.lists import BadList
from rembg_beam.transforms.store import blocks, cells, stores


@pytest.fixture(autouse=True)
def _nothing_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stores, "_blocks", blocks.Blocks())
    monkeypatch.setattr(stores, "_cursors", cells.Cursors())


def read(path: Any, **columns: Any) -> List[Union[Source, BadRow]]:
    return list(readers.read(str(path), "x/0.parquet", Columns(**columns)))


def sources(path: Any, **columns: Any) -> List[Source]:
    found = read(path, **columns)
    assert all(isinstance(each, Source) for each in found), found
    return [each for each in found if isinstance(each, Source)]


def metadata(source: Any) -> Any:
    return json.loads(source.metadata)


def written(path: Path, columns: Dict[str, Any], **more: Any) -> Path:
    pq.write_table(pa.table(columns), path, **more)
    return path


def test_what_datasets_writes(tmp_path: Path, picture: Callable[..., Image.Image]) -> None:
    pictures = [picture(seed=seed) for seed in range(7)]
    features = datasets.Features(
        {
            "voice": {"bytes": datasets.Value("binary"), "path": datasets.Value("string")},
            "image": datasets.Image(),
            "label": datasets.ClassLabel(names=["cat", "dog"]),
            "box": datasets.Sequence(datasets.Value("float32")),
        }
    )
    rows: Dict[str, Any] = {"voice": [{"bytes": b"", "path": "a.wav"}] * 7, "image": pictures}
    rows |= {"label": [n % 2 for n in range(7)], "box": [[n, 0.5] for n in range(7)]}
    path = tmp_path / "0.parquet"
    datasets.Dataset.from_dict(rows, features=features).to_parquet(path, batch_size=3)
    found = sources(path)
    assert pq.ParquetFile(path).num_row_groups == 3
    for index, source in enumerate(found):
        opened = Image.open(io.BytesIO(stores.read(source.uri).data))
        assert opened.tobytes() == pictures[index].tobytes()
        assert source.name == f"x/0.parquet/{index:09}"
        fields = metadata(source)
        assert stores.read(fields["voice"].pop("bytes")).data == b""
        voice = {"path": "a.wav"}
        assert fields == {"voice": voice, "label": index % 2, "box": [index, 0.5]}


def test_pictures_of_files_that_datasets_did_not_embed(
    tmp_path: Path,
) -> None:
    kept = [{"bytes": None, "path": str(tmp_path / "a.jpg")}, {"bytes": None, "path": "b"}]
    images = pa.array(kept, pa.struct([("bytes", pa.binary()), ("path", pa.string())]))
    found = sources(written(tmp_path / "0.parquet", {"image": images, "n": [1, 2]}))
    assert [each.uri for each in found] == [str(tmp_path / "a.jpg"), str(tmp_path / "b")]
    assert [metadata(each) for each in found] == [{"n": 1}, {"n": 2}]


def test_rows_without_a_picture(tmp_path: Path) -> None:
    cells_there = pa.array(
        [{"bytes": b"a", "path": "a.JPG"}, None, {"bytes": None, "path": "c.png"}],
        pa.struct([("bytes", pa.binary()), ("path", pa.string())]),
    )
    first, second, third = read(written(tmp_path / "0.parquet", {"photo": cells_there}))
    assert isinstance(first, Source) and first.name == "x/0.parquet/000000000.JPG"
    assert isinstance(second, BadRow) and second.where == "row 1" and "null" in str(second.error)
    assert isinstance(third, Source) and third.uri == str(tmp_path / "c.png")
    assert stores.read(first.uri).data == b"a"
    bare = written(tmp_path / "1.parquet", {"photo": [b"a", None], "n": [1, 2]})
    first, second = read(bare)
    assert isinstance(first, Source) and stores.read(first.uri).data == b"a"
    assert isinstance(second, Source)
    assert "it is null: there is no picture in it" in str(stores.try_read(second.uri).error)


@pytest.mark.parametrize("size", [7, 50, 200])
def test_a_path_stands_in_for_bytes_that_are_not_there(tmp_path: Path, size: int) -> None:
    has = [n % 7 > 2 or n < 14 for n in range(100)]
    images = pa.array(
        [{"bytes": b"%d" % n if has[n] else None, "path": f"{n}.jpg"} for n in range(100)],
        pa.struct([("bytes", pa.binary()), ("path", pa.string())]),
    )
    found = sources(written(tmp_path / "0.parquet", {"image": images}, row_group_size=size))
    for n, source in enumerate(found):
        if has[n]:
            assert stores.read(source.uri).data == b"%d" % n
            assert source.name == f"x/0.parquet/{n:09}.jpg"
        else:
            assert (source.uri, source.name) == (str(tmp_path / f"{n}.jpg"), f"x/{n}.jpg")


BINARY = [b"1", b"2"]
STRUCTS = pa.array([{"bytes": b"s", "path": "p"}] * 2)


@pytest.mark.parametrize(
    ("columns", "uri_column", "leaf"),
    [
        ({"key": BINARY, "IMG": BINARY, "image_url": ["u", "v"]}, None, "IMG"),
        ({"data": BINARY, "n": [1, 2]}, None, "data"),
        ({"data": BINARY, "hash": BINARY}, "hash", "hash"),
        ({"photo": BINARY, "sample": STRUCTS}, None, "photo"),
        ({"data": BINARY, "sample": STRUCTS}, None, "sample.bytes"),
        ({"sample": STRUCTS, "image": STRUCTS}, None, "image.bytes"),
        ({"sample": STRUCTS, "image": STRUCTS}, " Sample", "sample.bytes"),
        ({"sample": STRUCTS, "image": STRUCTS}, "sample.bytes", "sample.bytes"),
        ({"hash": BINARY, "url": ["u", "v"]}, None, None),
        ({"image": BINARY, "URL": ["u", "v"]}, "url", None),
        ({"deep": pa.array([{"a": {"b": b"x"}}] * 2)}, "deep.a.b", "deep.a.b"),
    ],
)
def test_the_column_of_the_pictures(
    columns: Dict[str, Any], uri_column: Optional[str], leaf: Optional[str], tmp_path: Path
) -> None:
    path = written(tmp_path / "0.parquet", columns)
    found = sources(path, uri_column=uri_column)
    if leaf is None:
        assert [each.uri for each in found] == [str(tmp_path / "u"), str(tmp_path / "v")]
    else:
        start = f"{path}#column={leaf}&group=0&row="
        assert [each.uri for each in found] == [start + "0", start + "1"]
        readers.check(str(path), Columns(uri_column=uri_column))
        assert all(stores.read(each.uri).data for each in found)


@pytest.mark.parametrize(
    ("columns", "wanted", "said"),
    [
        ({"a": BINARY, "b": BINARY}, {}, "none of its columns is called uri, url"),
        ({"a": [[b"x"]], "n": [1]}, {}, "none of its columns is called uri, url"),
        ({"image": BINARY}, {"uri_column": "imgae"}, "it has no column 'imgae'"),
        ({"image": BINARY, "n": [1, 2]}, {"name_column": "nmae"}, "it has no column 'nmae'"),
        ({"image": pa.array([], pa.binary())}, {}, "it names no picture"),
        ({"url": [None, ""]}, {}, "row 0: its `url` is None"),
    ],
)
def test_what_names_no_picture_is_refused(
    columns: Dict[str, Any], wanted: Dict[str, str], said: str, tmp_path: Path
) -> None:
    path = written(tmp_path / "0.parquet", columns)
    with pytest.raises(BadList, match=said):
        readers.check(str(path), Columns(**wanted))


def test_what_is_no_parquet_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "0.parquet", {"image": BINARY})
    whole = path.read_bytes()
    for content in (b"", b"PAR1", b"<html>" * 100, whole[:-7], whole[: len(whole) // 2]):
        path.write_bytes(content)
        with pytest.raises(BadList, match="it is no Parquet file, or not whole"):
            readers.check(str(path), Columns())
    twice = pa.Table.from_arrays([pa.array(BINARY), pa.array(BINARY)], ["image", "image"])
    pq.write_table(twice, path)
    with pytest.raises(BadList, match="several columns 'image'"):
        readers.check(str(path), Columns())


def test_types_come_back_as_json_has_them(tmp_path: Path) -> None:
    zone = datetime.timezone(datetime.timedelta(hours=2))
    at = datetime.datetime(2026, 11, 28, 14, 5, 7, 250_000)
    columns = {
        "image": BINARY[:1],
        "naive": pa.array([at]),
        "nanos": pa.array([1_700_000_000_123_456_789], pa.timestamp("ns")),
        "zoned": pa.array([at.replace(tzinfo=zone)], pa.timestamp("us", "+02:00")),
        "inside": pa.array([{"t": [1]}], pa.struct([("t", pa.list_(pa.timestamp("ns")))])),
        "day": [datetime.date(2026, 11, 28)],
        "price": pa.array([Decimal("7.10")], pa.decimal128(9, 2)),
        "nan": [float("nan")],
        "inf": [float("-inf")],
        "half": pa.array([0.5], pa.float16()),
        "none": pa.array([None], pa.int64()),
        "yes": [True],
        "big": [2**62],
        "texts": [["a", None]],
        "kind": pa.array(["cat"]).dictionary_encode(),
        "hash": pa.array([b"ab"], pa.binary(2)),
        "many": [[b"left out"]],
    }
    (found,) = sources(written(tmp_path / "0.parquet", columns))
    assert metadata(found) == {
        "naive": "2026-11-28T14:05:07.250000",
        "nanos": "2023-11-14T22:13:20.123456",
        "zoned": "2026-11-28T14:05:07.250000+02:00",
        "inside": {"t": ["1970-01-01T00:00:00"]},
        **{"day": "2026-11-28", "price": "7.10", "nan": None, "inf": None, "half": 0.5},
        **{"none": None, "yes": True, "big": 2**62, "texts": ["a", None], "kind": "cat"},
        "hash": "YWI=",
    }


def test_a_value_that_python_has_not_costs_its_row(tmp_path: Path) -> None:
    days = pa.array([0, 10**7, 1], pa.int32()).cast(pa.date32())
    path = written(tmp_path / "0.parquet", {"image": [b"1", b"2", b"3"], "day": days})
    first, second, third = read(path)
    assert isinstance(second, BadRow) and second.where == "row 1"
    assert "it has a value that can't be read" in str(second.error)
    assert isinstance(first, Source) and isinstance(third, Source)
    assert stores.read(third.uri).data == b"3" and metadata(third) == {"day": "1970-01-02"}


def test_what_pandas_writes(tmp_path: Path) -> None:
    frame = pandas.DataFrame(
        {"file_name": ["x/a.jpg", "gs://b/c.jpg", None], "price": [1.5, None, 2.0]},
        index=["k", "l", "m"],
    )
    frame.to_parquet(tmp_path / "0.parquet")
    first, second, third = read(tmp_path / "0.parquet")
    assert isinstance(first, Source) and isinstance(second, Source) and isinstance(third, BadRow)
    assert (first.uri, first.name) == (str(tmp_path / "x/a.jpg"), "x/x/a.jpg")
    assert (second.uri, second.name) == ("gs://b/c.jpg", None)
    assert metadata(first) == {"price": 1.5, "__index_level_0__": "k"}
    assert metadata(second) == {"price": None, "__index_level_0__": "l"}
    assert third.where == "row 2" and "`file_name` is None" in str(third.error)


def test_names_and_extras_of_columns(tmp_path: Path) -> None:
    columns = {"image": BINARY, "sku": [7, 8], "extras": ['{"post_process_mask": true}', None]}
    found = sources(written(tmp_path / "0.parquet", columns), name_column="SKU")
    assert [each.name for each in found] == ["7", "8"]
    assert [each.extras for each in found] == ['{"post_process_mask": true}', "{}"]
    assert [each.metadata for each in found] == ["{}", "{}"]


def test_a_damaged_row_group_costs_itself(tmp_path: Path) -> None:
    texts = [random.Random(n).randbytes(300).hex() for n in range(3_000)]
    path = written(
        tmp_path / "0.parquet",
        {"image": [b"%d" % n for n in range(3_000)], "text": texts},
        **{"row_group_size": 1_000, "use_dictionary": False, "compression": "gzip"},
    )
    column = pq.ParquetFile(path).metadata.row_group(1).column(1)
    data = bytearray(path.read_bytes())
    middle = column.data_page_offset + column.total_compressed_size // 2
    data[middle : middle + 2_000] = bytes(2_000)
    path.write_bytes(data)
    found = read(path)
    (lost,) = [each for each in found if isinstance(each, BadRow)]
    assert lost.where == "row 1000" and lost.text == str(path)
    assert "row group 1 is damaged: rows up to 1999 are lost" in str(lost.error)
    good = [each for each in found if isinstance(each, Source)]
    assert [metadata(each)["text"] for each in good] == texts[:1000] + texts[2000:]
    assert stores.read(good[-1].uri).data == b"2999"


def test_of_a_remote_file_the_pictures_are_not_read_with_the_rows(
    tmp_path: Path, emulator: gs.Emulator, proxy: gs.Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 80_000)
    rows = [random.Random(n).randbytes(9_000) for n in range(400)]
    path = written(tmp_path / "0.parquet", {"n": range(400), "image": rows}, row_group_size=200)
    data = path.read_bytes()
    emulator.put("gs://b/0.parquet", data)
    found = sources("gs://b/0.parquet")
    assert [metadata(each)["n"] for each in found] == list(range(400))
    assert proxy.counts()["stat"] == 1 and proxy.counts()["read"] <= 4
    proxy.clear()
    assert [stores.read(each.uri).data for each in found] == rows
    assert proxy.counts()["read"] <= -(-len(data) // 80_000) + 1


def test_rows_of_large_groups_are_streamed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """None is held longer than its batch: the first comes out before the last is read."""
    monkeypatch.setattr(parquet, "_BATCH_ROWS", 10)
    path = written(tmp_path / "0.parquet", {"image": BINARY * 500, "n": range(1000)})
    taken = parquet.Parquet().read(str(path), "x", Columns())
    allocated = pa.total_allocated_bytes()
    assert isinstance(next(taken), Source)
    assert pa.total_allocated_bytes() - allocated < 200_000
    assert len(list(taken)) == 999
