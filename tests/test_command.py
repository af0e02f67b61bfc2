"""The command, as a person runs it."""

import contextlib
import errno
import functools
import importlib.metadata
import importlib.util
import json
import os
import pty
import signal
import subprocess
import sys
import termios
import time
from pathlib import Path
from typing import Any, Callable, Dict, List

import psutil
import pyarrow.dataset
import pytest
from PIL import Image
from support.stdio import stdin

from rembg_beam.pipelines import beam_options, cli, documents, settings, status, values
from rembg_beam.transforms.folder import layout
from rembg_beam.transforms.models.providers import installed


def rows(output: Path) -> List[Dict[str, Any]]:
    return pyarrow.dataset.dataset(output / "_manifest", partitioning="hive").to_table().to_pylist()


@pytest.fixture
def command(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """Runs `rembg-beam run` with tiny into a folder; its status and both streams."""

    def command(*arguments: object, output: object = tmp_path / "out") -> Any:
        capfd.readouterr()
        given = [str(argument) for argument in arguments]
        model = [] if any(flag.startswith("--model") for flag in given) else ["--model", "tiny"]
        status = cli.main(["run", *given, "--output", str(output), *model])
        streams = capfd.readouterr()
        return status, streams.out, streams.err

    return command


def test_a_folder(
    command: Any, photos: Path, tmp_path: Path, tree: Any, not_pictures: Dict[str, str]
) -> None:
    status, out, err = command("--input", photos)
    assert status == 0, err
    assert out.startswith("7 written, 0 skipped, 3 failed; ")
    for name, error in not_pictures.items():
        assert f"failed: {photos}/{name} (remove, {error}): " in out
    found = rows(tmp_path / "out")
    assert len(found) == 10
    assert {row["error"] for row in found} == {None, *not_pictures.values()}
    assert tree(tmp_path / "out") == sorted(
        f"{name}.png"
        for name in [
            "a.jpg",
            "A.JPG",
            "a.png",
            "c[1].jpg",
            "cmyk.jpg",
            "sub/b.JPEG",
            "sub/turned.jpg",
        ]
    )
    assert f"{tmp_path}/out/_manifest/run=" in out
    again, out, _ = command("--input", photos)  # the outputs of the first are no inputs
    assert again == 0 and out.startswith("0 written, 7 skipped, 3 failed")
    assert len(rows(tmp_path / "out")) == 20


def test_an_output_folder_inside_the_input(command: Any, photos: Path) -> None:
    for done in ("7 written, 0 skipped", "0 written, 7 skipped"):
        _, out, _ = command("--input", photos, output=photos / "cutouts")
        assert out.startswith(f"{done}, 3 failed")


MODES = ("in_memory", "multi_threading", pytest.param("multi_processing", marks=pytest.mark.long))


@pytest.mark.parametrize("mode", MODES)
def test_every_running_mode_gives_the_same_files(
    command: Any, photos: Path, tmp_path: Path, mode: str, tree: Any
) -> None:
    (photos / "a.png").rename(tmp_path / "listed.png")
    with stdin(f"{tmp_path}/listed.png\n/no/such.jpg".encode()):
        status, out, err = command(
            *("--input", photos, "--input_list", "-", "--relative_to", "/"),
            *("--direct_running_mode", mode),
            f"--direct_num_workers={1 if mode == 'in_memory' else 2}",
        )
    assert status == 0, err
    assert out.startswith("7 written, 0 skipped, 4 failed")
    below = f"out{tmp_path}"
    files = {name: (tmp_path / below / name).read_bytes() for name in tree(tmp_path / below)}
    _expected.setdefault("files", files)
    assert files == _expected["files"]


_expected: Dict[str, Dict[str, bytes]] = {}


def test_an_input_list(command: Any, photos: Path, tmp_path: Path, tree: Any) -> None:
    lines = [
        str(photos / "a.jpg"),
        "",
        json.dumps({"uri": str(photos / "a.png"), "name": "shoe/7", "sku": 7}),
        json.dumps({"uri": str(photos / "A.JPG"), "extras": {"only_mask": True}}),
        '{"uri": ',
        '{"uri": 7}',
        "/no/such.jpg",
    ]
    (tmp_path / "list.txt").write_text("\ufeff" + "\n".join(lines) + "\n", encoding="utf-8")
    status, out, err = command("--input_list", tmp_path / "list.txt", "--relative_to", photos)
    assert status == 0, err
    assert out.startswith("3 written, 0 skipped, 3 failed")
    assert f"{tmp_path}/list.txt, line 5: not a JSON object" in out
    assert tree(tmp_path / "out") == ["A.JPG.png", "a.jpg.png", "shoe/7.png"]
    with Image.open(tmp_path / "out/A.JPG.png") as image:
        assert image.mode == "L"
    metadata = {row["uri"]: row["metadata"] for row in rows(tmp_path / "out")}
    assert json.loads(metadata[str(photos / "a.png")]) == {"sku": 7}
    outside = next(row for row in rows(tmp_path / "out") if row["uri"] == "/no/such.jpg")
    assert (outside["step"], outside["error"]) == ("find", "ValueError")


@pytest.mark.long
def test_pictures_that_would_share_a_file(
    command: Any, photos: Path, tmp_path: Path, tree: Any
) -> None:
    (photos / "other").mkdir()
    (photos / "other" / "a.jpg").write_bytes((photos / "a.jpg").read_bytes())
    inputs = [photos / "a.jpg", photos / "other" / "a.jpg", photos / "a.png", photos / "a.png"]
    status, out, _ = command(*[part for path in inputs for part in ("--input", path)])
    assert status == 0
    assert out.startswith("1 written, 0 skipped, 2 failed")
    assert "NameClash" in out and "--relative_to" in out
    assert tree(tmp_path / "out") == ["a.png.png"]
    _, out, _ = command(
        *[part for path in inputs for part in ("--input", path)], "--relative-to", photos
    )
    assert out.startswith("2 written, 1 skipped, 0 failed")


def test_one_picture_written_in_many_ways(
    command: Any, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tree: Any
) -> None:
    monkeypatch.chdir(photos)
    (tmp_path / "elsewhere" / "deep").mkdir(parents=True)
    (photos / "link").symlink_to(tmp_path / "elsewhere" / "deep")
    (tmp_path / "elsewhere" / "a.png").write_bytes((photos / "a.png").read_bytes())
    lines = ["a.jpg", "./a.jpg", "sub/../a.jpg", "link/../a.png"]
    whole = [f"{photos}/A.JPG", f"file://{photos}/A.JPG", f"{photos}/sub/../A.JPG"]
    with stdin("\n".join([*lines, *whole]).encode()):
        _, out, _ = command("--input_list", "-")
    assert out.startswith("3 written, 0 skipped, 0 failed")
    assert tree(tmp_path / "out") == ["a.jpg.png", "a.png.png", f"{photos}/A.JPG.png"[1:]]
    found = {row["uri"]: row["duplicates"] for row in rows(tmp_path / "out")}
    assert found == {
        f"{photos}/a.jpg": 2,
        f"{photos}/A.JPG": 2,
        f"{tmp_path}/elsewhere/a.png": 0,
    }


def test_a_byte_and_its_escape_are_two_names(
    command: Any, photos: Path, tmp_path: Path, tree: Any
) -> None:
    folder = tmp_path / "bytes"
    folder.mkdir()
    for name in (b"x\xe9.jpg", b"x%E9.jpg"):
        with open(os.path.join(os.fsencode(folder), name), "wb") as file:
            file.write((photos / "a.jpg").read_bytes())
    for counts in ("2 written, 0 skipped", "0 written, 2 skipped"):
        _, out, _ = command("--input", folder)
        assert out.startswith(counts)
    assert tree(tmp_path / "out") == ["x%25E9.jpg.png", "x%E9.jpg.png"]


def test_options_reach_the_pictures(command: Any, photos: Path, tmp_path: Path) -> None:
    status, _, err = command(
        *("--input", photos / "a.jpg", "--bgcolor", "white", "--post-process-mask"),
        *("--format=jpeg", "--quality", "70"),
    )
    assert status == 0, err
    with Image.open(tmp_path / "out/a.jpg.jpg") as image:
        assert image.format == "JPEG" and image.getpixel((0, 0)) == (255, 255, 255)


@pytest.mark.parametrize(
    ("limit", "status"), [("3", 0), ("2", 1), ("30%", 0), ("29%", 1), ("0.3", 0), ("0", 1)]
)
def test_max_failures(command: Any, photos: Path, limit: str, status: int) -> None:
    got, out, err = command("--input", photos, "--max-failures", limit)
    assert got == status
    assert out.startswith("7 written")
    assert ("more than --max_failures" in err) == (status == 1)


@pytest.mark.parametrize(
    ("flags", "status"),
    [([], 1), (["--max_failures=100%"], 0), (["--max_failures=2"], 1), (["--max_failures=3"], 0)],
)
def test_a_run_in_which_everything_failed(
    command: Any, photos: Path, not_pictures: Dict[str, str], flags: List[str], status: int
) -> None:
    given = [part for name in not_pictures for part in ("--input", photos / name)]
    got, out, err = command(*given, *flags)
    assert got == status, err
    assert out.startswith("0 written, 0 skipped, 3 failed")
    assert ("nothing was written or found done" in err) == (not flags)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--modle", "u2net"], "did you mean --model?"),
        (["--only-masks"], "did you mean --only_mask?"),
        (["--regoin=x"], "did you mean --region?"),
        (["stray.jpg"], "'stray.jpg' belongs to no flag"),
        (["--model", "u2nett"], "did you mean 'u2net'?"),
        (["--provider", "CUDDA"], "did you mean 'CUDA'?"),
        (["--format", "gif"], "--format: 'gif' must be one of png, webp, jpeg"),
        (["--quality", "high"], "--quality: 'high' must be an integer"),
        (["--quality", "80"], "lossless"),
        (["--max_failures", "many"], "--max_failures: 'many' must be a count"),
        (["--bgcolor", "redd"], "--bgcolor"),
        (["--only_mask", "--bgcolor", "red"], "only_mask with bgcolor makes no sense"),
        (["--extras", "[1]"], "--extras: '[1]' must be a JSON object"),
        (["--extras", '{"a": 1, "a": 2}'], 'the key "a" is there twice'),
        (["--extras", '{"a":' * 9000 + "1" + "}" * 9000], "nested deeper than 100 levels"),
        (["--extras", '{"a": 9' + "9" * 6000 + "}"], "--extras: "),
        (["--provider", 'CPU={"a": 1, "a": 2}'], 'the key "a" is there twice'),
        (["--session_option", "a=1", "--session_option", "a=2"], "gives a twice"),
        (["--session_option", "a=" + "[" * 5000], "--session_option: "),
        (["--max_bytes", "9" * 400], "--max_bytes: "),
        (["--input", "nothing/*.jpg"], "'nothing/*.jpg' matches no file"),
        (["--input_list", "nothing.txt"], "nothing.txt"),
        (["--config", "nothing.yaml"], "nothing.yaml"),
        (["--runner", "DataflowRunner"], "is a path of this machine"),
        (["--input", "/dev/null"], "'/dev/null' is a pipe, a socket or a device"),
        (["--input", "-"], "by --input_list -"),
        (["--input_list", "file://nas/list.txt"], "--input_list 'file://nas/list.txt': 'file://"),
        (["--model=u2net_custom", "--model_path", "/dev/null"], "/dev/null' is a folder, a pipe"),
        (["--config", "/dev/zero"], "it has more than 1000000 bytes"),
    ],
)
def test_wrong_use(command: Any, photos: Path, arguments: List[str], message: str) -> None:
    status, out, err = command("--input", photos, *arguments)
    assert (status, out) == (2, "")
    assert err.startswith("rembg-beam: ") and message in err
    assert "Traceback" not in err


