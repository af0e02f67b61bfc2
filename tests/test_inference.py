"""RemBGModelHandler in Beam's own RunInference."""

import io
import shutil
import threading
from pathlib import Path
from typing import Any, Callable, Dict, List

import apache_beam as beam
import numpy as np
import pytest
from apache_beam.metrics import MetricsFilter
from apache_beam.ml.inference.base import (
    KeyedModelHandler,
    KeyModelMapping,
    ModelMetadata,
    RunInference,
)
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.testing.util import assert_that
from PIL import Image
from support import standins

from rembg_beam.transforms import (
    Cutout,
    CutoutArrays,
    Encoding,
    Engine,
    Failure,
    RemBGModelHandler,
    RemoveBackground,
    RemoveOptions,
    SessionConfig,
    Stored,
)
from rembg_beam.transforms.elements import Facts
from rembg_beam.transforms.inference import LEAST_WEIGHT
from rembg_beam.transforms.models import catalogue, opening, sessions
from rembg_beam.transforms.runtime import memory


def by_kind(results: List[Any]) -> Dict[Any, List[Any]]:
    found: Dict[Any, List[Any]] = {}
    for result in results:
        found.setdefault(type(result.inference), []).append(result)
    return found


def test_outputs_are_those_of_remove_background(
    photos: Path, tmp_path: Path, run: Any, not_pictures: Dict[str, str]
) -> None:
    """Bytes, errors and messages; one bad picture harms none of its batch."""
    paths = [str(path) for path in photos.rglob("*.*") if path.suffix != ".txt"]
    rows = run(paths, RemoveBackground(output=str(tmp_path / "out"), session="tiny"))
    data = [Path(path).read_bytes() for path in paths]
    results = run(data, RunInference(RemBGModelHandler("tiny")))
    assert sorted(result.example for result in results) == sorted(data)
    found = {result.example: result.inference for result in results}
    for row in rows:
        ours = found[Path(row.uri).read_bytes()]
        if row.status == "written":
            assert [part.data for part in ours.parts] == [Path(row.outputs[0]).read_bytes()]
            assert ours.facts.width == row.width and ours.facts.worker == row.worker
        else:
            assert isinstance(ours, Failure) and ours[:2] == ("remove", row.error)
            # A message says how it is called, and only one of them is of a path.
            assert ours.message == row.message
    assert {result.model_id for result in results} == {"tiny"}
    assert len(by_kind(results)[Failure]) == len(not_pictures)
    assert not any(memory.budget().held().values())


def test_examples_are_files_images_and_arrays_with_arguments_of_their_own(
    encoded: Callable[..., bytes], picture: Callable[..., Image.Image], run: Any
) -> None:
    image = picture(width=40, height=30)
    array = np.asarray(image)
    data = encoded(width=40, height=30)
    before = Facts(bytes_in=7, read_msecs=3)
    examples = [data, Stored(data, '{"only_mask": true}', before), image, array, Stored(data, "[1")]
    results = run(examples, RunInference(RemBGModelHandler("tiny", as_arrays=True)))
    arrays = [result.inference for result in results]
    assert [type(found) for found in arrays] == [CutoutArrays] * 4 + [Failure]
    shapes = [found.arrays[""].shape for found in arrays[:4]]
    assert shapes == [(30, 40, 4), (30, 40), (30, 40, 4), (30, 40, 4)]
    with Engine(SessionConfig("tiny")) as engine:
        (part,) = engine.remove(data).parts
    with Image.open(io.BytesIO(part.data)) as expected:
        for index in (0, 2, 3):
            np.testing.assert_array_equal(arrays[index].arrays[""], np.asarray(expected))
        np.testing.assert_array_equal(arrays[1].arrays[""], np.asarray(expected)[..., 3])
    facts = arrays[1].facts
    assert (facts.bytes_in, facts.read_msecs, facts.width) == (7, 3, 40)
    assert arrays[4].error == "JSONDecodeError" or arrays[4].step == "remove"


