"""The composite: exactly one outcome for every element."""

import collections
import json
from pathlib import Path
from typing import Any, Callable, Dict, List

import apache_beam as beam
import pytest
from apache_beam.metrics import MetricsFilter
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.fn_api_runner import translations
from apache_beam.testing.test_pipeline import TestPipeline
from apache_beam.testing.test_stream import TestStream
from apache_beam.transforms import trigger, window
from apache_beam.utils.windowed_value import PaneInfo, PaneInfoTiming, WindowedValue
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from rembg_beam.transforms import (
    Encoding,
    Failure,
    Outcome,
    RemoveBackground,
    RemoveOptions,
    SessionConfig,
    Source,
    WriteManifest,
)
from rembg_beam.transforms.outcomes import RunColumns, failed

TINY = SessionConfig("tiny")


def test_one_outcome_for_every_element(
    photos: Path, tmp_path: Path, run: Any, tree: Any, not_pictures: Dict[str, str]
) -> None:
    sources = sorted(str(path) for path in photos.rglob("*.*") if path.suffix != ".txt")
    sources.append(str(photos / "absent.jpg"))
    output = tmp_path / "out"
    outcomes: List[Outcome] = run(
        sources, RemoveBackground(output=str(output), session=TINY, relative_to=str(photos))
    )
    assert sorted(outcome.uri for outcome in outcomes) == sorted(sources)
    failed = {Path(row.uri).name: row for row in outcomes if row.status == "failed"}
    errors = {name: row.error for name, row in failed.items()}
    assert errors == {**not_pictures, "absent.jpg": "FileNotFoundError"}
    assert {name: row.step for name, row in failed.items()}["absent.jpg"] == "read"
    assert len({row.message for row in failed.values()}) == len(failed)
    written = [row for row in outcomes if row.status == "written"]
    assert tree(output) == sorted(
        str(Path(row.uri).relative_to(photos)) + ".png" for row in written
    )
    for row in written:
        assert row.outputs == [f"{output}/{Path(row.uri).relative_to(photos)}.png"]
        with Image.open(row.outputs[0]) as image:
            assert (image.mode, image.size) == ("RGBA", (row.width, row.height))
    turned = next(row for row in written if "turned" in row.uri)
    assert (turned.width, turned.height) == (20, 40)


def test_a_source_has_a_name_arguments_and_columns_of_its_own(
    photos: Path, tmp_path: Path, run: Any, tree: Any
) -> None:
    source = Source.of(
        str(photos / "a.jpg"),
        name="shoes/7",
        extras={"only_mask": True},
        metadata={"sku": 7, "ü": [None]},
    )
    (outcome,) = run([source], RemoveBackground(output=str(tmp_path / "out"), session="tiny"))
    assert json.loads(outcome.metadata) == {"sku": 7, "ü": [None]}
    assert tree(tmp_path / "out") == ["shoes/7.png"]
    with Image.open(tmp_path / "out/shoes/7.png") as image:
        assert image.mode == "L"


def test_a_string_keeps_its_whole_path(photos: Path, tmp_path: Path, run: Any, tree: Any) -> None:
    uri = str(photos / "a.jpg")
    run([uri, "file://" + uri], RemoveBackground(output=str(tmp_path / "out"), session=TINY))
    assert tree(tmp_path / "out") == [uri.lstrip("/") + ".png"]


def test_extras_that_make_no_sense_cost_their_own_row(
    photos: Path, tmp_path: Path, run: Any
) -> None:
    uri = str(photos / "a.jpg")
    sources = [
        Source(uri, "good"),
        Source.of(uri, name="bad", extras={"only_mask": True, "putalpha": True}),
        Source(uri, "worse", "[1"),
        Source("no://such/file.jpg"),
    ]
    outcomes = run(sources, RemoveBackground(output=str(tmp_path), session=TINY))
    assert collections.Counter(row.status for row in outcomes) == {"written": 1, "failed": 3}