def test_what_is_missing_is_named(capfd: Any, photos: Path) -> None:
    given: List[str] = []
    for more, message in [
        (["--input", str(photos)], "no input"),
        (["--output", "out"], "no output"),
        ([], "no model: choose one by --model\n  u2net "),
    ]:
        assert cli.main(["run", *given]) == 2
        assert message in capfd.readouterr().err
        given += more


def test_a_config_file(command: Any, photos: Path, tmp_path: Path, capfd: Any) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(
        f"input: {photos}\nonly-mask: true\nformat: webp\nbeam:\n  direct_num_workers: 1\n"
    )
    status, _, err = command("--config", config, "--format", "png", "--no_only_mask")
    assert status == 0, err
    with Image.open(tmp_path / "out/a.jpg.png") as image:
        assert image.mode == "RGBA"
    _, out, _ = command("--config", config, "--format", "png", "--print_config")
    assert f"only_mask: true  # {config}\n" in out
    assert 'format: "png"  # --format\n' in out
    assert "quality: null  # default\n" in out
    assert '"direct_num_workers": 1' in out


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("modle: tiny", "config.yaml: modle is no setting; did you mean model?"),
        ("beam: {regoin: x}", "config.yaml: beam.regoin is no setting; did you mean region?"),
        ("only_mask: 7", "config.yaml: only_mask: 7 must be true or false"),
        ("[1", "config.yaml"),
        ("- 1", "must be a mapping"),
        (
            "model: tiny\nonly_mask: true\nmodel: u2net",
            "line 3: the key model is there already, in",
        ),
        ("only_mask: true\nonly-mask: true", "only-mask is there twice"),
        ("beam: {region: x, region: y}", "line 1: the key region is there already"),
        ("provider: {CUDA: {device_id: 0, device_id: 1}}", "the key device_id is there already"),
        ("extras: " + "[" * 5000, "config.yaml: it is nested too deeply"),
        ("extras: &a [*a]", "line 1: it contains itself"),
        ("name: 2026-13-45", "config.yaml: month must be in 1..12"),
        (f"max_bytes: 0x{'f' * 6000}", "config.yaml: max_bytes: the number"),
        (f"max_seconds: 0x{'f' * 600}", "max_seconds: "),
    ],
)
def test_a_wrong_config_names_the_key(
    command: Any, photos: Path, tmp_path: Path, text: str, message: str
) -> None:
    (tmp_path / "config.yaml").write_text(text)
    status, _, err = command("--input", photos, "--config", tmp_path / "config.yaml")
    assert status == 2 and message in err


