"""Every example in the README and docs/, and every file in configs/, does what it says."""

import argparse
import re
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any, List

import apache_beam as beam
import pytest
import yaml
from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions

from rembg_beam.pipelines import beam_options, cli, settings
from rembg_beam.pipelines.commands import run, tune
from rembg_beam.transforms import RemoveBackgrounds
from rembg_beam.transforms.sources import lists
from rembg_beam.transforms.store import uris

ROOT = Path(__file__).resolve().parent.parent

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def of(language: str, *pages: Path) -> List[str]:
    """The snippets of a language, each once."""
    snippet = re.compile(rf"```{language}\n(.*?)```", re.DOTALL)
    texts = [text for page in pages for text in snippet.findall(page.read_text())]
    return list(dict.fromkeys(texts))


def _name(page: Path) -> str:
    return page.name


def test_the_readme_opens_with_the_two_commands() -> None:
    assert re.findall(r"^make \w+", of("sh", PAGES[0])[0], re.MULTILINE) == [
        "make demo",
        "make test",
    ]
    makefile = (ROOT / "Makefile").read_text()
    assert "\ndemo:" in makefile and "\ntest:" in makefile


def test_the_readme_is_short() -> None:
    assert len(PAGES[0].read_text().splitlines()) <= 120


def test_python_snippets_of_the_readme_run(workplace: Path, tree: Any) -> None:
    pipeline, manifest, _ = of("python", PAGES[0])
    exec(compile(pipeline, "README.md", "exec"), {})
    assert tree("cutouts") == ["examples/animals/chelsea.png.png", "examples/astronaut.jpg.png"]
    assert cli.main(["run", "--input", "examples", "--output", "cutouts", "--model", "tiny"]) == 0
    names: Any = {}
    exec(compile(manifest, "README.md", "exec"), names)
    assert names["rows"].num_rows == 4


def test_the_data_set_of_the_readme_is_made_and_read(workplace: Path, capsys: Any) -> None:
    (command,) = (line for line in commands() if "webdataset" in line and "captions" in line)
    assert cli.main(shlex.split(command)[1:]) == 0
    *_, reading = of("python", PAGES[0])
    capsys.readouterr()
    exec(compile(reading, "README.md", "exec"), {})
    assert capsys.readouterr().out.splitlines() == [
        "Chelsea the cat (451, 300)",
        "Eileen Collins, the first woman to pilot the Space Shuttle (512, 512)",
        "A cup of espresso (600, 400)",
        "The launch of DSCOVR (180, 327)",
    ]


@pytest.mark.long
@pytest.mark.parametrize("page", [page for page in PAGES[1:] if of("python", page)], ids=_name)
def test_python_snippets_of_the_docs_run(page: Path, workplace: Path) -> None:
    """One after the other, as a reader takes them, in a folder with cutouts and their rows."""
    assert cli.main(["run", "--config", "configs/local.yaml"]) == 0
    names: Any = {}
    for snippet in of("python", page):
        exec(compile(snippet, page.name, "exec"), names)


def commands() -> List[str]:
    lines = "\n".join(of("sh", *PAGES)).splitlines()
    return sorted({line for line in lines if line.startswith("rembg-beam run")})


@pytest.mark.parametrize("command", commands())
def test_commands_build(command: str, workplace: Path) -> None:
    parsed = _parse(shlex.split(command)[1:])
    _ = _pipeline(PipelineOptions(parsed.beam)) | _job(parsed)


def test_the_command_that_shows_settings_runs(workplace: Path, capfd: Any) -> None:
    command = next(line for line in commands() if "--print_config" in line)
    assert cli.main(shlex.split(command)[1:]) == 0
    assert 'model: "tiny"  # configs/local.yaml' in capfd.readouterr().out


def test_the_commands_that_check_pass(workplace: Path, capfd: Any) -> None:
    lines = "\n".join(of("sh", *PAGES)).splitlines()
    checked = sorted({line for line in lines if line.startswith("rembg-beam check")})
    assert checked
    for line in checked:
        assert cli.main(shlex.split(line)[1:]) == 0
        assert "nothing contradicts itself" in capfd.readouterr().out


