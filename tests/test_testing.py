"""What users' own tests are made with: a stand-in for a model, and matchers."""

import io
import os
import pickle
import re
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any, Callable, List

import apache_beam as beam
import numpy as np
import pytest
from apache_beam.ml.inference.base import RunInference
from apache_beam.testing.test_pipeline import TestPipeline
from apache_beam.testing.util import BeamAssertException, assert_that
from PIL import Image

from rembg_beam.testing import FakeModel, brightness, failed, outcomes_equal, skipped, written
from rembg_beam.transforms import (
    CutOut,
    Engine,
    Outcome,
    RemBGModelHandler,
    RemoveBackground,
    RemoveOptions,
    SessionConfig,
    Source,
)
from rembg_beam.transforms.models import catalogue

MARKS = [{"type": "point", "data": [1, 2], "label": 1}]


@pytest.fixture
def shades(tmp_path: Path) -> List[str]:
    """Pictures that are white, grey and black."""
    found = []
    for name, level in (("white", 255), ("grey", 100), ("black", 0)):
        found.append(str(tmp_path / f"{name}.png"))
        Image.new("RGB", (6, 4), (level, level, level)).save(found[-1])
    return found


def test_the_mask_is_made_of_the_pixels_and_the_cutout_of_the_mask(
    shades: List[str], tmp_path: Path
) -> None:
    model = FakeModel()
    pictures = [Source.of(uri, extras={"sam_prompt": MARKS}) for uri in shades]
    with TestPipeline() as pipeline:
        outcomes = (
            pipeline
            | beam.Create(pictures)
            | RemoveBackground(
                output=str(tmp_path / "out"),
                session="u2net",
                relative_to=str(tmp_path),
                options=RemoveOptions(empty_mask="skip"),
                opener=model,
            )
        )
        expected = [
            written(shades[0], foreground=1.0, provider="CPUExecutionProvider", model="u2net"),
            written(shades[1], foreground=0.0),
            skipped(shades[2], message=re.compile("found nothing")),
        ]
        assert_that(outcomes, outcomes_equal(expected))
    alphas = [Image.open(tmp_path / "out" / f"{name}.png.png") for name in ("white", "grey")]
    assert [image.getpixel((0, 0)) for image in alphas] == [(255,) * 4, (39, 39, 39, 100)]
    assert sorted(model.calls) == [((6, 4), {"sam_prompt": MARKS})] * 3
    assert model.opened == (SessionConfig("u2net"),)


def test_errors_are_those_of_its_function(shades: List[str], tmp_path: Path) -> None:
    model = FakeModel(_no_grey)
    with TestPipeline() as pipeline:
        outcomes = (
            pipeline
            | beam.Create(shades)
            | RemoveBackground(output=str(tmp_path / "out"), session="u2net", opener=model)
        )
        expected = [written(), written(), failed(shades[1], error="KeyError", step="remove")]
        assert_that(outcomes, outcomes_equal(expected))
    assert len(model.calls) == 3


def _no_grey(image: Image.Image) -> Image.Image:
    if image.getpixel((0, 0)) == (100, 100, 100):
        raise KeyError("grey")
    return brightness(image)


@pytest.mark.parametrize(
    "mask",
    [Image.new("L", (4, 6)), np.zeros((6, 4, 1), np.uint8), None],
    ids=lambda mask: type(mask),
)
def test_a_mask_of_another_size_is_told(shades: List[str], tmp_path: Path, mask: Any) -> None:
    model = FakeModel(lambda image: mask)
    why = re.compile(rf"{type(mask).__name__} of shape .* for a picture of \[4, 6\]")
    with TestPipeline() as pipeline:
        outcomes = (
            pipeline
            | beam.Create(shades[:1])
            | RemoveBackground(output=str(tmp_path / "out"), session="u2net", opener=model)
        )
        assert_that(outcomes, outcomes_equal([failed(error="ValueError", message=why)]))


def test_it_works_wherever_an_opener_goes(encoded: Callable[..., bytes], run: Any) -> None:
    model = FakeModel()
    run([("key", encoded())], beam.ParDo(CutOut(session="u2net", opener=model).step()))
    run([encoded()], RunInference(RemBGModelHandler("u2net", opener=model)))
    with Engine(SessionConfig("u2net"), opener=model) as engine:
        engine.remove(encoded())
    assert len(model.calls) == 3


@pytest.mark.parametrize("name", sorted(set(catalogue.MODELS) - {"withoutbg", "atlascloud"}))
def test_it_stands_in_for_every_model(name: str, encoded: Callable[..., bytes]) -> None:
    path = "absent.onnx" if catalogue.MODELS[name].is_custom else None
    model = FakeModel()
    with Engine(SessionConfig(name, model_path=path, offline=True), opener=model) as engine:
        cutout = engine.remove(encoded())
    assert len(cutout.parts) == (3 if name == catalogue.CLOTH else 1)


