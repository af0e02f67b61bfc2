"""What `rembg-beam doctor` finds on machines that are well, and on some that are not."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, List, Tuple

import pytest

from rembg_beam.pipelines import cli
from rembg_beam.pipelines.doctor import machine, packages
from rembg_beam.pipelines.doctor.line import Level
from rembg_beam.transforms.runtime import memory


def doctor(
    capfd: pytest.CaptureFixture[str], *arguments: str
) -> Tuple[int, Dict[str, int], List[Dict[str, str]]]:
    capfd.readouterr()
    status = cli.main(["doctor", "--json", *arguments])
    document = json.loads(capfd.readouterr().out)
    return status, document["counts"], document["lines"]


def about(lines: List[Dict[str, str]], thing: str) -> Dict[str, str]:
    (line,) = (line for line in lines if line["about"] == thing)
    return line


def test_this_machine_is_well(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", "http://localhost:9")
    monkeypatch.setenv("REMBG_HOME", str(tmp_path))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "none")
    assert cli.main(["doctor"]) == 0
    out, err = capfd.readouterr()
    assert err == "", "what it finds is said once"
    assert "ok      provider CPU: runs the bundled model\n" in out
    assert "ok      a picture: read, cut out by tiny on CPUExecutionProvider and written" in out
    assert "ok      s3://: credentials found\n" in out
    assert "warning gs://: an emulator's, 'http://localhost:9'\n          -> unset STORAGE" in out
    assert out.endswith(" ok, 1 warning, 0 fault\n")


def test_a_provider_that_is_asked_for_and_not_there(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", "http://localhost:9")
    status, counts, lines = doctor(capfd, "--provider", "openvino")
    assert status == 1 and counts["fault"] == 2
    line = about(lines, "provider OpenVINO")
    assert line["found"].startswith("onnxruntime has it not; it has ")
    assert "rembg-beam[openvino]" in line["way_out"]
    assert about(lines, "a picture")["level"] == "fault"
    assert "OpenVINO" in about(lines, "a picture")["found"]


def test_a_models_file_that_is_cut_off(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", "http://localhost:9")
    monkeypatch.setenv("REMBG_HOME", str(tmp_path))
    path = tmp_path / "models" / "u2netp" / "u2netp.onnx"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"x" * 1000)
    status, _, lines = doctor(capfd, "--model", "u2netp")
    assert status == 1
    line = about(lines, "model u2netp")
    assert line["level"] == "fault" and "truncated or another file" in line["found"]
    assert line["way_out"] == f"remove {path}"
    assert "u2netp" in about(lines, "a picture")["found"]


def test_a_model_that_is_not_here_is_not_downloaded(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", "http://localhost:9")
    monkeypatch.setenv("REMBG_HOME", str(tmp_path))
    status, _, lines = doctor(capfd, "--model", "silueta")
    assert status == 1
    line = about(lines, "a picture")
    assert "silueta.onnx is not in" in line["found"] and "not here yet" in line["found"]
    assert "offline" not in line["found"]
    fetch = f"rembg-beam models fetch silueta --to {tmp_path / 'models'}"
    assert line["way_out"].startswith(f"`{fetch}`")


def installed(folder: Path, name: str, version: str) -> None:
    """A package as pip leaves its record, before others on the path."""
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")


def examined(folder: Path) -> List[Tuple[str, str, str, str]]:
    """What a process with these packages says of them."""
    code = (
        "import json; from rembg_beam.pipelines.doctor import packages; "
        "print(json.dumps([list(line) for line in packages.examine()]))"
    )
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment, capture_output=True, check=True, text=True)
    return [tuple(line) for line in json.loads(done.stdout)]


def test_packages_that_do_not_fit(tmp_path: Path) -> None:
    installed(tmp_path, "onnxruntime-gpu", "1.26.0")
    installed(tmp_path, "pillow", "9.5.0")
    faults = [line for line in examined(tmp_path) if line[0] == "fault"]
    assert [line[1] for line in faults] == ["pillow", "onnxruntime"]
    assert faults[0][2] == "9.5.0, and >=11.3 is needed"
    assert faults[0][3] == "pip install 'pillow>=11.3'"
    assert "onnxruntime-gpu 1.26.0 are installed side by side" in faults[1][2]
    assert faults[1][3].startswith("pip uninstall onnxruntime onnxruntime-gpu; then install")


def test_every_package_is_looked_at() -> None:
    assert all(line.level is Level.OK for line in packages.examine())


def test_little_memory_and_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available", lambda: 1_500_000_000)
    monkeypatch.setattr(machine, "LEAST_DISK", 10**18)
    found = {line.about: line for line in machine.examine()}
    assert found["memory"].level is Level.WARNING
    assert found["memory"].found.startswith("1.5 GB of the machine's ")
    assert found["temporary files"].level is Level.WARNING
    assert "TMPDIR" in found["temporary files"].way_out


def test_an_examination_that_fails_is_a_fault(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> Any:
        raise KeyError("https://host/a?X-Goog-Signature=secret")

    monkeypatch.setattr(machine, "examine", fail)
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", "http://localhost:9")
    status, _, lines = doctor(capfd)
    assert status == 1
    assert about(lines, "machine")["found"].startswith("can't be looked at: KeyError")
    assert "secret" not in json.dumps(lines)


def test_wrong_use(capfd: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["doctor", "--provider", "cudda"]) == 2
    assert "did you mean 'CUDA'" in capfd.readouterr().err.replace("Did", "did")
