"""gs:// against a real emulator: what it costs, and what goes wrong on the way."""

import gzip
import hashlib
import inspect
import io
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Callable, Dict, List

import pyarrow.parquet
import pytest
from google.cloud.storage import Blob
from support import gs

from rembg_beam.pipelines import cli
from rembg_beam.transforms import Cutout, Part, Source, read, write
from rembg_beam.transforms.elements import Facts, Failure
from rembg_beam.transforms.folder import presence
from rembg_beam.transforms.models import catalogue
from rembg_beam.transforms.outcomes import RunColumns
from rembg_beam.transforms.sources import patterns
from rembg_beam.transforms.store import gcs, limits, stores

AWKWARD = "x y/ä?b#c%41&d+e=[1]*.png"

KINDS = ("read", "write", "list", "stat")

ACTIONS: Dict[str, Callable[[], Any]] = {
    "read": lambda: stores.read("gs://b/a.png"),
    "write": lambda: stores.write("gs://b", "a.png", b"abc", "image/png"),
    "list": lambda: list(stores.listing("gs://b")),
    "stat": lambda: stores.size("gs://b/a.png"),
}


@pytest.mark.parametrize("data", [b"", b"abc", os.urandom(9 << 20)], ids=len)
def test_one_request_writes_and_one_reads(proxy: gs.Proxy, data: bytes) -> None:
    """Also above 8 MiB, where the library's public methods take two and more."""
    uri = f"gs://b/out/{AWKWARD}"
    assert stores.write("gs://b/out", AWKWARD, data, "image/png") == (uri, len(data), 1)
    assert stores.read(uri) == (data, 1)
    assert proxy.counts() == {"write": 1, "read": 1}
    assert stores.size(uri) == len(data) and stores.size("gs://b/out") is None
    assert [file.name for file in stores.listing("gs://b/out")] == [AWKWARD]


def test_a_listing_costs_one_request_for_a_thousand(emulator: gs.Emulator, proxy: gs.Proxy) -> None:
    names = {f"in/{number % 7}/{number:04}.jpg" for number in range(1234)}
    for name in names:
        emulator.put(f"gs://b/{name}", b"abc")
    listed = list(stores.listing("gs://b/in"))
    assert {f"in/{file.name}" for file in listed} == names
    assert {file.uri for file in listed} == {f"gs://b/{name}" for name in names}
    assert {file.size for file in listed} == {3}
    assert proxy.counts() == {"list": 2}
    proxy.clear()
    found = list(patterns.find("gs://b/in/**/*.jpg"))
    assert {source.uri for source in found} == {f"gs://b/{name}" for name in names}
    assert proxy.counts() == {"list": 2}
    proxy.clear()
    patterns.check("gs://b/in/**/*.jpg")
    assert proxy.counts() == {"list": 1}


@pytest.mark.parametrize(
    ("pattern", "found", "cost"),
    [
        ("gs://b/x/*.jpg", {"a.jpg", "b.jpg"}, {"list": 1}),
        ("gs://b/x/a*", {"a.jpg", "a.txt"}, {"list": 1}),
        ("gs://b/x/**/*.jpg", {"a.jpg", "b.jpg", "y/a.jpg"}, {"list": 1}),
        ("gs://b/x/[ab].jpg", {"a.jpg", "b.jpg"}, {"list": 1}),
        ("gs://b/x/", {"a.jpg", "b.jpg", "y/a.jpg", "c[1].png"}, {"list": 1}),
        ("gs://b/x", {"a.jpg", "b.jpg", "y/a.jpg", "c[1].png"}, {"stat": 1, "list": 1}),
        ("gs://b/x/a.jpg", {"a.jpg"}, {"stat": 1}),
        ("gs://b/x/c[[]1].png", {"c[1].png"}, {"list": 1}),
        ("gs://b/*/a.jpg", {"x/a.jpg", "xx/a.jpg"}, {"list": 1}),
    ],
)
def test_patterns(
    emulator: gs.Emulator, proxy: gs.Proxy, pattern: str, found: Any, cost: Any
) -> None:
    for name in ("a.jpg", "b.jpg", "a.txt", "y/a.jpg", "c[1].png", ".h.jpg"):
        emulator.put(f"gs://b/x/{name}", b"abc")
    emulator.put("gs://b/xx/a.jpg", b"abc")
    assert {source.name for source in patterns.find(pattern)} == found
    assert proxy.counts() == cost


