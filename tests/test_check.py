"""`rembg-beam check`: what contradicts itself is said before anything is sent."""

import argparse
import json
import os
import socket
from pathlib import Path
from typing import Any, Dict, Iterator, List, NamedTuple

import pytest
import yaml
from apache_beam.options.pipeline_options import StandardOptions
from support.stdio import stdin

from rembg_beam.pipelines import beam_options, cli, runners, settings
from rembg_beam.pipelines.preflight import anywhere, clusters, dataflow, gpus, images, rules
from rembg_beam.pipelines.preflight.plan import Finding, Plan

ROOT = Path(__file__).resolve().parent.parent
CONFIGS = sorted((ROOT / "configs").glob("*.yaml"))
RULES = [*anywhere.RULES, *clusters.RULES, *dataflow.RULES, *gpus.RULES]

L4 = "worker_accelerator=type:nvidia-l4;count:1;install-nvidia-driver"
T4 = "worker_accelerator=type:nvidia-tesla-t4;count:{};install-nvidia-driver"
IMAGE = "europe-west4-docker.pkg.dev/my-project/images/"
HERE = images.here()


class Case(NamedTuple):
    """A config under which a rule holds, if it is changed so; and its twin, where it doesn't."""

    rule: str
    config: str
    changes: Dict[str, Any]
    says: str
    twin: Dict[str, Any] = {}  # noqa: RUF012


def beam(**changes: Any) -> Dict[str, Any]:
    return {"beam": changes}


def services(*options: str) -> Dict[str, Any]:
    return beam(dataflow_service_options=list(options))


