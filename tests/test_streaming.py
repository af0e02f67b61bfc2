"""Unbounded input: notifications, and rows by windows, on Beam's in-process runner for streams."""

import collections
import os
import shutil
import time
from pathlib import Path
from typing import Any, Dict, List

import apache_beam as beam
import pyarrow.dataset
import pytest
from apache_beam import coders
from apache_beam.io.gcp.pubsub import PubsubMessage
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.testing.test_stream import TestStream
from apache_beam.testing.util import assert_that, equal_to
from apache_beam.transforms.window import TimestampedValue

from rembg_beam.transforms import (
    ReadNotifications,
    RemoveBackground,
    RemoveBackgrounds,
    RemoveOptions,
    Source,
    WriteManifest,
    naming,
)
from rembg_beam.transforms.folder import record, summary
from rembg_beam.transforms.outputs.options import DataSet
from rembg_beam.transforms.store import stores

RUNNER = "BundleBasedDirectRunner"

DAY = 24 * 3600


def streaming(**more: Any) -> beam.Pipeline:
    return beam.Pipeline(runner=RUNNER, options=PipelineOptions(streaming=True, **more))


def message(name: str, event: str = "OBJECT_FINALIZE") -> PubsubMessage:
    """As Cloud Storage sends it."""
    attributes = {
        "bucketId": "b",
        "objectId": name,
        "objectGeneration": "1795880425000001",
        "eventType": event,
        "eventTime": "2026-11-28T15:40:25.000001Z",
        "payloadFormat": "JSON_API_V1",
        "notificationConfig": "projects/_/buckets/b/notificationConfigs/1",
    }
    return PubsubMessage(b'{"kind": "storage#object"}', attributes)


def files(output: Path) -> Dict[str, List[str]]:
    """The pictures whose rows lie in each file of the manifest."""
    found = {}
    for path in (output / "_manifest").rglob("*.parquet"):
        rows = pyarrow.dataset.dataset(path).to_table().to_pylist()
        found[path.name] = sorted(Path(row["uri"]).name for row in rows)
    return found


def test_notifications_name_pictures() -> None:
    messages = [
        *map(message, ["photos/x/a.jpg", "photos/b.PNG", "photos/x/", "photos/notes.txt"]),
        *map(message, ["photos/.hidden/a.jpg", "other/a.jpg", "photos/out/a.jpg.png", "photos"]),
        *(message("photos/x/a.jpg", f"OBJECT_{event}") for event in ("DELETE", "METADATA_UPDATE")),
        message("photos/x/a.jpg"),
    ]
    read = ReadNotifications(folder="gs://b/photos", exclude="gs://b/photos/out")
    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        sources, failures = pipeline | beam.Create(messages, reshuffle=False) | read
        twice = Source("gs://b/photos/x/a.jpg", "x/a.jpg")
        expected = [twice, twice, Source("gs://b/photos/b.PNG", "b.PNG")]
        assert_that(sources, equal_to(expected), "sources")
        assert_that(failures, equal_to([]), "failures")


def test_without_a_folder_names_are_whole_and_messages_of_others_fail() -> None:
    wrong = PubsubMessage(b"hello", {"eventType": "OBJECT_FINALIZE", "bucketId": "b"})
    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        messages = pipeline | beam.Create([message("x/a.jpg"), wrong, b"{}"], reshuffle=False)
        sources, failures = messages | ReadNotifications()
        assert_that(sources, equal_to([Source("gs://b/x/a.jpg")]), "sources")
        told = failures | beam.MapTuple(lambda source, why: (why.step, why.error, why.message[:46]))
        assert_that(
            told,
            equal_to(
                [
                    ("find", "BadNotification", "the message has no attribute objectId: a notif"),
                    ("find", "BadNotification", "the message has no attribute eventType, bucket"),
                ]
            ),
            "failures",
        )
    with pytest.raises(ValueError, match="folder='photos' must be a folder of a bucket"):
        ReadNotifications(folder="photos")
    with pytest.raises(ValueError, match="without wildcards"):  # it would match nothing, for ever
        ReadNotifications(folder="gs://b/photos/*.jpg")


