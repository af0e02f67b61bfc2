"""The pixels are rembg's own: every model, every option, pictures of every kind, in any company."""

import inspect
import io
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Dict, List, Optional, Tuple

import numpy as np
import pytest
import rembg
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from support import kinds
from support.cutting import assert_same, cutout_of, through
from support.options import OPTIONS, VITMATTE
from support.standins import config

from rembg_beam.transforms import Cutout, RemBGDoFn, RemoveOptions
from rembg_beam.transforms.fast import jpeg, plain, resample
from rembg_beam.transforms.fast.plain import PlainCutout
from rembg_beam.transforms.fast.stretch import stretch
from rembg_beam.transforms.models import catalogue, predicting
from rembg_beam.transforms.models.catalogue import MODELS

LOCAL = [name for name, model in MODELS.items() if not model.is_remote and name != catalogue.TINY]

# One class of rembg's with another file: one picture shows that the file is the right one.
ALIKE = [name for name in LOCAL if name.startswith("birefnet-") and name != "birefnet-general"]


@pytest.fixture
def theirs(rembg_home: Path) -> Any:
    """rembg's own session, of a stand-in whose every output pixel depends on the whole input."""
    return rembg.new_session("u2netp", providers=["CPUExecutionProvider"])


def expected(data: bytes, session: Any, options: Dict[str, Any]) -> Image.Image:
    with Image.open(io.BytesIO(data)) as image:
        return rembg.remove(image, session=session, **options)


def ours(dofn: RemBGDoFn, data: bytes) -> Cutout:
    cutout = cutout_of(dofn.work(("key", data)))
    assert isinstance(cutout, Cutout), cutout
    return cutout


@pytest.mark.parametrize(
    "options",
    [
        pytest.param(options, id=name, marks=[pytest.mark.long] if "," in name else [])
        for name, options in OPTIONS.items()
    ],
)
@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::RuntimeWarning")
def test_every_option_on_pictures_of_every_kind(
    rembg_home: Path, theirs: Any, options: Dict[str, Any]
) -> None:
    dofn = RemBGDoFn(config("u2netp", rembg_home), options=RemoveOptions(**options))
    dofn.setup()
    compared = 0
    plain = expected(kinds.KINDS["RGB"](), theirs, {})
    chosen = [kind for kind in kinds.KINDS if not (_is_slow(options) and _is_one_of_many(kind))]
    for kind in chosen:
        data = kinds.KINDS[kind]()
        cutout = ours(dofn, data)
        with Image.open(io.BytesIO(cutout.parts[0].data)) as image:
            assert image.size == (cutout.facts.width, cutout.facts.height)
        wanted = _expected_if_any(kind, data, theirs, options)
        if wanted is None:
            continue
        assert_same(cutout.parts[0].data, wanted)
        compared += 1
        # An option that changes nothing would be compared with itself.
        assert kind != "RGB" or not options or wanted.tobytes() != plain.tobytes()
    dofn.teardown()
    assert compared >= len(chosen) - 9


def _is_slow(options: Dict[str, Any]) -> bool:
    return "alpha_matting" in options or "decontaminate" in options


def _is_one_of_many(kind: str) -> bool:
    return "4000" in kind or ("turned" in kind and kind[-1] not in "16")


def _expected_if_any(
    kind: str, data: bytes, session: Any, options: Dict[str, Any]
) -> Optional[Image.Image]:
    """rembg's result; None where rembg dies or takes a palette's indices for levels.

    Of greys that are matted, that of the same picture in RGB: rembg gives up on fewer channels.
    """
    if kind in ("P", "P, transparent") and (
        options.get("putalpha") or options.get("alpha_matting")
    ):
        return None
    grey = kind in ("L JPEG", "LA", "L", "1", "odd L", "odd LA", "1x400 L")
    if grey and options.get("alpha_matting"):
        # Alpha matting takes three channels; rembg does something simpler with fewer, or dies.
        with Image.open(io.BytesIO(data)) as image:
            data = kinds.saved(image.convert("RGB"), "PNG")
    try:
        return expected(data, session, options)
    except (ValueError, ZeroDivisionError, AssertionError):
        matted = options.get("alpha_matting") or options.get("decontaminate")
        assert (kind.startswith("1x1") and matted) or (grey and (matted or "bgcolor" in options)), (
            kind
        )
        return None


