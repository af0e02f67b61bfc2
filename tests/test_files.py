"""Files that are whole or absent."""

import dataclasses
import errno
import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Dict, List, Optional

import pytest
from apache_beam.io.filesystem import BeamIOError
from support.elsewhere import Elsewhere

from rembg_beam.transforms.store import (
    beam_files,
    gcs,
    limits,
    local,
    retrying,
    s3,
    stores,
    uris,
    web,
)

TEMPORARY = uris.TEMPORARY

# That they are stores, mypy checks.
STORES: Dict[str, stores.Store] = {
    **{"a.jpg": local, "file:///a.jpg": local, "http://host/a.jpg": web},
    **{
        "HTTPS://host/a.jpg": web,
        "gs://b/a.jpg": gcs,
        "s3://b/a.jpg": s3,
        "elsewhere://a.jpg": beam_files,
    },
}


@pytest.mark.parametrize("uri", STORES)
def test_each_uri_lies_in_one_store(uri: str) -> None:
    assert stores.store_of(uri) is STORES[uri]
    assert hasattr(STORES[uri], "sweep") == (STORES[uri] is local)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    uri = str(tmp_path / "out" / "x/a.png")
    written = stores.write(str(tmp_path / "out"), "x/a.png", b"abc", "image/png")
    assert written == stores.Written(uri, size=3, attempts=1)
    assert stores.read(uri) == stores.read(f"file://{uri}") == stores.Read(b"abc", attempts=1)


def test_a_file_is_replaced(tmp_path: Path) -> None:
    for data in (b"one", b"two"):
        stores.write(str(tmp_path), "a.png", data, "image/png")
    assert (tmp_path / "a.png").read_bytes() == b"two"


@pytest.mark.parametrize("durable", [True, False])
def test_what_is_durable_is_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, durable: bool
) -> None:
    synced: List[int] = []
    monkeypatch.setattr(os, "fsync", synced.append)
    stores.write(str(tmp_path), "a.json", b"abc", "application/json", durable=durable)
    assert len(synced) == durable


def test_a_file_called_gz_is_not_unpacked(tmp_path: Path) -> None:
    (tmp_path / "a.gz").write_bytes(b"as it is")
    assert stores.read(str(tmp_path / "a.gz")).data == b"as it is"


def test_a_write_that_fails_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"a file where a folder would have to be")
    stores.begin(str(tmp_path))
    with pytest.raises(OSError):
        stores.write(str(tmp_path), "a/b.png", b"abc", "image/png")
    (private,) = (path for path in (tmp_path / TEMPORARY).iterdir() if path.is_dir())
    assert list(private.iterdir()) == []
    stores.end(str(tmp_path))
    assert os.listdir(tmp_path) == ["a"]


def test_the_last_writer_tidies_up(tmp_path: Path) -> None:
    stores.begin(str(tmp_path))
    stores.begin(str(tmp_path))
    stores.write(str(tmp_path), "a.png", b"abc", "image/png")
    stores.end(str(tmp_path))
    assert (tmp_path / TEMPORARY).exists()
    stores.end(str(tmp_path))
    assert os.listdir(tmp_path) == ["a.png"]


def test_many_writers_begin_and_end_at_once(tmp_path: Path) -> None:
    errors: List[BaseException] = []

    def work(name: int) -> None:
        try:
            for number in range(60):
                stores.begin(str(tmp_path))
                stores.write(str(tmp_path), f"{name}/{number}.png", b"abc", "image/png")
                stores.end(str(tmp_path))
                stores.sweep(str(tmp_path))
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(name,)) for name in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert len(list(tmp_path.rglob("*.png"))) == 8 * 60
    assert TEMPORARY not in os.listdir(tmp_path)


ABANDON = """
    import os, sys, threading, time
    from rembg_beam.transforms.store import stores

    def work(name):
        try:
            for number in range(10**6):
                stores.write(sys.argv[1], f"{name}-{number}.png", b"abc" * 1000, "image/png")
        except OSError:
            pass

    stores.begin(sys.argv[1])
    threads = [threading.Thread(target=work, args=(name,), daemon=True) for name in range(4)]
    [thread.start() for thread in threads]
    time.sleep(0.3)
    stores.abandon()
    time.sleep(0.3)
    print(len(os.listdir(sys.argv[1])), flush=True)
    time.sleep(0.3)
    print(len(os.listdir(sys.argv[1])), flush=True)
    os._exit(0)
"""


