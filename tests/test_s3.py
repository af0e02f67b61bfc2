"""s3:// against a real emulator: what it costs, who wins, and what goes wrong on the way."""

import io
import logging
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Callable, Dict, List, Set

import apache_beam as beam
import pyarrow.dataset
import pyarrow.fs
import pyarrow.parquet
import pytest
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions
from botocore.exceptions import ParamValidationError
from support import s3 as emulated

from rembg_beam.transforms import (
    DataSet,
    Part,
    RemoveBackground,
    RemoveBackgrounds,
    SessionConfig,
    Source,
)
from rembg_beam.transforms.elements import Cutout, Facts
from rembg_beam.transforms.folder import layout
from rembg_beam.transforms.outcomes import RunColumns, written
from rembg_beam.transforms.outputs import shards
from rembg_beam.transforms.outputs.columns import Types
from rembg_beam.transforms.outputs.samples import Fields, Sample
from rembg_beam.transforms.outputs.writers import ShardFiles
from rembg_beam.transforms.sources import patterns
from rembg_beam.transforms.store import crc32c, limits, retrying, s3, stores

AWKWARD = "x y/ä?b#c%41&d+e=[1]*.png"

ACTIONS: Dict[str, Callable[[], Any]] = {
    "read": lambda: stores.read("s3://bucket/a.png"),
    "write": lambda: stores.write("s3://bucket", "a.png", b"abc", "image/png"),
    "list": lambda: list(stores.listing("s3://bucket")),
    "stat": lambda: stores.size("s3://bucket/a.png"),
    "delete": lambda: stores.remove("s3://bucket/a.png"),
}


def put(data: bytes, **more: Any) -> stores.Written:
    """Writes a file, where there may be none."""
    return stores.write("s3://bucket", "a.png", data, "image/png", **{"overwrite": False, **more})


def options(*flags: str) -> None:
    """As a pipeline that is made with these does; there will be another client."""
    FileSystems.set_options(PipelineOptions([*flags]))


def at_once(*functions: Callable[[], Any]) -> List[Any]:
    """What each comes to in a thread of its own: its value, or its `FileExistsError`."""

    def call(function: Callable[[], Any]) -> Any:
        try:
            return function()
        except FileExistsError as error:
            return error

    with ThreadPoolExecutor(len(functions)) as pool:
        return list(pool.map(call, functions))


def together(number: int) -> Callable[[str, Any], None]:
    """Holds the first writes until so many have come, when all of them have looked."""
    barrier, left = threading.Barrier(number, timeout=30), [number]
    lock = threading.Lock()

    def wait(kind: str, headers: Any) -> None:
        with lock:
            waits = kind == "write" and left[0] > 0
            left[0] -= waits
        if waits:
            barrier.wait()

    return wait


@pytest.mark.parametrize("data", [b"", b"abc", os.urandom(9 << 20)], ids=len)
def test_one_request_writes_and_one_reads(s3_server: emulated.Server, data: bytes) -> None:
    uri = f"s3://bucket/out/{AWKWARD}"
    assert stores.write("s3://bucket/out", AWKWARD, data, "image/png") == (uri, len(data), 1)
    assert stores.read(uri) == (data, 1)
    assert s3_server.counts() == {"write": 1, "read": 1}
    assert stores.size(uri) == len(data) and stores.size("s3://bucket/out") is None
    (listed,) = stores.listing("s3://bucket/out")
    found = stores.found(uri)
    assert found is not None and found.crc32c == crc32c.of(data)
    assert listed == (uri, AWKWARD, len(data), found.modified, None, found.version)


def test_parts_are_read(s3_server: emulated.Server, tmp_path: Path) -> None:
    s3_server.put("a.tar", b"0123456789")
    of = stores.store_of("s3://bucket")
    parts = [(0, 4), (4, 6), (8, 4), (10, 1), (20, 5), (3, 0)]
    read = [of.read_range("s3://bucket/a.tar", *part).get() for part in parts]
    assert read == [b"0123", b"456789", b"89", b"", b"", b""]
    assert s3_server.counts() == {"read": 5}
    with stores.seekable("s3://bucket/a.tar") as file:
        assert file.seek(7) == 7 and file.read() == b"789"
    with stores.opened("s3://bucket/a.tar") as file:
        assert file.read(4) == b"0123"
    stores.download("s3://bucket/a.tar", str(tmp_path / "a"))
    assert (tmp_path / "a").read_bytes() == b"0123456789"
    with pytest.raises(limits.TooLarge):
        stores.read("s3://bucket/a.tar", max_bytes=9)