def test_the_commands_that_plan_do(workplace: Path, capfd: Any) -> None:
    (amounts,) = of("yaml", ROOT / "docs" / "plan.md")
    (workplace / "prices.yaml").write_text(amounts)
    lines = "\n".join(of("sh", *PAGES)).splitlines()
    planned = sorted({line for line in lines if line.startswith("rembg-beam plan")})
    assert len(planned) == 2
    for line in planned:
        assert cli.main(shlex.split(line)[1:]) == 0
        assert "this machine" in capfd.readouterr().out
    assert not (workplace / "cutouts").exists()


def test_the_commands_that_tune_parse() -> None:
    lines = "\n".join(of("sh", *PAGES)).splitlines()
    found = [line for line in lines if line.startswith("rembg-beam tune")]
    assert found
    for line in found:
        others = tune.parser().parse_known_args(shlex.split(line)[2:])[1]
        assert not others


@pytest.mark.parametrize(
    "line", [line for text in of("json", *PAGES) for line in text.splitlines()]
)
def test_list_lines_parse(line: str) -> None:
    assert lists.parse_line(line).uri


@pytest.mark.parametrize("path", sorted((ROOT / "configs").iterdir()), ids=lambda path: path.name)
def test_configs_load_and_build(path: Path, workplace: Path) -> None:
    parsed = _parse(["run", "--config", f"configs/{path.name}"])
    options = PipelineOptions(parsed.beam)
    engine = path.stem.partition("-")[0]
    runner = None if engine == "local" else f"{engine.capitalize()}Runner"
    assert options.view_as(StandardOptions).runner == runner
    pipeline = _pipeline(options)
    _ = pipeline | _job(parsed)
    assert "Remove backgrounds" in str(pipeline.to_runner_api())


def test_processes_that_share_a_gpu_fit_together() -> None:
    """Dataflow starts one for each vCPU of the machine, if it is not told otherwise."""
    one, several = (
        yaml.safe_load((ROOT / "configs" / name).read_text())
        for name in ("dataflow-gpu.yaml", "dataflow-gpu-mps.yaml")
    )
    assert "no_use_multiple_sdk_containers" in one["beam"]["experiments"]
    assert "no_use_multiple_sdk_containers" not in several["beam"]["experiments"]
    (accelerator,) = several["beam"]["dataflow_service_options"]
    (alone,) = one["beam"]["dataflow_service_options"]
    assert accelerator == f"{alone};use_nvidia_mps" and ";count:1;" in accelerator
    assert several["beam"]["sdk_container_image"] == one["beam"]["sdk_container_image"]
    vcpus = int(several["beam"]["machine_type"].rpartition("-")[2])
    path = str(ROOT / "configs" / "dataflow-gpu-mps.yaml")
    remove: Any = _parse(["run", "--config", path]).settings.job().remove
    ((_, options),) = remove.session.provider
    assert vcpus * dict(options)["gpu_mem_limit"] <= 0.75 * 24e9, "of an L4"
    assert remove.max_memory <= 0.5 * 4 * 2**30, "of what a g2-standard has for each vCPU"


def test_no_config_has_fewer_threads_than_its_batches_take() -> None:
    for path in (ROOT / "configs").glob("dataflow-*.yaml"):
        assert "remove_threads" not in yaml.safe_load(path.read_text())


def test_the_local_config_runs(workplace: Path, capfd: Any) -> None:
    assert cli.main(["run", "--config", "configs/local.yaml"]) == 0
    assert "4 written, 0 skipped, 0 failed" in capfd.readouterr().out


def test_the_columns_of_the_manifest_are_in_the_docs() -> None:
    from rembg_beam.transforms.folder.manifest import SCHEMA

    text = (ROOT / "docs" / "outputs.md").read_text()
    assert all(f"`{name}`" in text for name in SCHEMA.names)


