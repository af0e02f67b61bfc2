"""URLs as files of any Beam step, read from a real server."""

import dataclasses
import gzip
import io
import json
import os
import ssl
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any, Callable, Iterator, List

import apache_beam as beam
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet
import pytest
import trustme
from apache_beam.io.filesystem import BeamIOError, CompressionTypes
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import web
from support.web import LOOPBACK

from rembg_beam.pipelines import cli
from rembg_beam.transforms import Columns, WebOptions
from rembg_beam.transforms.sources import readers
from rembg_beam.transforms.store import blocks, limits, stores
from rembg_beam.transforms.store.web import WebFileOptions, filesystem, parts

DATA = os.urandom(300_000)


def options(web_options: WebOptions = LOOPBACK) -> PipelineOptions:
    made = PipelineOptions(runner="FnApiRunner")
    WebFileOptions.set(made, web_options)
    return made


@pytest.fixture(autouse=True)
def _trusted(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """This machine may be read from, as a pipeline's options say it."""
    monkeypatch.setattr(FileSystems, "_pipeline_options", options())
    yield


@pytest.fixture
def parted(server: web.Server) -> str:
    """The URL of a file whose server sends parts."""
    server.pictures["/parts/data.bin"] = DATA
    return f"{server.url}/parts/data.bin"


@pytest.mark.parametrize("path", ["/parts/data.bin", "/data.bin"])
def test_a_file_is_read_with_its_size_and_time(server: web.Server, path: str) -> None:
    server.pictures[path] = DATA
    url = server.url + path
    system = FileSystems.get_filesystem(url)
    with FileSystems.open(url) as file:
        assert file.read() == DATA
    (found,) = FileSystems.match([url])[0].metadata_list
    assert (found.path, found.size_in_bytes, system.size(url)) == (url, len(DATA), len(DATA))
    is_dated = path.startswith("/parts")
    assert found.last_updated_in_seconds == system.last_updated(url) == 1795867200 * is_dated
    assert FileSystems.exists(url) and not FileSystems.exists(f"{server.url}/absent")
    assert system.checksum(url) == (f'"{zlib.crc32(DATA)}"' if is_dated else str(len(DATA)))


@pytest.mark.parametrize("path", ["/parts/empty", "/empty"])
def test_an_empty_file_is_one(server: web.Server, path: str) -> None:
    server.pictures[path] = b""
    with FileSystems.open(server.url + path) as file:
        assert file.read() == b""
    assert FileSystems.match([server.url + path])[0].metadata_list[0].size_in_bytes == 0


def test_beam_finds_schemes_in_lower_case_alone() -> None:
    """As `docs/web.md` says."""
    with pytest.raises(ValueError, match="Unable to get filesystem"):
        FileSystems.get_filesystem("HTTP://host/urls.txt")


def test_a_refusal_names_the_option_for_steps_of_beams_own(
    parted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FileSystems, "_pipeline_options", None)
    with pytest.raises(BeamIOError, match="step of Beam's own in --rembg_beam_web_options"):
        FileSystems.match([parted])


def test_no_more_is_fetched_than_is_read(
    parted: str, server: web.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(filesystem, "PIECE_BYTES", 1000)
    with FileSystems.open(parted) as file:
        file.seek(-500, os.SEEK_END)
        assert file.read() == DATA[-500:]
        assert server.headers["Range"] == "bytes=299500-299999"
        file.seek(100_000)
        assert file.read(10) == DATA[100_000:100_010]
        assert server.headers["Range"] == "bytes=100000-100999"
    assert len(server.paths) == 3


@settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    st.lists(st.tuples(st.integers(0, len(DATA) + 9), st.integers(-1, 200_000)), max_size=6),
    st.sampled_from([777, 50_000, 2**20]),
)
def test_seeks_and_reads_are_those_of_a_local_file(
    parted: str, monkeypatch: pytest.MonkeyPatch, steps: List[Any], piece: int
) -> None:
    monkeypatch.setattr(filesystem, "PIECE_BYTES", piece)
    local = io.BytesIO(DATA)
    with FileSystems.open(parted) as file:
        for place, size in steps:
            assert file.seek(place) == min(place, len(DATA))
            local.seek(min(place, len(DATA)))
            assert file.read(size) == local.read(size)
            assert file.tell() == local.tell()


def test_a_file_that_changes_while_it_is_read_is_an_error(
    parted: str, server: web.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(filesystem, "PIECE_BYTES", 1000)
    with FileSystems.open(parted) as file:
        assert file.read(10) == DATA[:10]
        server.pictures["/parts/data.bin"] = bytes(len(DATA))
        file.seek(200_000)
        with pytest.raises(OSError, match="it changed while it was read"):
            file.read(10)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("shifted", "another part than was asked for"),
        ("short", "another part than was asked for"),
        ("silent", "does not say which part"),
        ("packed", "parts of what it packed unasked"),
    ],
)
def test_parts_that_are_not_what_they_should_be_are_errors(
    parted: str, wrong: str, message: str
) -> None:
    with pytest.raises(OSError, match=message):
        FileSystems.open(f"{parted}?{wrong}")


