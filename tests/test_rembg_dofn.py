"""The DoFn in anybody's pipeline, and the sessions under it."""

import collections
import io
import pickle
import subprocess
import sys
import textwrap
import threading
import time
from typing import Any, Callable, List

import apache_beam as beam
import pytest
import rembg
from apache_beam.testing.util import assert_that, equal_to
from PIL import Image
from support.cutting import rembgs_own

from rembg_beam.transforms import Cutout, Encoding, Failure, RemBGDoFn, RemoveOptions, SessionConfig
from rembg_beam.transforms.models import catalogue, opening, providers, sessions, weights

# No onnxruntime can be imported after this line.
WITHOUT_ONNXRUNTIME = """
    import importlib.util, sys
    found = importlib.util.find_spec
    importlib.util.find_spec = lambda name, *more: None if name == "onnxruntime" else found(name)
    sys.modules["onnxruntime"] = None
"""


def test_pairs_in_pairs_out_and_failures_on_a_tag(encoded: Callable[..., bytes]) -> None:
    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        cutouts, failures = (
            pipeline
            | beam.Create([(7, encoded()), (8, b"no picture"), (9, encoded("JPEG", seed=1))])
            | beam.ParDo(RemBGDoFn(SessionConfig("tiny"))).with_outputs(
                RemBGDoFn.FAILURES, main="cutouts"
            )
        )
        facts = cutouts | beam.MapTuple(
            lambda key, cutout: (key, cutout.facts.width, cutout.model, cutout.facts.provider)
        )
        why = failures | beam.MapTuple(lambda key, failure: (key, failure.step, failure.error))
        cpu = "CPUExecutionProvider"
        assert_that(facts, equal_to([(7, 48, "tiny", cpu), (9, 48, "tiny", cpu)]))
        assert_that(why, equal_to([(8, "remove", "NotAPicture")]), label="failures")


def test_the_cutout_is_rembgs(
    run: Callable[..., List[Any]], encoded: Callable[..., bytes], picture: Callable[..., Any]
) -> None:
    data = encoded(width=100, height=80)
    dofn = RemBGDoFn(
        SessionConfig("tiny"),
        options=RemoveOptions(post_process_mask=True),
        encoding=Encoding(format="png"),
    )
    ((key, cutout),) = run([("key", data)], beam.ParDo(dofn))
    session = rembgs_own()
    (part,) = cutout.parts
    assert key == "key" and part.suffix == ""
    theirs = rembg.remove(data, session=session, post_process_mask=True)
    with Image.open(io.BytesIO(part.data)) as ours, Image.open(io.BytesIO(theirs)) as expected:
        assert (ours.mode, ours.tobytes()) == (expected.mode, expected.tobytes())


def test_equal_configurations_share_one_session_and_unequal_ones_do_not() -> None:
    opened: collections.Counter[SessionConfig] = collections.Counter()

    def opener(config: SessionConfig) -> Any:
        time.sleep(0.05)
        opened[config] += 1
        return opening.open_session(config)

    one = [SessionConfig("tiny"), SessionConfig("tiny", ["cpu"]), SessionConfig(model="tiny")]
    other = [SessionConfig("tiny", session_option={"intra_op_num_threads": 2})]
    dofns = [RemBGDoFn(config, opener=opener) for config in (*one, *other) for _ in range(8)]
    threads = [threading.Thread(target=dofn.setup) for dofn in dofns]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert opened == {one[0]: 1, other[0]: 1}
    assert len({id(dofn.engine._held[dofn.engine.session].session) for dofn in dofns}) == 2
    for dofn in dofns:
        dofn.teardown()


def test_a_session_nobody_uses_is_let_go_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "IDLE_SECONDS", 0.3)
    opened: List[SessionConfig] = []

    def opener(config: SessionConfig) -> Any:
        opened.append(config)
        return object()

    config = SessionConfig("tiny")
    first = sessions.acquire(config, opener)
    sessions.release(config, opener)
    assert sessions.acquire(config, opener) is first  # soon enough
    time.sleep(0.6)
    assert sessions.acquire(config, opener) is first  # still held
    sessions.release(config, opener)
    sessions.release(config, opener)
    time.sleep(0.9)
    assert sessions.acquire(config, opener) is not first
    assert len(opened) == 2


def test_a_session_that_fails_to_open_is_tried_again() -> None:
    loaded = opening.Loaded("session", None, 1.0)
    answers = iter([OSError("no"), loaded])

    def opener(config: SessionConfig) -> Any:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    with pytest.raises(OSError):
        sessions.acquire(SessionConfig("tiny"), opener)
    assert sessions.acquire(SessionConfig("tiny"), opener) is loaded