def bomb(line: str) -> str:
    """Nine aliases on each of twelve lines, each of which stands for all of the line before."""
    lines = [f"bgcolor: &a0 {line.format(*['v'] * 9)}"]
    for number, name in enumerate(list(settings.SETTINGS)[:12], start=1):
        aliases = [f"*a{number - 1}"] * 9
        lines.append(f"{name}: &a{number} {line.format(*aliases)}")
    return "\n".join(lines)


@pytest.mark.parametrize(
    "line", ["[{}, {}, {}, {}, {}, {}, {}, {}, {}]", "{{<<: [{}, {}, {}, {}, {}, {}, {}, {}, {}]}}"]
)
def test_a_bomb_of_aliases_is_refused_before_it_goes_off(
    command: Any, photos: Path, tmp_path: Path, line: str
) -> None:
    (tmp_path / "config.yaml").write_text(bomb(line))
    begun = time.thread_time()
    status, _, err = command("--input", photos, "--config", tmp_path / "config.yaml")
    assert time.thread_time() - begun < 2
    assert status == 2 and "aliases (*name) stand for more than 100,000 values" in err


def test_anchors_and_merges_are_no_bombs() -> None:
    text = "a: &a {x: [1, 2]}\nb: {<<: *a, y: 3}\nc: *a"
    assert documents.from_yaml(text) == {
        "a": {"x": [1, 2]},
        "b": {"x": [1, 2], "y": 3},
        "c": {"x": [1, 2]},
    }


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--max_memory", "2 apples"], "--max_memory: '2 apples' must be a number of bytes"),
        (["--max_memory", "0"], "max_memory=0 must be a positive integer"),
        (["--max-batch-size=0"], "max_batch_size=0 must be an integer from 1"),
        (["--max_batch_wait_msecs", "soon"], "must be a number"),
        (["--empty_mask", "drop"], "must be one of write, skip, fail"),
    ],
)
def test_a_wrong_bound_names_the_flag(
    command: Any, photos: Path, flags: List[str], message: str
) -> None:
    status, _, err = command("--input", photos, *flags)
    assert status == 2 and message in err


