"""Input lists: their lines, what these name, and files that are no list."""

import bz2
import gzip
import io
import json
from pathlib import Path
from typing import Any, Callable, List

import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rembg_beam.transforms import Source
from rembg_beam.transforms.sources import list_formats, lists


def lines_of(data: bytes) -> List[bytes]:
    return list(lists.lines_of(io.BytesIO(data)))


@given(st.lists(st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"]))))
def test_lines_are_the_same_in_every_encoding(written: List[str]) -> None:
    text = "\n".join(["a", *written, "z"])
    expected = text.encode().split(b"\n")
    for encoding in ("utf-8", "utf-16", "utf-32"):
        assert lines_of(text.encode(encoding)) == expected
    assert lines_of(b"\xfe\xff" + text.encode("utf-16-be")) == expected


@given(st.lists(st.binary(max_size=9), max_size=9), st.integers(1, 9))
def test_lines_do_not_depend_on_how_they_are_read(lines: List[bytes], size: int) -> None:
    data = b"\n".join(lines)
    pieces = (data[start : start + size] for start in range(0, len(data), size))
    expected = data.split(b"\n")
    found = list(lists._split(pieces))
    assert found == (expected if expected[-1] else expected[:-1])


class _Endless:
    """A file with one line, and how much of it was read."""

    def __init__(self, size: int) -> None:
        self.left = size

    def read(self, size: int) -> bytes:
        given = min(size, self.left)
        self.left -= given
        return b"x" * given


def test_a_line_that_is_too_long_is_cut_off() -> None:
    (line,) = lists.lines_of(_Endless(300 * lists.LINE_BYTES))
    assert len(line) == lists.LINE_BYTES + 1
    with pytest.raises(lists.BadLine, match="longer than 1000000 bytes"):
        lists.parse(line)


@pytest.mark.parametrize(
    ("line", "source"),
    [
        (b"gs://b/a.jpg", Source("gs://b/a.jpg")),
        (b"  a b.jpg \r", Source("a b.jpg")),
        (b"\xef\xbb\xbfa.jpg", Source("a.jpg")),
        (b"gs://b/a,b.jpg", Source("gs://b/a,b.jpg")),
        (b'{"uri": "a.jpg"}', Source("a.jpg")),
        (
            b'{"uri": "a.jpg", "name": "x", "extras": {"k": 1}, "sku": 7}',
            Source("a.jpg", "x", '{"k": 1}', '{"sku": 7}'),
        ),
    ],
)
def test_lines(line: bytes, source: Source) -> None:
    assert lists.parse(line) == source


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b'{"uri": "a.jpg"', "not a JSON object"),
        (b'{"k":' + b"[" * 99_999, "not a JSON object"),
        (b'{"name": "a.jpg"}', "`uri` is null"),
        (b'{"uri": ""}', '`uri` is "" and must be a string that is not empty'),
        (b'{"uri": "a.jpg", "name": ""}', '`name` is "" and must be a string that is not empty'),
        (b'{"uri": "a.jpg", "name": 7}', "`name` is 7"),
        (b'{"uri": "a.jpg", "extras": []}', r"`extras` is \[\]"),
        (b"caf\xe9.jpg", "not UTF-8.*file:///photos/%E9.jpg"),
    ],
)
def test_bad_lines_say_why(line: bytes, message: str) -> None:
    with pytest.raises(lists.BadLine, match=message):
        lists.parse(line)