def test_a_config_is_small_and_picklable() -> None:
    config = SessionConfig("u2net", [("CUDA", {"device_id": 1}), "CPU"], session_option={"a.b": 1})
    assert pickle.loads(pickle.dumps(config)) == config
    assert len(pickle.dumps(config)) < 500
    assert hash(config) == hash(
        SessionConfig(
            "u2net", [("cudaexecutionprovider", {"device_id": 1}), "cpu"], None, {"a.b": 1}
        )
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"model": "u2nett"}, "unknown model 'u2nett'; did you mean 'u2net'"),
        ({"model": "u2net_custom"}, "needs a model_path"),
        ({"model": "withoutbg"}, "uploads every picture"),
        ({"model": "tiny", "provider": "CUDDA"}, "did you mean 'CUDA'"),
        ({"model": "tiny", "provider": []}, "provider is empty"),
        ({"model": "tiny", "provider": ["CPU", "cpu"]}, "twice"),
        ({"model": "tiny", "provider": [7]}, "holds 7"),
        ({"model": "tiny", "session_option": {"intra_op_threads": 1}}, "intra_op_num_threads"),
        ({"model": "tiny", "session_option": {"a.b": [1]}}, "must be a number"),
        ({"model": "tiny", "precision": "fp8"}, "must be one of fp32, fp16"),
        ({"model": "tiny", "precision": "fp16", "max_level_shift": 0}, "must be above 0"),
        ({"model": "sam", "precision": "fp16"}, "'sam' is none: leave it at 'fp32'"),
        ({"model": "tiny", "precision": "fp16", "exact": True}, "exclude each other"),
        ({"model": "tiny", "provider": ("CUDA", {"use_tf32": 1}), "exact": True}, "use_tf32 of"),
    ],
)
def test_configurations_that_cannot_be_are_refused(arguments: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SessionConfig(**arguments)


@pytest.mark.parametrize("arguments", [{"threads": -3}, {"max_memory": "2GB"}])
def test_wrong_arguments_never_reach_a_worker(arguments: Any) -> None:
    with pytest.raises(ValueError, match="must be a positive integer"):
        RemBGDoFn(SessionConfig("tiny"), **arguments)


def test_a_failure_after_the_model_keeps_what_was_learnt(encoded: Callable[..., bytes]) -> None:
    dofn = RemBGDoFn(SessionConfig("tiny"), encoding=Encoding(format="webp"))
    dofn.setup()
    failure = dofn.work(("key", encoded(width=17000, height=2)))
    dofn.teardown()
    assert isinstance(failure, Failure) and failure.error == "EncodeError"
    assert (failure.facts.width, failure.facts.provider) == (17000, "CPUExecutionProvider")


def test_session_options_reach_onnxruntime() -> None:
    config = SessionConfig(
        "tiny",
        session_option={
            "graph_optimization_level": "ORT_DISABLE_ALL",
            "intra_op_num_threads": 2,
            "session.intra_op.allow_spinning": "0",
        },
    )
    options = opening.open_session(config).session.inner_session.get_session_options()
    assert options.intra_op_num_threads == 2
    assert options.graph_optimization_level.name == "ORT_DISABLE_ALL"
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"


def test_a_model_file_that_is_not_there_is_named() -> None:
    with pytest.raises(weights.ModelFileError, match=r"u2net_custom.*/no/such\.onnx"):
        RemBGDoFn(SessionConfig("u2net_custom", model_path="/no/such.onnx")).setup()


def test_a_custom_model_runs_from_anywhere(encoded: Callable[..., bytes]) -> None:
    config = SessionConfig("u2net_custom", model_path=catalogue.bundled_path())
    dofn = RemBGDoFn(config)
    dofn.setup()
    outputs = [
        *dofn.process(("a", encoded()), _windowed(("a", encoded()))),
        *dofn.finish_bundle(),
    ]
    assert isinstance(outputs[0].value[1], Cutout)
    dofn.teardown()
    assert all("rembg_beam" not in name for name in rembg.sessions.sessions_names)


def _windowed(value: Any) -> Any:
    return beam.transforms.window.GlobalWindows.windowed_value(value)


def test_the_catalogue_is_rembgs() -> None:
    ours = {model.name for model in catalogue.MODELS.values()} - {catalogue.TINY}
    assert ours == set(rembg.sessions.sessions_names)
    for name, found in rembg.sessions.sessions.items():
        assert catalogue.find(name).is_remote == (not found.is_local())


def test_the_providers_are_onnxruntimes() -> None:
    import onnxruntime

    known = set(onnxruntime.get_all_providers())
    assert {provider.name for provider in providers.PROVIDERS} <= known
    assert providers.find("coreml") is providers.find("CoreMLExecutionProvider")


def _python(program: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(WITHOUT_ONNXRUNTIME) + textwrap.dedent(program)],
        capture_output=True,
        text=True,
        check=False,
    )


def test_building_a_pipeline_needs_no_onnxruntime() -> None:
    built = _python("""
        import apache_beam as beam
        from rembg_beam.transforms import RemoveBackground, SessionConfig
        import rembg_beam.pipelines.commands.run

        pipeline = beam.Pipeline()
        session = SessionConfig("u2net", "CUDA")
        pipeline | beam.Create(["a.jpg"]) | RemoveBackground(output="out", session=session)
        pipeline.to_runner_api()
        assert "rembg" not in sys.modules
    """)
    assert built.returncode == 0, built.stderr


def test_a_worker_without_onnxruntime_says_what_to_install() -> None:
    failed = _python("""
        from rembg_beam.transforms import RemBGDoFn, SessionConfig
        RemBGDoFn(SessionConfig("tiny")).setup()
    """)
    assert failed.returncode == 1
    assert "NoOnnxruntime: no onnxruntime on this machine: install rembg-beam[cpu]" in failed.stderr
