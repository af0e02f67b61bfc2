"""`rembg-beam plan`: what it finds, measures and computes; and that it writes nothing."""

import importlib
import io
import json
import os
import pkgutil
import random
import subprocess
import sys
import tarfile
from collections import Counter
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional

import numpy as np
import pytest
from support import gs, web
from support.stdio import stdin

from rembg_beam import transforms
from rembg_beam.pipelines import cli, settings, warm
from rembg_beam.pipelines.commands import plan as command
from rembg_beam.pipelines.planning import costs, fleet, flops, inputs, prices, sample, shown
from rembg_beam.pipelines.planning.forecast import FILES, SHARDS, START_SECONDS, Row, forecast
from rembg_beam.pipelines.planning.inputs import Inputs
from rembg_beam.pipelines.planning.sample import Measured
from rembg_beam.pipelines.preflight.plan import Plan
from rembg_beam.pipelines.sampling import Reservoir
from rembg_beam.pipelines.status import UsageError
from rembg_beam.transforms import DataSet, RemoveBackground, RemoveBackgrounds, Source
from rembg_beam.transforms.fast.twin import Twin
from rembg_beam.transforms.sources.lists import InputList

# Of the fixture `photos`, which are no pictures at all; of all that is found there.
BROKEN, PHOTOS = 3, 10