@pytest.mark.long
def test_nothing_is_written_after_abandon(tmp_path: Path) -> None:
    command = [sys.executable, "-c", textwrap.dedent(ABANDON), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    before, after = map(int, done.stdout.split())
    assert before == after > 0
    assert TEMPORARY not in os.listdir(tmp_path)
    assert {path.stat().st_size for path in tmp_path.iterdir()} == {3000}


WRITER = """
    import os, signal, sys
    from rembg_beam.transforms.store import stores

    def die(*paths):
        print("writing", flush=True)
        if sys.argv[2] == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        sys.stdin.read()

    os.replace = die
    stores.write(sys.argv[1], "a.png", b"abc" * 1000, "image/png")
"""


def _writer(folder: Path, end: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(WRITER), str(folder), end],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )


def test_what_a_killed_process_left_is_swept(tmp_path: Path) -> None:
    with _writer(tmp_path, "die") as writer:
        assert writer.wait() == -signal.SIGKILL
    left = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(left) == 2 and not (tmp_path / "a.png").exists()
    stores.sweep(str(tmp_path))
    assert os.listdir(tmp_path) == []


def test_what_a_living_process_writes_is_not_swept(tmp_path: Path) -> None:
    with _writer(tmp_path, "wait") as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"writing\n"
        stores.sweep(str(tmp_path))
        left = [path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()]
        assert 3000 in left
        writer.kill()
    stores.sweep(str(tmp_path))
    assert os.listdir(tmp_path) == []


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> List[float]:
    """How long it would have been waited between attempts, in seconds."""
    waited: List[float] = []
    backoff = dataclasses.replace(retrying.BACKOFF, sleep=waited.append)
    monkeypatch.setattr(retrying, "BACKOFF", backoff)
    return waited


def test_another_file_system_is_written_under_a_temporary_name(
    tmp_path: Path, elsewhere: str
) -> None:
    for data in (b"abc", b"abcd"):
        written = stores.write(elsewhere, "x/a[1].png", data, "image/png")
        assert written == (f"{elsewhere}/x/a[1].png", len(data), 1)
        assert stores.read(f"{elsewhere}/x/a[1].png") == (data, 1)
    assert all(TEMPORARY in path for path in Elsewhere.created)
    assert list((tmp_path / TEMPORARY).iterdir()) == []


def test_another_file_systems_listing(tmp_path: Path, elsewhere: str) -> None:
    (tmp_path / "a[1].png").write_bytes(b"abc")
    (file,) = stores.listing(elsewhere, deep=False)
    assert file[:3] == (f"{elsewhere}/a[1].png", "a[1].png", 3)
    assert file.modified == pytest.approx((tmp_path / "a[1].png").stat().st_mtime)
    assert stores.size(f"{elsewhere}/a[1].png") == 3
    assert stores.size(f"{elsewhere}/b.png") is None


class Answered(Exception):
    """An error as Beam's S3 client has them."""

    def __init__(self, code: int) -> None:
        super().__init__(f"the server said {code}")
        self.code = code


@pytest.mark.parametrize(
    "error",
    [
        *(TimeoutError(), ConnectionResetError(), OSError(errno.EIO, "I/O error")),
        *(Answered(429), Answered(503), BeamIOError("read", {"uri": Answered(500)})),
    ],
    ids=repr,
)
@pytest.mark.parametrize("operation", ["create", "rename", "size", "open"])
def test_what_passes_is_tried_again(
    elsewhere: str, waits: List[float], operation: str, error: Exception
) -> None:
    Elsewhere.failing[operation] = [error, error]
    written = stores.write(elsewhere, "a.png", b"abc", "image/png")
    read = stores.read(written.uri)
    assert (written.attempts, read.attempts) == ((1, 3) if operation == "open" else (3, 1))
    assert read.data == b"abc"
    assert len(waits) == 2 and 0 <= waits[0] <= 1 and 0 <= waits[1] <= 2


@pytest.mark.parametrize(
    ("error", "rises"),
    [
        (Answered(404), FileNotFoundError),
        (Answered(403), PermissionError),
        (OSError(errno.ENOSPC, "No space left on device"), OSError),
        (ValueError("no such thing"), ValueError),
    ],
    ids=repr,
)
def test_what_does_not_pass_fails_at_once(
    elsewhere: str, waits: List[float], error: Exception, rises: type
) -> None:
    Elsewhere.failing["open"] = [error]
    tried = stores.try_read(f"{elsewhere}/a.png")
    with pytest.raises(rises):
        tried.get()
    assert (waits, tried.attempts) == ([], 1)