CASES = [
    Case("web-output", "local", {"output": "https://h/out"}, "can't be written to"),
    Case(
        *("output-in-input", "local", {"input": [f"{ROOT}/examples"]}),
        "lies in the input",
        {"input": [f"{ROOT}/examples"], "output": f"{ROOT}/elsewhere"},
    )._replace(changes={"input": [f"{ROOT}/examples"], "output": f"{ROOT}/examples/out"}),
    Case(
        *("output-in-input", "dataflow-cpu", {"output": "gs://my-bucket/photos/out"}),
        "'gs://my-bucket/photos/out' lies in the input 'gs://my-bucket/photos/**/*.jpg'",
        {"input": ["gs://my-bucket/photos/*.jpg"], "output": "gs://my-bucket/photos/out"},
    ),
    Case(
        *("no-model", "local", {"model": "u2net", "offline": True}),
        "u2net.onnx is not in",
        {"offline": True},
    ),
    Case(
        *("no-model", "local", {"model": "u2net", "model_dir": f"{ROOT}/examples"}),
        "has not all of u2net.onnx",
        {"model": "u2net", "model_dir": "gs://my-bucket/models"},
    ),
    Case(
        "no-model",
        "dataflow-cpu",
        {"offline": True, **beam(sdk_container_image=None)},
        "Beam's own image has no u2net.onnx",
        {"offline": True},
    ),
    Case("no-stream", "local", {"watch": 30.0}, "is no engine for pictures that keep coming"),
    Case(
        "short-timeout",
        "flink",
        {"alpha_matting": True, **beam(element_processing_timeout_minutes=4)},
        "4 min is less than a picture may take with --alpha_matting: 5 min",
        {"alpha_matting": True, **beam(element_processing_timeout_minutes=5)},
    ),
    Case(
        "short-timeout",
        "local",
        {"decontaminate": True, **beam(element_processing_timeout_minutes=1)},
        "with --decontaminate: 2 min",
        beam(element_processing_timeout_minutes=1),
    ),
    Case(
        *("no-image", "dataflow-cpu", beam(sdk_container_image=None)),
        "no rembg-beam",
        beam(sdk_container_image=None, requirements_file="requirements.txt"),
    ),
    Case("no-image", "spark", beam(environment_config=None), "no rembg-beam"),
    Case(
        *("no-image", "flink", beam(environment_config="apache/beam_python3.11_sdk:2.77.0")),
        "is Beam's own image",
        beam(environment_type="EXTERNAL", environment_config="localhost:50000"),
    ),
    Case(
        *("no-gpu-image", "dataflow-gpu", beam(sdk_container_image=None)),
        "neither rembg-beam nor CUDA",
    ),
    Case(
        *("no-gpu-image", "flink", {"provider": "CUDA", **beam(environment_config=None)}),
        "neither rembg-beam nor CUDA",
        {"provider": "CUDA"},
    ),
    Case(
        *("other-versions", "dataflow-gpu", beam(sdk_container_image="a/beam_python3.9_sdk:2.1.0")),
        f"has Python 3.9, Beam 2.1.0, and the job is made with Python {HERE['Python']}",
        beam(sdk_container_image=f"a/beam_python{HERE['Python']}_sdk:{HERE['Beam']}"),
    ),
    Case(
        *("other-versions", "flink", beam(environment_config=f"{IMAGE}rembg-beam-cpu:9.9.9")),
        "has rembg-beam 9.9.9",
        beam(environment_config="mine:9.9.9"),
    ),
    Case("local-paths", "dataflow-cpu", {"input": ["photos"]}, "'photos' is a path"),
    Case(
        *("paths-of-a-cluster", "flink", {"input": ["/photos"]}),
        "on the workers of flink-jobmanager.example.com:8081",
        {"input": ["/photos"], **beam(flink_master="localhost:8081")},
    ),
    Case(
        "local-model",
        "dataflow-cpu",
        {"model_dir": "/models", **beam(sdk_container_image=None)},
        "Beam's own image has no '/models'",
        {"model_dir": "/models"},
    ),
    Case(
        *("loopback", "spark", beam(environment_type="LOOPBACK", environment_config=None)),
        "spark://spark-master.example.com:7077 has this machine do all the work",
        beam(environment_type="LOOPBACK", spark_master_url="local[2]"),
    ),
    Case("project", "dataflow-cpu", beam(project=None), "Missing required option: project"),
    Case("project", "dataflow-cpu", beam(job_name="No Name"), "Invalid job_name"),
    Case("region", "dataflow-cpu", beam(region=None), "needs a region"),
    Case(
        *("temp-location", "dataflow-cpu", beam(temp_location=None)),
        "needs a folder of Google Cloud Storage",
        beam(temp_location=None, staging_location="gs://my-bucket/staging"),
    ),
    Case("temp-location", "dataflow-cpu", beam(temp_location="/tmp"), "Invalid GCS path (/tmp)"),
    Case(
        *("temp-location", "dataflow-cpu", beam(temp_location="gs://my-bucket")),
        "Did you mean: 'gs://my-bucket/",
        beam(temp_location="/tmp", dataflow_endpoint="http://localhost:1"),
    ),
    Case(
        *("workers", "dataflow-cpu", beam(num_workers=5, max_num_workers=3)),
        "num_workers (5) cannot exceed max_num_workers (3)",
        beam(num_workers=3, max_num_workers=5),
    ),
    Case(
        *("zone", "dataflow-cpu", beam(worker_region="europe-west4", worker_zone="europe-west4-a")),
        "mutually exclusive",
        beam(worker_zone="europe-west4-a"),
    ),
    Case("streaming", "dataflow-cpu", beam(streaming=True), "streaming job"),
    Case(
        "private-workers",
        "dataflow-cpu",
        {"input": ["https://me:secret@h/a.jpg"], **beam(use_public_ips=False)},
        "'https://***@h/a.jpg' is on the web",
        beam(use_public_ips=False),
    ),
    Case(
        *("disk", "dataflow-cpu", beam(disk_size_gb=19)),
        "19 GB are too few for the system, an image and models: 20 GB",
        beam(disk_size_gb=None),
    ),
    Case("disk", "dataflow-gpu", beam(disk_size_gb=None), "25 GB, Dataflow's default, are too few"),
    Case(
        *("memory", "dataflow-cpu", {"max_memory": "4GB", **beam(experiments=None)}),
        "8 SDK processes of 4.7 GB at least (0.5 their own, 0.2 the model, the rest --max_memory)",
        {"max_memory": "4GB"},
    ),
    Case(
        "memory",
        "dataflow-cpu",
        {"model": "bria-rmbg", **beam(experiments=None, machine_type="e2-highcpu-8")},
        "need more than the 8 GB of e2-highcpu-8",
        {"model": "bria-rmbg", **beam(experiments=None, machine_type="zz-unknown-8")},
    ),
    Case(
        *("shared-memory", "dataflow-cpu", beam(experiments=None)),
        "each of 8 SDK processes takes up to half",
        {"max_memory": "1GB", **beam(experiments=None)},
    ),
    Case(
        *("accelerator", "dataflow-gpu", services(f"{L4}s")),
        "'install-nvidia-drivers' is no part of worker_accelerator; did you mean",
    ),
    Case(
        *("accelerator", "dataflow-gpu", services("worker_accelerator=type:nvidia-l4")),
        "lacks its count",
    ),
    *(
        Case(
            *("accelerator", "dataflow-gpu", services(T4.format(count))),
            f"has count:{count}, which must be a whole number from 1 on",
            services(T4.format(1)),
        )
        for count in ("0", "-1", "two", "")
    ),
    Case(
        *("accelerator-type", "dataflow-gpu", services(L4.replace("l4", "l5"))),
        "doesn't know 'nvidia-l5'; did you mean 'nvidia-l4'?",
    ),
    Case(
        *("machine", "dataflow-gpu", beam(machine_type="n1-standard-8")),
        "n1-standard-8 takes no nvidia-l4, which is for g2-standard",
    ),
    Case(
        *("machine", "dataflow-gpu", beam(machine_type=None)),
        "Dataflow's default machine takes no nvidia-l4",
    ),
    *(
        Case(
            "machine",
            "dataflow-gpu",
            beam(machine_type=wrong, dataflow_service_options=[L4.replace("nvidia-l4", gpu)]),
            f"{wrong} takes no {gpu}",
            beam(machine_type=right, dataflow_service_options=[L4.replace("nvidia-l4", gpu)]),
        )
        for gpu, wrong, right in [
            ("nvidia-tesla-t4", "g2-standard-8", "n1-custom-8-16384"),
            ("nvidia-tesla-a100", "a2-ultragpu-1g", "a2-highgpu-1g"),
            ("nvidia-a100-80gb", "a2-highgpu-1g", "a2-ultragpu-1g"),
            ("nvidia-h100-80gb", "a2-highgpu-1g", "a3-highgpu-1g"),
        ]
    ),
    Case(
        *("gpus-of-machine", "dataflow-gpu", beam(machine_type="g2-standard-24")),
        "g2-standard-24 has 2 GPUs, and 1 are asked for",
    ),
    Case(
        "idle-gpus",
        "dataflow-gpu",
        beam(machine_type="n1-standard-8", dataflow_service_options=[T4.format(2)]),
        "a worker has 2 GPUs",
        beam(machine_type="n1-standard-8", dataflow_service_options=[T4.format(1)]),
    ),
    Case("driver", "dataflow-gpu", services(L4.rpartition(";")[0]), "no driver for it"),
    Case(
        *("no-accelerator", "dataflow-gpu", services()),
        "workers have none",
        {"provider_fallback": "cpu", **services()},
    ),
    Case("unused-gpu", "dataflow-gpu", {"provider": "CPU"}, "no provider uses it"),
    Case(
        *("unused-gpu", "dataflow-cpu", beam(machine_type="g2-standard-8")),
        "g2-standard-8 comes with a GPU",
    ),
    Case(
        *("hint-and-accelerator", "dataflow-gpu"),
        beam(resource_hints=["accelerator=type:nvidia-l4;count:1;install-nvidia-driver"]),
        "both ask for an accelerator",
        beam(
            resource_hints=["accelerator=type:nvidia-l4;count:1;install-nvidia-driver"],
            dataflow_service_options=[],
        ),
    ),
    Case("flexrs", "dataflow-gpu", beam(flexrs_goal="COST_OPTIMIZED"), "FlexRS has no GPUs"),
    Case(
        *("mps-alone", "dataflow-gpu", services(f"{L4};use_nvidia_mps")),
        "MPS shares a GPU among processes",
        beam(experiments=None, dataflow_service_options=[f"{L4};use_nvidia_mps"]),
    ),
    Case(
        *("crowded-gpu", "dataflow-gpu", beam(experiments=None)),
        "8 SDK processes load the model onto one GPU",
        beam(experiments=None, dataflow_service_options=[f"{L4};use_nvidia_mps"]),
    ),
    Case(
        *("gpu-memory", "dataflow-gpu-mps", {"provider": [{"CUDA": {"gpu_mem_limit": 4 * 10**9}}]}),
        "8 times 4 GB is more than the 24 GB of the GPU",
    ),
]


