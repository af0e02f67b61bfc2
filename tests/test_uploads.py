"""Files of this machine on their way to each store: streamed, whole or absent, one writer first."""

import errno
import os
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, List

import pytest
from support import gs
from support.elsewhere import Elsewhere

from rembg_beam.transforms.store import crc32c, gcs, stores

# Sent by a session of its own on gs://.
LARGE = os.urandom(gcs.SMALL_BYTES + 1)
OTHER = LARGE[:-1] + bytes([LARGE[-1] ^ 1])
FAULTS = ("429", "500", "503", gs.RESET, gs.LOST, gs.CUT)


@pytest.fixture(params=["local", "elsewhere", "gs"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An output folder on each kind of store."""
    if request.param == "gs":
        request.getfixturevalue("proxy")
        return "gs://b/out"
    if request.param == "local":
        return str(tmp_path / "out")
    return str(request.getfixturevalue("elsewhere")) + "/out"


def spooled(tmp_path: Path, data: bytes) -> str:
    path = tmp_path / "spooled"
    path.write_bytes(data)
    return str(path)


def upload(folder: str, path: str, overwrite: bool = False) -> stores.Written:
    return stores.upload(folder, "x/a b.tar", path, "application/x-tar", overwrite=overwrite)


@pytest.mark.parametrize("data", [b"", b"abc", LARGE], ids=len)
def test_what_is_uploaded_is_there(folder: str, tmp_path: Path, data: bytes) -> None:
    path = spooled(tmp_path, data)
    for overwrite in (False, False, True):  # the very same again
        assert upload(folder, path, overwrite) == (f"{folder}/x/a b.tar", len(data), 1)
    assert stores.read(f"{folder}/x/a b.tar").data == data
    found = stores.found(f"{folder}/x/a b.tar")
    assert found is not None and (found.name, found.size) == ("a b.tar", len(data))
    assert found.crc32c in (None, crc32c.of(data))
    assert [file.name for file in stores.listing(folder)] == ["x/a b.tar"]
    assert Path(path).read_bytes() == data
    assert stores.found(f"{folder}/x/none") is None and stores.found(f"{folder}/none/a") is None


@pytest.mark.parametrize("data", [b"abcdef", b"longer", OTHER], ids=len)
def test_another_file_is_overwritten_only_if_allowed(
    folder: str, tmp_path: Path, data: bytes
) -> None:
    before = LARGE if data is OTHER else b"abcdeg"
    upload(folder, spooled(tmp_path, before))
    path = spooled(tmp_path, data)
    with pytest.raises(FileExistsError, match="must not be overwritten"):
        upload(folder, path)
    assert stores.read(f"{folder}/x/a b.tar").data == before
    upload(folder, path, overwrite=True)
    assert stores.read(f"{folder}/x/a b.tar").data == data


def test_a_file_is_written_over_as_it_was_seen(folder: str, tmp_path: Path) -> None:
    def upload_over(data: bytes, seen: Any) -> bytes:
        path = spooled(tmp_path, data)
        stores.upload(folder, "x/a b.tar", path, "application/x-tar", overwrite=seen)
        return stores.read(f"{folder}/x/a b.tar").data

    upload_over(b"abc", False)
    seen = stores.found(f"{folder}/x/a b.tar")
    assert upload_over(b"another's", True) == b"another's"
    for data in (b"xyz", LARGE):
        with pytest.raises(FileExistsError):
            upload_over(data, seen)
    assert stores.read(f"{folder}/x/a b.tar").data == b"another's"
    assert upload_over(LARGE, stores.found(f"{folder}/x/a b.tar")) == LARGE
    stores.remove(f"{folder}/x/a b.tar")


def test_what_is_cut_off_late_is_tried_again(
    tmp_path: Path, proxy: gs.Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A large file takes longer than a policy for requests lets a store fail."""
    monkeypatch.setattr(gcs, "RETRY", gcs.RETRY.with_timeout(0.1))
    fault = gs.first(2, gs.RESET, of="send")

    def late(kind: str, name: str) -> Any:
        time.sleep(0.2 if kind == "send" else 0)
        return fault(kind, name)

    proxy.fault = late
    written = upload("gs://b/out", spooled(tmp_path, LARGE))
    assert written.attempts == 3 and stores.read(written.uri).data == LARGE


def test_of_many_one_is_first(tmp_path: Path, proxy: gs.Proxy) -> None:
    """Where a store can promise it."""
    paths = []
    for number in range(6):
        paths.append(str(tmp_path / str(number)))
        Path(paths[-1]).write_bytes(LARGE + bytes([number]))

    def won(folder: str, path: str) -> bool:
        try:
            return bool(upload(folder, path))
        except FileExistsError:
            return False

    for folder in (str(tmp_path / "out"), "gs://b/out"):
        with ThreadPoolExecutor(6) as pool:
            winners = list(pool.map(lambda path, folder=folder: won(folder, path), paths))
        assert winners.count(True) == 1
        first = LARGE + bytes([winners.index(True)])
        assert stores.read(f"{folder}/x/a b.tar").data == first


@pytest.mark.parametrize("kind", ["session", "send"])
@pytest.mark.parametrize("fault", FAULTS)
def test_what_passes_is_tried_again(
    tmp_path: Path, emulator: gs.Emulator, proxy: gs.Proxy, kind: str, fault: str
) -> None:
    proxy.fault = gs.first(2, fault, of=kind)
    attempts = upload("gs://b", spooled(tmp_path, LARGE)).attempts
    assert emulator.get("gs://b/x/a b.tar") == LARGE
    # What was stored though its answer was lost is found there. A session's is in its headers; the
    # connection that it came on may be tried before it is known to be closed.
    was_stored = kind == "send" and fault in ("500", gs.LOST, gs.CUT)
    needed = {1, 2, 3} if (kind, fault) == ("session", gs.CUT) else {2} if was_stored else {3}
    assert attempts in needed
    assert proxy.counts().get("stat", 0) == was_stored


STATUSES = [("403", PermissionError), ("404", FileNotFoundError)]


@pytest.mark.parametrize(("status", "error"), STATUSES)
@pytest.mark.parametrize("kind", ["session", "send"])
def test_what_does_not_pass_fails_at_once(
    tmp_path: Path, proxy: gs.Proxy, kind: str, status: str, error: type
) -> None:
    proxy.fault = gs.first(9, status, of=kind)
    with pytest.raises(error, match=r"HTTP 40[34]: the proxy says.*gs://b/x/a b\.tar"):
        upload("gs://b", spooled(tmp_path, LARGE))
    assert proxy.counts()[kind] == 1


def test_bytes_that_changed_on_the_way_are_not_stored(
    tmp_path: Path, proxy: gs.Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The checksum is given before the bytes are sent, and the store compares."""
    monkeypatch.setattr(crc32c, "of_file", lambda file: file.read() and crc32c.of(OTHER))
    with pytest.raises(OSError):
        upload("gs://b", spooled(tmp_path, LARGE))
    assert stores.found("gs://b/x/a b.tar") is None


def test_an_answer_of_another_size_is_not_believed(tmp_path: Path, proxy: gs.Proxy) -> None:
    proxy.fault = gs.first(1, gs.GARBLED, of="send")
    assert upload("gs://b", spooled(tmp_path, LARGE), overwrite=True).attempts == 2


def test_without_links_it_is_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def link(*paths: str) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", link)
    folder = str(tmp_path / "out")
    upload(folder, spooled(tmp_path, b"abc"))
    with pytest.raises(FileExistsError):
        upload(folder, spooled(tmp_path, b"xyz"))
    assert (tmp_path / "out" / "x" / "a b.tar").read_bytes() == b"abc"
    assert os.listdir(folder) == ["x"]


def test_a_full_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*paths: str) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(OSError, match="No space left"):
        upload(str(tmp_path / "out"), spooled(tmp_path, b"abc"))
    assert list((tmp_path / "out").rglob("*")) == []


def test_another_file_system_shows_whole_files_alone(elsewhere: str, tmp_path: Path) -> None:
    Elsewhere.failing["rename"] = [ValueError("no")]
    with pytest.raises(ValueError):
        upload(f"{elsewhere}/out", spooled(tmp_path, b"abc"))
    assert [path for path in (tmp_path / "out").rglob("*") if path.is_file()] == []


def test_a_spool_lies_beside_local_outputs(tmp_path: Path) -> None:
    with stores.spool(str(tmp_path)) as one, stores.spool(str(tmp_path)) as two:
        assert one != two and Path(one).is_relative_to(tmp_path)
        Path(one, "a").write_bytes(b"abc")
        upload(str(tmp_path), f"{one}/a")
    assert [path.name for path in tmp_path.rglob("*")] == ["x", "a b.tar"]


def test_a_spool_for_a_remote_store_is_swept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a killed process left goes when the next begins."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    child = os.fork()
    if not child:
        with stores.spool("gs://b") as left:
            Path(left, "a").write_bytes(b"abc")
            os._exit(0)
    os.waitpid(child, 0)
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == 2
    with stores.spool("gs://b") as spool:
        files: List[Path] = [path for path in tmp_path.rglob("*") if path.is_file()]
        assert [path.suffix for path in files] == [".lock"]
        assert Path(spool).is_relative_to(tmp_path / f"rembg-beam-{os.getuid()}")
    assert [path for path in tmp_path.rglob("*") if not path.is_dir()] == []


def test_a_spool_is_nobody_elses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / "theirs").mkdir()
    (tmp_path / f"rembg-beam-{os.getuid()}").symlink_to(tmp_path / "theirs")
    with (
        pytest.raises(PermissionError, match="another user's, or no folder"),
        stores.spool("gs://b"),
    ):
        pass