def test_a_server_that_sends_no_parts_is_held_to_a_limit(
    server: web.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "MOST_BYTES", 1000)
    server.pictures["/data.bin"] = DATA
    with pytest.raises(limits.TooLarge):
        FileSystems.open(f"{server.url}/data.bin")


def test_nothing_is_connected_to_that_is_not_of_the_public_internet(
    listener: web.Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FileSystems, "_pipeline_options", PipelineOptions())
    url = f"http://127.0.0.1:{listener.port}/list.txt"
    with pytest.raises(PermissionError, match="not of the public internet"):
        FileSystems.open(url)
    with pytest.raises(BeamIOError, match="not of the public internet"):
        FileSystems.match([url])
    assert listener.connections == 0


def test_https_is_read_and_its_certificate_verified(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    server = web.Server(context)
    server.pictures["/parts/data.bin"] = DATA
    url = f"{server.url}/parts/data.bin"
    with pytest.raises(OSError, match="certificate is not valid"):
        FileSystems.open(url)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    # Of other options, since a process keeps its fetchers.
    others = options(dataclasses.replace(LOOPBACK, max_seconds=21))
    monkeypatch.setattr(FileSystems, "_pipeline_options", others)
    with FileSystems.open(url) as file:
        assert file.read() == DATA
    server.stop()


def test_secrets_of_a_url_are_in_no_error(server: web.Server) -> None:
    url = f"{server.url.replace('://', '://me:pw@')}/absent.txt?sig=secret"
    for fails in (FileSystems.open, FileSystems.create, lambda url: FileSystems.delete([url])):
        with pytest.raises(OSError) as error:
            fails(url)
        assert "secret" not in str(error.value) and "pw" not in str(error.value)


def test_what_writes_and_what_lists_is_refused(server: web.Server) -> None:
    url = f"{server.url}/a.txt"
    for write in (
        lambda: FileSystems.create(url),
        lambda: FileSystems.mkdirs(url),
        lambda: FileSystems.delete([url]),
        lambda: FileSystems.rename([url], [url]),
        lambda: FileSystems.copy([url], [url]),
    ):
        with pytest.raises(OSError, match="can't be written to; name a file of a file system"):
            write()
    before = len(server.paths)
    for ask in (
        lambda: stores.write(server.url, "a.png", b"", "image/png"),
        lambda: stores.remove(url),
        lambda: list(stores.listing(server.url)),
    ):
        with pytest.raises(OSError, match=r"can't be written to|can't be listed"):
            ask()
    assert len(server.paths) == before == 0
    with pytest.raises(BeamIOError, match="can't be listed; name each file by its URL"):
        FileSystems.match([f"{server.url}/*.txt"])


def read(transform: Any) -> List[Any]:
    _kept.clear()
    with beam.Pipeline(options=options()) as pipeline:
        _ = pipeline | transform | beam.Map(_keep)
    return list(_kept)


_kept: List[Any] = []


def _keep(element: Any) -> None:
    _kept.append(element)


def test_text_is_read_packed_or_not_and_question_marks_are_no_wildcards(
    server: web.Server,
) -> None:
    lines = [f"line {number}" for number in range(20_000)]
    text = "\n".join(lines).encode()
    server.pictures |= {"/parts/a.txt": text, "/parts/b.txt.gz": gzip.compress(text)}
    for path in ("/parts/a.txt", "/parts/a.txt?key=[1]", "/parts/b.txt.gz"):
        assert sorted(read(beam.io.ReadFromText(server.url + path))) == sorted(lines)
    packed = f"{server.url}/parts/b.txt.gz?key=1"
    told = beam.io.ReadFromText(packed, compression_type=CompressionTypes.GZIP)
    assert sorted(read(told)) == sorted(lines)


def test_tables_are_read(server: web.Server) -> None:
    rows = [{"uri": f"{number}.jpg", "sku": number} for number in range(1000)]
    file = io.BytesIO()
    pa.parquet.write_table(pa.Table.from_pylist(rows), file)
    server.pictures["/parts/t.parquet"] = file.getvalue()
    found = read(beam.io.ReadFromParquet(f"{server.url}/parts/t.parquet"))
    assert sorted(found, key=lambda row: row["sku"]) == rows
    server.pictures["/t.csv"] = b"uri,sku\na.jpg,7\nb.jpg,8\n"
    table = read(beam.io.ReadFromCsv(f"{server.url}/t.csv"))
    assert [(row.uri, row.sku) for row in table] == [("a.jpg", 7), ("b.jpg", 8)]


def test_a_missing_file_ends_the_pipeline_in_beams_words(server: web.Server) -> None:
    with pytest.raises(Exception, match="No files found based on the file pattern"):
        read(beam.io.ReadFromText(f"{server.url}/absent.txt"))


@pytest.mark.parametrize("suffix", ["txt", "txt.gz"])
def test_a_list_may_be_a_url(
    suffix: str, server: web.Server, tmp_path: Path, tree: Callable[[Any], List[str]]
) -> None:
    text = f'{server.url}/a.jpg\n{{"uri": "{server.url}/a.jpg", "name": "b"}}\n'.encode()
    packed = gzip.compress(text) if suffix.endswith("gz") else text
    server.pictures[f"/parts/list.{suffix}"] = packed
    flags = ["--output", str(tmp_path / "out"), "--model", "tiny", "--allow_private_hosts"]
    url = f"{server.url}/parts/list.{suffix}?key=1"
    assert cli.main(["run", "--input_list", url, *flags]) == 0
    found = tree(tmp_path / "out")
    assert len(found) == 2 and "b.png" in found


TABLE = [
    {"file_name": "x y/a.jpg", "price": 7},
    {"file_name": "../b.jpg", "price": 8},
    {"file_name": "absent.jpg", "price": 9},
]


def _parquet(rows: List[Any], **options: Any) -> bytes:
    file = io.BytesIO()
    pa.parquet.write_table(pa.Table.from_pylist(rows), file, **options)
    return file.getvalue()


def _csv(rows: List[Any]) -> bytes:
    return "\r\n".join(
        ["file_name,price", *(f"{r['file_name']},{r['price']}" for r in rows)]
    ).encode()


def _json_lines(rows: List[Any]) -> bytes:
    return "\n".join(map(json.dumps, rows)).encode()


@pytest.mark.parametrize("place", ["/parts/t", "/whole/t"])
@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("t.csv", _csv),
        ("t.csv.gz", lambda rows: gzip.compress(_csv(rows))),
        ("t.jsonl", _json_lines),
        ("t.parquet", _parquet),
    ],
)
def test_a_table_may_be_a_url(
    place: str, name: str, write: Any, server: web.Server, tmp_path: Path, tree: Any, capfd: Any
) -> None:
    """And the relative paths in it are of files beside it; its query is for itself."""
    picture = server.pictures["/a.jpg"]
    server.pictures |= {
        f"{place}/{name}": write(TABLE),
        f"{place}/x%20y/a.jpg": picture,
        f"{place.rpartition('/')[0]}/b.jpg": picture,
    }
    flags = ["--output", str(tmp_path / "out"), "--model", "tiny", "--allow_private_hosts"]
    url = f"{server.url.replace('://', '://me:s3cr3t@')}{place}/{name}?key=s3cr3t"
    assert cli.main(["run", "--input", url, *flags, "--max_failures", "1"]) == 0
    out, err = capfd.readouterr()
    assert "2 written, 0 skipped, 1 failed" in out and "s3cr3t" not in out + err
    host = server.url.partition("://")[2].replace(":", "^3A")
    assert tree(tmp_path / "out") == [
        f"{host}{place.rpartition('/')[0]}/b.jpg.png",
        f"{host}{place}/x y/a.jpg.png",
    ]
    rows = pyarrow.dataset.dataset(tmp_path / "out" / "_manifest", partitioning="hive").to_table()
    prices = sorted(json.loads(row)["price"] for row in rows["metadata"].to_pylist())
    assert [int(price) for price in prices] == [7, 8, 9]
    assert "s3cr3t" not in str(rows.to_pylist())
    assert not [path for path in server.paths if "?" in path and name not in path]


