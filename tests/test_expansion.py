"""Pipelines of other languages: steps by a real expansion service, from Python, Java and Go."""

import contextlib
import re
import shutil
import subprocess
import textwrap
from pathlib import Path
from typing import Any, Dict, Iterator

import apache_beam as beam
import pytest
from apache_beam.transforms.external import ExternalTransform, ImplicitSchemaPayloadBuilder
from apache_beam.transforms.fully_qualified_named_transform import (
    PYTHON_FULLY_QUALIFIED_NAMED_TRANSFORM_URN as NAMED,
)
from support.engines import downloads, xlang

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[xlang.Service]:
    folder = tmp_path_factory.mktemp("expansion")
    shutil.copytree(ROOT / "examples", folder / "examples")
    service = xlang.expansion_service(folder)
    yield service
    service.stop()


def external(
    service: xlang.Service, name: str, module: str = "rembg_beam.yaml", **settings: Any
) -> ExternalTransform:
    """The step as Java asks for it: a row with its name, and one with its settings."""
    said = {"constructor": f"{module}.{name}", "kwargs": beam.Row(**settings)}
    payload = ImplicitSchemaPayloadBuilder(said).payload()
    return ExternalTransform(NAMED, payload, service.address)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"modle": "tiny"}, "modle is no setting of RemoveBackground; did you mean model?"),
        ({"model": "tyni"}, "unknown model 'tyni'. The models are: "),
        ({"model": "tiny", "format": "gif"}, "format: 'gif' must be one of png, webp, jpeg"),
        ({"model": "tiny", "extras": beam.Row(cc=1, x=2)}, "nor a model of rembg knows 'x'"),
        (
            {"module": "rembg_beam.transforms", "session": beam.Row(model="tiny")},
            "must be SessionConfig(model=...)",
        ),
        (
            {"model": "tiny", "keep_columns": ["statsu"]},
            "statsu is no column of the rows; did you mean sta",
        ),
    ],
)
def test_errors_reach_the_caller_in_our_words(
    service: xlang.Service, settings: Dict[str, Any], message: str
) -> None:
    step = external(service, "RemoveBackground", output="out", **settings)
    with pytest.raises(RuntimeError) as error:
        _ = beam.Pipeline() | beam.Create(["a.jpg"]) | step
    assert message in str(error.value)


def test_rows_go_in_and_come_out(service: xlang.Service, photos: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    step = external(
        service,
        "RemoveBackground",
        output=str(output),
        relative_to=str(photos),
        model="tiny",
        max_bytes="5MB",
        only_mask=True,
        error_handling=beam.Row(output="bad"),
    )
    rows = [beam.Row(uri=str(photos / name), sku=i) for i, name in enumerate(["a.jpg", "text.jpg"])]
    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        parts = pipeline | beam.Create(rows) | step
        for name, told in [
            ("good", lambda row: f"{row.sku} {row.outputs[0]} {row.width}"),
            ("bad", lambda row: f"{row.element.sku} {row.msg}"),
        ]:
            write = beam.io.WriteToText(str(tmp_path / name), shard_name_template="")
            _ = parts[name] | f"Tell {name}" >> beam.Map(told) | f"Write {name}" >> write
    assert (tmp_path / "good").read_text() == f"0 {output}/a.jpg.png 64\n"
    assert (tmp_path / "bad").read_text().startswith("1 NotAPicture: ")


@pytest.mark.parametrize(
    "language, path, indent",
    [("java", "java/src/main/java/example/CutOut.java", "    "), ("go", "go/main.go", "\t")],
)
def test_the_snippet_of_the_docs_is_from_the_example(language: str, path: str, indent: str) -> None:
    page = (ROOT / "docs/java.md").read_text()
    (snippet,) = re.findall(rf"```{language}\n(.*?)```", page, re.DOTALL)
    assert textwrap.indent(snippet, indent) in (ROOT / "examples" / path).read_text()


@pytest.mark.engines
def test_the_example_in_java_runs(service: xlang.Service, tmp_path: Path) -> None:
    output = tmp_path / "out"
    with contextlib.ExitStack() as started:
        try:
            workers = xlang.java_workers(tmp_path)
        except downloads.Missing as missing:
            pytest.skip(f"no Java example: {missing}")
        started.callback(workers.stop)
        server = xlang.job_server(tmp_path)
        started.callback(server.stop)
        flags = [
            *("--runner=PortableRunner", f"--jobEndpoint={server.address}"),
            *("--defaultEnvironmentType=EXTERNAL", f"--defaultEnvironmentConfig={workers.address}"),
            *(f"--expansionService={service.address}", f"--output={output}"),
        ]
        command = ["java", "-cp", downloads.java_example(), "example.CutOut", *flags]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stdout + done.stderr
        told = workers.log.read_text().splitlines()
        assert f"7 written [{output}/examples/rocket.jpg.png] null" in told
        assert any(line.startswith("8 failed [] [Errno 2] No such file") for line in told)
        wrong = subprocess.run([*command, "--model=tyni"], capture_output=True, text=True)
        assert wrong.returncode and "unknown model 'tyni'" in wrong.stderr


@pytest.mark.engines
def test_the_example_in_go_runs(service: xlang.Service, tmp_path: Path) -> None:
    """On the Prism that is in it."""
    try:
        program = downloads.go_example()
    except downloads.Missing as missing:
        pytest.skip(f"no Go example: {missing}")
    output = tmp_path / "out"
    command = [program, f"--expansion_service={service.address}", f"--output={output}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    written, failed = sorted(done.stdout.splitlines())
    assert written == f"7 written [{output}/examples/rocket.jpg.png] "
    assert failed.startswith("8 failed [] [Errno 2] No such file")
    wrong = subprocess.run([*command, "--model=tyni"], capture_output=True, text=True)
    last = wrong.stderr.strip().splitlines()[-1]
    assert wrong.returncode and last.startswith("ValueError: unknown model 'tyni'. The models are")
