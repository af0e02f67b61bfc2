"""Dataflow templates: the parameters are the options, and the program makes a job and ends."""

import argparse
import itertools
import json
import re
import runpy
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Callable, Dict, List

import apache_beam as beam
import pyarrow.dataset
import pytest
import yaml
from apache_beam.options.pipeline_options import PipelineOptions
from support import gs, reference

from rembg_beam.pipelines import beam_options, parameters, settings, values
from rembg_beam.pipelines.parameters import PARAMETERS
from rembg_beam.transforms import DataSet, RemoveBackground, RemoveBackgrounds, WriteManifest
from rembg_beam.transforms.models import catalogue

ROOT = Path(__file__).resolve().parent.parent
SHOWN: Dict[str, Any] = json.loads(reference.METADATA.read_text())
DECLARED = {each["name"]: each for each in SHOWN["parameters"]}

# What Dataflow's launcher says of its own, and what keeps this one off the network.
LAUNCHER = (
    *("--runner=DataflowRunner", "--project=my-project", "--region=europe-west4"),
    *("--job_name=nightly", '--labels={"goog-dataflow-provided-template-type": "flex"}'),
    *("--no_auth=true", "--dataflow_endpoint=http://localhost:1"),
)


def test_the_metadata_is_that_of_the_options() -> None:
    assert reference.METADATA.read_text() == reference.metadata(), "make reference"
    assert {*settings.SETTINGS} - {*DECLARED} == {"max_failures", "progress", "metrics_port"}
    assert {name for name, each in DECLARED.items() if not each["isOptional"]} == {
        "output",
        "model",
    }
    known = {"name", "label", "helpText", "isOptional", "regexes", "paramType", "enumOptions"}
    assert all(
        {*each} <= known and each["label"] and each["helpText"] for each in DECLARED.values()
    )
    assert not {*DECLARED} & {*beam_options.names()}, "Dataflow's launcher gives these itself"


def is_taken(name: str, text: str) -> bool:
    """Whether Dataflow takes a value."""
    return all(re.search(pattern, text) for pattern in DECLARED[name].get("regexes", ()))


@pytest.mark.parametrize("name", [name for name in PARAMETERS if "regexes" in DECLARED[name]])
def test_a_pattern_takes_what_the_command_takes(name: str) -> None:
    each = PARAMETERS[name]

    def given(text: str) -> Any:
        flags = parameters.flags([f"--{name}={text}"])
        return [flag.partition("=")[2] for flag in flags] if each.kind == "choices" else text

    texts = ["true", "false", "0", "1", "12", "240", "0.5", "1e-3", "2GB", "500 MiB", "7b", "7k"]
    texts += [*each.choices, ", ".join(each.choices), "", "x", "1.2.3", "GB", "truely", "-", "1 2"]
    texts += [json.dumps(each.choices), json.dumps([", ".join(each.choices)]), '["x"]', '["box"']
    for text in texts:
        try:
            truth = {"true": True, "false": False}.get(text)
            values.checked(
                each, truth if each.kind == "switch" and text in ("true", "false") else given(text)
            )
            taken = text != ""
        except ValueError:
            taken = False
        assert is_taken(name, text) == taken, text


def test_choices_are_chosen_from() -> None:
    chosen = {name: each for name, each in DECLARED.items() if "enumOptions" in each}
    assert all(each["paramType"] == "ENUM" for each in chosen.values())
    found = {name: [one["value"] for one in each["enumOptions"]] for name, each in chosen.items()}
    assert found.pop("model") == [*catalogue.MODELS]
    for name, each in PARAMETERS.items():
        options = ["true", "false"] if each.kind == "switch" else [*each.choices]
        if each.kind != "choices":
            assert found.pop(name, []) == options
        assert all(is_taken(name, option) for option in options)
    assert not found


def test_patterns_are_egreps() -> None:
    for each in DECLARED.values():
        for pattern in each.get("regexes", ()):
            done = subprocess.run(["grep", "-E", pattern], input=b"?\n", capture_output=True)
            assert (done.returncode, done.stderr) == (1, b""), pattern


def parsed(arguments: List[str]) -> settings.Parsed:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    settings.add_arguments(parser)
    namespace, others = parser.parse_known_args(settings.normalized(arguments))
    return settings.parse(namespace, others)


