"""Files that are whole or absent."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path
from typing import ClassVar, List

import pytest

from rembg_beam.transforms.storage import files, naming

TEMPORARY = naming.TEMPORARY


def test_what_is_written_is_read(tmp_path: Path) -> None:
    uri = files.write(str(tmp_path / "out"), "x/a.png", b"abc", "image/png")
    assert uri == str(tmp_path / "out" / "x/a.png")
    assert files.read(uri) == files.read(f"file://{uri}") == b"abc"


def test_a_file_is_replaced(tmp_path: Path) -> None:
    for data in (b"one", b"two"):
        files.write(str(tmp_path), "a.png", data, "image/png")
    assert (tmp_path / "a.png").read_bytes() == b"two"


def test_a_file_called_gz_is_not_unpacked(tmp_path: Path) -> None:
    (tmp_path / "a.gz").write_bytes(b"as it is")
    assert files.read(str(tmp_path / "a.gz")) == b"as it is"


def test_a_write_that_fails_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"a file where a folder would have to be")
    files.begin(str(tmp_path))
    with pytest.raises(OSError):
        files.write(str(tmp_path), "a/b.png", b"abc", "image/png")
    (private,) = (path for path in (tmp_path / TEMPORARY).iterdir() if path.is_dir())
    assert list(private.iterdir()) == []
    files.end(str(tmp_path))
    assert os.listdir(tmp_path) == ["a"]


def test_the_last_writer_tidies_up(tmp_path: Path) -> None:
    files.begin(str(tmp_path))
    files.begin(str(tmp_path))
    files.write(str(tmp_path), "a.png", b"abc", "image/png")
    files.end(str(tmp_path))
    assert (tmp_path / TEMPORARY).exists()
    files.end(str(tmp_path))
    assert os.listdir(tmp_path) == ["a.png"]


def test_many_writers_begin_and_end_at_once(tmp_path: Path) -> None:
    errors: List[BaseException] = []

    def work(name: int) -> None:
        try:
            for number in range(60):
                files.begin(str(tmp_path))
                files.write(str(tmp_path), f"{name}/{number}.png", b"abc", "image/png")
                files.end(str(tmp_path))
                files.sweep(str(tmp_path))
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
    from rembg_beam.transforms.storage import files

    def work(name):
        try:
            for number in range(10**6):
                files.write(sys.argv[1], f"{name}-{number}.png", b"abc" * 1000, "image/png")
        except OSError:
            pass

    files.begin(sys.argv[1])
    threads = [threading.Thread(target=work, args=(name,), daemon=True) for name in range(4)]
    [thread.start() for thread in threads]
    time.sleep(0.3)
    files.abandon()
    time.sleep(0.3)
    print(len(os.listdir(sys.argv[1])), flush=True)
    time.sleep(0.3)
    print(len(os.listdir(sys.argv[1])), flush=True)
    os._exit(0)
"""


def test_nothing_is_written_after_abandon(tmp_path: Path) -> None:
    command = [sys.executable, "-c", textwrap.dedent(ABANDON), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    before, after = map(int, done.stdout.split())
    assert before == after > 0
    assert TEMPORARY not in os.listdir(tmp_path)
    assert {path.stat().st_size for path in tmp_path.iterdir()} == {3000}


WRITER = """
    import os, signal, sys
    from rembg_beam.transforms.storage import files

    def die(*paths):
        print("writing", flush=True)
        if sys.argv[2] == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        sys.stdin.read()

    os.replace = die
    files.write(sys.argv[1], "a.png", b"abc" * 1000, "image/png")
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
    files.sweep(str(tmp_path))
    assert os.listdir(tmp_path) == []


def test_what_a_living_process_writes_is_not_swept(tmp_path: Path) -> None:
    with _writer(tmp_path, "wait") as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"writing\n"
        files.sweep(str(tmp_path))
        left = [path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()]
        assert 3000 in left
        writer.kill()
    files.sweep(str(tmp_path))
    assert os.listdir(tmp_path) == []


def test_another_file_system_is_written_under_a_temporary_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A remote store that is no object store: Beam's local file system under another scheme."""
    from apache_beam.io.localfilesystem import LocalFileSystem

    class Elsewhere(LocalFileSystem):
        created: ClassVar[List[str]] = []

        @classmethod
        def scheme(cls) -> str:
            return "elsewhere"

        def create(self, path: str, *arguments: object, **more: object) -> object:
            self.created.append(path)
            return super().create(_plain(path), *arguments, **more)

        def open(self, path: str, *arguments: object, **more: object) -> object:
            return super().open(_plain(path), *arguments, **more)

        def exists(self, path: str) -> bool:
            return bool(super().exists(_plain(path)))

        def mkdirs(self, path: str) -> None:
            super().mkdirs(_plain(path))

        def rename(self, old: list[str], new: list[str]) -> None:
            super().rename([*map(_plain, old)], [*map(_plain, new)])

        def delete(self, paths: list[str]) -> None:
            super().delete([*map(_plain, paths)])

    uri = f"elsewhere://{tmp_path}"
    for data in (b"abc", b"abcd"):
        assert files.write(uri, "x/a.png", data, "image/png") == f"{uri}/x/a.png"
        assert files.read(f"{uri}/x/a.png") == data
    assert all(TEMPORARY in path for path in Elsewhere.created)
    assert list((tmp_path / TEMPORARY).iterdir()) == []


def _plain(path: str) -> str:
    return path.removeprefix("elsewhere://")
