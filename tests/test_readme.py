"""Every example in the README and every file in configs/ does what it says."""

import argparse
import re
import shlex
import shutil
from pathlib import Path
from typing import Any, List, Tuple

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions

from rembg_beam.pipelines import cli, settings
from rembg_beam.transforms.sources import lists

ROOT = Path(__file__).resolve().parent.parent


def snippets() -> List[Tuple[str, str]]:
    return re.findall(r"```(\w+)\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)


def of(language: str) -> List[str]:
    return [text for found, text in snippets() if found == language]


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_readme_opens_with_the_two_commands() -> None:
    assert re.findall(r"^make \w+", of("sh")[0], re.MULTILINE) == ["make demo", "make test"]
    makefile = (ROOT / "Makefile").read_text()
    assert "\ndemo:" in makefile and "\ntest:" in makefile


def test_python_snippets_run(workplace: Path, tree: Any) -> None:
    pipeline, manifest = of("python")
    exec(compile(pipeline, "README.md", "exec"), {})
    assert tree("cutouts") == ["examples/animals/chelsea.png.png", "examples/astronaut.jpg.png"]
    assert cli.main(["run", "--input", "examples", "--output", "cutouts", "--model", "tiny"]) == 0
    names: Any = {}
    exec(compile(manifest, "README.md", "exec"), names)
    assert names["rows"].num_rows == 4


def commands() -> List[str]:
    lines = "\n".join(of("sh")).splitlines()
    return [line for line in lines if line.startswith("rembg-beam run")]


@pytest.mark.parametrize("command", commands())
def test_commands_build(command: str, workplace: Path) -> None:
    parsed = _parse(shlex.split(command)[1:])
    _ = _pipeline(PipelineOptions(parsed.beam)) | parsed.settings.job()


def test_the_command_that_shows_settings_runs(workplace: Path, capfd: Any) -> None:
    command = next(line for line in commands() if "--print_config" in line)
    assert cli.main(shlex.split(command)[1:]) == 0
    assert 'model: "tiny"  # configs/local.yaml' in capfd.readouterr().out


@pytest.mark.parametrize("line", [line for text in of("json") for line in text.splitlines()])
def test_list_lines_parse(line: str) -> None:
    assert lists.parse_line(line).uri


@pytest.mark.parametrize("path", sorted((ROOT / "configs").iterdir()), ids=lambda path: path.name)
def test_configs_load_and_build(path: Path, workplace: Path) -> None:
    parsed = _parse(["run", "--config", f"configs/{path.name}"])
    options = PipelineOptions(parsed.beam)
    if path.name != "local.yaml":
        assert options.view_as(StandardOptions).runner == "DataflowRunner"
    pipeline = _pipeline(options)
    _ = pipeline | parsed.settings.job()
    assert "Remove backgrounds" in str(pipeline.to_runner_api())


def test_the_local_config_runs(workplace: Path, capfd: Any) -> None:
    assert cli.main(["run", "--config", "configs/local.yaml"]) == 0
    assert "4 written, 0 skipped, 0 failed" in capfd.readouterr().out


def test_the_columns_of_the_manifest_are_in_the_readme() -> None:
    from rembg_beam.transforms.folder.manifest import SCHEMA

    text = (ROOT / "README.md").read_text()
    assert all(f"`{name}`" in text for name in SCHEMA.names)


def _pipeline(options: PipelineOptions) -> beam.Pipeline:
    """One that isn't submitted: for Dataflow, making it would ask the cloud for credentials."""
    options.view_as(StandardOptions).runner = "FnApiRunner"
    return beam.Pipeline(options=options)


def _parse(arguments: List[str]) -> settings.Parsed:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    settings.add_arguments(parser)
    namespace, others = parser.parse_known_args(settings.normalized(arguments[1:]))
    return settings.parse(namespace, others)