def test_nothing_found(proxy: gs.Proxy) -> None:
    for pattern in ("gs://b/none", "gs://b/none/", "gs://b/none/*.jpg"):
        with pytest.raises(patterns.NothingFound, match="gs://b/none"):
            patterns.check(pattern)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "fault", ["408", "429", "500", "502", "503", "504", "reset", "cut", "lost"]
)
def test_what_passes_is_tried_again(
    emulator: gs.Emulator, proxy: gs.Proxy, kind: str, fault: str
) -> None:
    emulator.put("gs://b/a.png", b"abc")
    proxy.fault = gs.first(2, fault, of=kind)
    result = ACTIONS[kind]()
    assert proxy.counts() == {kind: 3}
    assert emulator.get("gs://b/a.png") == b"abc"
    if kind in ("read", "write"):
        assert result.attempts == 3


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("status", "error"),
    [
        ("400", OSError),
        ("401", PermissionError),
        ("403", PermissionError),
        ("404", FileNotFoundError),
    ],
)
def test_what_does_not_pass_fails_at_once(
    proxy: gs.Proxy, kind: str, status: str, error: type
) -> None:
    # On a 401 the library would refresh a token, and without credentials it has none.
    reason = "no valid credentials" if status == "401" else f"HTTP {status}: the proxy says"
    proxy.fault = gs.first(9, status, of=kind)
    if (kind, status) == ("stat", "404"):
        assert ACTIONS[kind]() is None
    else:
        with pytest.raises(error, match=f"{reason}.*gs://b"):
            ACTIONS[kind]()
    assert proxy.counts() == {kind: 1}


def test_what_is_not_there_fails_at_once(proxy: gs.Proxy) -> None:
    for uri in ("gs://b/none.jpg", "gs://no-such-bucket/a.jpg"):
        with pytest.raises(FileNotFoundError, match=uri):
            stores.read(uri)
    with pytest.raises(FileNotFoundError, match="gs://no-such-bucket"):
        stores.write("gs://no-such-bucket", "a.png", b"abc", "image/png")
    assert proxy.counts() == {"read": 2, "write": 1}


def test_bytes_that_changed_on_the_way_are_read_again(
    emulator: gs.Emulator, proxy: gs.Proxy
) -> None:
    emulator.put("gs://b/a.png", b"abc")
    proxy.fault = gs.first(1, gs.GARBLED, of="read")
    assert stores.read("gs://b/a.png") == (b"abc", 2)


def test_an_upload_of_another_size_is_repeated(emulator: gs.Emulator, proxy: gs.Proxy) -> None:
    proxy.fault = gs.first(1, gs.GARBLED, of="write")
    assert stores.write("gs://b", "a.png", b"abc", "image/png").attempts == 2
    assert emulator.get("gs://b/a.png") == b"abc"


def test_steps_know_their_attempts(emulator: gs.Emulator, proxy: gs.Proxy) -> None:
    emulator.put("gs://b/a.png", b"abc")
    proxy.fault = gs.first(2, gs.BUSY, of="read")
    picture = read.ReadPictures().work(Source("gs://b/a.png"))
    assert isinstance(picture, read.Read) and picture.attempts == 3
    proxy.fault = gs.first(1, gs.LOST, of="write")
    cutout = Cutout([Part(".one", b"abc"), Part(".two", b"abc")], "tiny", Facts())
    step = write.WriteCutouts(output="gs://b/out", columns=RunColumns("tiny"))
    parts = step.work((Source("gs://b/a.png", "a"), cutout))
    assert isinstance(parts, list) and [part.attempts for part in parts] == [2, 1]
    proxy.fault = gs.first(1, "503", of="read")
    failed = read.ReadPictures().work(Source("gs://b/none.png"))
    assert isinstance(failed, Failure) and failed.facts.read_attempts == 2
    proxy.fault = gs.first(9, "403", of="write")
    refused = step.work((Source("gs://b/a.png", "a"), cutout))
    assert isinstance(refused, Failure) and refused.facts.write_attempts == 1