def test_arguments_of_run_inference_are_those_of_all_pictures(
    encoded: Callable[..., bytes], run: Any
) -> None:
    handler = RemBGModelHandler("tiny", encoding=Encoding(format="png"))
    examples = [Stored(encoded()), Stored(encoded(), '{"only_mask": false}'), Stored(b"", "[1")]
    arguments = {"only_mask": True}
    results = run(examples, RunInference(handler, inference_args=arguments))
    parts = [result.inference.parts for result in results[:2]]
    modes = [Image.open(io.BytesIO(part.data)).mode for (part,) in parts]
    assert modes == ["L", "RGBA"] and isinstance(results[2].inference, Failure)
    with pytest.raises(ValueError, match="only_mask with putalpha makes no sense"):
        run(examples, RunInference(handler, inference_args={"only_mask": True, "putalpha": True}))


@pytest.mark.parametrize("is_keyed", [False, True])
def test_a_failure_may_be_an_exception_as_other_models_have_it(
    encoded: Callable[..., bytes], is_keyed: bool
) -> None:
    handler: Any = RemBGModelHandler("tiny")
    examples: List[Any] = [encoded(), b"no picture", encoded(seed=1)]
    if is_keyed:
        handler = KeyedModelHandler(handler)
        examples = list(enumerate(examples))
    handler = handler.with_postprocess_fn(RemBGModelHandler.raise_failure)

    def good(results: List[Any]) -> None:
        found = [result[1] if is_keyed else result for result in results]
        assert [type(result.inference) for result in found] == [Cutout, Cutout]

    def bad(results: List[Any]) -> None:
        ((failed, (error, message, _)),) = results
        assert (failed[1] if is_keyed else failed).example == b"no picture"
        assert error.__name__ == "PictureFailed" and "remove: NotAPicture: its 10" in str(message)

    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        pictures = pipeline | beam.Create(examples, reshuffle=False)
        results, dead = pictures | RunInference(handler).with_exception_handling()
        assert_that(results, good)
        assert_that(dead.failed_postprocessing[0], bad, label="bad")
        assert_that(dead.failed_inferences, lambda batches: batches == [] or 1 / 0, label="none")
    pipeline = beam.Pipeline(runner="FnApiRunner")
    _ = pipeline | beam.Create(examples) | RunInference(handler)
    with pytest.raises(Exception, match="remove: NotAPicture: its 10 bytes"):
        pipeline.run()


def test_failures_stay_results_where_exceptions_are_handled(encoded: Any, run: Any) -> None:
    class Handled(beam.PTransform):
        def expand(self, pictures: beam.PCollection) -> beam.PCollection:
            inference = RunInference(RemBGModelHandler("tiny"))
            results, dead = pictures | inference.with_exception_handling(timeout=60)
            return (results, dead.failed_inferences) | beam.Flatten()

    results = run([encoded(), b"no picture"], Handled())
    assert [type(result.inference) for result in results] == [Cutout, Failure]


def test_keys_choose_models(encoded: Callable[..., bytes], run: Any) -> None:
    """Several handlers in one step, and batches that Beam makes as it likes."""
    masks = RemBGModelHandler("tiny", options=RemoveOptions(only_mask=True))
    handlers = [
        KeyModelMapping(["cutout"], RemBGModelHandler("tiny")),
        KeyModelMapping(["mask", "other mask"], masks),
    ]
    examples = [(key, encoded()) for key in ("mask", "cutout", "other mask") for _ in range(2)]
    results = run(examples, RunInference(KeyedModelHandler(handlers)))
    modes = sorted(
        (key, Image.open(io.BytesIO(result.inference.parts[0].data)).mode)
        for key, result in results
    )
    expected = [*[("cutout", "RGBA")] * 2, *[("mask", "L")] * 2, *[("other mask", "L")] * 2]
    assert modes == expected


@pytest.mark.parametrize("arguments", [{"large_model": True}, {"model_copies": 2}], ids=str)
def test_a_model_that_processes_share(encoded: Any, run: Any, arguments: Any) -> None:
    """It is called through a socket: what goes in and out is pickled."""
    handler = RemBGModelHandler("tiny", max_batch_weight=LEAST_WEIGHT, **arguments)
    array = np.zeros((30, 40, 3), np.uint8)
    examples = [encoded(), b"no picture", Image.new("RGB", (40, 30)), array]
    results = run(examples, RunInference(handler))
    assert [type(result.inference) for result in results] == [Cutout, Failure, Cutout, Cutout]
    assert results[0].inference.facts.provider == "CPUExecutionProvider"