def test_every_flag_in_the_docs_is_one() -> None:
    """But for those of other commands, of Beam and of Docker; options.md is made of the code."""
    parser = argparse.ArgumentParser(allow_abbrev=False)
    run.add_arguments(parser)
    known = {flag.replace("-", "_") for action in parser._actions for flag in action.option_strings}
    others = {"__runner", "__region", "__direct_running_mode", "__to", "__upgrade"}
    others |= {"__file", "__tag", "__build_arg", "__yaml_pipeline_file", "__rembg_beam_web_options"}
    others |= {"__fail_if", "__dollars_per_hour", "__version"}
    others |= {"__template_location", "__template_file_gcs_location", "__gcs_location", "__image"}
    others |= {"__sdk_language", "__metadata_file", "__parameters"}
    others |= {"__job_endpoint", "__environment_type", "__environment_config", "__service_port"}
    for page in PAGES:
        prose = re.sub(r"```dockerfile.*?```", "", page.read_text(), flags=re.DOTALL)
        if page.name == "plan.md":
            others |= {"__json", "__prices", "__sample"}
        if page.name == "command.md":
            others |= {"__json"}
        if page.name == "storage.md":
            others |= {"__no_auth"}
        if page.name == "tune.md":
            others |= {"__budget"}
        if page.name == "checks.md":
            others |= {f"__{name}" for name in beam_options.names()} | {"__json"}
        if page.name == "java.md":
            others |= {"__port", "__fully_qualified_name_glob", "__serve_loopback_worker"}
            others |= {"__jobEndpoint", "__defaultEnvironmentType", "__defaultEnvironmentConfig"}
            others |= {"__sdkHarnessContainerImageOverrides"}
        named = {flag.replace("-", "_") for flag in re.findall(r"(?<![\w-])--[a-z][\w-]*", prose)}
        if page.name not in ("options.md", "releasing.md", "tiny.md"):
            assert named <= known | others, page


@pytest.mark.parametrize(
    "page", [*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md"], ids=_name
)
def test_links_lead_to_files_and_headings(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s\"]+)\)", page.read_text()):
        path, _, heading = target.partition("#")
        if path.startswith("https://"):
            continue
        found = page.parent / path if path else page
        assert found.exists(), target
        if heading:
            titles = re.findall(r"^#+ (.*)$", found.read_text(), re.MULTILINE)
            assert heading in {_anchor(title) for title in titles}, target


def test_every_page_is_in_the_site_and_in_its_index() -> None:
    navigation = (ROOT / "mkdocs.yml").read_text()
    index = (ROOT / "docs" / "index.md").read_text()
    for page in PAGES[1:]:
        assert f": {page.name}\n" in navigation
        assert page.name == "index.md" or f"]({page.name})" in index


def test_every_public_name_is_in_the_site() -> None:
    from rembg_beam import testing, transforms

    page = (ROOT / "docs" / "api.md").read_text()
    for package in (transforms, testing):
        pattern = rf"^::: {re.escape(package.__name__)}\.(\w+)$"
        assert re.findall(pattern, page, re.MULTILINE) == package.__all__


def test_pre_commit_runs_the_ruff_that_ci_runs() -> None:
    (constrained,) = re.findall(r"^ruff==(.*)$", (ROOT / "constraints.txt").read_text(), re.M)
    assert f"rev: v{constrained}\n" in (ROOT / ".pre-commit-config.yaml").read_text()


def _pipeline(options: PipelineOptions) -> beam.Pipeline:
    """One that isn't submitted: for Dataflow, making it would ask the cloud for credentials."""
    options.view_as(StandardOptions).runner = "FnApiRunner"
    return beam.Pipeline(options=options)


def _job(parsed: settings.Parsed) -> RemoveBackgrounds:
    """The job; a folder elsewhere isn't looked into, which without a network takes minutes."""
    job = parsed.settings.job()
    return replace(job, compare_settings=uris.is_local(job.remove.output))


def _parse(arguments: List[str]) -> settings.Parsed:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    run.add_arguments(parser)
    namespace, others = parser.parse_known_args(settings.normalized(arguments[1:]))
    return settings.parse(namespace, others)


def _anchor(title: str) -> str:
    """As GitHub and mkdocs make it of a heading."""
    return re.sub(r"\s+", "-", re.sub(r"[^\w\s-]", "", title.lower()).strip())
