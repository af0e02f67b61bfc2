"""An NVIDIA GPU: `pytest -m gpu` where there is one, with pytest and `rembg-beam[gpu]` alone.

In `make test` the same runs on an emulated card (`support.card`), with less of everything; with
`--emulate-gpu` too. What was measured stands at the end of pytest's report.
"""

import contextlib
import ctypes.util
import importlib.util
import io
import shutil
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Sequence, Tuple

import numpy as np
import onnxruntime
import pytest
from PIL import Image
from support import card
from support.cutting import through

from rembg_beam.pipelines import cli
from rembg_beam.transforms import Engine, RemBGDoFn, RemoveOptions, SessionConfig
from rembg_beam.transforms.elements import Cutout, Failure
from rembg_beam.transforms.models import providers, sessions
from rembg_beam.transforms.models.placement import ProviderNotInUse

pytestmark = pytest.mark.gpu

CUDA = providers.find("CUDA").name
TENSORRT = providers.find("Tensorrt").name

# Of a mask's 255 levels, and of its pixels: how far a card may be from the CPU.
LIMITS = {"fp32": (1, 0.05), "tf32": (4, 0.5), "fp16": (16, 0.8)}
# ... of a network of true size, whose weights are random: emulated, TF32 moves it by 3 levels, in
# other ways for other sums. TF32 has as many bits as fp16.
OF_RANDOM = {**LIMITS, "tf32": LIMITS["fp16"]}
# ... and a picture in company from the same alone, on the card, in fp32.
IN_COMPANY = (2, 0.3)

MEGABYTE = 1 << 20


class Scale(NamedTuple):
    """How much is done.

    Attributes:
      batch: pictures in the largest batch.
      pictures: widths and heights, of every other one.
      memory: limits in megabytes: the last takes that batch, the first not one picture.
    """

    batch: int
    pictures: Tuple[Tuple[int, int], Tuple[int, int]]
    memory: Sequence[int]


REAL = Scale(16, ((1000, 667), (2000, 1334)), [8 << power for power in range(11)])
EMULATED = Scale(4, ((90, 60), (150, 110)), [32, 64, 128, 256])


class Shift(NamedTuple):
    """Between two masks: the most levels, and the share of pixels that differ."""

    levels: int
    share: float

    def __str__(self) -> str:
        return f"{self.levels} levels at most, {self.share:.2%} of pixels"

    def is_within(self, limit: Tuple[int, float]) -> bool:
        return self.levels <= limit[0] and self.share <= limit[1]


@pytest.fixture(scope="module")
def is_emulated(request: pytest.FixtureRequest) -> bool:
    given = request.config.option
    return given.emulate_gpu or given.markexpr != "gpu"


@pytest.fixture(scope="module")
def scale(is_emulated: bool) -> Scale:
    return EMULATED if is_emulated else REAL


@pytest.fixture(scope="module", autouse=True)
def _card(is_emulated: bool) -> Iterator[None]:
    """The card, emulated or real, whose memory each test finds empty."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sessions, "IDLE_SECONDS", 0.0)
        with card.emulated() if is_emulated else contextlib.nullcontext():
            yield


@pytest.fixture(scope="module")
def gpu_home(is_emulated: bool, pytestconfig: Any, tmp_path_factory: Any) -> Path:
    """A home of rembg's with a stand-in for every model; on a card, U²-Netp is of its true size."""
    from support import standins

    home = tmp_path_factory.mktemp("gpu")
    standins.write_all(home)
    if not is_emulated:
        with pytest.MonkeyPatch.context() as patch:
            patch.syspath_prepend(pytestconfig.rootpath / "benchmarks")
            graphs = importlib.import_module("graphs")
            # For PNGs of true size its edges are steep: any rounding would move them by levels.
            patch.setattr(graphs, "GAIN", 1.0)
            shutil.copy(
                graphs.write(home / "published", "u2netp"), home / "models/u2netp/u2netp.onnx"
            )
    return home


