"""`docs/scale.md`: its tables are made by `benchmarks/scale.py`, and hold for a real run."""

import doctest
import importlib
import io
import tarfile
from pathlib import Path
from typing import Any, Callable, Dict, Set

import apache_beam as beam
import pytest
from apache_beam.metrics import monitoring_infos
from apache_beam.testing.load_tests import dataflow_cost_consts as dataflow
from support import gs

from rembg_beam.pipelines.planning import costs, prices
from rembg_beam.transforms import DataSet, RemoveBackground, RemoveBackgrounds

PICTURES = 12

# Shuffles whose elements are not as many as pictures.
FEW = {
    *("Spread manifests", "Spread tables and shards", "Count by status", "Once all rows are there"),
}


@pytest.fixture
def scale(root: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(root / "benchmarks")
    return importlib.import_module("scale")


def test_the_page_has_the_tables(scale: Any) -> None:
    text = scale.PAGE.read_text()
    assert scale.page(text) == text, "make reference writes them"
    found = doctest.testmod(scale)
    assert found.attempted and not found.failed


def test_rows_are_as_large_as_the_page_says(scale: Any) -> None:
    rows = scale.typical_rows(5000)
    packs = scale.packed(rows)
    assert len(packs) == 5
    (of_a_row,) = (each.size for each in costs.CROSSINGS if each.step == "Gather all rows")
    assert sum(map(len, packs)) / 5000 == pytest.approx(of_a_row, rel=0.05)
    assert len(scale.file_of(packs)) / 5000 == pytest.approx(costs.ROW_BYTES, rel=0.1)


def test_prices_are_those_that_beam_carries() -> None:
    ours = prices.Prices()
    assert (ours.vcpu_hour, ours.memory_gb_hour, ours.disk_gb_hour, ours.shuffle_gb) == (
        *(dataflow.VCPU_PER_HR_BATCH, dataflow.MEM_PER_GB_HR_BATCH, dataflow.PD_PER_GB_HR),
        dataflow.SHUFFLE_PER_GB_BATCH,
    )
    assert ours.t4_hour == dataflow.T4_PER_GPU_PER_HOUR
    assert ours.l4_hour == dataflow.L4_PER_GPU_PER_HOUR


class Job:
    """A job at the emulator, run by Beam in this process.

    Attributes:
      shuffles: the names of the steps that shuffle.
      sizes: bytes of an element, as the run's own counters have them, by PCollection.
    """

    def __init__(self, *inputs: str, **more: Any) -> None:
        pipeline = beam.Pipeline(runner="FnApiRunner")
        remove = RemoveBackground(output="gs://my-bucket/cutouts", session="tiny")
        _ = pipeline | RemoveBackgrounds(remove=remove, input=inputs, **more)
        graph = pipeline.to_runner_api().components
        result: Any = pipeline.run()
        result.wait_until_finish()
        self.shuffles: Set[str] = {
            each.unique_name
            for each in graph.transforms.values()
            if each.spec.urn == "beam:transform:group_by_key:v1"
        }
        self.sizes: Dict[str, float] = {}
        for info in result.monitoring_infos():
            if info.urn == monitoring_infos.SAMPLED_BYTE_SIZE_URN:
                key = info.labels["PCOLLECTION"]
                known = graph.pcollections.get(key) if key in graph.pcollections else None
                elements, total, *_ = monitoring_infos.extract_distribution(info)
                if elements:
                    self.sizes[known.unique_name if known else key] = total / elements

    def size(self, of: str) -> float:
        """Bytes of an element of the PCollection whose name ends so."""
        (found,) = (size for name, size in self.sizes.items() if name.endswith(of))
        return found


@pytest.fixture
def pictures(emulator: gs.Emulator, proxy: gs.Proxy, encoded: Callable[..., bytes]) -> None:
    emulator.empty("my-bucket")
    for number in range(PICTURES):
        uri = f"gs://my-bucket/photos/2026/{number:03}/{number:016x}.jpg"
        emulator.put(uri, encoded("JPEG", seed=number))


@pytest.mark.long
def test_a_run_shuffles_and_asks_as_the_page_says(
    scale: Any, pictures: None, proxy: gs.Proxy
) -> None:
    first = Job("gs://my-bucket/photos/")
    of_pictures = [each.kind for each in proxy.requests if "_manifest" not in each.name]
    assert {kind: of_pictures.count(kind) for kind in of_pictures} == {
        **{"read": PICTURES, "write": PICTURES + 1},  # the metadata
        "list": 4,  # a page each of inputs, outputs and manifests, and of all for the metadata
    }
    proxy.clear()
    again = Job("gs://my-bucket/photos/")
    asked = [each for each in proxy.requests if "_manifest" not in each.name]
    assert {each.kind for each in asked if "metadata." not in each.name} == {"list"}
    assert [each.kind for each in asked if "metadata." in each.name] == ["write"]
    joined = "CoGroupByKeyImpl/Flatten/Transcode/{}/out"
    measured = [
        first.size("Key by output/ParDo(KeyByName).None"),
        first.size(joined.format(0)),
        again.size(joined.format(1)),
        again.size("Rows by output.None"),
        again.size(joined.format(2)),
        first.size(
            "Spread them over the workers/ReshufflePerKey/Map(reify_metadata_default_window).None"
        ),
    ]
    said = [each for each in costs.CROSSINGS if each.step != "Gather all rows"]
    assert measured == pytest.approx([each.size for each in said], rel=0.02)
    steps = {each.step for each in costs.CROSSINGS} | FEW
    for name in first.shuffles | again.shuffles:
        assert any(step in name for step in steps), f"{name} is not on the page"
    assert all(any(step in name for name in first.shuffles) for step in steps)


SHARDS, EACH = 2, 60


@pytest.mark.long
def test_shards_are_asked_for_as_the_page_says(
    scale: Any, emulator: gs.Emulator, proxy: gs.Proxy, encoded: Callable[..., bytes]
) -> None:
    emulator.empty("my-bucket")
    picture = encoded("JPEG", width=8, height=8)
    for number in range(SHARDS):
        held = io.BytesIO()
        with tarfile.open(fileobj=held, mode="w") as tar:
            for index in range(EACH):
                member = tarfile.TarInfo(f"{number * EACH + index:016x}.jpg")
                member.size = len(picture)
                tar.addfile(member, io.BytesIO(picture))
        emulator.put(f"gs://my-bucket/photos/2026/{number:05}.tar", held.getvalue())
    dataset = DataSet(output_format="webdataset", samples_per_shard=EACH)
    job = Job("gs://my-bucket/photos/2026/*.tar", dataset=dataset)
    asked = [each for each in proxy.requests if each.name.endswith(".tar")]
    asked += [each for each in proxy.requests if "/shard-" in each.name]
    counts: Dict[Any, int] = {}
    for each in asked:
        key = each.name.startswith("photos/"), each.kind
        counts[key] = counts.get(key, 0) + 1
    reads, stats, sent, seen, read = (each * SHARDS for each in costs.ASKED)
    made = {(False, "write"): sent, (False, "stat"): seen, (False, "read"): read}
    assert counts == {(True, "read"): reads, (True, "stat"): stats, **made}
    measured = [
        job.size("One source per output/Group those of one output.None"),
        job.size("Gather all sources.None") / (SHARDS * EACH),
        job.size("Plan shards/Spread them/ReshufflePerKey/GroupByKey.None") / EACH,
    ]
    assert measured == pytest.approx([each.size for each in costs.INTO_SHARDS], rel=0.05)
    steps = {each.step for each in costs.INTO_SHARDS} | FEW | {"Gather all rows", "All are made"}
    for name in job.shuffles:
        assert any(step in name for step in steps), f"{name} is not on the page"
