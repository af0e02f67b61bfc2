"""What a run must know of Beam's runners."""

from pathlib import Path
from typing import Any, List

import pytest
from apache_beam.options.pipeline_options import PipelineOptions, PortableOptions

from rembg_beam.pipelines import cli, runners

POOL = ["--job_endpoint=embed", "--environment_type=EXTERNAL"]


@pytest.mark.parametrize(
    ("runner", "flags", "elsewhere"),
    [
        ("FnApiRunner", [], False),
        ("apache_beam.runners.portability.prism_runner.PrismRunner", [], False),
        ("prism", ["--job_endpoint=host:8073"], True),
        ("PortableRunner", POOL, False),
        ("PortableRunner", ["--job_endpoint=host:8099"], True),
        ("FlinkRunner", [], False),
        ("FlinkRunner", ["--flink_master=host:8081"], True),
        ("SparkRunner", [], False),
        ("SparkRunner", ["--spark_master_url=spark://host:7077"], True),
        ("DataflowRunner", [], True),
    ],
)
def test_which_jobs_go_on_without_the_command(
    runner: str, flags: List[str], elsewhere: bool
) -> None:
    options = PipelineOptions(flags)
    assert runners.is_elsewhere(runner, options) is elsewhere
    assert runners.has_embedded_pool(options) is (flags == POOL)


@pytest.mark.parametrize(
    ("runner", "flags", "seconds"),
    [
        ("PrismRunner", [], 365 * 24 * 3600),
        ("PrismRunner", ["--job_server_timeout=5"], 5),
        ("PrismRunner", ["--job_endpoint=host:8073"], 300),
        ("FlinkRunner", [], 300),
    ],
)
def test_a_job_on_prism_may_take_its_time(runner: str, flags: List[str], seconds: int) -> None:
    options = PipelineOptions(flags)
    runners.let_take_its_time(runner, options)
    assert options.view_as(PortableOptions).job_server_timeout == seconds


@pytest.mark.parametrize("name", ["DaskRunner", "apache_beam.runners.dask.dask_runner.DaskRunner"])
def test_a_runner_that_loses_outcomes_is_refused(name: str, tmp_path: Path, capfd: Any) -> None:
    inputs = ["--input", str(tmp_path), "--output", str(tmp_path / "out"), "--model", "tiny"]
    assert cli.main(["run", *inputs, "--runner", name]) == 2
    error = capfd.readouterr().err
    assert f"--runner {name} can't carry this job" in error and "FlinkRunner" in error


def test_a_folder_with_wildcards_in_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    (tmp_path / "[x]").mkdir()
    monkeypatch.chdir(tmp_path / "[x]")
    inputs = ["--input", "*.jpg", "--output", "out", "--model", "tiny"]
    assert cli.main(["run", *inputs, "--runner=PortableRunner", *POOL]) == 2
    assert "start the command in another folder" in capfd.readouterr().err