@pytest.fixture(autouse=True)
def _in_that_home(gpu_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REMBG_HOME", str(gpu_home))
    monkeypatch.setenv("MODEL_CHECKSUM_DISABLED", "1")


@pytest.fixture
def jpegs(scale: Scale, encoded: Callable[..., bytes]) -> List[bytes]:
    """As many as a batch takes, every other one larger."""
    return [
        encoded("JPEG", width=width, height=height, seed=13 * seed)
        for seed in range(scale.batch)
        for width, height in [scale.pictures[seed % 2]]
    ]


def config(model: str, label: str = "CUDA", size: int = 1, **options: Any) -> SessionConfig:
    """With provider options, and batches of `size`, for which each waits long enough."""
    provider = (label, options)
    return SessionConfig(
        model, [provider], offline=True, max_batch_size=size, max_batch_wait_msecs=500
    )


def masks(made: SessionConfig, data: Sequence[bytes], threads: int = 1) -> List[Any]:
    """uint8 [height, width] of each picture; so many at once."""
    with Engine(made, options=RemoveOptions(only_mask=True)) as engine:
        return _masks(engine, data, threads)


def _masks(engine: Engine, data: Sequence[bytes], threads: int) -> List[Any]:
    start = threading.Barrier(threads, timeout=60)

    def one(picture: bytes) -> Any:
        if threads > 1:
            start.wait()
        cutout = engine.remove(picture)
        assert cutout.facts.provider in (CUDA, TENSORRT, card.CPU)
        with Image.open(io.BytesIO(cutout.parts[0].data)) as mask:
            return np.asarray(mask)

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(one, data))


def shift(found: Sequence[Any], expected: Sequence[Any]) -> Shift:
    """The largest of all pairs."""
    most, share = 0, 0.0
    for one, other in zip(found, expected, strict=True):
        assert one.shape == other.shape
        difference = np.abs(one.astype(int) - other)
        most = max(most, int(difference.max()))
        share = max(share, float(np.count_nonzero(difference) / difference.size))
    return Shift(most, share)


@contextlib.contextmanager
def recorded_sizes() -> Iterator[List[int]]:
    """Of the runs of any session in this process, how many pictures each had."""
    sizes: List[int] = []
    original = onnxruntime.InferenceSession.run

    def run(self: Any, names: Any, feeds: Dict[str, Any], options: Any = None) -> Any:
        outputs = original(self, names, feeds, options)
        sizes.append(len(next(iter(feeds.values()))))
        return outputs

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(onnxruntime.InferenceSession, "run", run)
        yield sizes


@contextlib.contextmanager
def opened_files() -> Iterator[List[str]]:
    """Of the graphs of any session that is made."""
    paths: List[str] = []
    original = onnxruntime.InferenceSession.__init__

    def init(self: Any, path: str, *arguments: Any, **more: Any) -> None:
        paths.append(path)
        original(self, path, *arguments, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(onnxruntime.InferenceSession, "__init__", init)
        yield paths


# the proof


@pytest.mark.parametrize(
    "name", ["tiny", "u2netp", "isnet-general-use", "birefnet-general", "sam", "u2net_cloth_seg"]
)
def test_every_kind_of_model_runs_there(name: str, jpegs: List[bytes], tell: Any) -> None:
    with Engine(config(name)) as engine:
        loaded = engine.open()
        assert loaded.provider == CUDA
        tell(f"{name}: {loaded.share:.0%} of nodes on CUDA")
        assert loaded.share > 0.5
        assert engine.remove(jpegs[0]).facts.provider == CUDA


def test_device_0_is_the_default_and_another_is_refused(jpegs: List[bytes]) -> None:
    chosen = masks(config("u2netp", device_id=0), jpegs[:1])
    assert shift(chosen, masks(config("u2netp"), jpegs[:1])).is_within(IN_COMPANY)
    with pytest.raises(ProviderNotInUse, match=r"CUDA .*device_id=99.*Why: .*(device|CUDA)"):
        masks(config("u2netp", device_id=99), jpegs[:1])


def test_the_second_device(jpegs: List[bytes], is_emulated: bool) -> None:
    if not is_emulated and len(_devices()) < 2:
        pytest.skip("there is one GPU here")
    first, second = (masks(config("u2netp", device_id=number), jpegs[:1]) for number in (0, 1))
    assert shift(first, second).is_within(IN_COMPANY)


def _devices() -> List[str]:
    if shutil.which("nvidia-smi") is None:
        return []
    listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True)
    return [line for line in listed.stdout.splitlines() if line.startswith("GPU ")]


# pixels


@pytest.mark.parametrize("kind", LIMITS)
@pytest.mark.parametrize("name", ["tiny", "u2netp"])
def test_masks_are_the_cpus(
    name: str, kind: str, jpegs: List[bytes], is_emulated: bool, tell: Any
) -> None:
    expected = masks(config(name, "CPU"), jpegs[:4])
    made = config(name, use_tf32=int(kind == "tf32"))
    if kind == "fp16":
        made = replace(made, precision="fp16", max_level_shift=255.0)
    with opened_files() as files:
        found = shift(masks(made, jpegs[:4]), expected)
    assert any("/fp16-" in path for path in files) == (kind == "fp16")
    tell(f"{name} in {kind} against the CPU: {found}")
    limits = LIMITS if is_emulated or name == "tiny" else OF_RANDOM
    assert found.is_within(limits[kind])


# batches