@pytest.mark.parametrize("options", VITMATTE.values(), ids=VITMATTE)
@pytest.mark.parametrize("kind", ["RGB JPEG", "RGBA", "JPEG turned 6", "L"])
def test_vitmatte(rembg_home: Path, theirs: Any, kind: str, options: Dict[str, Any]) -> None:
    dofn = RemBGDoFn(config("u2netp", rembg_home), options=RemoveOptions(**options))
    data = kinds.KINDS[kind]()
    cutout = through(dofn, data)
    assert_same(cutout.parts[0].data, expected(data, theirs, options))
    assert cutout.facts.matting == "vitmatte"


@pytest.mark.parametrize("name", LOCAL)
def test_every_model(rembg_home: Path, name: str) -> None:
    made = config(name, rembg_home)
    more = {"model_path": made.model_path} if made.model_path else {}
    session = rembg.new_session(name, providers=["CPUExecutionProvider"], **more)
    dofn = RemBGDoFn(made)
    dofn.setup()
    pairs = [("none", kind) for kind in ("RGB JPEG", "RGBA", "JPEG turned 6")]
    pairs += [(o, "RGB JPEG") for o in ("only_mask", "post_process_mask", "bgcolor, putalpha")]
    if name == catalogue.CLOTH or name in ALIKE:
        pairs = pairs[:1]
    for options, kind in pairs:
        dofn.engine.options = RemoveOptions(**OPTIONS[options], stack_masks=name == catalogue.CLOTH)
        data = kinds.KINDS[kind]()
        cutout, wanted = ours(dofn, data), expected(data, session, OPTIONS[options])
        assert_same(cutout.parts[0].data, wanted)
        assert (cutout.model, cutout.facts.provider) == (name, "CPUExecutionProvider")
        lowest, highest = wanted.getchannel(wanted.getbands()[-1]).getextrema()
        assert lowest != highest or options != "none", "a flat stand-in shows nothing"
    dofn.teardown()


@pytest.mark.long
@settings(
    deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(st.sampled_from(sorted(kinds.KINDS)), min_size=1, max_size=16),
    st.sampled_from([2, 3, 8]),
    st.sampled_from(["u2netp", "silueta"]),
)
def test_whatever_shares_the_batch(
    rembg_home: Path, company: List[str], max_batch_size: int, name: str
) -> None:
    made = config(name, rembg_home, max_batch_size=max_batch_size, max_batch_wait_msecs=20)
    session = rembg.new_session(name, providers=["CPUExecutionProvider"])
    dofn = RemBGDoFn(made)
    dofn.setup()
    data = [kinds.KINDS[kind]() for kind in company]
    with ThreadPoolExecutor(len(data)) as pool:
        results = list(pool.map(lambda one: ours(dofn, one), data))
    batching = dofn.engine._held[made].session.inner_session
    assert batching.runs <= batching.calls and batching.max_size == max_batch_size
    for one, cutout in zip(data, results, strict=True):
        levels = int(bool(cutout.facts.batched))
        assert_same(cutout.parts[0].data, expected(one, session, {}), levels=levels)
    dofn.teardown()


def test_rembg_is_still_what_its_twins_are_made_after() -> None:
    """Says which sessions' `predict` we take apart; if rembg changes one, it runs as it is."""
    from rembg.sessions.base import BaseSession

    for name in LOCAL:
        base = rembg.sessions.sessions[MODELS[name].session]
        found = set(predicting.members(base))
        if name == catalogue.SAM or name == catalogue.CLOTH:
            assert found == {"normalize"}
        elif MODELS[name].gives_logits:
            assert found == {"normalize", "predict", "takes_pixels"}, name
        else:
            assert found == {"normalize", "predict", "takes_pixels", "mask_of"}, name
    source = inspect.getsource(BaseSession.normalize)
    assert 'img.convert("RGB").resize(size, Image.Resampling.LANCZOS)' in source
    assert inspect.getsource(rembg.bg.naive_cutout).count("Image.composite(img, empty, mask)") == 1


# the twins, each against the slow obvious one


@settings(max_examples=100, deadline=None)
@given(
    st.integers(2, 70),
    st.integers(2, 70),
    st.integers(-45, 37),
    st.sampled_from([np.float32, np.float64, np.float16]),
    st.integers(0, 2**32 - 1),
)
def test_maps_are_stretched_as_by_rembg(
    width: int, height: int, power: int, kind: Any, seed: int
) -> None:
    """As by all but the sessions that `predicting` leaves to rembg."""
    random = np.random.default_rng(seed)
    numbers = random.normal(0, 1, (height, width)) * 10.0**power if seed % 2 else 0.3
    map = np.broadcast_to(numbers, (height, width)).clip(-3e4, 3e4).astype(kind)
    session = rembg.sessions.sessions["u2netp"].__new__(rembg.sessions.sessions["u2netp"])
    session.inner_session = SimpleNamespace(run=lambda names, feeds: [map[None, None]])
    session.normalize = lambda *arguments: {}
    with np.errstate(all="ignore"):
        (wanted,) = session.predict(Image.new("RGB", map.shape[::-1]))
    assert np.array_equal(stretch(map), np.asarray(wanted))


