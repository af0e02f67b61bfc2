"""Lists that can be read only once, as a person gives them."""

import contextlib
import os
import pty
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, Callable, Dict, List

import pyarrow.dataset
import pytest
from support.stdio import stdin

from rembg_beam.pipelines import cli, piped
from rembg_beam.pipelines.preflight import rules
from rembg_beam.pipelines.preflight.plan import Plan
from rembg_beam.pipelines.settings import Settings
from rembg_beam.pipelines.status import UsageError
from rembg_beam.transforms.sources.lists import InputList

COMMAND = [sys.executable, "-m", "rembg_beam.pipelines", "run", "--model", "tiny"]


def rows(output: Path) -> List[Dict[str, Any]]:
    return pyarrow.dataset.dataset(output / "_manifest", partitioning="hive").to_table().to_pylist()


def kept(uri: str, output: Path) -> List[InputList]:
    """What workers would read, checked to be removed."""
    with piped.Lists([uri]) as lists:
        found = lists.keep(str(output), "r")
        data = b"".join(Path(each.uri).read_bytes() for each in found)
        (output / "data").write_bytes(data)
    assert not (output / "_manifest" / "_lists").exists()
    return found


@pytest.mark.parametrize("uri", ["-", "/dev/stdin", "/dev/fd/0", "file:///dev/stdin"])
def test_every_line_of_standard_input_is_kept(tmp_path: Path, uri: str) -> None:
    lines = b"".join(b"p/none%05d_%s.jpg\n" % (number, b"x" * 40) for number in range(40_000))
    with stdin(lines):
        (part,) = kept(uri, tmp_path)
    assert (tmp_path / "data").read_bytes() == lines
    assert part[1:] == (uri, 0)


def test_a_long_list_is_kept_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(piped, "PART_BYTES", 100)
    lines = "\n".join(f"caf\u00e9{number}.jpg" for number in range(100))
    with stdin(lines.encode("utf-16")):
        parts = kept("-", tmp_path)
    assert (tmp_path / "data").read_text("utf-8") == lines + "\n"
    assert len(parts) > 10 and [part.before for part in parts] == [0, *range(10, 100, 9)]


def test_a_named_pipe_is_read_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=(tmp_path / "pipe").write_bytes, args=(b"a.jpg\nb.jpg",))
    writer.start()
    kept(str(tmp_path / "pipe"), tmp_path)
    writer.join()
    assert (tmp_path / "data").read_bytes() == b"a.jpg\nb.jpg\n"