@settings(
    deadline=None,
    max_examples=15,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    kinds=st.lists(st.sampled_from(["good", "bad", "absent"]), max_size=12),
    second=st.integers(0, 30),
    workers=st.sampled_from([1, 3]),
)
def test_outcomes_equal_inputs(
    tmp_path_factory: pytest.TempPathFactory,
    encoded: Callable[..., bytes],
    kinds: List[str],
    second: int,
    workers: int,
) -> None:
    """Under any bundles, windows, panes and failures; a timestamp says which element it was."""
    folder = tmp_path_factory.mktemp("inputs")
    (folder / "good").write_bytes(encoded())
    (folder / "bad").write_bytes(b"bad")
    stamped = [
        window.TimestampedValue(Source(str(folder / kind), f"{index}"), second + 7 * index)
        for index, kind in enumerate(kinds)
    ]
    _rows.clear()
    mode = "multi_threading" if workers > 1 else "in_memory"
    options = PipelineOptions(direct_num_workers=workers, direct_running_mode=mode)
    with beam.Pipeline(runner="FnApiRunner", options=options) as pipeline:
        _ = (
            pipeline
            | beam.Create(stamped)
            | beam.WindowInto(window.FixedWindows(10))
            | beam.ParDo(_Paned())
            | RemoveBackground(output=str(folder / "out"), session=TINY)
            | beam.Map(_keep_windowed)
        )
    status = {"good": "written", "bad": "failed", "absent": "failed"}
    times = [second + 7 * index for index in range(len(kinds))]
    expected = [
        (str(folder / kind), status[kind], time, time // 10 * 10, time % 4)
        for time, kind in zip(times, kinds, strict=True)
    ]
    assert sorted(_rows) == sorted(expected)


_rows: List[Any] = []


def _keep_windowed(
    outcome: Outcome,
    timestamp: Any = beam.DoFn.TimestampParam,
    within: Any = beam.DoFn.WindowParam,
    pane: Any = beam.DoFn.PaneInfoParam,
) -> None:
    _rows.append(
        (
            outcome.uri,
            outcome.status,
            float(timestamp),
            float(within.start),
            pane.nonspeculative_index,
        )
    )


class _Paned(beam.DoFn):
    """Gives each element a pane that follows from its timestamp."""

    def process(self, element: Any, windowed: Any = beam.DoFn.WindowedValueParam) -> Any:
        index = int(windowed.timestamp) % 4
        pane = PaneInfo(False, False, PaneInfoTiming.LATE, index, index)
        yield WindowedValue(element, windowed.timestamp, windowed.windows, pane)


def test_an_unbounded_input_keeps_its_panes(photos: Path, tmp_path: Path) -> None:
    stream = (
        TestStream()
        .advance_watermark_to(0)
        .add_elements([window.TimestampedValue(("k", str(photos / "a.jpg")), 1)])
        .add_elements([window.TimestampedValue(("k", str(photos / "empty.jpg")), 2)])
        .advance_watermark_to(20)
        .advance_watermark_to_infinity()
    )
    _rows.clear()
    with TestPipeline(options=PipelineOptions(streaming=True)) as pipeline:
        grouped = (
            pipeline
            | stream
            | beam.WindowInto(
                window.FixedWindows(10),
                trigger=trigger.AfterWatermark(early=trigger.AfterCount(1)),
                accumulation_mode=trigger.AccumulationMode.DISCARDING,
            )
            | beam.GroupByKey()
            | beam.FlatMapTuple(lambda key, values: values)
        )
        _ = grouped | "before" >> beam.Map(_keep_pane, "before")
        _ = (
            grouped
            | RemoveBackground(output=str(tmp_path / "out"), session=TINY)
            | "after" >> beam.Map(_keep_pane, "after")
        )
    before = sorted(row[1:] for row in _rows if row[0] == "before")
    after = sorted(row[1:] for row in _rows if row[0] == "after")
    assert before == after
    assert {row[1] for row in before} == {"EARLY"}


def _keep_pane(element: Any, which: str, pane: Any = beam.DoFn.PaneInfoParam) -> None:
    uri = element if isinstance(element, str) else element.uri
    timing = {0: "EARLY", 1: "ON_TIME", 2: "LATE", 3: "UNKNOWN"}[pane.timing]
    _rows.append((which, uri, timing, pane.index))


def test_the_metrics_count_pictures_bytes_milliseconds_and_outcomes(
    photos: Path, tmp_path: Path
) -> None:
    uris = [str(photos / name) for name in ("a.jpg", "a.png", "empty.jpg", "absent.jpg")]
    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        _ = (
            pipeline
            | beam.Create(uris)
            | RemoveBackground(output=str(tmp_path / "out"), session=TINY)
        )
    query = pipeline.result.metrics().query(MetricsFilter().with_namespace("rembg_beam"))
    counts = {counter.key.metric.name: counter.committed for counter in query["counters"]}
    read = sum((photos / name).stat().st_size for name in ("a.jpg", "a.png", "empty.jpg"))
    written = sum(path.stat().st_size for path in (tmp_path / "out").rglob("*.png"))
    assert counts["read_pictures"] == 3 and counts["read_failures"] == 1
    assert counts["read_bytes"] == read
    assert counts["remove_pictures"] == 2 and counts["remove_failures"] == 1
    assert counts["write_pictures"] == 2
    assert counts["write_bytes"] == counts["remove_bytes"] == written
    assert counts["remove_msecs"] > 0 and {"read_msecs", "write_msecs"} <= set(counts)
    assert (counts["outcomes_written"], counts["outcomes_failed"]) == (2, 2)


def test_pictures_cross_no_shuffle(tmp_path: Path) -> None:
    """The three steps are one stage, behind a shuffle of nothing but sources."""
    pipeline = beam.Pipeline(runner="FnApiRunner")
    _ = (
        pipeline
        | beam.Create(["a.jpg"])
        | RemoveBackground(output=str(tmp_path), session=TINY)
        | WriteManifest(output=str(tmp_path), run="r")
    )
    _, stages = translations.create_and_optimize_stages(
        pipeline.to_runner_api(),
        phases=translations.standard_optimize_phases(),
        known_runner_urns=frozenset(
            ["beam:transform:impulse:v1", "beam:transform:group_by_key:v1"]
        ),
    )
    names = [{part.unique_name for part in stage.transforms} for stage in stages]
    homes = [
        {index for index, inside in enumerate(names) if any(step in name for name in inside)}
        for step in ("Read pictures", "Remove backgrounds", "Write cutouts")
    ]
    assert homes[0] == homes[1] == homes[2] and len(homes[0]) == 1
    (home,) = homes[0]
    assert not any("Create/" in name for name in names[home])


def test_the_manifest_is_one_data_set_by_run(photos: Path, tmp_path: Path) -> None:
    import pyarrow.dataset

    for run, name in (("r1", "a.jpg"), ("r2", "empty.jpg")):
        with beam.Pipeline(runner="FnApiRunner") as pipeline:
            _ = (
                pipeline
                | beam.Create([Source.of(str(photos / name), metadata={"n": run})])
                | RemoveBackground(output=str(tmp_path / "out"), session=TINY)
                | WriteManifest(output=str(tmp_path / "out"), run=run)
            )
    rows = pyarrow.dataset.dataset(tmp_path / "out/_manifest", partitioning="hive").to_table()
    found = {(row["run"], row["status"], row["metadata"]) for row in rows.to_pylist()}
    assert found == {("r1", "written", '{"n": "r1"}'), ("r2", "failed", '{"n": "r2"}')}


def test_the_files_of_the_manifest_hold_so_many_rows(tmp_path: Path, run: Any) -> None:
    import pyarrow.parquet

    columns = RunColumns("tiny")
    failure = Failure("read", "FileNotFoundError", "it is not there")
    outcomes = [failed(Source(f"{number}.jpg"), failure, columns) for number in range(7)]
    write = WriteManifest(output=str(tmp_path), run="r", rows_per_file=3)
    written = run(outcomes, write)
    folder = tmp_path / "_manifest/run=r"
    assert sorted(written) == [str(folder / f"part-0000{number}.parquet") for number in range(3)]
    tables = [pyarrow.parquet.read_table(path) for path in sorted(written)]
    assert [table.num_rows for table in tables] == [3, 3, 1]
    uris = [row["uri"] for table in tables for row in table.to_pylist()]
    assert sorted(uris) == [f"{number}.jpg" for number in range(7)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"output": ""}, "output is empty"),
        ({"session": "u2nett"}, "unknown model"),
        ({"encoding": Encoding(format="jpeg")}, "no transparency"),
        ({"remove_threads": 0}, "remove_threads=0"),
    ],
)
def test_settings_that_make_no_sense_never_reach_a_worker(
    arguments: Dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        RemoveBackground(**{"output": "out", "session": TINY, **arguments})


def test_an_element_that_is_no_uri_is_refused(tmp_path: Path, run: Any) -> None:
    with pytest.raises(Exception, match=r"Source\.of"):
        run([7], RemoveBackground(output=str(tmp_path), session=TINY))


def test_webp_and_jpeg(photos: Path, tmp_path: Path, run: Any, tree: Any) -> None:
    for encoding, options in (
        (Encoding(format="webp"), RemoveOptions()),
        (Encoding(format="jpeg"), RemoveOptions(bgcolor=(255, 255, 255, 255))),
    ):
        run(
            [Source(str(photos / "a.jpg"), "a.jpg")],
            RemoveBackground(
                output=str(tmp_path / "out"), session=TINY, options=options, encoding=encoding
            ),
        )
    assert tree(tmp_path / "out") == ["a.jpg.jpg", "a.jpg.webp"]