def test_retries_end(proxy: gs.Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gcs, "RETRY", gcs.RETRY.with_timeout(0.1))
    proxy.fault = gs.first(10**6, gs.BROKEN, of="read")
    tried = stores.try_read("gs://b/a.png")
    with pytest.raises(TimeoutError, match=r"HTTP 503.*gs://b/a\.png"):
        tried.get()
    assert tried.attempts == len(proxy.requests) > 2


def test_a_larger_object_is_not_read_whole(emulator: gs.Emulator, proxy: gs.Proxy) -> None:
    emulator.put("gs://b/a.png", b"abc" * 100_000)
    with pytest.raises(limits.TooLarge, match=r"max_bytes=299999.*gs://b/a\.png"):
        stores.read("gs://b/a.png", 299_999)
    assert proxy.counts() == {"read": 1}
    assert len(stores.read("gs://b/a.png", 300_000).data) == 300_000


def test_no_more_than_the_cap_is_held() -> None:
    capped = limits.Capped("gs://b/a.png", 5)
    capped.write(b"abc")
    with pytest.raises(limits.TooLarge):
        capped.write(b"abc")
    assert capped.getvalue() == b"abc"


def test_content_encoding_is_how_an_object_is_carried(
    emulator: gs.Emulator, proxy: gs.Proxy
) -> None:
    packed = gzip.compress(b"abc" * 1000)
    emulator.put("gs://b/a.png", packed, contentEncoding="gzip")
    emulator.put("gs://b/a.gz", packed)
    assert stores.read("gs://b/a.png").data == b"abc" * 1000
    assert stores.read("gs://b/a.gz").data == packed
    with pytest.raises(limits.TooLarge):
        stores.read("gs://b/a.png", len(packed))


def test_another_object_is_not_overwritten(emulator: gs.Emulator, proxy: gs.Proxy) -> None:
    def put(data: bytes) -> stores.Written:
        return stores.write("gs://b", "a.png", data, "image/png", overwrite=False)

    put(b"abc")
    assert proxy.counts() == {"write": 1}
    with pytest.raises(FileExistsError, match=r"must not be overwritten.*gs://b/a\.png"):
        put(b"xyz")
    assert put(b"abc").size == 3  # the very same, as a repeated bundle would
    assert proxy.counts() == {"write": 3, "stat": 2}
    assert emulator.get("gs://b/a.png") == b"abc"


def test_of_many_writers_one_wins(emulator: gs.Emulator, proxy: gs.Proxy) -> None:
    def put(number: int) -> bool:
        try:
            stores.write("gs://b", "a.png", b"%d" % number, "image/png", overwrite=False)
            return True
        except FileExistsError:
            return False

    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(put, range(8)))
    assert won.count(True) == 1
    assert emulator.get("gs://b/a.png") == b"%d" % won.index(True)


@pytest.mark.parametrize("overwrite", [True, False])
@pytest.mark.parametrize("fault", [gs.LOST, gs.CUT])
def test_a_lost_answer_is_no_failure(
    emulator: gs.Emulator, proxy: gs.Proxy, fault: str, overwrite: bool
) -> None:
    """The second attempt of a conditional upload finds what the first one wrote."""
    proxy.fault = gs.first(1, fault, of="write")
    written = stores.write("gs://b", "a.png", b"abc", "image/png", overwrite=overwrite)
    assert written == ("gs://b/a.png", 3, 2)
    assert proxy.counts() == ({"write": 2} if overwrite else {"write": 2, "stat": 1})