def test_of_a_large_table_of_the_webs_blocks_are_fetched(
    server: web.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 100_000)
    rows = [{"uri": f"{number}.jpg", "text": os.urandom(200).hex()} for number in range(2000)]
    server.pictures["/parts/t.parquet"] = _parquet(rows, row_group_size=500)
    found: List[Any] = list(readers.read(f"{server.url}/parts/t.parquet", None, Columns()))
    assert [each.uri for each in found] == [f"{server.url}/parts/{r['uri']}" for r in rows]
    size = len(server.pictures["/parts/t.parquet"])
    assert size / 100_000 <= len(server.paths) <= size / 100_000 + 3


def test_a_shard_of_the_webs_is_refused(server: web.Server, tmp_path: Path, capfd: Any) -> None:
    cells = [{"image": server.pictures["/a.jpg"]}]
    server.pictures |= {"/t.parquet": _parquet(cells), "/t.tar": b"x"}
    flags = ["--output", str(tmp_path / "out"), "--model", "tiny", "--allow_private_hosts"]
    for name in ("t.parquet", "t.tar?key=1"):
        assert cli.main(["run", "--input", f"{server.url}/{name}", *flags]) == 2
        assert "pictures within a file of the web are not read" in capfd.readouterr().err
        assert not (tmp_path / "out").exists()