@pytest.mark.parametrize(("name", "kind"), [("tiny", "fp32"), ("u2netp", "fp32"), ("tiny", "tf32")])
def test_batches_of_every_size(
    name: str, kind: str, scale: Scale, jpegs: List[bytes], tell: Any
) -> None:
    is_tf32 = kind == "tf32"
    limit = LIMITS[kind] if is_tf32 else IN_COMPANY
    alone = masks(config(name, use_tf32=int(is_tf32)), jpegs)
    made = config(name, size=scale.batch, use_tf32=int(is_tf32))
    with Engine(made, options=RemoveOptions(only_mask=True)) as engine:
        assert engine.open().batch == scale.batch
        sizes = made.batch_sizes()
        for number in sorted({*sizes, *(size - 1 for size in sizes)} - {0}):
            with recorded_sizes() as runs:
                found = shift(_masks(engine, jpegs[:number], number), alone[:number])
            tell(f"{name} in {kind}, {number} at once in runs of {runs}: {found} from alone")
            assert max(runs) >= number, "they share a run"
            assert found.is_within(limit)


# memory


def test_a_picture_that_does_not_fit_is_a_failed_row(
    scale: Scale, jpegs: List[bytes], tell: Any
) -> None:
    limit = _fitting(scale.memory, jpegs[0])[0] // 2
    found = through(RemBGDoFn(config("u2netp", gpu_mem_limit=limit * MEGABYTE)), jpegs[0])
    assert isinstance(found, Failure), found
    tell(f"in {limit} MB: {found.message}")
    assert "alloc" in found.message.lower() or "memory" in found.message.lower()


def test_batches_follow_the_memory_there_is(scale: Scale, jpegs: List[bytes], tell: Any) -> None:
    alone = masks(config("u2netp", use_tf32=0), jpegs)
    taken = []
    for limit in _fitting(scale.memory, jpegs[0]):
        own: Dict[str, Any] = {"gpu_mem_limit": limit * MEGABYTE, "use_tf32": 0}
        made = config("u2netp", size=scale.batch, **own)
        with (
            Engine(made, options=RemoveOptions(only_mask=True)) as engine,
            recorded_sizes() as sizes,
        ):
            found = shift(_masks(engine, jpegs, scale.batch), alone)
        taken.append(max(sizes))
        tell(f"in {limit} MB: batches of {taken[-1]}")
        assert found.is_within(IN_COMPANY)
    assert taken[0] < scale.batch == taken[-1] and taken == sorted(taken)


def _fitting(memory: Sequence[int], picture: bytes) -> Sequence[int]:
    """The limits in which a picture fits alone; never is it cut out elsewhere."""
    for index, limit in enumerate(memory):
        made = config("u2netp", gpu_mem_limit=limit * MEGABYTE)
        try:
            found = through(RemBGDoFn(made), picture)
        except ProviderNotInUse:  # not even the weights have room
            continue
        if isinstance(found, Cutout):
            assert found.facts.provider == CUDA
            return memory[index:]
    pytest.fail(f"a picture doesn't fit into {memory[-1]} MB")


# TensorRT, and the command


@pytest.mark.parametrize("name", ["u2netp", "isnet-general-use", "sam"])
def test_tensorrt(name: str, jpegs: List[bytes], is_emulated: bool) -> None:
    installed = importlib.util.find_spec("tensorrt_libs") or ctypes.util.find_library("nvinfer")
    if not (is_emulated or installed):
        pytest.skip("there is no TensorRT here: rembg-beam[tensorrt] brings it")
    found = through(RemBGDoFn(config(name, "Tensorrt")), jpegs[0])
    assert isinstance(found, Cutout), found
    assert found.facts.provider == TENSORRT


def test_the_command(scale: Scale, jpegs: List[bytes], tmp_path: Path, capfd: Any) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for index, data in enumerate(jpegs):
        (photos / f"{index}.jpg").write_bytes(data)
    output = tmp_path / "out"
    places = ["--input", str(photos), "--output", str(output)]
    flags = ["--model", "tiny", "--provider", "CUDA", "--max_batch_size", str(scale.batch)]
    assert cli.main(["run", *places, *flags]) == 0
    assert capfd.readouterr().out.startswith(f"{scale.batch} written")
    assert len(list(output.glob("*.png"))) == scale.batch
    import pyarrow.parquet

    rows = pyarrow.parquet.read_table(output / "_manifest", columns=["provider"])
    assert set(rows["provider"].to_pylist()) == {CUDA}
    assert cli.main(["providers"]) == 0
    (row,) = (line for line in capfd.readouterr().out.splitlines() if line.startswith("CUDA "))
    assert row.split()[2:4] == ["yes", "yes"]