def parsed(folder: Path, config: str, changes: Dict[str, Any]) -> settings.Parsed:
    """What the command takes from a config with these changes."""
    document = yaml.safe_load((ROOT / "configs" / f"{config}.yaml").read_text())
    merged = {**document, **changes, "beam": {**document["beam"], **changes.get("beam", {})}}
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(merged))
    parser = argparse.ArgumentParser(allow_abbrev=False)
    settings.add_arguments(parser)
    return settings.parse(*parser.parse_known_args(["--config", str(path)]))


def findings(folder: Path, config: str, changes: Dict[str, Any]) -> Dict[str, Finding]:
    """What contradicts itself in such a config, by the names of the rules."""
    given = parsed(folder, config, changes)
    runner = beam_options.Options(given.beam).view_as(StandardOptions).runner or runners.HERE
    return {each.rule: each for each in rules.findings(Plan(runner, given.settings, given.beam))}


@pytest.fixture(autouse=True)
def no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine where nothing is set up, and that may not connect to any other."""

    def refuse(*_: Any, **__: Any) -> Any:
        pytest.fail("it uses the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setenv("REMBG_HOME", str(tmp_path / "no-models"))
    monkeypatch.setenv("U2NET_HOME", str(tmp_path / "no-models"))
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path / "no-gcloud"))
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    for name in ("CLOUDSDK_COMPUTE_REGION", "GOOGLE_APPLICATION_CREDENTIALS"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.rule)
def test_a_rule_and_its_twin(case: Case, tmp_path: Path) -> None:
    found = findings(tmp_path, case.config, case.changes)
    assert case.rule in found, f"only {list(found)}"
    finding = found[case.rule]
    assert case.says in finding.says
    assert finding.setting.startswith("--") and finding.way_out
    assert case.rule not in findings(tmp_path, case.config, case.twin)


def test_every_rule_has_a_case() -> None:
    names = [rule.name for rule in RULES]
    assert {case.rule for case in CASES} == set(names) and len(set(names)) == len(names)


def test_every_setting_of_a_rule_is_one() -> None:
    known = {*settings.own_flags(), *(f"--{name}" for name in beam_options.names())}
    for rule in RULES:
        assert {flag.partition("=")[0] for flag in rule.setting.split(", ")} <= known, rule.name


def test_a_region_of_the_environment_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLOUDSDK_COMPUTE_REGION", "europe-west4")
    assert findings(tmp_path, "dataflow-cpu", beam(region=None)) == {}


def test_an_accelerator_may_be_an_experiment(tmp_path: Path) -> None:
    """As it was in Dataflow's first years."""
    changes = beam(
        machine_type="n1-standard-8",
        dataflow_service_options=[],
        experiments=[L4, "no_use_multiple_sdk_containers"],
    )
    assert set(findings(tmp_path, "dataflow-gpu", changes)) == {"machine"}