def test_a_listing_costs_one_request_a_page(s3_server: emulated.Server) -> None:
    names = {f"{number % 3}/{number}.jpg" for number in range(7)}
    for name in {*names, "../other.jpg"}:
        s3_server.put(os.path.normpath(f"in/{name}"), b"abc")
    s3_server.page = 3
    assert {file.name for file in stores.listing("s3://bucket/in")} == names
    assert s3_server.counts() == {"list": 3}
    assert {file.name for file in stores.listing("s3://bucket/in", start="1/")} == {
        *("1/1.jpg", "1/4.jpg")
    }
    assert [file.name for file in stores.listing("s3://bucket", deep=False)] == ["other.jpg"]
    assert len(list(stores.listing("s3://bucket", limit=2))) == 2
    assert list(stores.listing("s3://bucket/none")) == []
    found = {source.uri for source in patterns.find("s3://bucket/in/**/[1-4].jpg")}
    assert found == {f"s3://bucket/in/{number % 3}/{number}.jpg" for number in (1, 2, 3, 4)}


def test_what_is_removed_is_gone(s3_server: emulated.Server) -> None:
    s3_server.put("a.png", b"abc")
    for _ in range(2):
        stores.remove("s3://bucket/a.png")
        assert stores.found("s3://bucket/a.png") is None
    assert s3_server.counts() == {"delete": 2, "stat": 2}


@pytest.mark.parametrize(
    ("kind", "fault"),
    [
        *((kind, fault) for kind in ACTIONS for fault in (emulated.BUSY, emulated.LOST)),
        ("write", "400 RequestTimeout"),
    ],
)
def test_what_passes_is_tried_again(s3_server: emulated.Server, kind: str, fault: str) -> None:
    s3_server.put("a.png", b"abc")
    s3_server.fault = emulated.first(2, fault, of=kind)
    result = ACTIONS[kind]()
    assert s3_server.counts() == {kind: 3}
    if kind in ("read", "write"):
        assert result.attempts == 3


@pytest.mark.parametrize(
    ("kind", "fault", "error", "says"),
    [
        *((kind, "403 AccessDenied", PermissionError, "the right to it.*403") for kind in ACTIONS),
        ("write", "400 KeyTooLongError", OSError, "HTTP 400: KeyTooLongError"),
    ],
)
def test_what_does_not_pass_fails_at_once(
    s3_server: emulated.Server, kind: str, fault: str, error: Any, says: str
) -> None:
    s3_server.fault = emulated.first(2, fault, of=kind)
    with pytest.raises(error, match=f"{says}.*s3://bucket"):
        ACTIONS[kind]()
    assert s3_server.counts() == {kind: 1}


@pytest.mark.parametrize("uri", ["s3://bucket/none.png", "s3://elsewhere/a.png"])
def test_what_is_not_there(s3_server: emulated.Server, uri: str) -> None:
    assert stores.found(uri) is None
    with pytest.raises(FileNotFoundError, match=f"HTTP 404: NoSuch.*{uri}"):
        stores.read(uri)


def test_a_bucket_that_is_not_there(s3_server: emulated.Server) -> None:
    for action in (
        lambda: stores.write("s3://elsewhere", "a.png", b"abc", "image/png"),
        lambda: stores.write("s3://elsewhere", "a.png", b"abc", "image/png", overwrite=False),
        lambda: list(stores.listing("s3://elsewhere")),
    ):
        with pytest.raises(FileNotFoundError, match=r"NoSuchBucket.*s3://elsewhere"):
            action()


def test_nobody_answers(s3_server: emulated.Server) -> None:
    options("--s3_endpoint_url=http://127.0.0.1:9")
    found = stores.try_read("s3://bucket/a.png")
    assert isinstance(found.error, ConnectionError)
    assert "EndpointConnectionError); try later: 's3://bucket/a.png'" in str(found.error)
    assert found.attempts == retrying.BACKOFF.attempts


def test_a_store_that_keeps_failing(s3_server: emulated.Server) -> None:
    s3_server.fault = lambda kind, headers: emulated.BUSY
    for action in ACTIONS.values():
        with pytest.raises(ConnectionError, match=r"HTTP 503.*try later.*s3://bucket"):
            action()
    assert set(s3_server.counts().values()) == {retrying.BACKOFF.attempts}