@pytest.mark.long
def test_processes_that_share_a_model(encoded: Any, tmp_path: Path) -> None:
    """All pictures are worked on in one process, whichever had them."""
    options = PipelineOptions(direct_num_workers=2, direct_running_mode="multi_processing")
    examples = [encoded(seed=seed) for seed in range(12)]
    place = str(tmp_path / "told")
    with beam.Pipeline(runner="FnApiRunner", options=options) as pipeline:
        _ = (
            pipeline
            | beam.Create(examples)
            | beam.Reshuffle()
            | RunInference(RemBGModelHandler("tiny", large_model=True))
            | beam.Map(lambda result: result.inference.facts.worker)
            | beam.io.WriteToText(place)
        )
    told = [line for path in tmp_path.iterdir() for line in path.read_text().split()]
    assert len(told) == 12 and len(set(told)) == 1


def test_the_model_is_replaced_while_the_pipeline_runs(
    encoded: Any, tmp_path: Path, rembg_home: Path, run: Any
) -> None:
    custom = str(rembg_home / "models" / "u2net_custom" / "u2net_custom.onnx")
    newer = str(tmp_path / "newer.onnx")
    (made,) = standins.write(tmp_path, catalogue.find("u2netp"))
    shutil.copy(made, newer)
    handler = RemBGModelHandler(SessionConfig("u2net_custom", model_path=custom))

    class Replaced(beam.PTransform):
        def expand(self, pictures: beam.PCollection) -> beam.PCollection:
            told = pictures.pipeline | "Tell" >> beam.Create([ModelMetadata(newer, "newer")])
            return pictures | RunInference(handler, model_metadata_pcoll=told)

    (result,) = run([encoded()], Replaced())
    assert result.model_id == newer and result.inference.model == "u2net_custom"
    (result,) = run([encoded()], RunInference(handler))
    assert result.model_id == custom


def test_a_model_that_is_dropped_gives_its_session_back() -> None:
    model = RemBGModelHandler("tiny", opener=_own).load_model()
    key = (SessionConfig("tiny"), _own)
    assert sessions._shared[key].users == 1
    del model
    assert sessions._shared[key].users == 0


def _own(config: SessionConfig) -> Any:
    return opening.open_session(config)


def test_an_update_without_a_path_changes_nothing() -> None:
    """As Beam's WatchFilePattern gives it before there is a file."""
    handler = RemBGModelHandler("tiny")
    handler.update_model_path("")
    handler.update_model_path()
    assert handler.removal.config == SessionConfig("tiny")


def batches(pictures: List[Any], handler: Any, run: Any) -> List[int]:
    found = run(pictures, beam.BatchElements(**handler.batch_elements_kwargs()))
    return [len(batch) for batch in found]


def test_batches_are_made_by_pixels(encoded: Callable[..., bytes], run: Any) -> None:
    small, large = encoded(width=100, height=100), encoded(width=700, height=700)
    handler = RemBGModelHandler("tiny", max_batch_weight=1_000_000, max_pixels=2_000_000)
    assert batches([small] * 25, handler, run) == [10, 10, 5]
    assert batches([large] * 5, handler, run) == [2, 2, 1]
    assert batches([b"no picture"] * 25, handler, run) == [10, 10, 5]
    # One that is larger than a batch is alone, with no empty batch before it; what is refused for
    # its size weighs little.
    huge, refused = np.zeros((1000, 1100, 3), np.uint8), Image.new("L", (2000, 1001))
    assert batches([huge, huge, small, refused, small], handler, run) == [1, 1, 3]
    keyed = KeyedModelHandler(handler)
    assert batches([("key", large), ("key", Stored(large)), ("other", large)], keyed, run) == [2, 1]


def test_in_a_stream_pictures_are_gathered_for_some_time(encoded: Any, run: Any) -> None:
    handler = RemBGModelHandler("tiny", max_batch_duration_secs=0.5)
    results = run([encoded(seed=seed) for seed in range(3)], RunInference(handler))
    assert len({result.inference.parts[0].data for result in results}) == 3
    assert handler.batch_elements_kwargs()["max_batch_size"] == 128