@pytest.fixture
def plan(capfd: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """Runs the command; its status, what it printed, and what it said."""

    def run(*arguments: Any) -> Any:
        capfd.readouterr()
        status = cli.main(["plan", "--model", "tiny", *map(str, arguments)])
        return (status, *capfd.readouterr())

    return run


def job(output: Any, *input: Any, **more: Any) -> RemoveBackgrounds:
    remove = RemoveBackground(output=str(output), session="tiny")
    return RemoveBackgrounds(remove=remove, input=[*map(str, input)], **more)


def files(folder: Path) -> Dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_plan_counts_measures_and_writes_nothing(
    plan: Any, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before = files(tmp_path)
    status, out, _ = plan("--input", photos, "--output", tmp_path / "a" / "out", "--json")
    assert status == 0 and files(tmp_path) == before and not (tmp_path / "a").exists()
    found = json.loads(out)
    sizes = [
        len(data) for name, data in before.items() if not name.endswith((".txt", "hidden.jpg"))
    ]
    assert found["pictures"] == {
        **{"to_do": PHOTOS, "done": 0, "refused": 0},
        **{"bytes_in": sum(sizes), "bytes_in_are_listed": True},
    }
    measured = found["sample"]
    assert (measured["pictures"], measured["failed"]) == (PHOTOS, BROKEN)
    assert measured["spread"] == 0, "the sample is all there is"
    assert 0 < measured["model_seconds"] <= measured["cpu_seconds"]
    assert measured["parts"] == pytest.approx((PHOTOS - BROKEN) / PHOTOS)
    assert found["model"]["flops"] == pytest.approx(1.61e9, rel=0.01)
    assert {row["machine"] for row in found["rows"]} == {
        *("this machine", "n2-standard-8", "n1-standard-4, T4", "g2-standard-8, L4"),
        "a3-highgpu-1g, H100",
    }
    assert len(found["rows"]) == 2 + 4 * 3 * 2
    assert found["prices"]["date"] and found["prices"]["vcpu_hour"] == 0.056


def test_what_is_done_is_counted_out(plan: Any, photos: Path, tmp_path: Path, capfd: Any) -> None:
    output = tmp_path / "out"
    run = ["run", "--model", "tiny", "--output", str(output), "--input"]
    assert cli.main([*run, str(photos / "sub")]) == 0
    before = files(output)
    status, out, _ = plan("--input", photos / "sub", "--output", output)
    assert (status, out) == (0, "nothing to do: 2 done, 0 refused\n")
    status, out, _ = plan("--input", photos / "sub", "--output", output, "--json")
    assert (status, json.loads(out)) == (
        0,
        {"pictures": {"to_do": 0, "done": 2, "refused": 0}, "rows": []},
    )
    found = inputs.look(job(output, photos / "sub", photos / "sub", photos / "a.jpg"), (), 64)
    assert (found.to_do, found.done, found.refused) == (1, 2, 0)
    status, _, err = plan("--input", photos / "sub", "--output", output, "--only_mask")
    assert status == 2 and "was made with other settings: only_mask was null and is true" in err
    assert files(output) == before


def test_it_is_refused_as_a_run_is(plan: Any, photos: Path, tmp_path: Path, capfd: Any) -> None:
    output = tmp_path / "out"
    for wrong in (
        ["--output", output],
        ["--input", photos / "none.jpg", "--output", output],
        ["--input", photos],
        ["--input", photos, "--output", output, "--no_such_flag"],
        ["--input", photos, "--output", output, "--watch", "30s"],
        ["--input", photos, "--output", photos / "a.jpg"],
    ):
        status, out, err = plan(*wrong)
        assert cli.main(["run", "--model", "tiny", *map(str, wrong)]) == status == 2
        assert (out, err) == ("", capfd.readouterr().err)
    status, _, err = plan("--input", "bq://project.data.table", "--output", output)
    assert status == 2 and "'bq://project.data.table': BigQuery is read by a job" in err
    status, _, err = plan("--input", photos, "--output", output, "--sample", 0)
    assert status == 2 and "--sample 0: it must be 1 or more" in err
    (tmp_path / "empty").mkdir()
    watched = ("--watch", "30s", "--runner", "PrismRunner", "--input", tmp_path / "empty")
    status, out, err = plan(*watched, "--output", output)
    assert (status, out) == (0, "nothing to do: 0 done, 0 refused\n"), err


def test_a_sample_without_the_workers_provider_runs_on_the_cpu(
    plan: Any, photos: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    one = ["--input", photos / "a.jpg", "--output", tmp_path / "out", "--provider", "OpenVINO"]
    status, out, _ = plan(*one, "--machine_type", "e2-highmem-16")
    assert "\ne2-highmem-16" in out
    assert status == 0 and "the sample runs on the CPU, since the provider is" in caplog.text
    assert "tiny on CPUExecutionProvider" in out


def test_of_several_graphs_and_parts(
    plan: Any, photos: Path, tmp_path: Path, rembg_home: Any
) -> None:
    flags = ["--output", tmp_path / "out", "--json", "--model", "sam", "--outputs", "cutout,mask"]
    status, out, _ = plan("--input", photos / "a.jpg", *flags)
    found = json.loads(out)
    assert status == 0 and found["model"]["flops"] is None
    assert {row["machine"] for row in found["rows"]} == {"this machine", "n2-standard-8"}
    assert found["sample"]["parts"] == 2 and found["sample"]["model_seconds"] > 0
    assert found["sample"]["spread"] == 0


def test_a_model_that_is_not_here_fails_it(plan: Any, photos: Path, tmp_path: Path) -> None:
    model = tmp_path / "model.onnx"
    model.write_bytes(b"x" * 1000)
    flags = ["--output", tmp_path / "out", "--model_path", model, "--model", "u2netp"]
    status, out, err = plan("--input", photos / "a.jpg", *flags)
    assert (status, out) == (1, "") and "the plan failed: " in err and "model.onnx" in err


def test_a_sample_of_failures_alone_is_no_plan(plan: Any, photos: Path, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a\x1b.jpg").write_bytes((photos / "text.jpg").read_bytes())
    status, out, err = plan("--input", folder, "--output", tmp_path / "out")
    assert (status, out) == (1, "")
    assert "of the sample failed: " in err and "a\\x1b.jpg (NotAPicture): " in err
    assert "the plan failed: no picture of the sample could be cut out" in err


@pytest.mark.long
def test_nothing_is_written_in_the_home_folder_or_the_current_one(
    photos: Path, tmp_path: Path
) -> None:
    for name in ("home", "here"):
        (tmp_path / name).mkdir()
    before = files(tmp_path)
    command = [sys.executable, "-m", "rembg_beam.pipelines", "plan", "--model", "tiny"]
    done = subprocess.run(
        [*command, "--input", photos, "--output", "out", "--json"],
        env={**os.environ, "HOME": str(tmp_path / "home")},
        cwd=tmp_path / "here",
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr
    assert files(tmp_path) == before


def test_sizes_in_buckets_are_those_of_the_listing(
    proxy: gs.Proxy, emulator: gs.Emulator, encoded: Callable[..., bytes]
) -> None:
    data = [encoded("JPEG", seed=seed) for seed in range(5)]
    for number, each in enumerate(data):
        emulator.put(f"gs://b/photos/{number}.jpg", each)
    proxy.clear()
    found = inputs.look(job("gs://b/out", "gs://b/photos/"), (), 3)
    assert (found.to_do, found.is_sized, len(found.sample)) == (5, True, 3)
    assert found.bytes_in(mean=0) == sum(map(len, data))
    assert {each.kind for each in proxy.requests} <= {"list", "read", "stat"}
    assert not [each for each in proxy.requests if each.kind == "read" and "photos" in each.name]
    emulator.put("gs://b/out/0.jpg.png", b"png")
    found = inputs.look(job("gs://b/out", "gs://b/photos/", on_existing="fail"), (), 3)
    assert (found.to_do, found.refused, found.is_sized) == (4, 1, False)
    assert found.bytes_in(mean=0) == pytest.approx(sum(map(len, data)) * 4 / 5)


def test_a_job_for_dataflow_is_planned_here(
    plan: Any, root: Path, proxy: gs.Proxy, emulator: gs.Emulator, encoded: Callable[..., bytes]
) -> None:
    emulator.put("gs://b/photos/a.jpg", encoded("JPEG"))
    proxy.clear()
    config = ["--config", root / "configs" / "dataflow-gpu.yaml", "--model", "tiny"]
    status, out, err = plan(*config, "--input", "gs://b/photos/", "--output", "gs://b/out")
    assert status == 0, err
    assert "pictures: 1 to do, " in out and "tiny on CPUExecutionProvider" in out
    assert {each.kind for each in proxy.requests} <= {"list", "read", "stat"}


def test_lists_shards_and_the_web(
    tmp_path: Path, photos: Path, server: web.Server, encoded: Callable[..., bytes]
) -> None:
    shard = tmp_path / "00000.tar"
    picture = encoded("JPEG")
    with tarfile.open(shard, "w") as tar:
        for name in ("a.jpg", "b.jpg"):
            member = tarfile.TarInfo(name)
            member.size = len(picture)
            tar.addfile(member, io.BytesIO(picture))
    listed = tmp_path / "list.txt"
    listed.write_text(f"{photos / 'a.jpg'}\n{server.url}/a.jpg\nhttps://h/none.jpg\n{{}}\n")
    lists = [InputList(str(listed), str(listed))]
    found = inputs.look(job(tmp_path / "out", shard), lists, 64)
    assert (found.to_do, found.refused, found.sized) == (5, 1, 3)
    known = 2 * len(picture) + (photos / "a.jpg").stat().st_size
    assert found.sized_bytes == known and not found.is_sized
    assert found.bytes_in(mean=1000) == known + 2000


def test_the_help_tells_of_it(plan: Any, capfd: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--help"]) == 0
    assert "\n    plan " in capfd.readouterr().out
    status, out, _ = plan("--help")
    assert status == 0 and "--prices FILE" in out and "--alpha_matting_erode_size" in out


def test_a_list_on_standard_input_is_read_once(plan: Any, photos: Path, tmp_path: Path) -> None:
    lines = "".join(f"{photos / name}\n" for name in ("a.jpg", "a.png"))
    with stdin(lines.encode()):
        status, out, _ = plan("--input_list", "-", "--output", tmp_path / "out", "--json")
    assert status == 0 and json.loads(out)["pictures"]["to_do"] == 2
    assert not (tmp_path / "out").exists()


def test_all_loops_are_loaded_before_pictures_are_timed() -> None:
    for module in pkgutil.walk_packages(transforms.__path__, f"{transforms.__name__}."):
        twin = getattr(importlib.import_module(module.name), "twin", None)
        assert not isinstance(twin, Twin) or twin in warm.TWINS, module.name


def test_every_picture_is_as_likely_in_the_sample() -> None:
    picked: Counter[str] = Counter()
    for start in range(300):
        reservoir = Reservoir(4)
        reservoir._random = random.Random(start)
        for number in range(20):
            reservoir.add(Source(str(number)))
        picked.update(source.uri for source in reservoir.kept())
    assert picked.total() == 1200 and len(picked) == 20
    assert all(30 < count < 95 for count in picked.values()), "60 ± 7"


def test_the_interval_holds_the_mean_as_often_as_it_says() -> None:
    draw = random.Random(7)
    population = [draw.lognormvariate(0, 0.6) for _ in range(1000)]
    mean, hits = sum(population) / len(population), 0
    for _ in range(400):
        values = draw.sample(population, 64)
        half = sample.spread(values, 64, len(population))
        found = sum(values) / len(values)
        assert half is not None
        hits += abs(found - mean) <= half * found
    assert 0.90 < hits / 400 < 0.98


MEASURED = Measured(
    pictures=64,
    failed=0,
    why=(),
    seconds=0.5,
    spread=0.1,
    occupied=1.0,
    cpu_seconds=1.0,
    model_seconds=0.9,
    bytes_in=1e6,
    bytes_out=2e6,
    parts=1.0,
    start_seconds=2.0,
    threads=2,
    cores=2,
    provider="CPUExecutionProvider",
)

PRICES = prices.Prices(
    date="2030-01-01",
    source="a test",
    vcpu_hour=1.0,
    memory_gb_hour=0.0,
    disk_gb_hour=0.01,
    t4_hour=2.0,
    l4_hour=3.0,
    h100_machine_hour=50.0,
    shuffle_gb=0.0,
    write_request=0.001,
    read_request=0.0,
    storage_gb_month=0.5,
)


def table(pictures: int, measured: Measured = MEASURED, **more: Any) -> List[Row]:
    todo = Inputs(pictures, 0, 0, pictures, pictures * 1_000_000, [])
    given: Dict[str, Any] = {"flops": 1e12, "prices": PRICES, "samples_per_shard": 1000, **more}
    return forecast(todo, measured, **given).rows


def row(rows: List[Row], machine: str, number: int, layout: str = FILES) -> Row:
    (found,) = (
        each
        for each in rows
        if (each.machine, each.number, each.layout) == (machine, number, layout)
    )
    return found


def test_the_table_by_hand() -> None:
    rows = table(8_000)
    here = row(rows, "this machine", 1)
    assert here == ("this machine", 1, FILES, (2 + 8000 * 0.5) / 3600, None, "model", False)
    # 8 vCPUs do 8 pictures a second: 1000 s, after a start; eight lists and one file of rows.
    alone = 8 * costs.PAGE_SECONDS + costs.WRITE_SECONDS
    one = row(rows, "n2-standard-8", 1)
    seconds = alone + START_SECONDS + 1000
    assert one.hours == pytest.approx(seconds / 3600) and one.limit == "model"
    hourly = 8 * 1.0 + costs.DISK_GB * 0.01
    asked = 8000 + 8 + 1
    assert one.dollars == pytest.approx(seconds / 3600 * hourly + asked * 0.001)
    ten = row(rows, "n2-standard-8", 10)
    seconds = alone + 10 * (START_SECONDS + 100)
    assert ten.dollars == pytest.approx(seconds / 3600 * hourly + asked * 0.001)
    assert ten.limit == "start", "which takes longer than the work"
    in_shards = row(rows, "n2-standard-8", 1, SHARDS)
    seconds = costs.WRITE_SECONDS + START_SECONDS + 1000
    assert in_shards.dollars == pytest.approx(seconds / 3600 * hourly + 8 * 3 * 0.001)


def test_gpus_are_estimated_by_arithmetic_cores_and_network() -> None:
    # A T4 does 0.6 x 8.1 TFLOPS, 4.86 a second of a model of a TFLOP; four cores feed it 40.
    rows = table(100_000)
    t4 = row(rows, "n1-standard-4, T4", 1)
    assert t4.is_estimate and t4.limit == "model"
    times = (100 * costs.PAGE_SECONDS + costs.WRITE_SECONDS) + START_SECONDS + 100_000 / 4.86
    assert t4.hours == pytest.approx(times / 3600)
    cheap = row(table(100_000, flops=1e9), "n1-standard-4, T4", 1)
    assert cheap.limit == "cores"
    times += 100_000 / 40 - 100_000 / 4.86
    assert cheap.hours == pytest.approx(times / 3600)
    large = MEASURED._replace(bytes_out=1e9)
    assert row(table(100_000, large), "n1-standard-4, T4", 1).limit == "network"
    machines = {each.machine for each in table(1000, flops=None)}
    assert machines == {"this machine", "n2-standard-8"}
    on_gpu = MEASURED._replace(provider="CUDAExecutionProvider")
    assert "n2-standard-8" not in {each.machine for each in table(1000, on_gpu)}


def test_all_gpus_of_a_machine_are_paid_for_and_one_works() -> None:
    (two, *_), (one, *_) = (
        fleet.workers(f"g2-standard-{vcpus}", "nvidia-l4", gpus)
        for vcpus, gpus in ((24, 2), (16, 1))
    )
    hourly = 24 * 1.0 + 2 * 3.0 + costs.DISK_GB * 0.01
    assert (two.label, two.hourly(PRICES)) == ("g2-standard-24, 2 L4", hourly)
    assert two.inferences(1e12) == one.inferences(1e12) == pytest.approx(36)


def test_the_machine_that_a_job_asks_for_comes_first() -> None:
    two = "worker_accelerator=type:nvidia-l4;count:2;install-nvidia-driver"
    flags = [f"--dataflow_service_options={two}", "--machine_type=g2-standard-24"]
    first, *_ = command._workers(Plan("DataflowRunner", settings.Settings(model="tiny"), flags))
    assert first.label == "g2-standard-24, 2 L4"


def test_a_bucket_takes_only_so_many_requests() -> None:
    quick = MEASURED._replace(cpu_seconds=0.1, model_seconds=0.09)
    rows = table(10**7, quick)
    # 8,000 a second: a bucket takes 1.2 million in 20 minutes, then 2.4, then 4.8; then 8,000.
    files = row(rows, "n2-standard-8", 100)
    assert files.limit == "requests"
    work = 3 * 1200 + (10**7 - 8.4e6) / 8000
    alone = 10_000 * costs.PAGE_SECONDS + 100 * costs.WRITE_SECONDS
    assert files.hours == pytest.approx((alone + START_SECONDS + work) / 3600)
    assert row(rows, "n2-standard-8", 100, SHARDS).limit == "model"


def test_where_all_of_the_sample_failed_nothing_is_written() -> None:
    failed = MEASURED._replace(bytes_out=0.0, parts=0.0, failed=64)
    one = row(table(8_000, failed), "n2-standard-8", 1)
    assert one.dollars == pytest.approx(one.hours * (8 + costs.DISK_GB * 0.01) + 9 * 0.001)


def test_this_machine_may_wait_for_its_network() -> None:
    idle = MEASURED._replace(occupied=0.2)
    assert row(table(100, idle), "this machine", 1).limit == "network"
    assert row(table(3, idle), "this machine", 1).limit == "start"


def test_prices_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "prices.yaml"
    path.write_text("date: 2030-01-01\nvcpu_hour: 0.5\n")
    found = prices.load(str(path))
    assert (found.date, found.source, found.vcpu_hour) == ("2030-01-01", "the file", 0.5)
    assert found.l4_hour == prices.Prices().l4_hour
    assert "vcpu_hour" not in found.built_in and {"l4_hour", "shuffle_gb"} < set(found.built_in)
    text = " ".join(" ".join(shown._of_prices(found)).split())
    own, _, built_in = text.partition("; and built in, ")
    assert own == "prices in dollars, of 2030-01-01 (the file): vcpu_hour 0.5"
    assert built_in.startswith(f"of {prices.Prices().date} (Dataflow batch")
    assert built_in.endswith("storage_gb_month 0.02") and "vcpu" not in built_in
    for text, says in {
        '{"date": "2030", "vcpu_hours": 1}': "vcpu_hours is no price; did you mean vcpu_hour?",
        "vcpu_hour: 1": "date is missing",
        "date:": "date is missing",
        "date: [2030]": "date must be a text, such as",
        "date: 2030\nvcpu_hour: .inf": "vcpu_hour=inf must be a number of dollars",
        "date: 2030\nvcpu_hour: .nan": "vcpu_hour=nan must be a number of dollars",
        "date: 2030\nvcpu_hour: -1": "vcpu_hour=-1 must be a number of dollars, 0 or more",
        "date: 2030\nvcpu_hour: cheap": "vcpu_hour='cheap' must be a number",
        "[1]": "must be a mapping",
        "date: \0": "unacceptable character",
    }.items():
        path.write_text(text)
        with pytest.raises(UsageError, match=r"--prices .*prices\.yaml: ") as raised:
            prices.load(str(path))
        assert says in str(raised.value)
    with pytest.raises(UsageError, match="No such file"):
        prices.load(str(tmp_path / "none.yaml"))


def test_what_a_terminal_shows() -> None:
    todo = Inputs(2_000_000, None, 7, 10, 10, [])
    told = forecast(todo, MEASURED, 1e12, PRICES, 1000)
    found = shown.Found(todo, MEASURED, PRICES, told, "u2net", 1e12)
    lines = shown.lines(found)
    assert lines[0].startswith("pictures: 2,000,000 to do, 2.0 TB (about, ")
    assert lines[0].endswith("done: not counted out; refused: 7")
    assert "2.00 pictures/s ± 10% (95 %); start 2.0 s; each 1 s of CPU, 90%" in lines[2]
    text = "\n".join(lines)
    assert "prices in dollars, of 2030-01-01 (a test): vcpu_hour 1, " in text
    assert "* an estimate, at best: 1,000.0 GFLOP" in text
    assert max(map(len, lines)) <= 110
    assert json.loads(json.dumps(shown.document(found)))["pictures"]["done"] is None
    nothing = shown.lines(found._replace(flops=None, measured=MEASURED._replace(spread=None)))
    assert "no GPU is foretold" in "\n".join(nothing) and "±" not in "\n".join(nothing)


def _graph(path: Path, nodes: Any, weights: Dict[str, Any], shape: List[Any]) -> str:
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    graph = helper.make_graph(
        [helper.make_node(name, ends, [out], **more) for name, ends, out, more in nodes],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(nodes[-1][2], TensorProto.FLOAT, None)],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    opsets = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), str(path))
    return str(path)


@pytest.mark.parametrize(
    ("nodes", "shapes", "expected"),
    [
        ([("Conv", ["x", "w"], "y", {"strides": [2, 2]})], {"w": (5, 3, 3, 3)}, 2 * 5 * 27 * 6),
        (
            [("Conv", ["x", "w"], "y", {"group": 3, "pads": [1, 1, 1, 1]})],
            {"w": (6, 1, 3, 3)},
            2 * 6 * 9 * 48,
        ),
        ([("ConvTranspose", ["x", "w"], "y", {})], {"w": (3, 4, 2, 2)}, 2 * 3 * 48 * 16),
        ([("MatMul", ["x", "w"], "y", {})], {"w": (8, 7)}, 2 * 3 * 6 * 8 * 7),
        (
            [("Flatten", ["x"], "f", {}), ("Gemm", ["f", "w"], "y", {"transB": 1})],
            {"w": (7, 144)},
            2 * 144 * 7,
        ),
        ([("Relu", ["x"], "y", {})], {}, 0),
    ],
)
def test_operations_of_a_graph(
    nodes: Any, shapes: Dict[str, Any], expected: float, tmp_path: Path
) -> None:
    weights = {name: np.ones(shape, np.float32) for name, shape in shapes.items()}
    shape: List[Optional[Any]] = ["batch", 3, "height", "width"]
    path = _graph(tmp_path / "graph.onnx", nodes, weights, shape)
    assert flops.of_graph(path, (8, 6)) == expected


def test_shards_that_were_made_before_are_not_counted_out(tmp_path: Path, photos: Path) -> None:
    made = job(tmp_path / "out", photos, dataset=DataSet(output_format="webdataset"))
    assert inputs.look(made, (), 1).done == 0
    rows = tmp_path / "out" / "_manifest" / "run=20200101T000000000Z-first0"
    rows.mkdir(parents=True)
    (rows / "part-00000.parquet").write_bytes(b"")
    settings = tmp_path / "out" / "_manifest" / "_settings.json"
    settings.write_text("{}")
    assert inputs.look(made, (), 1)[:3] == (PHOTOS, None, 0)
