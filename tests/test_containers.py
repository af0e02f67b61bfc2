"""The images of `containers/`: in step with the project, and their steps run where no engine is."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any, Dict, Iterator, List, NamedTuple, Tuple

import apache_beam
import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
VERSIONS = ROOT / "containers" / "versions.py"
HERE = f"{sys.version_info.major}.{sys.version_info.minor}"
PROJECT: Dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CONSTRAINTS = (ROOT / "constraints.txt").read_text()


DOCKERFILES = {
    "cpu": "cpu.Dockerfile",
    "gpu": "gpu.Dockerfile",
    "template": "template/Dockerfile",
}


class Step(NamedTuple):
    """One instruction of a Dockerfile."""

    word: str
    rest: str


def steps(name: str) -> List[Step]:
    text = (ROOT / "containers" / DOCKERFILES[name]).read_text()
    joined = re.sub(r"\\\n\s*", "", re.sub(r"^\s*#.*\n", "", text, flags=re.MULTILINE))
    return [Step(*line.split(None, 1)) for line in joined.splitlines() if line]


def defaults(name: str) -> Dict[str, str]:
    """The build arguments that have one."""
    given = [step.rest.partition("=") for step in steps(name) if step.word == "ARG"]
    return {argument: value for argument, equals, value in given if equals}


def versions(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, str(VERSIONS), *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT)


@pytest.mark.parametrize("name", ["cpu", "gpu"])
def test_an_image_is_in_step_with_the_project(name: str) -> None:
    assert defaults(name) == {
        "PYTHON_VERSION": re.findall(r"tested together, on Python ([\d.]+)", CONSTRAINTS)[0],
        "BEAM_VERSION": re.findall(r"^apache-beam==(.*)$", CONSTRAINTS, re.MULTILINE)[0],
        "EXTRA": name,
        "MODELS": "u2net",
    }
    kernels = {path.stem for path in (ROOT / "transforms" / "fast").glob("*_kernels.py")}
    assert kernels and all(f"{kernel}" in str(steps(name)) for kernel in kernels)
    assert steps(name)[-1] == Step("ENTRYPOINT", '["/opt/apache/beam/boot"]')


def test_the_images_differ_in_what_a_gpu_needs() -> None:
    cpu, gpu = steps("cpu"), steps("gpu")
    assert [step for step in cpu if step not in gpu] == [Step("ARG", "EXTRA=cpu")]
    extra, driver = (step for step in gpu if step not in cpu)
    assert extra == Step("ARG", "EXTRA=gpu")
    assert driver.word == "ENV" and "LD_LIBRARY_PATH=/usr/local/nvidia/lib64" in driver.rest


def test_the_gpu_image_is_for_the_cuda_of_dataflows_driver() -> None:
    """onnxruntime-gpu is built for CUDA 12 up to 1.26; the libraries must not be pinned for 13."""
    assert "onnxruntime-gpu[cuda,cudnn]>=1.24,<1.27" in PROJECT["optional-dependencies"]["gpu"]
    assert re.search(r"^nvidia-cudnn-cu12==", CONSTRAINTS, re.MULTILINE)
    assert not re.search(r"^onnxruntime-gpu==", CONSTRAINTS, re.MULTILINE)


def test_docs_and_config_name_the_image_that_is_built() -> None:
    config = yaml.safe_load((ROOT / "configs" / "dataflow-gpu.yaml").read_text())
    image = config["beam"]["sdk_container_image"]
    assert image.endswith(f"/rembg-beam-gpu:{PROJECT['version']}")
    build = "docker build --file containers/{} --tag {} $(python containers/versions.py) .\n"
    for page in ("README.md", "docs/gpus.md"):
        text = (ROOT / page).read_text()
        assert f"\n{build.format('gpu.Dockerfile', image)}docker push {image}\n" in text
    for path in (ROOT / "containers").glob("*.Dockerfile"):
        assert build.format(path.name, "IMAGE") in path.read_text()


def test_what_is_copied_is_in_the_context() -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    kept = {line[1:] for line in ignored if line.startswith("!")}
    given = [*steps("cpu"), *steps("template")]
    copied = [step.rest.split()[:-1] for step in given if step.word == "COPY"]
    own = {path for paths in copied if not paths[0].startswith("--from") for path in paths}
    (config,) = own - kept
    assert (config, kept - own) == ("${CONFIG}", {"configs"})
    assert all((ROOT / path).exists() for path in kept)


def test_the_templates_image_starts_what_it_has() -> None:
    given = steps("template")
    assert [step.rest for step in given if step.word == "FROM"][-1] == "${WORKERS}"
    (program,) = (step.rest.partition("=")[2] for step in given if step.word == "ENV")
    folder = f"{os.path.dirname(program)}/"
    copied = [step.rest.split() for step in given if step.word == "COPY"]
    assert ["containers/template/main.py", folder] in copied
    assert ["${CONFIG}", f"{folder}settings.yaml"] in copied
    main = (ROOT / "containers" / "template" / "main.py").read_text()
    assert 'with_name("settings.yaml")' in main and os.path.basename(program) == "main.py"
    assert (ROOT / defaults("template")["CONFIG"]).exists()
    assert not [step for step in given if step.word == "ENTRYPOINT"], "that of the workers"


def test_the_submitter_is_told_the_build_arguments() -> None:
    assert versions().stdout == (
        f"--build-arg PYTHON_VERSION={HERE} --build-arg BEAM_VERSION={apache_beam.__version__}\n"
    )


def test_an_image_of_other_versions_is_not_built() -> None:
    assert versions("check", HERE, apache_beam.__version__).returncode == 0
    done = versions("check", "3.9", "2.1.0")
    assert done.returncode == 1
    assert f"PYTHON_VERSION is 3.9, and the image's Python is {HERE}" in done.stderr
    there = apache_beam.__version__
    for place in ("constraints.txt", "the image"):
        assert f"BEAM_VERSION is 2.1.0, and {place} has apache-beam {there}: submit" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("extra", ["cpu", "gpu", "tensorrt-cuda13"])
def test_the_packages_of_an_image_are_those_of_its_extra(extra: str) -> None:
    listed = versions("packages", extra).stdout.splitlines()
    base = PROJECT["dependencies"]
    own = PROJECT["optional-dependencies"]
    if extra == "tensorrt-cuda13":
        assert listed == [*base, *own["gpu-cuda13"], own[extra][1]]
    else:
        assert listed == [*base, *own[extra]]
    assert "it has cpu, gpu" in versions("packages", "gpux").stderr


def executed(name: str) -> Iterator[Tuple[Step, Dict[str, str]]]:
    """What needs no engine, with the build arguments of its stage; none of the stage below."""
    here = {"PYTHON_VERSION": HERE, "BEAM_VERSION": apache_beam.__version__}
    values = {**defaults(name), **here}
    arguments: Dict[str, str] = {}
    for step in steps(name):
        if step.word == "FROM":
            arguments = {}
        elif step.word == "ARG":
            argument = step.rest.partition("=")[0]
            arguments[argument] = values[argument]
        elif step.word in ("RUN", "COPY") and "--from=beam" not in step.rest:
            yield step, dict(arguments)


class Built:
    """A folder with what an image has in `/`, and an environment in place of its Python.

    All stages are in this one folder.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "src").mkdir(parents=True)
        subprocess.run([sys.executable, "-m", "venv", root / "python"], check=True)

    def inside(self, command: str) -> str:
        return re.sub(r"(?<![\w./])/(src|wheels|opt|tmp)\b", rf"{self.root}/\1", command)

    def shell(self, command: str, **more: str) -> None:
        path = f"{self.root / 'python' / 'bin'}{os.pathsep}{os.environ['PATH']}"
        done = subprocess.run(
            ["sh", "-c", command],
            env={**os.environ, **more, "PATH": path},
            cwd=self.root / "src",
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def copy(self, paths: List[str], target: str) -> None:
        for path in (ROOT / path for path in paths):
            if path.is_dir():
                shutil.copytree(path, self.root / "src" / target)
            else:
                shutil.copy(path, self.root / "src")


@pytest.mark.long
def test_every_step_runs(
    tmp_path: Path, home: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The steps for GPUs are the same; `make test-gpu-install` installs the packages for them."""
    image = Built(tmp_path / "image")
    # In place of the download.
    (image.root / "tmp").mkdir()
    (image.root / "tmp" / "rembg").symlink_to(home)
    monkeypatch.setenv("MODEL_CHECKSUM_DISABLED", "1")
    for step, arguments in executed("cpu"):
        *paths, target = step.rest.split()
        if step.word == "RUN":
            image.shell(image.inside(step.rest), **arguments)
        elif paths[0].startswith("--from"):
            assert all(Path(image.inside(path)).exists() for path in paths[1:]), step
        else:
            image.copy(paths, target)
    command = f"rembg-beam run --input {photos}/a.jpg --output {tmp_path}/out --model u2net"
    image.shell(f"cd / && {command} --offline", REMBG_HOME=image.inside("/opt/rembg"))
    assert (tmp_path / "out" / "a.jpg.png").exists()
    (wheel,) = (image.root / "wheels").iterdir()
    assert PROJECT["version"] in wheel.name