def test_vitmatte_and_one_of_several_masks(encoded: Callable[..., bytes]) -> None:
    options = RemoveOptions(vitmatte=True, extras={"cloth_category": "upper"})
    model = FakeModel()
    with Engine(SessionConfig(catalogue.CLOTH), options=options, opener=model) as engine:
        (part,) = engine.remove(encoded()).parts
    assert part.suffix == ".upper"
    assert [config.model for config in model.opened] == [
        *(catalogue.CLOTH, "vitmatte-small-distinctions-646"),
    ]


def test_a_mask_may_be_an_array(encoded: Callable[..., bytes]) -> None:
    model = FakeModel(lambda image: np.full((image.height, image.width), 7, np.uint8))
    with Engine(SessionConfig("tiny"), opener=model) as engine:
        (part,) = engine.remove(encoded()).parts
    with Image.open(io.BytesIO(part.data)) as image:
        assert image.getchannel("A").getextrema() == (7, 7)


def test_copies_count_together() -> None:
    model = FakeModel()
    copy = pickle.loads(pickle.dumps(model))
    copy(SessionConfig("tiny")).session.predict(Image.new("L", (2, 1)))
    assert copy == model != FakeModel() and hash(copy) == hash(model)
    assert len(model.calls) == len(copy.calls) == 1
    del model
    assert copy.calls == ()


def row(**columns: Any) -> Outcome:
    return Outcome(**{**dict.fromkeys(Outcome._fields), **columns})


@pytest.mark.parametrize(
    ("expected", "outcomes"),
    [
        ([written()], [row(status="written", uri="a")]),
        ([failed(), failed("b")], [row(status="failed", uri="b"), row(status="failed", uri="a")]),
        ([failed(message=re.compile("o$"))], [row(status="failed", message="no")]),
        ([skipped(metadata={"a": 1})], [row(status="skipped", metadata='{"a": 1}')]),
        ([written(sku=7)], [beam.Row(status="written", uri="a", sku=7)]),
        ([], []),
    ],
    ids=str,
)
def test_outcomes_that_are_as_expected(expected: Any, outcomes: Any) -> None:
    outcomes_equal(expected)(outcomes)


@pytest.mark.parametrize(
    ("expected", "outcomes", "message"),
    [
        ([written("a")], [], r"missing: written\(uri='a'\)$"),
        ([], [row(status="written", uri="a")], r"not expected: written\(uri='a'\)$"),
        (
            [written(width=3)],
            [row(status="failed", uri="b", width=4, height=5, message="why")],
            r"g: written\(width=3\)\nnot expected: failed\(uri='b', message='why', width=4\)$",
        ),
        (
            [written(sku=7)],
            [beam.Row(status="written", uri="a", sku=8)],
            r"missing: written\(sku=7\)\nnot expected: written\(uri='a', sku=8\)$",
        ),
        ([failed("a"), failed("a")], [row(status="failed", uri="a")], "missing"),
        ([failed(step="read")], [row(status="failed", step="write")], "step='write'"),
        ([failed(message=re.compile("a"))], [row(status="failed")], "not expected"),
        ([skipped(metadata={"a": 1})], [row(status="skipped", metadata="{}")], "metadata='{}'"),
    ],
)
def test_outcomes_that_are_not(expected: Any, outcomes: Any, message: str) -> None:
    with pytest.raises(BeamAssertException, match=message):
        outcomes_equal(expected)(outcomes)


def test_a_column_that_is_none_is_refused() -> None:
    with pytest.raises(TypeError, match="no column 'widht'; did you mean 'width'"):
        outcomes_equal([written(widht=3)])([row(status="written")])


WITHOUT_ONNXRUNTIME = """
    import sys
    from rembg_beam.testing import FakeModel
    from rembg_beam.transforms import Engine, SessionConfig
    from rembg_beam.transforms.models import opening

    with Engine(SessionConfig("u2net"), opener=FakeModel()) as engine:
        sys.stdout.buffer.write(engine.remove(sys.stdin.buffer.read()).parts[0].data)
    assert not {"onnxruntime", "numba", "pymatting"} & set(sys.modules)
    try:
        opening.open_session(SessionConfig("tiny"))
    except opening.NoOnnxruntime:
        pass
    else:
        sys.exit("there is one")
"""


@pytest.mark.long
def test_it_needs_no_onnxruntime(tmp_path: Path, root: Path, encoded: Callable[..., bytes]) -> None:
    """In a Python that has all other packages."""
    for folder in [path for path in sys.path if path.endswith("site-packages")]:
        for entry in Path(folder).iterdir():
            if not entry.name.startswith("onnxruntime") and not (tmp_path / entry.name).exists():
                (tmp_path / entry.name).symlink_to(entry)
    done = subprocess.run(
        [sys.executable, "-S", "-c", textwrap.dedent(WITHOUT_ONNXRUNTIME)],
        env={**os.environ, "PYTHONPATH": f"{root / '.typing'}:{tmp_path}"},
        input=encoded(),
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr.decode()
    with Engine(SessionConfig("u2net"), opener=FakeModel()) as engine:
        assert engine.remove(encoded()).parts[0].data == done.stdout