def test_connections_are_kept(emulator: gs.Emulator, proxy: gs.Proxy) -> None:
    emulator.put("gs://b/a.png", b"abc")
    threads = read.THREADS + write.THREADS
    assert threads <= gcs.CONNECTIONS
    together = threading.Barrier(threads)

    def work(_: int) -> None:
        together.wait()
        for _ in range(5):
            stores.read("gs://b/a.png")

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, range(threads)))
    assert proxy.counts() == {"read": 5 * threads}
    assert proxy.connections <= threads


def test_a_process_makes_one_client_of_its_own(
    proxy: gs.Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ThreadPoolExecutor(8) as pool:
        clients = set(pool.map(lambda _: gcs.client(), range(8)))
    assert len(clients) == 1
    monkeypatch.setattr(os, "getpid", lambda: -1)
    assert gcs.client() not in clients


def test_importing_makes_no_client() -> None:
    code = "from rembg_beam.transforms.store import gcs; print(len(gcs._clients))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert done.stdout == b"0\n"


def test_the_librarys_private_names_are_where_they_were() -> None:
    assert {*inspect.signature(Blob._do_multipart_upload).parameters} >= {
        *("client", "stream", "content_type", "size", "predefined_acl", "timeout", "checksum"),
        *("if_generation_match", "if_generation_not_match", "retry"),
        *("if_metageneration_match", "if_metageneration_not_match"),
    }


@pytest.mark.parametrize("uri", ["gs://", "gs:///a.jpg", "gs://b", "gs://b/", "gs://me:pw@b/a.jpg"])
def test_what_names_no_object_is_refused(proxy: gs.Proxy, uri: str) -> None:
    with pytest.raises(ValueError, match="gs://BUCKET/NAME") as raised:
        stores.read(uri)
    assert "pw" not in str(raised.value)
    assert proxy.counts() == {}


@pytest.fixture
def pictures(emulator: gs.Emulator, proxy: gs.Proxy, encoded: Any) -> Callable[[int], None]:
    """Puts that many small pictures into gs://b/in."""

    def put(number: int) -> None:
        for seed in range(number):
            emulator.put(f"gs://b/in/{seed % 3}/{seed}.jpg", encoded("JPEG", seed=seed))

    return put


def command(*arguments: str) -> int:
    return cli.main(["run", *arguments, "--model", "tiny"])


def rows(emulator: gs.Emulator, output: str) -> List[Dict[str, Any]]:
    found = emulator.tree("b", f"{output}/_manifest/")
    parts = [data for name, data in found.items() if name.endswith(".parquet")]
    return [
        row for part in parts for row in pyarrow.parquet.read_table(io.BytesIO(part)).to_pylist()
    ]


def hashes(emulator: gs.Emulator, output: str) -> Dict[str, str]:
    return {
        name: hashlib.sha256(data).hexdigest()
        for name, data in emulator.tree("b", f"{output}/").items()
        if not name.startswith("_manifest/") and name != "metadata.parquet"
    }


def test_what_a_run_costs(
    emulator: gs.Emulator, proxy: gs.Proxy, pictures: Callable[[int], None], capfd: Any
) -> None:
    number = 12
    pictures(number)
    assert command("--input", "gs://b/in/**/*.jpg", "--output", "gs://b/out") == 0
    assert capfd.readouterr().out.startswith(f"{number} written, 0 skipped, 0 failed")
    of_pictures = [each for each in proxy.requests if "_manifest" not in each.name]
    others = [each for each in proxy.requests if "_manifest" in each.name]
    # One listed object tells before the run whether there is anything; one page lists them, one
    # what is done, one the manifests, one other runs at work, and one all for the metadata.
    kinds = [each.kind for each in of_pictures]
    assert {kind: kinds.count(kind) for kind in kinds} == {
        "list": 6,
        "read": number,
        "write": number + 1,
    }
    # What the folder was made with is read and written; the manifest is written; the summary is
    # written, and read to be shown; that the run is at work is written, and deleted. The rows are
    # read for the metadata, and that it is the run's own is written.
    costs = ["delete", *["read"] * 3, *["write"] * 5]
    assert sorted(each.kind for each in others) == costs
    assert len(hashes(emulator, "out")) == len(rows(emulator, "out")) == number


def test_an_emulator_without_a_scheme_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: Any
) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", "localhost:9")
    assert command("--input", "gs://b/x.jpg", "--output", str(tmp_path / "out")) == 2
    said = "STORAGE_EMULATOR_HOST is 'localhost:9' and must begin with http://"
    assert said in capfd.readouterr().err


