"""Tables: what their rows name, as spreadsheets and libraries write them."""

import bz2
import csv
import gzip
import json
import tracemalloc
from pathlib import Path
from typing import Any, Dict, List

import datasets
import pandas
import pyarrow
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rembg_beam.transforms import Columns, Source
from rembg_beam.transforms.sources import readers, tables
from rembg_beam.transforms.sources.columns import BadRow, source_of_row
from rembg_beam.transforms.sources.lists import LINE_BYTES, BadList


def read(path: Path, name: str = "table", **columns: str) -> List[Any]:
    return list(readers.read(str(path), name, Columns(**columns)))


def metadata(found: List[Any]) -> List[Dict[str, Any]]:
    return [json.loads(each.metadata) for each in found]


def bad(found: List[Any]) -> Dict[str, str]:
    return {each.where: str(each.error) for each in found if isinstance(each, BadRow)}


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return tmp_path / "table.csv"


# What Excel, LibreOffice and Google Sheets write of the same three columns.
SPREADSHEETS = {
    "Google's .csv": ("csv", 'Image_URL,caption,price\r\n{},"a, ""b""\nc",7.5\r\n', "utf-8"),
    "Excel's CSV UTF-8": (
        "csv",
        'Image_URL,caption,price\r\n{},"a, ""b""\nc",7.5\r\n',
        "utf-8-sig",
    ),
    "Excel's, in Germany": (
        "csv",
        'Image_URL;caption;price\r\n{};"a, ""b""\nc";7.5\r\n',
        "utf-8-sig",
    ),
    "Excel's Unicode text": (
        "tsv",
        'Image_URL\tcaption\tprice\r\n{}\t"a, ""b""\nc"\t7.5\r\n',
        "utf-16",
    ),
    "LibreOffice's, all quoted": (
        "csv",
        '"Image_URL","caption","price"\n"{}","a, ""b""\nc","7.5"\n',
        "utf-8",
    ),
    "for Excel, which is told the delimiter": (
        "csv",
        'sep=;\r\nImage_URL;caption;price\r\n{};"a, ""b""\nc";7.5\r\n',
        "utf-8-sig",
    ),
    "cells behind the last column": (
        "csv",
        'Image_URL,caption,price\r\n{},"a, ""b""\nc",7.5,, \r\n',
        "utf-8",
    ),
    "last cells that are left out": (
        "csv",
        'Image_URL,caption,price,\r\n{},"a, ""b""\nc",7.5\r\n',
        "utf-8",
    ),
    "rows that were emptied": (
        "csv",
        '\r\nImage_URL,caption,price,\r\n,,,\r\n{},"a, ""b""\nc",7.5,\r\n,,,\r\n\r\n',
        "utf-8",
    ),
}


@pytest.mark.parametrize("written", SPREADSHEETS.values(), ids=SPREADSHEETS)
def test_tables_of_spreadsheets(tmp_path: Path, written: Any) -> None:
    suffix, text, encoding = written
    path = tmp_path / f"table.{suffix}"
    path.write_bytes(text.format("gs://b/ä.jpg").encode(encoding))
    (source,) = read(path)
    assert source == Source.of("gs://b/ä.jpg", metadata={"caption": 'a, "b"\nc', "price": "7.5"})


def test_tables_of_libraries(tmp_path: Path) -> None:
    columns = {"file_name": ["a.jpg", "x/b.jpg"], "n": [1, 2], "note": ["é", None]}
    frame, written = pandas.DataFrame(columns), datasets.Dataset.from_dict(columns)
    frame.to_csv(tmp_path / "1.csv")
    frame.to_csv(tmp_path / "1.tsv.zst", sep="\t")
    frame.to_json(tmp_path / "1.jsonl.gz", orient="records", lines=True)
    written.to_csv(tmp_path / "2.csv")
    written.to_json(tmp_path / "2.ndjson")
    for path in tmp_path.iterdir():
        found = read(path, path.name)
        assert [(each.uri, each.name) for each in found] == [
            (f"{tmp_path}/a.jpg", "a.jpg"),
            (f"{tmp_path}/x/b.jpg", "x/b.jpg"),
        ]
        number, none = (1, None) if "json" in path.name else ("1", "")
        assert next((each["n"], each["note"]) for each in metadata(found)) == (number, "é")
        assert metadata(found)[1]["note"] == none


