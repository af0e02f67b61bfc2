"""What is left for later: compiled loops until they pay, what is imported until it is asked for."""

import logging
import subprocess
import sys
import textwrap
import threading
from typing import Any, List

import numpy as np
import pytest
from PIL import Image

from rembg_beam.pipelines import cli, lean, status
from rembg_beam.transforms.fast import plain, resample, shrink, twin
from rembg_beam.transforms.fast.plain import PlainCutout
from rembg_beam.transforms.fast.twin import Twin
from rembg_beam.transforms.pictures.options import RemoveOptions
from rembg_beam.transforms.pictures.picture import Picture
from rembg_beam.transforms.pictures.shown import cut_out


def run(program: str) -> str:
    """What a program prints in a fresh interpreter."""
    command = [sys.executable, "-c", textwrap.dedent(program)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_a_fast_twin_is_loaded_once_the_slow_one_has_cost_as_much(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loaded: List[str] = []
    began, goes_on = threading.Event(), threading.Event()

    def load() -> Any:
        loaded.append(threading.current_thread().name)
        began.set()
        goes_on.wait(60)
        return abs

    each = Twin("numbers are made positive", load)
    with each.slowly():
        pass
    assert not loaded and each.fast() is None
    monkeypatch.setattr(twin, "PAYS_SECONDS", 0.0)
    for _ in range(3):
        with each.slowly():
            pass
    assert began.wait(60) and each.fast() is None  # the slow way goes on meanwhile
    goes_on.set()
    for thread in threading.enumerate():
        if thread.name in loaded:
            thread.join(60)
    assert each.fast() is abs and len(loaded) == 1


def _fail() -> Any:
    raise RuntimeError("no compiler for this machine")


@pytest.mark.parametrize(
    ("load", "why"), [(lambda: None, "other bits"), (_fail, "no compiler for this machine")]
)
def test_one_that_is_not_equal_or_not_to_be_had_is_left(
    load: Any, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        assert Twin("things are done", load).load() is None
    assert why in caplog.text


TWINS = {
    resample: (resample, "_resize"),
    plain: (PlainCutout, "up_filtered"),
    shrink: (shrink, "_shrink"),
}


@pytest.mark.parametrize("module", TWINS)
def test_other_bits_are_noticed(module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    owner, name = TWINS[module]
    real = getattr(owner, name)
    assert module._load() is not None

    def wrong(*arguments: Any) -> Any:
        pixels = real(*arguments)
        pixels.flat[-1] ^= 1
        return pixels

    monkeypatch.setattr(owner, name, wrong)
    assert module._load() is None


def test_pixels_are_the_same_before_it_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (70, 90, 3), np.uint8)
    mask = Image.fromarray(pixels[..., 0])
    picture = Picture(pixels=pixels)

    def both() -> List[Any]:
        cutout = cut_out(picture, [mask], RemoveOptions()).pictures[""]
        return [resample.resize(pixels, (31, 42)), np.asarray(cutout)]

    fast = both()
    for module in (resample, plain):
        monkeypatch.setattr(module, "twin", Twin("nothing", lambda: None))
    assert all(map(np.array_equal, fast, both()))


def test_rembg_is_imported_without_pymatting_until_it_is_called() -> None:
    """Fails when a later rembg uses it while it is imported."""
    printed = run("""
        import sys
        from rembg_beam.transforms.models.rembg_import import import_rembg
        rembg = import_rembg()
        print("pymatting" in sys.modules, "numba" in sys.modules)
        import rembg.bg, numpy as np
        ours = rembg.bg.estimate_foreground_ml(np.ones((4, 4, 3)), np.eye(4))
        from pymatting.foreground.estimate_foreground_ml import estimate_foreground_ml as theirs
        print(np.array_equal(ours, theirs(np.ones((4, 4, 3)), np.eye(4))))
        print(sys.modules["pymatting"].__file__ is not None)
    """)
    assert printed.split() == ["False", "False", "True", "True"]


def test_a_rembg_that_needs_it_at_once_gets_it() -> None:
    printed = run("""
        import sys
        from rembg_beam.transforms.models import rembg_import
        deferring = rembg_import._Deferring
        deferring._later = lambda self, module, name: 1 / 0
        print(rembg_import.import_rembg().__name__, "pymatting" in sys.modules)
        print(rembg_import.import_rembg().bg.estimate_foreground_ml.__module__[:9])
    """)
    assert printed.split() == ["rembg", "True", "pymatting"]


LATER = {"jsonschema", "numba", "pandas", "pymatting", "scipy", "skimage"}


def test_a_plain_run_imports_nothing_that_it_does_not_use(tmp_path: Any, photos: Any) -> None:
    """Fails when a later Beam, rembg or pyarrow can't do without."""
    printed = run(f"""
        import sys
        from rembg_beam.pipelines.cli import main
        main(["run", "--input", {str(photos / "a.jpg")!r}, "--output", {str(tmp_path / "out")!r},
              "--model", "tiny"])
        print("modules:", *({LATER!r} & set(sys.modules)))
    """)
    assert printed.endswith("modules:\n")


@pytest.mark.long
def test_what_was_left_for_later_gives_the_same_pixels(tmp_path: Any, photos: Any) -> None:
    """`kernel = disk(1)` is computed where rembg is imported; without scipy, when it is used."""
    words = ["run", "--input", str(photos / "a.jpg"), "--model", "tiny", "--post_process_mask"]
    program = """
        from rembg_beam.pipelines import cli
        {before}
        raise SystemExit(cli.main({words!r}))
    """
    plainly = "import rembg, pandas; from rembg_beam.transforms.models import rembg_import"
    for name, before in (("lean", "pass"), ("plain", plainly)):
        run(program.format(before=before, words=[*words, "--output", str(tmp_path / name)]))
    lean, plain = (
        np.asarray(Image.open(next((tmp_path / name).rglob("*.png")))) for name in ("lean", "plain")
    )
    assert np.array_equal(lean, plain) and 0 < lean[..., 3].mean() < 255


def test_a_beam_that_needs_what_is_hidden_gets_it() -> None:
    printed = run("""
        import sys
        from rembg_beam.pipelines import lean
        lean.HIDDEN = lean.HIDDEN | {"grpc"}
        lean.import_beam()
        import apache_beam, pandas
        print("grpc" in sys.modules, pandas.__name__)
    """)
    assert printed.split() == ["True", "pandas"]


@pytest.mark.parametrize("words", [["--runner", "PrismRunner"], ["--config=job.yaml"]])
def test_another_runner_gets_all_of_beam(words: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lean, "import_beam", lambda: pytest.fail("hidden from another runner"))
    assert cli.main(["run", *words, "--nonsense"]) == status.WRONG_USE