def test_a_run_that_is_not_alone(emulator: gs.Emulator, proxy: gs.Proxy) -> None:
    with presence.Presence("gs://b/out", "r1") as first:
        assert first.warning() is None and first.since is not None
        with presence.Presence("gs://b/out", "r2") as second:
            assert "another run has been at work on 'gs://b/out' since " in str(second.warning())
    with presence.Presence("gs://b/out", "r3") as third:
        assert third.warning() is None
    assert emulator.tree("b", "out/") == {}


def test_models_whose_checksums_are_not_known_are_told_apart_by_their_uris(
    emulator: gs.Emulator, pictures: Callable[[int], None], rembg_home: Path, capfd: Any
) -> None:
    pictures(1)
    bundled = Path(catalogue.bundled_path()).read_bytes()
    for name in "ab":
        emulator.put(f"gs://b/m/{name}.onnx", bundled)
    flags = ["run", "--model", "u2net_custom", "--input", "gs://b/in/", "--output", "gs://b/out"]
    assert cli.main([*flags, "--model_path", "gs://b/m/a.onnx"]) == 0
    assert cli.main([*flags, "--model_path", "gs://b/m/a.onnx"]) == 0
    assert cli.main([*flags, "--model_path", "gs://b/m/b.onnx"]) == 2
    assert 'model_path was "gs://b/m/a.onnx" and is "gs://b/m/b.onnx"' in capfd.readouterr().err
    # Known now, and unknown before: nothing can be compared.
    here = catalogue.bundled_path()
    assert cli.main([*flags, "--model_path", here]) == 0


@pytest.mark.long
def test_a_run_through_a_storm_loses_nothing(
    emulator: gs.Emulator, proxy: gs.Proxy, pictures: Callable[[int], None], capfd: Any
) -> None:
    number = 60
    pictures(number)
    assert command("--input", "gs://b/in/", "--output", "gs://b/calm") == 0
    proxy.clear()
    proxy.fault = gs.at_random(seed=7, share=0.3)
    assert command("--input", "gs://b/in/", "--output", "gs://b/storm") == 0
    assert capfd.readouterr().out.splitlines()[-2].startswith(f"{number} written, 0 skipped, 0 f")
    met = {each.outcome for each in proxy.requests}
    assert met >= {gs.BUSY, gs.BROKEN, gs.RESET, gs.CUT, gs.LOST}
    assert len(proxy.requests) > 2 * number + 20
    calm, storm = hashes(emulator, "calm"), hashes(emulator, "storm")
    assert len(calm) == number and storm == calm
    found = rows(emulator, "storm")
    assert {row["status"] for row in found} == {"written"}
    assert {row["uri"] for row in found} == {
        f"gs://b/in/{seed % 3}/{seed}.jpg" for seed in range(number)
    }
    assert len(found) == number
    for row in found:
        assert [uri.removeprefix("gs://b/storm/") in storm for uri in row["outputs"]] == [True]


def test_a_picture_that_is_gone_is_a_row_and_one_request(
    emulator: gs.Emulator, proxy: gs.Proxy, pictures: Callable[[int], None], tmp_path: Any
) -> None:
    pictures(2)
    uris = ["gs://b/in/0/0.jpg", "gs://b/in/gone.jpg", "gs://b/in/1/1.jpg"]
    (tmp_path / "list.txt").write_text("\n".join(uris))
    assert command("--input_list", f"{tmp_path}/list.txt", "--output", "gs://b/out") == 0
    assert [each.name for each in proxy.requests].count("in/gone.jpg") == 1
    found = {row["uri"]: row["error"] for row in rows(emulator, "out")}
    assert found == dict(zip(uris, [None, "FileNotFoundError", None]))