cells = st.text(st.characters(exclude_categories=["Cs"]), max_size=9)


@given(
    st.data(), st.sampled_from([",", ";", "\t"]), st.sampled_from(["utf-8", "utf-8-sig", "utf-16"])
)
@settings(deadline=None)
def test_any_cells_come_back(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, delimiter: str, encoding: str
) -> None:
    width = data.draw(st.integers(0, 4))
    rows = data.draw(st.lists(st.lists(cells, min_size=width, max_size=width), max_size=5))
    path = tmp_path_factory.getbasetemp() / "any.csv"
    with open(path, "w", newline="", encoding=encoding) as file:
        writer = csv.writer(file, delimiter=delimiter)
        writer.writerow([*map(str, range(width)), "url"])
        writer.writerows([*row, "https://host/a.jpg"] for row in rows)
    found = read(path)
    assert [list(each.values()) for each in metadata(found)] == rows
    assert {each.uri for each in found if isinstance(each, Source)} <= {"https://host/a.jpg"}


@pytest.mark.parametrize("name", ["a;b;c", 'x;"y;', "\t\t", "a\nb;c", "b;url;c", '"', "1, 2"])
@pytest.mark.parametrize("delimiter", [",", ";"])
def test_headings_may_hold_other_delimiters(table: Path, name: str, delimiter: str) -> None:
    with open(table, "w", newline="") as file:
        csv.writer(file, delimiter=delimiter).writerows([["url", name, "n"], ["/a.jpg", "x", "7"]])
    metadata = {name.strip(): "x", "n": "7"}
    metadata.pop("", None)
    assert read(table) == [Source.of("/a.jpg", metadata=metadata)]


@pytest.mark.parametrize(
    ("uri", "found"),
    [
        ("gs://b/x.jpg", ("gs://b/x.jpg", None)),
        ("/p/x.jpg", ("/p/x.jpg", None)),
        (" x y/z.jpg ", ("gs://b/train/x y/z.jpg", "train/x y/z.jpg")),
        ("./x/./z.jpg", ("gs://b/train/x/z.jpg", "train/x/z.jpg")),
        ("x//z.jpg", ("gs://b/train/x//z.jpg", "train/x/z.jpg")),
        ("../x.jpg", ("gs://b/x.jpg", None)),
        ("../../../x.jpg", ("gs://b/x.jpg", None)),
    ],
)
def test_a_relative_path_belongs_to_the_table(uri: str, found: Any) -> None:
    row = {"path": uri}
    assert _source(row, name="train/t.csv")[:2] == found
    assert _source(row, name=None).name is None


def _source(row: Any, name: Any = None, **columns: str) -> Source:
    return source_of_row(row, Columns(**columns), "gs://b/train/t.csv", name)


def test_a_table_whose_path_is_a_file_uri(tmp_path: Path) -> None:
    (tmp_path / "a b%").mkdir()
    (tmp_path / "a b%" / "t.csv").write_text("path\nc%20d.jpg\n")
    (source,) = readers.read(f"file://{tmp_path}/a%20b%25/t.csv", "t.csv", Columns())
    assert source == Source(f"{tmp_path}/a b%/c%20d.jpg", "c%20d.jpg")


def test_which_column_is_what() -> None:
    row = {"path": "p.jpg", " URL ": "/u.jpg", "Extras": '{"post_process_mask": true}', "id": 7}
    assert _source(row) == Source(
        "/u.jpg", None, '{"post_process_mask": true}', '{"id": 7, "path": "p.jpg"}'
    )
    assert _source(row, uri_column="PATH").uri == "gs://b/train/p.jpg"
    assert _source(row, name_column="id", extras_column="id2").name == "7"
    assert _source({"uri": "/a", "x": {"k": 1}}, extras_column="x").extras == '{"k": 1}'