def test_no_credentials(s3_server: emulated.Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    options()
    with pytest.raises(PermissionError, match=r"no credentials; run `aws configure`.*s3://bucket"):
        stores.read("s3://bucket/a.png")


@pytest.mark.parametrize("uri", ["s3://", "s3:///a.jpg", "s3://b", "s3://b/", "s3://me:pw@b/a.jpg"])
def test_what_names_no_object_is_refused(s3_server: emulated.Server, uri: str) -> None:
    for action in (stores.read, stores.size, stores.opened, stores.remove):
        with pytest.raises(ValueError, match="s3://BUCKET/KEY") as raised:
            action(uri)
        assert "pw" not in str(raised.value)
    with pytest.raises(ValueError, match="s3://BUCKET/KEY") as raised:
        stores.listing("s3://me:pw@b")
    assert "pw" not in str(raised.value) and s3_server.counts() == {}


def test_bytes_are_checked_on_both_ways(s3_server: emulated.Server) -> None:
    checksum = {
        "x-amz-sdk-checksum-algorithm": "CRC32C",
        "x-amz-checksum-crc32c": crc32c.of(b"xyz"),
    }
    s3_server.put("a.png", b"abc", checksum)
    found = stores.try_read("s3://bucket/a.png")
    assert isinstance(found.error, ConnectionError) and "has not the checksum" in str(found.error)
    options()
    s3.client().meta.events.register("before-call.s3.PutObject", _garble)
    with pytest.raises(ConnectionError, match="BadDigest"):
        stores.write("s3://bucket", "b.png", b"abc", "image/png")
    assert stores.found("s3://bucket/b.png") is None


def _garble(params: Any, **_: Any) -> None:
    params["body"] = io.BytesIO(b"abd")


def test_no_checksum_is_sent_where_boto3_is_told_so(
    s3_server: emulated.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_REQUEST_CHECKSUM_CALCULATION", "when_required")
    options()
    sent: List[str] = []
    s3_server.fault = lambda kind, headers: sent.extend(headers.keys())
    put(b"abc")
    assert not any(header.lower().startswith("x-amz-checksum-crc") for header in sent)
    found = stores.found("s3://bucket/a.png")
    assert found is not None and found.crc32c is None and found.version


def test_another_object_is_not_overwritten(s3_server: emulated.Server) -> None:
    put(b"abc")
    assert s3_server.counts() == {"stat": 1, "write": 1}
    for data in (b"xyz", b"longer"):
        with pytest.raises(FileExistsError, match=r"must not be overwritten.*s3://bucket/a\.png"):
            put(data)
    assert put(b"abc").size == 3  # the very same, as a repeated bundle would
    assert s3_server.counts() == {"stat": 4, "write": 1, "read": 2}
    assert s3_server.get("a.png") == b"abc"
    put(b"xyz", overwrite=True)
    assert s3_server.get("a.png") == b"xyz"


@pytest.mark.parametrize("data", [[b"one", b"two"], [b"same", b"same"]])
def test_of_two_writers_who_both_found_none_the_first_wins(
    s3_server: emulated.Server, data: List[bytes]
) -> None:
    for _ in range(5):
        s3_server.empty()
        s3_server.fault = together(2)
        results = at_once(*(partial(put, each) for each in data))
        won = [each for each, result in zip(data, results) if isinstance(result, stores.Written)]
        assert won == ([s3_server.get("a.png")] if len({*data}) == 2 else data)
        assert sorted(each.status for each in s3_server.requests if each.kind == "write") == [
            *(200, 412)
        ]


def replace(data: bytes, seen: Any, folder: Path) -> stores.Written:
    """Writes a file over one as it was seen."""
    path = folder / data.decode()
    path.write_bytes(data)
    return stores.upload("s3://bucket", "a.png", str(path), "image/png", overwrite=seen)


def test_of_two_who_replace_a_file_the_first_wins(
    s3_server: emulated.Server, tmp_path: Path
) -> None:
    for _ in range(5):
        s3_server.put("a.png", b"old")
        seen = stores.found("s3://bucket/a.png")
        s3_server.fault = together(2)
        data = [b"one", b"two"]
        results = at_once(*(partial(replace, each, seen, tmp_path) for each in data))
        won = [each for each, result in zip(data, results) if isinstance(result, stores.Written)]
        assert won == [s3_server.get("a.png")]


def test_a_file_is_replaced_as_it_was_seen(s3_server: emulated.Server, tmp_path: Path) -> None:
    put(b"old")
    seen = stores.found("s3://bucket/a.png")
    replace(b"one", seen, tmp_path)
    with pytest.raises(FileExistsError):
        replace(b"two", seen, tmp_path)
    replace(b"one", seen, tmp_path)  # the very same
    assert s3_server.get("a.png") == b"one"
    stores.remove("s3://bucket/a.png")
    replace(b"two", seen, tmp_path)
    assert s3_server.get("a.png") == b"two"
    seen = stores.found("s3://bucket/a.png")

    def removed(kind: str, headers: Any) -> None:
        """By another, between the look and the write."""
        if kind == "write":
            stores.remove("s3://bucket/a.png")

    s3_server.fault = removed
    with pytest.raises(FileExistsError):
        replace(b"one", seen, tmp_path)
    assert stores.found("s3://bucket/a.png") is None


@pytest.mark.parametrize("fault", [emulated.LOST, emulated.CONFLICT, emulated.BUSY])
def test_a_conditional_write_is_tried_again(s3_server: emulated.Server, fault: str) -> None:
    """One whose answer was lost finds what the attempt before wrote."""
    s3_server.fault = emulated.first(1, fault, of="write")
    assert put(b"abc") == ("s3://bucket/a.png", 3, 2)
    assert s3_server.counts()["write"] == (1 if fault == emulated.LOST else 2)


def _too_old(params: Dict[str, Any], **_: Any) -> None:
    if {"IfNoneMatch", "IfMatch"} & {*params}:
        raise ParamValidationError(report="Unknown parameter in input")


@pytest.mark.parametrize("refuses", [emulated.UNKNOWN, emulated.INVALID, "boto3"])
def test_an_endpoint_without_conditions_is_looked_at_first(
    s3_server: emulated.Server, tmp_path: Path, caplog: Any, refuses: str
) -> None:
    s3._tell.cache_clear()
    if refuses == "boto3":
        options()
        s3.client().meta.events.register("provide-client-params.s3.PutObject", _too_old)
    else:
        s3_server.fault = emulated.where_conditional(refuses)
    with caplog.at_level(logging.WARNING):
        put(b"abc")
        put(b"abc")
        with pytest.raises(FileExistsError):
            put(b"xyz")
        seen = stores.found("s3://bucket/a.png")
        replace(b"one", seen, tmp_path)
        with pytest.raises(FileExistsError):
            replace(b"two", seen, tmp_path)
    assert s3_server.get("a.png") == b"one"
    assert caplog.text.count("knows no conditional writes") == 1


def test_another_refusal_is_not_taken_for_that(s3_server: emulated.Server) -> None:
    s3_server.fault = emulated.where_conditional("400 ExpiredToken")
    with pytest.raises(OSError, match="ExpiredToken"):
        put(b"abc")
    assert s3_server.counts() == {"stat": 1, "write": 1}


def test_an_endpoint_that_passes_over_conditions_overwrites_nothing(
    s3_server: emulated.Server,
) -> None:
    s3_server.deaf = True
    put(b"abc")
    with pytest.raises(FileExistsError):
        put(b"xyz")
    assert s3_server.get("a.png") == b"abc"


@pytest.mark.long
def test_what_is_too_large_for_one_request(
    s3_server: emulated.Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3, "LARGEST_PUT_BYTES", 2)
    replace(b"one", False, tmp_path)
    assert s3_server.counts() == {"stat": 2, "POST": 2, "PUT": 1}
    seen = stores.found("s3://bucket/a.png")
    replace(b"two", seen, tmp_path)
    for overwrite in (False, seen):
        with pytest.raises(FileExistsError):
            replace(b"one", overwrite, tmp_path)
    assert s3_server.get("a.png") == b"two"


def test_no_pipeline_needs_to_be_made_before(
    s3_server: emulated.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    s3_server.put("a.png", b"abc")
    monkeypatch.setattr(FileSystems, "_pipeline_options", None)
    assert stores.read("s3://bucket/a.png").data == b"abc"
    monkeypatch.setattr(FileSystems, "_pipeline_options", None)
    with stores.opened("s3://bucket/a.png") as file:
        assert file.read() == b"abc"


def test_a_process_makes_one_client_for_its_options(
    s3_server: emulated.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ThreadPoolExecutor(8) as pool:
        (client,) = set(pool.map(lambda _: s3.client(), range(8)))
    monkeypatch.delenv("AWS_ENDPOINT_URL_S3")
    options(f"--s3_endpoint_url={s3_server.url}/")
    other = s3.client()
    assert other is not client and other.meta.endpoint_url == f"{s3_server.url}/"
    monkeypatch.setattr(os, "getpid", lambda: -1)
    assert s3.client() is not other


def job(**more: Any) -> None:
    """A job over s3://bucket/in."""
    remove = RemoveBackground(output="s3://bucket/out", session=SessionConfig("tiny", "CPU"))
    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        _ = pipeline | RemoveBackgrounds(remove=remove, input=["s3://bucket/in"], **more)


@pytest.fixture
def pictures(s3_server: emulated.Server, encoded: Callable[..., bytes]) -> Callable[..., None]:
    """Puts small pictures into s3://bucket/in."""

    def put(*names: str) -> None:
        for seed, name in enumerate(names):
            s3_server.put(f"in/{name}", encoded("JPEG", seed=seed))

    return put


def test_a_job_from_files_to_files(
    s3_server: emulated.Server, pictures: Callable[..., None]
) -> None:
    names = ["a.jpg", "x/b.jpg", "x/c.jpg"]
    pictures(*names)
    job()
    made = {f"{name}.png" for name in names}
    listed = {file.name for file in stores.listing("s3://bucket/out")}
    assert {name for name in listed if "_manifest" not in name} - {"metadata.parquet"} == made
    asked = [each for each in s3_server.requests if each.key.endswith((".jpg", ".png"))]
    assert sorted(each.kind for each in asked) == ["read"] * 3 + ["write"] * 3


@pytest.mark.long
def test_shards_are_resumed(s3_server: emulated.Server, pictures: Callable[..., None]) -> None:
    """And read back as others read them."""
    dataset = DataSet(output_format="parquet", samples_per_shard=2)
    pictures("a.jpg", "b.jpg", "c.jpg")
    job(dataset=dataset)
    before = {file.name: file.version for file in stores.listing("s3://bucket/out", deep=False)}
    assert {"00000.parquet", "00001.parquet"} <= before.keys()
    (rows,) = (
        file.uri
        for file in stores.listing("s3://bucket/out/_manifest")
        if file.name.endswith("shard-00001.parquet")
    )
    stores.remove(rows)  # as if the run had been killed
    pictures("a.jpg", "b.jpg", "c.jpg", "d.jpg")
    s3_server.requests.clear()
    job(dataset=dataset)
    assert {each.key for each in s3_server.requests if each.kind == "read"} & {
        *("in/a.jpg", "in/b.jpg", "in/c.jpg", "in/d.jpg")
    } == {"in/c.jpg", "in/d.jpg"}
    system = pyarrow.fs.S3FileSystem(
        access_key="none", secret_key="none", region="us-east-1", endpoint_override=s3_server.url
    )
    files = ["bucket/out/00000.parquet", "bucket/out/00001.parquet"]
    samples = pyarrow.dataset.dataset(files, filesystem=system).to_table()
    assert sorted(samples["uri"].to_pylist()) == [f"s3://bucket/in/{each}.jpg" for each in "abcd"]


def shard(data: bytes, run_id: str) -> Set[str]:
    """Makes a shard of a sample; the workers in the rows that count."""
    cutout = Cutout([Part("", b"")], "tiny", Facts(width=3, height=4, worker=data.decode()))
    source = Source.of("in/a.jpg", name="a.jpg")
    row = written(source, cutout, ["00000.tar"], RunColumns("tiny"))
    quick = retrying.Backoff(first_seconds=0.01, longest_seconds=0.1)
    with stores.spool("s3://bucket/out") as spool:
        files = ShardFiles(spool, 0, "webdataset", Fields(Types()), 1 << 30)
        files.add(Sample("a", None, [Part(".cutout", data)], row))
        made = files.close()
        of = {"run_id": run_id, "format": "webdataset"}
        rows = shards.write("s3://bucket/out", 0, made, [row], **of, backoff=quick)
    return {str(each.worker) for each in rows}


@pytest.mark.parametrize("left", [False, True])
def test_of_workers_that_make_one_shard_one_wins(s3_server: emulated.Server, left: bool) -> None:
    """Of as many bytes each, on what a killed run left or on nothing."""
    for _ in range(3):
        s3_server.empty()
        if left:
            shard(b"six", "r0")
            stores.remove(f"s3://bucket/out/{layout.shard_rows('r0', 0)}")
        s3_server.fault = together(2)
        one, two = at_once(lambda: shard(b"one", "r1"), lambda: shard(b"two", "r2"))
        assert one == two and one < {"one", "two"}
        assert next(iter(one)).encode() in s3_server.get("out/00000.tar")
        (done,) = shards.done("s3://bucket/out")
        there = stores.found("s3://bucket/out/00000.tar")
        assert there is not None and [each.crc32c for each in done.files] == [there.crc32c]