def test_a_pipe_that_does_not_block(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.set_blocking(reading, False)

    def write() -> None:
        for line in (b"a.jpg\n", b"b.jpg\n"):
            time.sleep(0.02)
            os.write(writing, line)
        os.close(writing)

    writer = threading.Thread(target=write)
    with contextlib.ExitStack() as stack:
        stack.callback(os.close, reading)
        saved = os.dup(0)
        stack.callback(os.close, saved)
        stack.callback(os.dup2, saved, 0)
        os.dup2(reading, 0)
        writer.start()
        kept("-", tmp_path)
    assert (tmp_path / "data").read_bytes() == b"a.jpg\nb.jpg\n"


def test_files_are_left_where_they_are(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("a.jpg")
    with piped.Lists([str(tmp_path / "list.txt"), "gs://b/list.txt"]) as lists:
        found = lists.keep(str(tmp_path / "out"), "r")
    assert [each.uri for each in found] == [str(tmp_path / "list.txt"), "gs://b/list.txt"]
    assert not (tmp_path / "out").exists()


def test_another_format_is_refused_before_all_of_it_has_come() -> None:
    with stdin(b"PAR1" + bytes(50_000_000)):
        with pytest.raises(UsageError, match="--input_list '-': it is Parquet"):
            piped.Lists(["-"])
        assert os.read(0, 1)


@pytest.mark.parametrize(
    ("given", "data", "message"),
    [
        (["-", "/dev/stdin"], b"a.jpg", "can be read once, and '-' is the same"),
        (["-"], b"\n \n", "--input_list '-': it names no picture"),
        (["-"], b"", "it names no picture"),
        (["/dev/null"], b"", "it names no picture"),
        (["-"], b"url,id\na.jpg,1\n", "a table with the columns url, id"),
        (["/dev/fd/999"], b"", "/dev/fd/999"),
    ],
)
def test_wrong_use(given: List[str], data: bytes, message: str) -> None:
    with stdin(data), pytest.raises(UsageError, match=message):
        piped.Lists(given)


def test_closed_standard_input() -> None:
    script = "from rembg_beam.pipelines import piped; piped.Lists(['-'])"
    done = subprocess.run(
        ["/bin/sh", "-c", '"$0" -c "$1" <&-', sys.executable, script],
        capture_output=True,
        text=True,
    )
    assert done.stderr.endswith("UsageError: --input_list -: standard input is closed\n")


def test_a_run_over_a_list_from_a_pipe(photos: Path, tmp_path: Path, capfd: Any) -> None:
    out = tmp_path / "out"
    lines = [*(f"/none{number}.jpg" for number in range(300)), str(photos / "a.jpg"), "{"]
    arguments = ["run", "--model", "tiny", "--input_list", "-", "--output", str(out)]
    with stdin("\n".join(lines).encode()):
        assert cli.main(arguments) == 0
    found = rows(out)
    assert len(found) == 302 and len([row for row in found if row["status"] == "written"]) == 1
    messages = [row["message"] or "" for row in found]
    assert any(message.startswith("-, line 302: not a JSON object") for message in messages)
    assert {name.partition("=")[0] for name in os.listdir(out / "_manifest")} == {
        "_metadata.json",
        "_settings.json",
        "run",
    }
    with stdin(str(photos / "a.jpg").encode()):
        assert cli.main(arguments) == 0
    assert capfd.readouterr().out.splitlines()[-2].startswith("0 written, 1 skipped, 0 failed")


@pytest.mark.long
def test_process_substitution(photos: Path, tmp_path: Path) -> None:
    script = '"$@" --input_list <(printf "%s\\n" "$LISTED") --config <(echo "model: tiny")'
    command = [sys.executable, "-m", "rembg_beam.pipelines", "run"]
    done = subprocess.run(
        ["bash", "-c", script, "bash", *command, "--output", str(tmp_path / "out")],
        env={**os.environ, "LISTED": str(photos / "a.jpg")},
        capture_output=True,
        text=True,
    )
    assert done.stdout.startswith("1 written, 0 skipped, 0 failed"), done.stderr


def test_a_refused_run_leaves_no_list(photos: Path, tmp_path: Path, capfd: Any) -> None:
    out = tmp_path / "out"
    arguments = ["run", "--model", "tiny", "--input_list", "-", "--output", str(out)]
    for more, status in [([], 0), (["--only_mask"], 2), (["--runner=Foo"], 2)]:
        with stdin(str(photos / "a.jpg").encode()):
            assert cli.main([*arguments, *more]) == status
        assert not (out / "_manifest" / "_lists").exists()


def test_a_list_for_dataflow_may_come_from_a_pipe() -> None:
    """Its workers read the copy; a list of this machine's is still refused."""

    def local_paths(*lists: str) -> List[str]:
        plan = Plan("DataflowRunner", Settings(input_list=lists, output="gs://b/out"), [])
        return [each.says for each in rules.findings(plan) if each.rule == "local-paths"]

    assert not local_paths("-", "/dev/stdin")
    (said,) = local_paths("list.txt")
    assert "is a path of this machine" in said


def test_on_gs_the_list_is_kept_there_for_the_run(
    proxy: Any, emulator: Any, encoded: Callable[..., bytes], capfd: Any
) -> None:
    emulator.put("gs://b/a.jpg", encoded("JPEG"))
    with stdin(b"gs://b/a.jpg\n"):
        status = cli.main(["run", "--model", "tiny", "--input_list", "-", "--output", "gs://b/out"])
    assert status == 0, capfd.readouterr().err
    asked = [each.kind for each in proxy.requests if "/_lists/" in each.name]
    assert asked[0] == "write" and asked[-1] == "delete" and "read" in asked
    assert not [name for name in emulator.tree("b", "out/") if "_lists" in name]


@pytest.mark.parametrize("listed", ["-", "pipe"])
def test_ctrl_c_while_a_list_is_read(tmp_path: Path, listed: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, "--input_list", listed, "--output", "out"],
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
    )
    os.write(ours, b"a.jpg\n")
    assert process.stderr is not None
    assert process.stderr.readline().startswith("rembg-beam: reading the list ")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert (process.returncode, out) == (130, "")
    assert err == "rembg-beam: interrupted before anything ran\n"
    assert not (tmp_path / "out").exists()
    os.close(ours)
    os.close(theirs)