@pytest.mark.parametrize(
    ("row", "columns", "message"),
    [
        ({"a": 1}, {}, "none of uri, url, image_url, file_name, path; --uri_column names another"),
        ({"url": " "}, {}, "its `url` is ' ' and must be a URI or a path"),
        ({"url": None}, {}, "its `url` is None"),
        ({"url": "a", "n": 1.5}, {"name_column": "n"}, "its `n` is 1.5 and must be a text"),
        ({"url": "a", "extras": "[1]"}, {}, r"its `extras` is \[1\] and must be a JSON object"),
        ({"url": "a", "extras": "{"}, {}, "its `extras` is no JSON object"),
        ({"url": "\ud800"}, {}, "can't be kept as UTF-8"),
    ],
)
def test_rows_that_name_no_picture(row: Any, columns: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        _source(row, **columns)


def test_a_bad_row_costs_itself(table: Path) -> None:
    long = "x" * (LINE_BYTES + 1)
    rows = [
        b"url,n",
        b"a,1",
        b"b",
        b"c,1,2",
        b",3",
        b'd,"x',
        b'y"',
        b"caf\xe9,1",
        long.encode(),
        b"e,5",
    ]
    table.write_bytes(b"\n".join([*rows, b'f,"', b"g,7", b""]))
    found = read(table)
    assert bad(found) == {
        "line 4": "it has 3 cells, and the header 2",
        "line 5": "its `url` is '' and must be a URI or a path",
        "line 8": bad(found)["line 8"],
        "line 9": "longer than 1000000 bytes",
        "line 11": "a quote begins in it and doesn't end",
    }
    assert "not UTF-8" in bad(found)["line 8"] and "save the table as UTF-8" in bad(found)["line 8"]
    assert [Path(each.uri).name for each in found if isinstance(each, Source)] == [
        *("a", "b", "d", "e", "g")
    ]
    assert metadata(found[1:2]) == [{"n": ""}]
    assert [each.text[:9] for each in found if isinstance(each, BadRow)][2:4] == [
        r"caf\xe9,1",
        "xxxxxxxxx",
    ]


@pytest.mark.parametrize(
    ("broken", "behind"),
    [
        ('7.jpg,"7', "8.jpg,8"),
        ('"7.jpg,7', "8.jpg,8"),
        ('7.jpg,"7', '2000.jpg,"20,00"'),
        ('7.jpg,"7', '"2000.jpg","20\n00"'),
    ],
)
def test_a_quote_that_does_not_end_costs_its_line(broken: str, behind: str, table: Path) -> None:
    rows = [f"{number}.jpg,{number}" for number in range(3_000)]
    rows[7], rows[2_000] = broken, behind
    table.write_text("\n".join(["url,n", *rows, ""]))
    found = read(table)
    assert list(bad(found)) == ["line 9"] and len(found) == 3_000
    assert found[-1].uri.endswith("2999.jpg")


def test_rows_of_several_lines_stay_one_row(table: Path) -> None:
    """Also those that have too many cells, or whose first line alone is one."""
    table.write_text('url,n\n"a","x\nb,7\n""\nc"\nd,"x\ny",1\n"e","\nf,""5""\n"\n')
    found = read(table)
    assert list(bad(found)) == ["line 6"] and len(found) == 3
    assert [each["n"] for each in metadata(found[:1] + found[2:])] == ['x\nb,7\n"\nc', '\nf,"5"\n']


def test_lines_are_read_again_a_bounded_number_of_times(
    table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of these lines begins a quote that the next one ends."""
    monkeypatch.setattr(tables, "_REREAD", 3)
    table.write_text("\n".join(["url,n", *('a,"b""' for _ in range(99)), ""]))
    found = read(table)
    assert list(bad(found)) == ["line 2", "line 3", "line 4", "line 5"] and len(found) == 4
    assert "nothing is read from here on" in bad(found)["line 5"]


def test_a_quote_that_does_not_end_costs_no_more_than_a_cell_may_hold(table: Path) -> None:
    rows = [f"{number:07}.jpg,{number}" for number in range(20_000)]
    rows[7] = '7.jpg,"7'
    table.write_text("\n".join(["url,n", *rows, ""]))
    found = read(table)
    assert list(bad(found)) == ["line 9"] and "no CSV (field larger than" in bad(found)["line 9"]
    assert len(found) == 20_000 and found[-1].uri.endswith("0019999.jpg")


def test_bad_rows_of_json(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    rows = ['{"url": "a.jpg", "k": [NaN, {"x": 1e999}]}', "", "a.jpg", "7", '{"u": 1}', "{"]
    path.write_text("\n".join(rows))
    found = read(path)
    assert metadata(found[:1]) == [{"k": [None, {"x": None}]}]
    assert {where: text[:20] for where, text in bad(found).items()} == {
        "line 3": "not a JSON object (E",
        "line 4": "not a JSON object, a",
        "line 5": "it has none of uri, ",
        "line 6": "not a JSON object (E",
    }


@pytest.mark.parametrize(
    ("name", "data", "columns", "message"),
    [
        ("t.csv", b"", {}, "it names no picture"),
        ("t.csv", b"url,n\r\n\r\n,\r\n", {}, "it names no picture"),
        (
            "t.csv",
            b"a,b\n1,2\n",
            {},
            "none of its columns is called uri.*--uri_column.*it has a, b",
        ),
        ("t.csv", b"https://h/a.jpg\nhttps://h/b.jpg\n", {}, "no names of columns.*--input_list"),
        ("t.tsv", b"1\ta.JPG\n2\tb.jpg\n", {}, "give it a heading such as uri"),
        ("t.csv", b"link,caption\n", {}, "it has link, caption"),
        ("t.csv", b"url,Url,n,n\n", {}, "its header has 'n' twice: give one another name"),
        (
            "t.csv",
            b"url,b\nx,y\n",
            {"uri_column": "ulr"},
            r"no column 'ulr' \(--uri_column\).*'url'",
        ),
        ("t.csv", b"url,b\nx,y\n", {"name_column": "c"}, r"no column 'c' \(--name_column\)"),
        ("t.csv", b"url,b\n,y\n,z\n", {}, "line 2: its `url` is '' and must be"),
        ("t.csv", b"PAR1\x15\x04\x15", {}, "it is Parquet"),
        ("t.csv", b"<!DOCTYPE html>\n<html>", {}, "it is XML or HTML"),
        ("t.csv", b"a,url\rb,c\r", {}, "its lines end with CR alone"),
        ("t.csv.gz", b"url\na.jpg\n", {}, "its suffix says gzip, and it can't be unpacked"),
        (
            "t.csv",
            gzip.compress(b"url\na.jpg\n" * 99, mtime=0),
            {},
            "it is gzip, without the suffix .gz",
        ),
        ("t.jsonl", b'[{"url": "a.jpg"}]', {}, "it is a JSON array.*jq"),
        ("t.jsonl", b"a.jpg\nb.jpg\n", {}, "line 1: not a JSON object"),
        ("t.jsonl", b'{"u": 1}\n', {}, "none of its columns is called uri.*it has u"),
        ("t.jsonl", b'{"url": "a"}\n', {"name_column": "nmae"}, "no column 'nmae'"),
    ],
)
def test_what_is_no_table(
    tmp_path: Path, name: str, data: bytes, columns: Any, message: str
) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(BadList, match=message):
        readers.check(str(tmp_path / name), Columns(**columns))


@pytest.mark.parametrize(
    ("suffix", "compress"),
    [
        (".gz", gzip.compress),
        (".BZ2", bz2.compress),
        (".zst", lambda data: pyarrow.compress(data, "zstd", asbytes=True)),
    ],
)
def test_compressed_tables(tmp_path: Path, suffix: str, compress: Any) -> None:
    path = tmp_path / f"table.CSV{suffix}"
    whole = compress(
        b"url\n" + b"".join((b"%x" % hash(str(each))) * 8 + b".jpg\n" for each in range(20_000))
    )
    path.write_bytes(whole)
    assert len(read(path)) == 20_000
    path.write_bytes(whole[: len(whole) // 2])
    found = readers.read(str(path), None, Columns())
    assert isinstance(next(found), Source)
    with pytest.raises(BadList, match="can't be unpacked"):
        list(found)


@pytest.mark.long
def test_a_large_table_is_not_held(tmp_path: Path) -> None:
    def peak(rows: int) -> int:
        path = tmp_path / f"{rows}.csv"
        with open(path, "w") as file:
            file.write("url,caption\n")
            file.writelines(
                f'https://host/{each}.jpg,"{each}\n{"x" * 99}"\n' for each in range(rows)
            )
        tracemalloc.start()
        count = sum(1 for _ in readers.read(str(path), None, Columns()))
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert count == rows
        return found

    assert peak(200_000) < 1.1 * peak(5_000)