def test_what_fails_comes_first(tmp_path: Path) -> None:
    changes = {"provider": "CPU", **beam(flexrs_goal="COST_OPTIMIZED", streaming=True)}
    found = [each.fails for each in findings(tmp_path, "dataflow-gpu", changes).values()]
    assert found == sorted(found, reverse=True) and set(found) == {True, False}


class Done(NamedTuple):
    status: int
    out: str
    err: str


@pytest.fixture
def command(capfd: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Runs a command in the repository's folder; its status and both streams."""
    monkeypatch.chdir(ROOT)

    def command(*arguments: str) -> Done:
        capfd.readouterr()
        return Done(cli.main(list(arguments)), *capfd.readouterr())

    yield command


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_a_config_passes(path: Path, command: Any) -> None:
    done = command("check", "--config", str(path))
    assert done.status == 0, done
    assert "\nnothing contradicts itself\n" in done.out
    held = yaml.safe_load(path.read_text())["beam"]
    runner = held.get("runner", "FnApiRunner")
    assert done.out.startswith(f"{runner} would be told:\n")
    image = held.get("sdk_container_image", held.get("environment_config", ""))
    assert image in done.out


def test_what_dataflow_is_told_is_read_from_its_job(command: Any) -> None:
    flags = ["--num_workers=2", "--max_num_workers=9", "--no_use_public_ips", "--network=mine"]
    more = ["--dataflow_service_options=enable_google_cloud_profiler", f"--experiments={L4}"]
    # Whatever would ask Google, or write elsewhere, is left out.
    asking = [
        "--update",
        "--job_name=mine",
        "--template_location=gs://b/t",
    ]
    given = ["check", "--json", "--config", "configs/dataflow-gpu.yaml", *flags, *more, *asking]
    done = command(*given)
    document = json.loads(done.out)
    assert document["runner"] == "DataflowRunner"
    told = document["told"]
    assert told["workers"] == "2 at first, 9 at most"
    assert told["machines"] == "g2-standard-8" and told["disks"] == "100 GB"
    assert told["accelerator"] == L4.partition("=")[2]
    assert told["service options"] == "enable_google_cloud_profiler"
    assert told["network"] == "mine, no public addresses"
    assert told["temporary files"] == "gs://my-bucket/tmp"
    assert told["SDK processes"] == "one for each vCPU"
    assert told["image"].endswith("/rembg-beam-gpu:0.1.0")
    assert [each["rule"] for each in document["findings"]] == ["shared-memory", "crowded-gpu"]
    assert done.status == 1 and not document["findings"][0]["fails"]


def test_what_contradicts_itself_is_said_with_the_way_out(command: Any) -> None:
    flags = ["--flexrs_goal=COST_OPTIMIZED", "--machine_type=n1-standard-8"]
    done = command("check", "--config", "configs/dataflow-gpu.yaml", *flags)
    assert done.status == 1 and "nothing contradicts itself" not in done.out
    assert "would fail: --flexrs_goal: FlexRS has no GPUs; leave it out\n" in done.out
    assert "would fail: --machine_type: n1-standard-8 takes no nvidia-l4" in done.out


def test_what_beam_refuses_is_a_finding(command: Any) -> None:
    flags = ["--config", "configs/dataflow-cpu.yaml", "--experiments=disable_runner_v2"]
    done = command("check", *flags, "--max_memory=1GB")
    assert done.status == 1
    assert "would fail: Beam's options: Beam makes no job of these: Disabling Dataflow" in done.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "no input"),
        (["--inptu", "a"], "neither rembg-beam nor Beam knows --inptu; did you mean --input?"),
        (["--input", "nothing/*.jpg", "--output", "o", "--model", "tiny"], "matches no file"),
        (["--input", "examples", "--output", "o", "--model", "tny"], "unknown model 'tny'"),
        (["--input", "examples", "--output", "o", "--runner=DaskRunner"], "can't carry this job"),
    ],
)
def test_wrong_use(arguments: List[str], message: str, command: Any) -> None:
    done = command("check", *arguments)
    assert (done.status, done.out) == (2, "") and message in done.err