@pytest.mark.parametrize(
    "name, text, value",
    [
        ("input", "gs://b/a.jpg", ("gs://b/a.jpg",)),
        ("input", "gs://b/[ab]=*.jpg", ("gs://b/[ab]=*.jpg",)),
        ("input", '["gs://b/1", "gs://b/2"]', ("gs://b/1", "gs://b/2")),
        ("input", "[ab].jpg", ("[ab].jpg",)),
        ("outputs", "cutout, mask", ("cutout", "mask")),
        ("outputs", '["cutout", "mask"]', ("cutout", "mask")),
        ("provider", "CUDA", ("CUDA",)),
        ("provider", '{"CUDA": {"device_id": 1}}', (("CUDA", {"device_id": 1}),)),
        ("provider", '["CUDA={\\"device_id\\": 1}", "CPU"]', (("CUDA", {"device_id": 1}), "CPU")),
        ("session_option", "intra_op_num_threads=2", {"intra_op_num_threads": 2}),
        ("session_option", '{"a.b": "x", "c": 2}', {"a.b": "x", "c": 2}),
        ("only_mask", "true", True),
        ("lossless", "False", False),
        ("allow_private_hosts", "true", True),
        ("allow_private_hosts", "10.0.0.0/8", ("10.0.0.0/8",)),
        ("allow_private_hosts", '["10.0.0.0/8", "fd00::/8"]', ("10.0.0.0/8", "fd00::/8")),
        ("bgcolor", "10,20,30", (10, 20, 30, 255)),
        ("bgcolor", "[1, 2, 3, 4]", (1, 2, 3, 4)),
        ("bgcolor", "white", (255, 255, 255, 255)),
        ("extras", '{"sam_prompt": []}', {"sam_prompt": []}),
        ("max_bytes", "1 GB", 10**9),
        ("quality", "80", 80),
        ("quality", "", None),
    ],
)
def test_a_parameter_is_the_option(name: str, text: str, value: Any) -> None:
    found = getattr(parsed(parameters.flags([f"--{name}={text}"])).settings, name)
    assert found == value and type(found) is type(value)


def test_every_parameter_becomes_a_flag() -> None:
    """What a settings file says of each, said by parameters, is the same."""
    document = yaml.safe_load((ROOT / "configs" / "dataflow-gpu-mps.yaml").read_text())
    document.pop("beam")
    given = [
        f"--{name}={value if isinstance(value, (str, int)) else json.dumps(value)}"
        for name, value in document.items()
    ]
    file = parsed(["--config", str(ROOT / "configs" / "dataflow-gpu-mps.yaml")])
    assert vars(parsed(parameters.flags(given)).settings) == vars(file.settings)
    switches = [name for name, each in PARAMETERS.items() if each.kind == "switch"]
    on = parsed(parameters.flags([f"--{name}=true" for name in switches])).settings
    assert len(switches) > 10 and all(getattr(on, name) is True for name in switches)


def test_the_docs_build_and_launch_what_there_is() -> None:
    page = (ROOT / "docs" / "templates.md").read_text()
    lines = [shlex.split(line) for line in page.splitlines() if re.match("docker|gcloud", line)]
    build, push, make, launch, _ = lines
    given = dict(itertools.pairwise(build))
    arguments = dict(each.split("=", 1) for each in build if re.match(r"[A-Z]+=", each))
    config = yaml.safe_load((ROOT / arguments["CONFIG"]).read_text())
    assert arguments["WORKERS"] == config["beam"]["sdk_container_image"]
    assert (ROOT / given["--file"]).exists()
    made = dict(itertools.pairwise(make))
    assert given["--tag"] == push[-1] == made["--image"]
    assert ROOT / made["--metadata-file"] == reference.METADATA
    launched = dict(itertools.pairwise(launch))
    assert launched["--template-file-gcs-location"] == make[make.index("build") + 1]
    texts = dict(each.split("=", 1) for each in launched["--parameters"][3:].split("~"))
    assert all(is_taken(name, text) for name, text in texts.items())
    job = parsed(parameters.flags([f"--{name}={text}" for name, text in texts.items()]))
    assert job.settings.job().remove.options.outputs == ("cutout", "mask")


def test_beams_switches_are_texts_too() -> None:
    given = ["--use_public_ips=false", "--update=true", "--streaming=false", "--num_workers=3"]
    assert parameters.flags(given) == ["--no_use_public_ips", "--update", "--num_workers=3"]
    assert parameters.flags(["--enable_streaming_engine"]) == ["--enable_streaming_engine"]


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """What `containers/template/Dockerfile` copies, in a folder."""
    config = yaml.safe_load((ROOT / "configs" / "dataflow-cpu.yaml").read_text())
    del config["input"], config["output"]
    (tmp_path / "settings.yaml").write_text(yaml.safe_dump(config))
    return Path(shutil.copy(ROOT / "containers" / "template" / "main.py", tmp_path))


def places(folder: Path) -> List[str]:
    """Where the launcher wants the job, and what Dataflow needs of files beside it."""
    for name in ("staging", "tmp"):
        (folder / name).mkdir()
    return [
        f"--template_location={folder}/job_object",
        f"--staging_location={folder}/staging",
        f"--temp_location={folder}/tmp",
    ]