def test_attempts_end(elsewhere: str, waits: List[float]) -> None:
    Elsewhere.failing["open"] = [ConnectionResetError(str(number)) for number in range(99)]
    tried = stores.try_read(f"{elsewhere}/a.png")
    assert isinstance(tried.error, ConnectionResetError)
    number = retrying.BACKOFF.attempts
    assert len(waits) == number - 1
    assert tried.attempts == number
    assert all(waited <= 2**doubled for doubled, waited in enumerate(waits))


def test_a_mount_that_is_away_for_a_moment(
    tmp_path: Path, waits: List[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    replace, failures = os.replace, [OSError(errno.ESTALE, "Stale file handle")]

    def stale(*paths: str) -> None:
        if failures:
            raise failures.pop()
        replace(*paths)

    monkeypatch.setattr(os, "replace", stale)
    assert stores.write(str(tmp_path), "a.png", b"abc", "image/png").attempts == 2
    assert os.listdir(tmp_path) == ["a.png"]


def test_another_file_is_not_overwritten(tmp_path: Path, elsewhere: str) -> None:
    for folder in (str(tmp_path), elsewhere):
        stores.write(folder, "a.png", b"abc", "image/png", overwrite=False)
        stores.write(folder, "a.png", b"abc", "image/png", overwrite=False)  # the very same
        for data in (b"xyz", b"longer"):
            with pytest.raises(FileExistsError, match="must not be overwritten"):
                stores.write(folder, "a.png", data, "image/png", overwrite=False)
        assert (tmp_path / "a.png").read_bytes() == b"abc"
        (tmp_path / "a.png").unlink()


@pytest.mark.parametrize("has_links", [True, False])
def test_of_many_local_writers_one_wins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_links: bool
) -> None:
    def link(*paths: str) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    if not has_links:
        monkeypatch.setattr(os, "link", link)

    def put(number: int) -> bool:
        try:
            stores.write(str(tmp_path), "a.png", b"%d" % number, "image/png", overwrite=False)
            return True
        except FileExistsError:
            return False

    if has_links:
        with ThreadPoolExecutor(8) as pool:
            won = list(pool.map(put, range(8)))
    else:
        won = [put(number) for number in range(3)]
    assert won.count(True) == 1
    assert (tmp_path / "a.png").read_bytes() == b"%d" % won.index(True)
    assert os.listdir(tmp_path) == ["a.png"]


def test_a_larger_file_is_not_read(tmp_path: Path, elsewhere: str) -> None:
    (tmp_path / "a.png").write_bytes(b"abcd")
    for folder in (str(tmp_path), elsewhere):
        assert stores.read(f"{folder}/a.png", 4).data == b"abcd"
        with pytest.raises(limits.TooLarge, match=r"max_bytes=3.*a\.png"):
            stores.read(f"{folder}/a.png", 3)


@pytest.mark.skipif(not os.path.exists("/proc/self/smaps"), reason="no /proc")
def test_a_file_that_tells_no_size_is_bounded(waits: List[float]) -> None:
    assert os.path.getsize("/proc/self/smaps") == 0
    with pytest.raises(limits.TooLarge, match="max_bytes=1000"):
        stores.read("/proc/self/smaps", 1000)
    assert stores.read("/proc/version", 1000).data == Path("/proc/version").read_bytes()
    assert waits == []


@pytest.mark.skipif(not os.path.exists("/proc/self/mem"), reason="no /proc")
def test_a_file_of_the_kernels_is_not_tried_again(waits: List[float]) -> None:
    tried = stores.try_read("/proc/self/mem")
    with pytest.raises(OSError, match="one of the kernel's files"):
        tried.get()
    assert (waits, tried.attempts) == ([], 1)


@pytest.mark.parametrize("max_bytes", [None, 3, 70_000, 10**8])
def test_no_more_is_asked_for_than_may_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, max_bytes: Optional[int]
) -> None:
    """Of a file that grows as fast as it is read."""
    (tmp_path / "a.png").write_bytes(b"abc")
    asked: List[int] = []
    read = os.read

    def reading(descriptor: int, size: int) -> bytes:
        asked.append(size)
        if len(asked) < 9:
            with open(tmp_path / "a.png", "ab") as file:
                file.write(bytes(20_000))
        return read(descriptor, size)

    monkeypatch.setattr(os, "read", reading)
    if max_bytes in (3, 70_000):
        with pytest.raises(limits.TooLarge):
            stores.read(str(tmp_path / "a.png"), max_bytes)
        assert asked[0] <= max_bytes + 1
    else:
        assert len(stores.read(str(tmp_path / "a.png"), max_bytes).data) == 160_003