def test_nothing_is_written_or_read_from_standard_input(command: Any, tmp_path: Path) -> None:
    with stdin(b"not/read.jpg\n"):
        given = ["--input_list", "-", "--output", str(tmp_path / "out"), "--model", "tiny"]
        done = command("check", *given)
        assert os.read(0, 100) == b"not/read.jpg\n"
    assert done.status == 0, done
    assert not (tmp_path / "out").exists()


def test_the_help_lists_it(command: Any) -> None:
    assert "\n    check " in command("--help").out
    done = command("check", "--help")
    assert "--max_batch_size" in done.out and "--json" in done.out
    shown = command("check", "--print_config", "--config", "configs/local.yaml")
    assert 'model: "tiny"  # configs/local.yaml' in shown.out


def test_a_run_is_stopped_by_what_would_fail(command: Any) -> None:
    flags = ["--flexrs_goal=COST_OPTIMIZED", "--machine_type=n1-standard-8"]
    done = command("run", "--config", "configs/dataflow-gpu.yaml", *flags)
    assert (done.status, done.out) == (2, "")
    assert "rembg-beam: --machine_type: n1-standard-8 takes no nvidia-l4" in done.err
    assert "\n--flexrs_goal: FlexRS has no GPUs; leave it out\n" in done.err


def test_a_run_goes_on_where_money_may_be_wasted(command: Any, photos: Path) -> None:
    given = ["--input", str(photos), "--output", str(photos / "out"), "--model", "tiny"]
    done = command("run", *given)
    assert done.status == 0 and done.out.startswith("7 written")
    assert f"rembg-beam: warning: --output: '{photos}/out' lies in the input" in done.err


def test_a_template_without_credentials_fails_at_once(
    command: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    template = f"--template_location={tmp_path}/job.json"
    done = command("run", "--config", "configs/dataflow-gpu.yaml", template)
    assert (done.status, done.out) == (2, "")
    assert "rembg-beam: Dataflow needs credentials of Google Cloud, a template too" in done.err
    assert "Traceback" not in done.err and "backoff" not in done.err
    key = {"type": "authorized_user", "client_id": "a", "client_secret": "b", "refresh_token": "c"}
    (tmp_path / "key.json").write_text(json.dumps(key))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "key.json"))
    from rembg_beam.pipelines.preflight import credentials

    credentials.check("DataflowRunner", beam_options.Options([]), settings.Settings())