def parquet() -> bytes:
    buffer = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table({"uri": ["a.jpg"]}), buffer)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"uri,sku\na.jpg,17\n", "it is a table with the columns uri, sku: write the column"),
        (b'"imageUrl";"id"\r\n"a.jpg";"1"\r\n', "a table with the columns imageUrl, id"),
        (b"label\tfile name\nx\ta.jpg\n", "a table with the columns label, file name"),
        ("\ufeffurl,caption\n".encode("utf-16"), "a table with the columns url, caption"),
        (b"image_path\na.jpg\n", "its first line is the heading image_path"),
        (b'"a.jpg"\n"b.jpg"\n', "its lines are in quotes"),
        (b"'a.jpg'\n'b.jpg'\n", "its lines are in quotes"),
        (b'"a.jpg","cat"\n', "its lines are in quotes"),
        (b'[{"uri": "a.jpg"}]', "it is a JSON array.*jq"),
        (b'[\n  "a.jpg",\n  "b.jpg"\n]\n', "it is a JSON array.*jq"),
        (b'{\n  "uri": "a.jpg"\n}\n', "it is JSON over several lines.*jq"),
        (b"a.jpg\rb.jpg\r", "its lines end with CR alone.*tr"),
        ("a.jpg\nb.jpg\n".encode("utf-16-le"), "UTF-16 without a byte order mark"),
        ("a.jpg\nb.jpg\n".encode("utf-16-be"), "UTF-16 without a byte order mark"),
        (b"p/a.jpg\0p/b.jpg\0", "names that end with NUL, as those of find -print0"),
        (bytes(9999), "no text"),
        (gzip.compress(b"a.jpg\n", mtime=0), "gzip, without the suffix .gz"),
        (bz2.compress(b"a.jpg\n"), "bzip2, without the suffix .bz2"),
        (pyarrow.compress(b"a.jpg\n" * 99, "zstd", asbytes=True), "Zstandard, without"),
        (b"PK\x03\x04\x14\0\x08\0", "a zip archive, as spreadsheets are too"),
        (parquet(), "it is Parquet: write the column"),
        (b"%PDF-1.7\n", "it is a PDF; a list is text"),
        (b"<!DOCTYPE html>\n<html>", "it is XML or HTML; a list is text"),
    ],
    ids=lambda value: value if isinstance(value, str) else repr(value[:12]),
)
def test_other_formats_are_refused(tmp_path: Path, data: bytes, message: str) -> None:
    (tmp_path / "list").write_bytes(data)
    with pytest.raises(lists.BadList, match=message):
        lists.check(str(tmp_path / "list"))


@pytest.mark.parametrize(
    "format", ["JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP", "AVIF", "JPEG2000"]
)
def test_a_picture_is_no_list(tmp_path: Path, encoded: Callable[..., bytes], format: str) -> None:
    (tmp_path / "list").write_bytes(encoded(format))
    with pytest.raises(lists.BadList, match="it is a picture, no list: name it by --input"):
        lists.check(str(tmp_path / "list"))


ODD = [
    "gs://b/a,b.jpg",
    "https://cdn.host/w_200,h_100/a.jpg?size=1,2;q=3",
    "a, b; c.jpg",
    "file,1.jpg",
    "[1].jpg",
    "[ab]/1.jpg",
    "{1}.jpg",
    "#1.jpg",
    '"x" y.jpg',
    "'t was.jpg",
    "GIF89a.jpg",
    "PAR1/a.jpg",
    "BM/a.jpg",
    "RIFF1234WEBP.jpg",
    "123ftyp.jpg",
    "uri.jpg",
    "image path, the.jpg",
    "photo_path/a.jpg",
    "<a>.jpg",
    "%PDF-a.jpg",
    "caf\u00e9 \u65e5\u672c.jpg",
    "a\x1b[31m.jpg",
    json.dumps({"uri": "a.jpg", "path,of": "x", "file": "y"}),
]


@pytest.mark.parametrize("line", ODD)
def test_odd_names_are_no_other_format(line: str) -> None:
    for text in (
        line,
        f"{line}\n",
        f"{line}\r\n{line}\r\n",
        f"\ufeff{line}\nb.jpg",
        f"\n {line}\n",
    ):
        for encoding in ("utf-8", "utf-16"):
            assert list_formats.refusal(text.encode(encoding)) is None


def test_names_of_files_that_are_there_are_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("uri,id", "'quoted'", "image", '["a"]'):
        assert list_formats.refusal(f"{name}\nb.jpg\n".encode())
        (tmp_path / name).touch()
        assert list_formats.refusal(f"{name}\nb.jpg\n".encode()) is None


@given(st.binary(max_size=200))
def test_any_beginning_is_judged(beginning: bytes) -> None:
    assert list_formats.refusal(beginning) != ""


@pytest.mark.parametrize(
    ("suffix", "compress"),
    [
        (".gz", gzip.compress),
        (".BZ2", bz2.compress),
        (".zst", lambda data: pyarrow.compress(data, "zstd", asbytes=True)),
    ],
)
def test_compressed_lists(tmp_path: Path, suffix: str, compress: Any) -> None:
    written = [b"%d/%x.jpg" % (number, hash(str(number))) for number in range(20_000)]
    whole = compress(b"\n".join(written))
    uri = str(tmp_path / f"list.txt{suffix}")
    Path(uri).write_bytes(whole)
    lists.check(uri)
    assert list(lists.lines(uri)) == written
    Path(uri).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(lists.BadList, match="can't be unpacked: Truncated"):
        list(lists.lines(uri))
    Path(uri).write_bytes(b"a.jpg\nb.jpg\n")
    with pytest.raises(lists.BadList, match="can't be unpacked"):
        lists.check(uri)


def test_a_folder_is_no_list(tmp_path: Path) -> None:
    with pytest.raises(lists.BadList, match="it is a folder: name that by --input"):
        lists.check(str(tmp_path))