@pytest.mark.parametrize(
    ("text", "count"),
    [("2GB", 2 * 10**9), ("1.5 MiB", 1536 * 1024), ("7", 7), (7, 7), ("3kb", 3000), ("1B", 1)],
)
def test_a_number_of_bytes(text: Any, count: int) -> None:
    assert values.KINDS["bytes"](text) == count


def test_a_run_that_fails(command: Any, photos: Path) -> None:
    status, out, err = command("--input", photos, "--provider", "CUDA")
    assert status == 1
    assert "the run failed: model 'tiny' was asked to run on CUDA" in err
    assert "pip install 'rembg-beam[gpu]'" in err and "--provider_fallback cpu" in err
    assert "while running" not in err
    assert "written" not in out or "0 written" in out


@pytest.mark.parametrize(
    ("name", "value"), [("OMP_NUM_THREADS", "4,2"), ("NUMBA_NUM_THREADS", "0")]
)
def test_a_variable_that_is_no_number_is_named(
    command: Any, photos: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    # A session that no other test has left open.
    status, _, err = command("--input", photos, "--session_option", "inter_op_num_threads=3")
    assert status == 1
    assert f"the environment variable {name} is {value!r} and must be one whole number" in err


def test_a_variable_of_tqdms_that_is_no_number_is_wrong_use() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "rembg_beam.pipelines", "run", "--model", "tiny"],
        env={**os.environ, "TQDM_MININTERVAL": "often"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert "TQDM_" in done.stderr and "'often'" in done.stderr


def test_no_own_flag_hides_one_of_beams() -> None:
    assert not set(settings.own_flags()) & {f"--{name}" for name in beam_options.names()}


def test_help_goes_to_stdout(capfd: Any) -> None:
    assert cli.main(["run", "--help"]) == 0
    out, err = capfd.readouterr()
    assert "--alpha_matting_erode_size" in out and not err


LIGHT = """
import sys
from rembg_beam.pipelines import cli
status = cli.main(sys.argv[1:])
heavy = {"apache_beam", "numpy", "rembg", "onnxruntime", "google.cloud.storage"} & set(sys.modules)
sys.exit(f"{status} {heavy}" if status or heavy else 0)
"""


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["models"], ["models", "--help"]])
def test_what_runs_nothing_imports_nothing_heavy(arguments: List[str]) -> None:
    command = [sys.executable, "-c", LIGHT, *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "") and done.stdout