def test_a_list_that_is_not_there_is_wrong_use(
    server: web.Server, tmp_path: Path, capfd: Any
) -> None:
    flags = ["--output", str(tmp_path / "out"), "--model", "tiny"]
    url = f"{server.url}/list.txt"
    assert cli.main(["run", "--input_list", url, *flags, "--allow_private_hosts"]) == 2
    assert "there is no such file" in capfd.readouterr().err
    assert cli.main(["run", "--input_list", url, *flags]) == 2
    assert "not of the public internet" in capfd.readouterr().err
    assert cli.main(["run", "--input", f"{server.url}/t.csv", *flags]) == 2
    assert "not of the public internet" in capfd.readouterr().err
    assert cli.main(["run", "--input", f"{server.url}/t.csv", *flags, "--allow_private_hosts"]) == 2
    assert f"'{server.url}/t.csv'" in capfd.readouterr().err


def test_a_store_reads_urls_in_pieces(parted: str, tmp_path: Path) -> None:
    with stores.opened(parted) as file:
        assert file.read(7) == DATA[:7]
    assert stores.size(parted) == len(DATA)
    assert stores.size(parted.replace("parts/", "absent/")) is None
    stores.download(parted, str(tmp_path / "copy"))
    assert (tmp_path / "copy").read_bytes() == DATA


def test_the_package_registers_both_and_beams_workers_do_too() -> None:
    code = (
        "import sys, rembg_beam.transforms as t; assert 'apache_beam' not in sys.modules; "
        "t.RemoveBackground; "
        "from apache_beam.utils.plugin import BeamPlugin; print(*BeamPlugin.get_all_plugin_paths())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    for scheme in ("Http", "Https"):
        name = f"rembg_beam.transforms.store.web.filesystem.{scheme}FileSystem"
        assert name in done.stdout.split()


def test_workers_have_the_options_as_a_mapping() -> None:
    made = options().get_all_options(drop_default=True)
    assert filesystem.web_options_of(made) == LOOPBACK
    assert filesystem.web_options_of(None) == filesystem.web_options_of({})
    with pytest.raises(ValueError, match=r"--rembg_beam_web_options=.*max_second"):
        filesystem.web_options_of({"rembg_beam_web_options": '{"max_second": 1}'})