def test_all_threads_work_on_a_batch(encoded: Any, run: Any) -> None:
    results = run(
        [encoded()] * 3,
        RunInference(RemBGModelHandler("tiny", remove_threads=3, opener=_meeting)),
    )
    assert [type(result.inference) for result in results] == [Cutout] * 3


def _meeting(config: SessionConfig) -> Any:
    """A session whose pictures wait until three are there."""
    loaded = opening.open_session(config)
    barrier, predict = threading.Barrier(3), loaded.session.predict

    class Meeting:
        def predict(self, image: Any, **arguments: Any) -> Any:
            barrier.wait(timeout=30)
            return predict(image, **arguments)

    return loaded._replace(session=Meeting())


def test_what_happened_is_counted(encoded: Callable[..., bytes]) -> None:
    pipeline = beam.Pipeline(runner="FnApiRunner")
    pictures = pipeline | beam.Create([encoded(), b"no picture"], reshuffle=False)
    _ = pictures | RunInference(RemBGModelHandler("tiny"))
    metrics = pipeline.run().metrics()
    found = metrics.query(MetricsFilter().with_namespace("rembg_beam"))
    counts = {each.key.metric.name: each.committed for each in found["counters"]}
    told = (
        "num_inferences",
        "remove_pictures",
        "remove_failures",
        "remove_on_CPUExecutionProvider",
    )
    assert [counts[name] for name in told] == [2, 1, 1, 1]
    sizes = {each.key.metric.name: each.committed.sum for each in found["distributions"]}
    assert sizes["inference_request_batch_byte_size"] == len(encoded()) + len(b"no picture")


NO_PICTURES: List[Any] = [None, "a.jpg", np.float64(7), ["a.jpg"], ("key",), ("key", b"")]


@pytest.mark.parametrize(
    "arguments", [{}, {"max_batch_duration_secs": 0.1}, {"large_model": True}], ids=str
)
def test_what_is_no_picture_at_all_is_a_failure_of_its_own(
    encoded: Callable[..., bytes], run: Any, arguments: Any
) -> None:
    """What could be in one batch with it has its cutout."""
    data = encoded()
    held: Any = bytearray(data)
    files = [data, held, Stored(held)]
    handler = RemBGModelHandler("tiny", **arguments)
    found = by_kind(run([*files, *NO_PICTURES], RunInference(handler)))
    assert len({result.inference.parts[0].data for result in found[Cutout]}) == 1
    assert [result.example for result in found[Cutout]] == files
    assert [result.example for result in found[Failure]] == NO_PICTURES
    for result in found[Failure]:
        step, error, message, _ = result.inference
        kind = type(result.example).__name__
        assert (step, error) == ("remove", "TypeError")
        assert f", of type {kind}: its examples are the bytes of a file, Stored" in message


def test_what_is_no_picture_is_an_exception_alone(encoded: Callable[..., bytes]) -> None:
    handler = RemBGModelHandler("tiny").with_postprocess_fn(RemBGModelHandler.raise_failure)
    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        pictures = pipeline | beam.Create([encoded(), None], reshuffle=False)
        results, dead = pictures | RunInference(handler).with_exception_handling()
        assert_that(results, lambda found: len(found) == 1 or 1 / 0)
        bad = dead.failed_postprocessing[0]
        assert_that(bad, lambda found: len(found) == 1 or 1 / 0, label="bad")
        assert_that(dead.failed_inferences, lambda batches: batches == [] or 1 / 0, label="none")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"session": "tinny"}, "did you mean 'tiny'"),
        ({"encoding": Encoding(format="jpeg")}, "has no transparency"),
        ({"max_batch_weight": 0}, "max_batch_weight=0 must be a positive integer"),
        ({"max_batch_duration_secs": 0}, "must be above 0"),
        ({"model_copies": 0}, "model_copies=0 must be a positive integer"),
        ({"remove_threads": -1}, "remove_threads=-1 must be a positive integer"),
    ],
)
def test_what_no_worker_could_do_is_refused(arguments: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RemBGModelHandler(**{"session": "tiny", **arguments})