@settings(max_examples=150, deadline=None)
@given(
    st.integers(1, 90),
    st.integers(1, 90),
    st.integers(1, 90),
    st.integers(1, 90),
    st.sampled_from([None, 3]),
    st.integers(0, 2**32 - 1),
)
def test_resizing_is_pillows(
    width: int, height: int, new_width: int, new_height: int, channels: Any, seed: int
) -> None:
    shape = (height, width, channels) if channels else (height, width)
    levels = np.random.default_rng(seed).integers(0, 256, shape, np.uint8)
    levels[seed % height] = 255 * (seed % 2)  # overshoots at edges are clipped
    size = (new_width, new_height)
    wanted = Image.fromarray(levels).resize(size, Image.Resampling.LANCZOS)
    assert resample.twin.fast()
    assert np.array_equal(resample.resize(levels, size), np.asarray(wanted))


@given(st.integers(1, 32), st.integers(1, 70), st.integers(0, 2**31))
def test_rows_are_turned_on_their_side(height: int, width: int, seed: int) -> None:
    from rembg_beam.transforms.fast import resample_kernels

    cells = np.random.default_rng(seed).integers(0, 256, (height, width), np.uint8)
    columns = np.zeros((width, resample_kernels.ROWS), np.uint8)
    resample_kernels._turn(cells, columns)
    assert np.array_equal(columns[:, :height], cells.T)


@pytest.mark.parametrize("size", [(4000, 3000), (320, 320), (1024, 1024), (6001, 11), (11, 6001)])
def test_resizing_large_pictures_is_pillows(size: Tuple[int, int]) -> None:
    color = kinds.pixels(*size)
    for new in ((320, 320), (1024, 1024)):
        wanted = Image.fromarray(color).resize(new, Image.Resampling.LANCZOS)
        assert np.array_equal(resample.resize(color, new), np.asarray(wanted))
    mask = kinds.pixels(320, 320)[..., 0]
    wanted = Image.fromarray(mask).resize(size, Image.Resampling.LANCZOS)
    assert np.array_equal(resample.resize(np.ascontiguousarray(mask), size), np.asarray(wanted))


def test_the_plain_cutout_is_rembgs_for_every_level_of_color_and_mask() -> None:
    level, alpha = np.meshgrid(np.arange(256, dtype=np.uint8), np.arange(256, dtype=np.uint8))
    color = np.stack([level, 255 - level, level // 2], -1)
    wanted = rembg.bg.naive_cutout(Image.fromarray(color), Image.fromarray(alpha))
    assert plain.twin.fast()
    assert np.array_equal(PlainCutout(color, alpha), np.asarray(wanted))
    with pytest.raises(ValueError, match="a mask of"):
        PlainCutout(color[:9], alpha)


@settings(max_examples=100, deadline=None)
@given(
    st.integers(1, 80),
    st.integers(1, 80),
    st.integers(1, 100),
    st.sampled_from(["4:4:4", "4:2:2", "4:2:0"]),
    st.booleans(),
    st.integers(0, 9),
    st.integers(0, 2**32 - 1),
)
def test_jpegs_are_pillows(
    width: int, height: int, quality: int, sampling: str, prog: bool, restart: int, seed: int
) -> None:
    data = kinds.saved(
        kinds.rgb(width, height, seed),
        "JPEG",
        quality=quality,
        subsampling=sampling,
        progressive=prog,
        restart_marker_blocks=restart,
    )
    assert jpeg.is_pillows()
    found = jpeg.decode_jpeg(data)
    with Image.open(io.BytesIO(data)) as image:
        assert found is not None and np.array_equal(found, np.asarray(image))


def test_a_jpeg_with_anything_wrong_is_left_to_pillow() -> None:
    data = kinds.KINDS["RGB JPEG"]()
    middle = len(data) // 2
    assert jpeg.decode_jpeg(data[:-20]) is None
    assert jpeg.decode_jpeg(data[:middle] + b"\xff\x00\xff\xd9") is None
    assert jpeg.decode_jpeg(kinds.KINDS["RGB"]()) is None
