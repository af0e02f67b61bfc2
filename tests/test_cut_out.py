"""CutOut: bytes in, bytes out, in a pipeline that reads and writes by itself."""

import io
from typing import Any, Callable, List, Tuple

import apache_beam as beam
import pytest
import rembg
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.testing.test_pipeline import TestPipeline
from apache_beam.testing.test_stream import TestStream
from apache_beam.testing.util import assert_that, equal_to
from apache_beam.transforms import window
from PIL import Image
from support.cutting import assert_same, rembgs_own

from rembg_beam.transforms import CutOut, Encoding, Failure, RemoveOptions, SessionConfig

KEYS: List[Any] = [7, "ü/a.jpg", None, {"sku": [1, {"b": 2}]}, beam.Row(name="a", size=3)]


def test_keys_come_out_as_they_went_in_with_rembgs_pixels(
    encoded: Callable[..., bytes],
) -> None:
    data, broken = encoded("JPEG", width=100, height=80), b"no picture"
    with Image.open(io.BytesIO(data)) as image:
        expected = rembg.remove(image, session=rembgs_own(), post_process_mask=True)

    def check(pairs: List[Tuple[Any, bytes]]) -> None:
        assert sorted(repr(key) for key, _ in pairs) == sorted(map(repr, KEYS))
        for _, cutout in pairs:
            assert_same(cutout, expected)

    with TestPipeline(runner="FnApiRunner") as pipeline:
        pairs = [*((key, data) for key in KEYS), *((key, broken) for key in KEYS)]
        result = (
            pipeline
            | beam.Create(pairs)
            | CutOut(session="tiny", options=RemoveOptions(post_process_mask=True))
        )
        assert_that(result.cutouts, check)
        why = result.failures | beam.MapTuple(lambda key, why: (repr(key), why.step, why.error))
        failures = [(repr(key), "remove", "NotAPicture") for key in KEYS]
        assert_that(why, equal_to(failures), label="failures")


def test_files_are_as_they_are_asked_for(
    encoded: Callable[..., bytes], run: Callable[..., List[Any]]
) -> None:
    encoding = Encoding(format="jpeg", quality=50)
    only = CutOut(session="tiny", options=RemoveOptions(only_mask=True), encoding=encoding)
    ((key, cutout),) = run([("a", encoded())], _Cutouts(only))
    with Image.open(io.BytesIO(cutout)) as image:
        assert (key, image.format, image.mode) == ("a", "JPEG", "L")


def test_bytes_of_any_kind_are_taken(encoded: Callable[..., bytes], run: Any) -> None:
    data = encoded()
    pairs = [("a", data), ("b", bytearray(data))]
    cutouts = run(pairs, _Cutouts(CutOut(session="tiny")))
    assert sorted(key for key, _ in cutouts) == ["a", "b"]
    assert len({cutout for _, cutout in cutouts}) == 1


class _Cutouts(beam.PTransform):
    def __init__(self, cut_out: CutOut) -> None:
        super().__init__()
        self.cut_out = cut_out

    def expand(self, pictures: beam.PCollection) -> beam.PCollection:
        cutouts, _ = pictures | self.cut_out
        return cutouts


def test_the_types_of_keys_stay_known() -> None:
    pipeline = beam.Pipeline()
    pairs = pipeline | beam.Create([("a", b"")])
    result = pairs | CutOut(session="tiny")
    assert str(pairs.element_type) == str(result.cutouts.element_type)
    assert "str" in str(result.cutouts.element_type)


def test_a_stream_keeps_its_windows_and_times(encoded: Callable[..., bytes]) -> None:
    data = encoded()
    stream = (
        TestStream()
        .advance_watermark_to(0)
        .add_elements([window.TimestampedValue(("early", data), 3)])
        .advance_watermark_to(20)
        .add_elements([window.TimestampedValue(("late", b"no picture"), 27)])
        .add_elements([window.TimestampedValue(("later", data), 28)])
        .advance_watermark_to_infinity()
    )
    with TestPipeline(options=PipelineOptions(streaming=True)) as pipeline:
        cutouts, failures = (
            pipeline | stream | beam.WindowInto(window.FixedWindows(10)) | CutOut(session="tiny")
        )
        for label, pairs, expected in (
            ("cutouts", cutouts, [("early", 3, 0), ("later", 28, 20)]),
            ("failures", failures, [("late", 27, 20)]),
        ):
            told = pairs | f"When: {label}" >> beam.Map(_when)
            assert_that(told, equal_to(expected), label=label)


def _when(
    pair: Tuple[str, Any],
    timestamp: Any = beam.DoFn.TimestampParam,
    windows: Any = beam.DoFn.WindowParam,
) -> Tuple[str, int, int]:
    key, found = pair
    assert isinstance(found, (bytes, Failure))
    return key, int(timestamp), int(windows.start)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"session": "u2net_cloth_seg"}, "makes 3 cutouts of a picture, and CutOut gives one"),
        ({"session": "tiny", "options": RemoveOptions(empty_mask="skip")}, "take 'fail'"),
        ({"session": "tiny", "encoding": Encoding(format="jpeg")}, "has no transparency"),
        ({"session": "tinny"}, "did you mean 'tiny'"),
        ({"session": "tiny", "remove_threads": 0}, "must be a positive integer"),
        ({"session": SessionConfig("tiny"), "max_pixels": "1"}, "must be a positive integer"),
    ],
)
def test_what_no_worker_could_do_is_refused(arguments: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CutOut(**arguments)


@pytest.mark.parametrize(
    "options", [{"stack_masks": True}, {"extras": {"cloth_category": "upper"}}], ids=str
)
def test_a_model_with_several_masks_may_give_one_cutout(options: Any) -> None:
    CutOut(session="u2net_cloth_seg", options=RemoveOptions(**options))


@pytest.mark.parametrize("element", ["a.jpg", ("a.jpg", "a.jpg"), (1, 2, b""), b"PNG"], ids=str)
def test_what_is_no_pair_stops_the_pipeline(element: Any) -> None:
    pipeline = TestPipeline(runner="FnApiRunner")
    elements = pipeline | beam.Create([element]) | beam.Map(_any)
    _ = elements | CutOut(session="tiny")
    with pytest.raises(Exception, match=r"CutOut got .*: its elements are pairs \(key, bytes"):
        pipeline.run()


def _any(element: Any) -> Any:
    return element