def test_rows_lie_in_a_file_for_each_window(photos: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    stream = (
        TestStream(coder=coders.StrUtf8Coder())
        .advance_watermark_to(0)
        .add_elements([TimestampedValue(str(photos / "a.jpg"), 10)])
        .add_elements([TimestampedValue(str(photos / "text.jpg"), 20)])
        .advance_watermark_to(301)
        .add_elements([TimestampedValue(str(photos / "a.png"), 30)])  # late
        .add_elements([TimestampedValue(str(photos / "cmyk.jpg"), 310)])
        .advance_watermark_to(5 * DAY)
        .add_elements([TimestampedValue(str(photos / "A.JPG"), 320)])  # late by days
        .advance_watermark_to_infinity()
    )
    with streaming() as pipeline:
        remove = RemoveBackground(output=str(output), session="tiny")
        outcomes = pipeline | stream | remove
        assert not outcomes.is_bounded
        _ = outcomes | WriteManifest(output=str(output), run="r1")
    assert files(output) == {
        "part-19700101T000000Z-00000-00000.parquet": ["a.jpg", "text.jpg"],
        "part-19700101T000000Z-00001-00000.parquet": ["a.png"],
        "part-19700101T000500Z-00000-00000.parquet": ["cmyk.jpg"],
        "part-19700101T000500Z-00001-00000.parquet": ["A.JPG"],
    }
    rows = pyarrow.dataset.dataset(output / "_manifest", partitioning="hive").to_table()
    assert rows.column("run").to_pylist() == ["r1"] * 5
    assert collections.Counter(rows.column("status").to_pylist()) == {"written": 4, "failed": 1}


def test_a_window_s_rows_are_split_and_those_without_a_time_are_kept(
    photos: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out"
    stream = TestStream(coder=coders.StrUtf8Coder()).add_elements(
        [str(photos / f"none{number}.jpg") for number in range(5)]
    )
    with streaming() as pipeline:
        remove = RemoveBackground(output=str(output), session="tiny")
        outcomes = pipeline | stream.advance_watermark_to_infinity() | remove
        write = WriteManifest(output=str(output), rows_per_file=2, window=0.5 * DAY)
        _ = outcomes | write
    sizes = {name: len(rows) for name, rows in files(output).items()}
    assert sum(sizes.values()) == 5 and max(sizes.values()) == 2
    assert len(sizes) == 3, sizes


def job(output: Path, **more: Any) -> RemoveBackgrounds:
    return RemoveBackgrounds(remove=RemoveBackground(output=str(output), session="tiny"), **more)


def statuses(output: Path, run: str) -> Dict[str, List[str]]:
    """Of each picture's rows."""
    rows = pyarrow.dataset.dataset(output / "_manifest", partitioning="hive").to_table()
    found: Dict[str, List[str]] = {}
    for row in rows.to_pylist():
        if row["run"] == run:
            found.setdefault(Path(row["uri"]).name, []).append(row["status"])
    return {name: sorted(each) for name, each in found.items()}


def arrive(picture: str) -> str:
    """Where it lies; `FROM>TO` is put there first."""
    *begin, there = picture.split(">")
    if begin:
        shutil.copy(begin[0], there)
    return there


def do(made: RemoveBackgrounds, pictures: List[List[str]]) -> None:
    """Gives each list of pictures once those before are done."""
    stream = TestStream(coder=coders.StrUtf8Coder()).advance_watermark_to(0)
    for number, several in enumerate(pictures):
        at = 300 * number
        timed = [TimestampedValue(each, at) for each in several]
        stream = stream.add_elements(timed).advance_watermark_to(at + 300)
    with streaming() as pipeline:
        arrived = pipeline | stream.advance_watermark_to_infinity() | beam.Map(arrive)
        _ = arrived | made


def test_a_whole_job_without_an_end(photos: Path, tmp_path: Path, tree: Any) -> None:
    output = tmp_path / "out"
    good, bad, none = (str(photos / name) for name in ("a.jpg", "text.jpg", "none.jpg"))
    more = {"run_id": "r1"}
    made = job(output, **more)
    made.remove.relative_to = str(photos)
    do(made, [[good, bad], [good], [none, str(photos / "sub/b.JPEG"), str(tmp_path / "x.jpg")]])
    assert statuses(output, "r1") == {
        "a.jpg": ["skipped", "written"],
        **{name: ["failed"] for name in ("text.jpg", "none.jpg", "x.jpg")},
        "b.JPEG": ["written"],
    }
    assert tree(output) == ["a.jpg.png", "sub/b.JPEG.png"]
    names = sorted(path.name for path in (output / "_manifest/run=r1").iterdir())
    starts = ("000000", "000500", "001000")
    assert names == [
        *(f"_summary-19700101T{start}Z-00000.json" for start in starts),
        *(f"part-19700101T{start}Z-00000-00000.parquet" for start in starts),
    ]
    done = summary.read(str(output), "r1")
    assert done.counts == {"written": 2, "skipped": 1, "failed": 3}
    errors = [shown[2] for shown in done.failures]
    assert errors == ["FileNotFoundError", "NotAPicture", "ValueError"]


@pytest.mark.long
def test_runs_with_an_end_go_on_from_its_rows(photos: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    made = job(output, run_id="r1")
    made.remove.relative_to = str(photos)
    (photos / "a.jpg").rename(tmp_path / "away")
    a, text = (str(photos / name) for name in ("a.jpg", "text.jpg"))
    do(made, [[a, text], [f"{tmp_path / 'away'}>{a}"]])
    assert statuses(output, "r1") == {"a.jpg": ["failed", "written"], "text.jpg": ["failed"]}
    shutil.copy(photos / "a.png", photos / "text.jpg")
    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        _ = pipeline | job(output, run_id="r2", retry_failed=True)
    assert statuses(output, "r2") == {"text.jpg": ["written"]}
    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        _ = pipeline | job(output, run_id="r3", input=[str(photos / "?[ae]*.*g")])
    assert statuses(output, "r3") == {"text.jpg": ["skipped"]}


def test_a_picture_that_is_put_there_again_is_done_again(photos: Path, tmp_path: Path) -> None:
    output, picture = tmp_path / "out", photos / "a.jpg"
    cutout = output / naming.output_name(naming.relative_name(str(picture)), ".png")
    do(job(output, run_id="r1"), [[str(picture)]])
    before = cutout.read_bytes()
    shutil.copy(photos / "cmyk.jpg", picture)
    os.utime(picture, (cutout.stat().st_mtime + 1,) * 2)
    do(job(output, run_id="r2"), [[str(picture)]])
    assert statuses(output, "r2") == {"a.jpg": ["written"]} and cutout.read_bytes() != before


@pytest.mark.parametrize(
    ("on_existing", "again"), [("overwrite", "written"), ("fail", "written"), ("skip", "skipped")]
)
def test_the_same_element_twice_does_no_harm(
    on_existing: str, again: str, photos: Path, tmp_path: Path
) -> None:
    output, picture = tmp_path / "out", str(photos / "a.jpg")
    do(job(output, run_id="r1", on_existing=on_existing), [[picture, picture], [picture]])
    assert statuses(output, "r1")["a.jpg"][0] == again
    assert statuses(output, "r1")["a.jpg"].count("failed") == 0
    (cutout,) = output.rglob("*.png")
    if on_existing == "fail":
        cutout.write_bytes(b"another's")
        do(job(output, run_id="r2", on_existing=on_existing), [[picture]])
        assert statuses(output, "r2") == {"a.jpg": ["failed"]}
        assert cutout.read_bytes() == b"another's"


def test_from_a_bucket_s_notifications_to_cutouts_in_it(proxy: Any, photos: Path) -> None:
    first, second = ((photos / name).read_bytes() for name in ("a.jpg", "cmyk.jpg"))

    def put(name: str) -> PubsubMessage:
        """As if the bucket told of it, whose clock counts seconds."""
        if name.startswith("again/"):
            name = name.removeprefix("again/")
            time.sleep(1.1)
            stores.write("gs://b", name, second, "image/jpeg")
        return message(name)

    stores.write("gs://b", "in/a.jpg", first, "image/jpeg")
    stream = TestStream(coder=coders.StrUtf8Coder()).advance_watermark_to(0)
    for number, name in enumerate(["in/a.jpg", "in/a.jpg", "out/a.jpg.png", "again/in/a.jpg"]):
        timed = TimestampedValue(name, 300 * number)
        stream = stream.add_elements([timed]).advance_watermark_to(300 * number + 300)
    remove = RemoveBackground(output="gs://b/out", session="tiny")
    with streaming() as pipeline:
        messages = pipeline | stream.advance_watermark_to_infinity() | beam.Map(put)
        sources, _ = messages | ReadNotifications(folder="gs://b/in", exclude="gs://b/out")
        _ = sources | RemoveBackgrounds(remove=remove, run_id="r1")
    counts = summary.read("gs://b/out", "r1").counts
    assert counts == {"written": 2, "skipped": 1, "failed": 0}
    manifests = sorted(file.name for file in stores.listing("gs://b/out/_manifest/run=r1"))
    starts = ("000000", "000500", "001500")
    parts = [f"part-19700101T{start}Z-00000-00000.parquet" for start in starts]
    assert [name for name in manifests if name.startswith("part")] == parts


def test_what_a_stream_can_not_be_is_refused_while_it_is_built(tmp_path: Path) -> None:
    def build(made: RemoveBackgrounds) -> None:
        _ = streaming() | TestStream(coder=coders.StrUtf8Coder()) | made

    shards = job(tmp_path / "out", dataset=DataSet(output_format="webdataset"))
    with pytest.raises(ValueError, match="can't be put into shards"):
        build(shards)
    table = job(tmp_path / "out", dataset=DataSet(metadata="csv"))
    with pytest.raises(ValueError, match="metadata='csv': pictures without an end have no table"):
        build(table)
    with pytest.raises(ValueError, match="apply RemoveBackgrounds to a PCollection"):
        build(job(tmp_path / "out", input=["photos"]))
    with pytest.raises(ValueError, match="window=0 must be a number of seconds, 1 or more"):
        job(tmp_path / "out", window=0)
    other = RemoveBackground(
        output=str(tmp_path / "out"), session="tiny", options=RemoveOptions(only_mask=True)
    )
    record.remember(other, "skip")
    (tmp_path / "out/a.png").write_bytes(b"x")
    with pytest.raises(record.OtherSettings, match="only_mask"):
        build(job(tmp_path / "out"))


def test_labels_stay_from_one_build_to_the_next(tmp_path: Path) -> None:
    """An engine that updates a job matches its steps by them."""

    def labels(run: str) -> List[str]:
        pipeline = streaming()
        _ = pipeline | TestStream(coder=coders.StrUtf8Coder()) | job(tmp_path, run_id=run)
        steps = pipeline.to_runner_api().components.transforms.values()
        return sorted(step.unique_name for step in steps)

    assert labels("r1") == labels("r2")
    whole = "RemoveBackgrounds/Stream"
    assert set(labels("r1")) >= {
        f"{whole}/Leave what is done",
        f"{whole}/Remove backgrounds/Read pictures",
        f"{whole}/Write the manifest/Gather rows of a window",
        f"{whole}/Write the counts/Count by status",
    }