def test_the_process_ends_with_its_status_and_all_it_said(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "rembg_beam.pipelines"]
    told = subprocess.run([*command, "--version"], capture_output=True, text=True)
    names = ["rembg-beam", "apache-beam", "rembg", *(each.split()[0] for each in installed())]
    versions = [f"{name} {importlib.metadata.version(name)}\n" for name in names]
    assert (told.returncode, told.stdout) == (0, "".join(versions))
    wrong = subprocess.run([*command, "modles"], capture_output=True, text=True)
    assert wrong.returncode == 2 and "invalid choice: 'modles'" in wrong.stderr


def test_who_reads_no_further_is_told_nothing() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "rembg_beam.pipelines", "models"]
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE)
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, b"")


def test_bash_completes_commands_flags_and_choices(tmp_path: Path) -> None:
    script = tmp_path / "completion.bash"
    command = [sys.executable, "-m", "rembg_beam.pipelines", "completion", "bash"]
    script.write_text(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    def completed(*words: str) -> List[str]:
        line = " ".join(words)
        code = (
            f"source {script}; COMP_WORDS=({line}); COMP_CWORD={len(words) - 1}; "
            f"COMP_LINE='{line}'; _shtab_rembg_beam; printf '%s\\n' \"${{COMPREPLY[@]}}\""
        )
        done = subprocess.run(["bash", "-c", code], capture_output=True, text=True, check=True)
        return done.stdout.split()

    assert completed("rembg-beam", "do") == ["doctor"]
    assert "--alpha_matting_erode_size" in completed("rembg-beam", "run", "--alpha_m")
    assert completed("rembg-beam", "plan", "--pric") == ["--prices"]
    assert completed("rembg-beam", "completion", "z") == ["zsh"]
    assert completed("rembg-beam", "run", "--format", "we") == ["webp"]


CHATTER = """
import os, sys
from rembg_beam.pipelines import cli
from rembg_beam.pipelines.commands import run
from rembg_beam.transforms.models import rembg_session

opened = rembg_session.new_session

def chatty(*arguments):
    print("Python's chatter")
    os.write(1, b"C++'s chatter\\n")
    return opened(*arguments)

rembg_session.new_session = chatty
sys.exit(cli.main(sys.argv[1:]))
"""


WAITING = """
import fcntl, os, sys, termios
from rembg_beam.pipelines.__main__ import start
from rembg_beam.transforms.models import rembg_session

fcntl.ioctl(0, termios.TIOCSCTTY, 0)
ready = int(sys.argv.pop(1))
rembg_session.new_session = lambda *arguments: os.read(ready, 1)
start()
"""


IMPATIENT = """
import importlib.abc, sys

class Impatient(importlib.abc.MetaPathFinder):
    def find_spec(self, name, *_):
        if name == "apache_beam":
            raise KeyboardInterrupt

sys.meta_path.insert(0, Impatient())
from rembg_beam.pipelines.__main__ import main
sys.exit(main())
"""


@pytest.mark.parametrize(("command", "when"), [("run", " before anything ran"), ("plan", "")])
def test_ctrl_c_while_beam_is_imported(command: str, when: str) -> None:
    words = [sys.executable, "-c", IMPATIENT, command]
    done = subprocess.run(words, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (130, "")
    assert done.stderr == f"rembg-beam: interrupted{when}\n"


@pytest.mark.long
def test_chatter_goes_to_stderr(photos: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [
            *(sys.executable, "-c", CHATTER, "run", "--input", photos / "a.jpg"),
            *("--output", tmp_path / "out", "--model", "tiny"),
        ],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0
    assert "'s chatter" not in done.stdout and done.stdout.startswith("1 written")
    assert "Python's chatter" in done.stderr and "C++'s chatter" in done.stderr


def test_a_terminal_shows_a_bar_and_what_runs_where(photos: Path, tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 100))
    flags = ["--model", "tiny", "--input", str(photos), "--output", str(tmp_path / "out")]
    done = subprocess.Popen(
        [sys.executable, "-m", "rembg_beam.pipelines", "run", *flags],
        stdout=subprocess.PIPE,
        stderr=theirs,
    )
    os.close(theirs)
    shown = b""
    with contextlib.suppress(OSError):  # Linux says so when the other end is closed
        while data := os.read(ours, 4096):
            shown += data
    os.close(ours)
    assert done.wait() == 0
    assert shown.count(b"tiny runs on CPUExecutionProvider") == 1
    assert b" pictures" in shown.splitlines()[-1] and b"in this process" not in shown


@pytest.mark.parametrize(
    ("mode", "how"),
    [
        ("in_memory", signal.SIGINT),
        ("in_memory", signal.SIGTERM),
        pytest.param("in_memory", signal.SIGHUP, marks=pytest.mark.long),
        pytest.param("multi_processing", signal.SIGINT, marks=pytest.mark.long),
        pytest.param("multi_processing", signal.SIGHUP, marks=pytest.mark.long),
    ],
)
def test_ctrl_c(
    tmp_path: Path, encoded: Callable[..., bytes], mode: str, how: signal.Signals
) -> None:
    (tmp_path / "photos").mkdir()
    big = encoded("JPEG", width=1600, height=1200)
    for number in range(400):
        (tmp_path / "photos" / f"{number}.jpg").write_bytes(big)
    out = tmp_path / "out"
    with subprocess.Popen(
        [
            *(sys.executable, "-m", "rembg_beam.pipelines", "run", "--model", "tiny"),
            *("--input", tmp_path / "photos", "--output", out),
            *("--direct_running_mode", mode),
            *(["--direct_num_workers=2"] if mode == "multi_processing" else []),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        deadline = time.monotonic() + 240
        while not list(out.glob("*.png")) and time.monotonic() < deadline:
            time.sleep(0.1)
        pressed = time.monotonic()
        os.killpg(process.pid, how)  # as a terminal does
        stdout, stderr = process.communicate(timeout=120)
        took = time.monotonic() - pressed
    assert process.returncode == 128 + how, stderr
    assert took < 5
    assert "interrupted" in stderr and "no file is half-written" in stdout
    written = list(out.rglob("*.png"))
    assert 0 < len(written) < 400
    for path in written:
        with Image.open(path) as image:
            image.load()
    assert [name for name in os.listdir(out) if name.startswith(".")] == []
    done = int(stdout.split("until then: ")[1].split(" written")[0])
    assert 0 <= done <= len(written)
    assert_is_over(process.pid)


def assert_is_over(group: int) -> None:
    """Nothing is left of a process that was started as the first of its group."""
    deadline = time.monotonic() + 30
    while any(map(functools.partial(is_of, group), psutil.process_iter())):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def is_of(group: int, process: psutil.Process) -> bool:
    """Whether a process is of a group, and does more than wait for somebody to ask how it ended."""
    with contextlib.suppress(psutil.NoSuchProcess, ProcessLookupError):
        return os.getpgid(process.pid) == group and process.status() != psutil.STATUS_ZOMBIE
    return False


@pytest.mark.long
def test_a_failure_ends_alike_in_every_running_mode(photos: Path, tmp_path: Path) -> None:
    model = ["--model", "u2net_custom", "--model_path", str(tmp_path / "none.onnx")]
    ends = []
    for mode in ("in_memory", "multi_processing"):
        with subprocess.Popen(
            [
                *(sys.executable, "-m", "rembg_beam.pipelines", "run", "--input", str(photos)),
                *("--output", str(tmp_path / mode), "--direct_running_mode", mode, *model),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        ) as process:
            out, err = process.communicate(timeout=240)
        ends.append((process.returncode, out, err.splitlines()[-1]))
        assert_is_over(process.pid)
    assert ends[0] == ends[1]
    assert ends[0][:2] == (1, "until then: 0 written, 0 skipped, 0 failed\n")
    assert "there is no file" in ends[0][2]


def test_a_terminal_that_is_closed(photos: Path, tmp_path: Path) -> None:
    """The system sends SIGHUP, and what is written to the terminal from then on fails."""
    ours, theirs = pty.openpty()
    ready, go = os.pipe()
    arguments = ["--model", "tiny", "--input", str(photos), "--output", str(tmp_path / "out")]
    process = subprocess.Popen(
        [sys.executable, "-c", WAITING, str(ready), "run", *arguments],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        pass_fds=[ready],
        start_new_session=True,
    )
    os.close(theirs)
    deadline = time.monotonic() + 240
    while not (tmp_path / "out" / layout.SETTINGS).exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    os.close(ours)
    assert process.wait(timeout=120) == 129
    os.close(ready)
    os.close(go)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["_manifest"]


def test_a_compressed_list(command: Any, photos: Path, tmp_path: Path) -> None:
    import gzip

    path = tmp_path / "list.txt.gz"
    path.write_bytes(gzip.compress(f"{photos}/a.jpg\n{photos}/a.png\n".encode()))
    _, out, _ = command("--input_list", path)
    assert out.startswith("2 written, 0 skipped, 0 failed")


@pytest.mark.parametrize(
    "line",
    [
        '{"uri": "a.jpg", "name": "\\ud800"}',
        '{"uri": "a.jpg", "k": "\\ud800"}',
        '{"uri": "a.jpg", "k": NaN}',
        '{"uri": "a.jpg", "uri": "b.jpg"}',
        '{"uri": "a.jpg", "extras": {"only_mask": true, "only_mask": false}}',
        '{"uri": "a.jpg", "extras": ' + "[" * 9000 + "]" * 9000 + "}",
        '{"uri": "a.jpg", "k": ' + '{"k": ' * 200 + "1" + "}" * 201,
        '{"uri": "a.jpg", "k": 9' + "9" * 6000 + "}",
    ],
)
def test_a_line_that_no_row_can_hold(command: Any, photos: Path, tmp_path: Path, line: str) -> None:
    (tmp_path / "list.txt").write_text(f"{photos}/a.jpg\n{line}\n")
    status, out, err = command("--input_list", tmp_path / "list.txt")
    assert status == 0, err
    assert out.startswith("1 written, 0 skipped, 1 failed")
    assert "(find, BadLine): " in out and "line 2" in out


def test_an_empty_list_is_wrong_use(command: Any, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("\n")
    status, _, err = command("--input_list", tmp_path / "list.txt")
    assert status == 2 and "names no picture" in err


def test_a_working_directory_with_brackets(
    command: Any, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tree: Any
) -> None:
    (photos / "d[1]").mkdir()
    (photos / "d[1]" / "x.jpg").write_bytes((photos / "a.jpg").read_bytes())
    monkeypatch.chdir(photos / "d[1]")
    _, out, _ = command("--input", "*.jpg")
    assert out.startswith("1 written")
    assert tree(tmp_path / "out") == ["x.jpg.png"]


@pytest.mark.parametrize("output", ["a.jpg", "a.jpg/below"])
def test_an_output_that_cannot_be(command: Any, photos: Path, output: str) -> None:
    status, out, err = command("--input", photos, output=photos / output)
    assert (status, out) == (2, "")
    assert "can't be written to" in err and "Traceback" not in err


def test_a_runner_that_is_none(command: Any, photos: Path) -> None:
    status, _, err = command("--input", photos, "--runner=Foo")
    assert status == 2 and "Foo" in err and "Traceback" not in err


def test_a_pipe_called_jpg_is_a_failed_row(command: Any, photos: Path) -> None:
    os.mkfifo(photos / "pipe.jpg")
    _, out, _ = command("--input", photos)
    assert out.startswith("7 written, 0 skipped, 4 failed")
    assert "pipe.jpg (read, OSError): " in out and "not a regular file" in out


def test_a_folder_out_of_reach_is_a_failed_row(
    command: Any, photos: Path, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    scandir = os.scandir

    def listing(path: Any) -> Any:
        if str(path) == str(photos / "sub"):
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", listing)  # root may list everything
    (photos / "b.pjpeg").touch()
    _, out, _ = command("--input", photos)
    assert out.startswith("5 written, 0 skipped, 4 failed")
    assert f"{photos}/sub (find, PermissionError): [Errno 13] Permission denied" in out
    assert "for lack of a picture's suffix: 1 (1 .pjpeg); a glob" in caplog.text


def test_files_that_vanish_and_lose_their_permission_are_rows(
    command: Any, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After they were found, before they are read."""
    opened = os.open

    def opening(path: Any, *more: Any, **named: Any) -> int:
        if str(path).endswith("/a.png"):
            os.unlink(path)
        if str(path).endswith("/A.JPG"):
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return opened(path, *more, **named)

    monkeypatch.setattr(os, "open", opening)
    _, out, _ = command("--input", photos)
    assert out.startswith("5 written, 0 skipped, 5 failed")
    assert f"{photos}/a.png (read, FileNotFoundError): " in out
    assert f"{photos}/A.JPG (read, PermissionError): " in out


def test_a_name_that_is_both_a_file_and_a_folder(command: Any, photos: Path) -> None:
    (photos / "a.jpg.png").mkdir()
    (photos / "a.jpg.png" / "b.jpg").write_bytes((photos / "a.jpg").read_bytes())
    _, out, _ = command("--input", photos / "a.jpg", "--input", photos / "a.jpg.png" / "b.jpg")
    assert out.startswith("2 written")
    _, out, _ = command("--input", photos, output=photos / "other")
    assert "7 written, 0 skipped, 4 failed" in out and "taken by something else" in out


def test_control_characters_do_not_reach_the_terminal(command: Any, photos: Path) -> None:
    (photos / "\x1b[31mred.jpg").write_bytes(b"")
    _, out, _ = command("--input", photos)
    assert "\x1b" not in out and "\\x1b[31mred.jpg" in out


def test_a_switch_of_beams_turned_off_in_a_file() -> None:
    flags = beam_options.as_flags({"use_public_ips": False, "streaming": False}, given=[])
    assert flags == ["--no_use_public_ips"]


def test_unfinished_rows_lie_outside_of_the_data_set(
    tmp_path: Path, encoded: Callable[..., bytes]
) -> None:
    """A run killed at any moment leaves the manifest of others readable."""
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").write_bytes(encoded("JPEG"))
    seen: List[str] = []
    with subprocess.Popen(
        [
            *(sys.executable, "-m", "rembg_beam.pipelines", "run", "--model", "tiny"),
            *("--input", tmp_path / "photos", "--output", tmp_path / "out"),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        while process.poll() is None:
            for _, folders, names in os.walk(tmp_path / "out" / "_manifest"):
                seen += [name for name in (*folders, *names) if not name.startswith("run=")]
    seen = [name for name in seen if not name.startswith("_running-")]
    own = {"_settings.json", "_summary.json", "_metadata.json", "part-00000.parquet"}
    assert set(seen) <= own
    assert [path.name for path in (tmp_path / "out").glob(".*")] == []


def test_an_output_that_needs_another_package_is_refused(
    photos: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "boto3" else found(name)
    )
    arguments = ["--model", "tiny", "--input", str(photos), "--output", "s3://me:s3cr3t@bucket/out"]
    assert cli.main(["run", *arguments]) == status.WRONG_USE
    said = capfd.readouterr().err
    assert "install apache-beam[aws]" in said
    assert "Traceback" not in said and "s3cr3t" not in said