@pytest.mark.parametrize("kind", ["pipe", "socket", "device", "folder"])
def test_what_is_no_file_is_told_at_once(tmp_path: Path, waits: List[float], kind: str) -> None:
    path = str(tmp_path / "a.jpg")
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(path)
    elif kind == "device":
        path = os.devnull
    else:
        os.mkdir(path)
    with pytest.raises(OSError, match=f"(a {kind}: save it as a file|it is a {kind})"):
        stores.read(path)
    assert waits == []


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("~/a.jpg", "the shell's"),
        ("$HOME/a.jpg", "the shell's"),
        ("# comment", "no comments"),
        ("p/*.jpg", "a pattern by --input"),
        ("C:\\x\\a.jpg", "Windows"),
        ("x\\a.jpg", "divided by `/`"),
        ("'a.jpg'", "quotes"),
        ("a.jpg,17", "other columns"),
        ("a%20b.jpg", "file:// URI"),
        ("file:/a.jpg", "three slashes"),
    ],
)
def test_a_name_that_is_not_there_gets_a_hint(tmp_path: Path, name: str, hint: str) -> None:
    tried = stores.try_read(f"{tmp_path}/{name}")
    with pytest.raises(FileNotFoundError, match=f"No such file.*{hint}"):
        tried.get()
    assert tried.attempts == 1
    with pytest.raises(FileNotFoundError) as raised:
        stores.read(f"{tmp_path}/plain-1.jpg")
    assert str(raised.value) == f"[Errno 2] No such file or directory: '{tmp_path}/plain-1.jpg'"


@pytest.mark.parametrize("name", ["~/a.jpg", "#1.jpg", "p/*.jpg", "'a.jpg'", "a.jpg,17", "C:/a"])
def test_a_name_that_is_there_is_read(tmp_path: Path, name: str) -> None:
    stores.write(str(tmp_path), name, b"abc", "image/png")
    assert stores.read(f"{tmp_path}/{name}").data == b"abc"


def test_a_removed_file_is_gone(tmp_path: Path, elsewhere: str) -> None:
    for folder in (str(tmp_path), elsewhere):
        uri = stores.write(folder, "x/a.txt", b"abc", "text/plain").uri
        stores.remove(uri)
        stores.remove(uri)
        assert stores.size(uri) is None
        # A folder of its own goes with a local one.
        assert (tmp_path / "x").exists() == (folder == elsewhere)


def version(path: Path) -> str:
    return f"{path.stat().st_ino}-{path.stat().st_mtime_ns}"


def test_a_listing(tmp_path: Path) -> None:
    for name in ("a.png", "x/b.png", "x/y/c.png"):
        stores.write(str(tmp_path), name, b"abc", "image/png")
    # Neither is a file: a link in a circle, and one to nothing.
    (tmp_path / "loop.png").symlink_to("loop.png")
    (tmp_path / "nothing.png").symlink_to("nowhere.png")
    paths = [tmp_path / name for name in ("a.png", "x/b.png", "x/y/c.png")]
    assert list(stores.listing(str(tmp_path))) == [
        (
            str(path),
            path.relative_to(tmp_path).as_posix(),
            3,
            path.stat().st_mtime,
            None,
            version(path),
        )
        for path in paths
    ]
    assert [file.name for file in stores.listing(f"{tmp_path}/x", deep=False)] == ["b.png"]
    assert [file.name for file in stores.listing(str(tmp_path), start="x/", limit=1)] == ["x/b.png"]
    assert list(stores.listing(f"{tmp_path}/none")) == []
    assert stores.size(f"{tmp_path}/a.png") == 3 and stores.size(str(tmp_path)) is None


def test_a_scheme_without_a_file_system() -> None:
    with pytest.raises(ValueError, match="no file system for ftp://"):
        stores.read("ftp://me:pw@host/a.jpg")