@pytest.fixture
def refused(program: Path, proxy: gs.Proxy, monkeypatch: pytest.MonkeyPatch, capfd: Any) -> Any:
    """Launches what is wrong, and gives what is said of it."""

    def refused(*given: str) -> str:
        arguments = [*LAUNCHER, *places(program.parent), *given]
        monkeypatch.setattr(sys, "argv", [str(program), *arguments])
        with pytest.raises(SystemExit) as stop:
            runpy.run_path(str(program), run_name="__main__")
        out, err = capfd.readouterr()
        assert (stop.value.code, out) == (2, "") and "Traceback" not in err
        assert not (program.parent / "job_object").exists()
        return str(err)

    return refused


def test_the_program_writes_the_job_and_ends(
    program: Path, proxy: gs.Proxy, emulator: gs.Emulator, encoded: Callable[..., bytes]
) -> None:
    emulator.put("gs://b/photos/a.jpg", encoded("JPEG"))
    given = ["--input=gs://b/photos", "--output=gs://b/out", "--model=tiny", "--only_mask=true"]
    given += ["--offline=true", "--max_bytes=", "--use_public_ips=false"]
    done = subprocess.run(
        [sys.executable, str(program), *given, *LAUNCHER, *places(program.parent)],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("template: ") and "Traceback" not in done.stderr
    job = json.loads((program.parent / "job_object").read_text())
    (pool,) = job["environment"]["workerPools"]
    (image,) = {each["containerImage"] for each in pool["sdkHarnessContainerImages"]}
    assert job["name"] == "nightly" and image.endswith("/rembg-beam-cpu:0.1.0")
    assert pool["ipConfiguration"] == "WORKER_IP_PRIVATE"
    assert "no_use_multiple_sdk_containers" in job["environment"]["experiments"]
    assert [*emulator.tree("b")] == ["photos/a.jpg"], "all else is the job's to write"
    (graph,) = (program.parent / "staging").rglob("pipeline.pb")
    assert b"Compare the settings" in graph.read_bytes() and b"Name the run" in graph.read_bytes()


@pytest.mark.parametrize("of", ["files", "shards", "windows", "manifest"])
def test_each_launch_of_a_template_is_a_run(of: str, photos: Path, tmp_path: Path) -> None:
    """What Dataflow does with the file, done with the pipeline that is in it."""
    output, pictures = tmp_path / "out", [str(photos / name) for name in ("a.jpg", "text.jpg")]
    remove = RemoveBackground(output=str(output), session="tiny")
    dataset = DataSet(output_format="webdataset" if of == "shards" else "files")
    job = RemoveBackgrounds(remove=remove, dataset=dataset)
    options = PipelineOptions([], template_location=str(tmp_path / "job"))
    pipeline = beam.Pipeline("FnApiRunner", options)
    start = pipeline | beam.Create(pictures)
    start.is_bounded = of != "windows"
    _ = start | remove | WriteManifest(output=str(output)) if of == "manifest" else start | job
    launched = []
    for _ in range(2):
        pipeline.run().wait_until_finish()
        table = pyarrow.dataset.dataset(output / "_manifest", partitioning="hive").to_table()
        launched.append(sorted((row["run"], row["status"]) for row in table.to_pylist()))
    first, both = launched
    assert len({run for run, _ in first}) == 1 and first == both[:2]
    assert [status for _, status in first] == ["failed", "written"]
    again = "written" if of == "manifest" else "skipped"
    assert [status for _, status in both[2:]] == ["failed", again]
    assert len({run for run, _ in both}) == 2


def test_a_launch_into_a_folder_of_other_settings_fails(
    refused: Any, emulator: gs.Emulator, encoded: Callable[..., bytes]
) -> None:
    emulator.put("gs://b/photos/a.jpg", encoded("JPEG"))
    emulator.put("gs://b/out/_manifest/_settings.json", b'{"model": "u2net"}')
    emulator.put("gs://b/out/a.jpg.png", encoded("PNG"))
    said = refused("--input=gs://b/photos", "--output=gs://b/out", "--model=tiny")
    assert 'was made with other settings: model was "u2net" and is "tiny"' in said


@pytest.mark.parametrize(
    "given, message",
    [
        ("--input_list=-", "--input_list '-': it can be read only once, and now"),
        ("--max_failures=5%", "--max_failures: nobody waits for a template's job"),
        ("--only_mask=maybe", "--only_mask"),
        ("--input=photos", "is a path of this machine, which workers don't see"),
        ("--runner=FnApiRunner", "--template_location: FnApiRunner has no templates"),
    ],
)
def test_what_a_template_cant_do_is_refused(refused: Any, given: str, message: str) -> None:
    assert message in refused("--output=gs://b/out", "--model=tiny", given)
