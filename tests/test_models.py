"""Every model on every provider, proved on load; each through rembg's real session class."""

import collections
import hashlib
import inspect
import io
import logging
import os
import re
import subprocess
import sys
import textwrap
import threading
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List
from unittest import mock

import numpy as np
import onnx
import onnxruntime
import pytest
import rembg
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from support import gs
from support.cutting import assert_same, cutout_of, through
from support.options import named
from support.standins import config

from rembg_beam.pipelines import cli
from rembg_beam.transforms import RemBGDoFn, RemoveBackground, RemoveOptions, SessionConfig, Source
from rembg_beam.transforms.elements import Cutout, Failure
from rembg_beam.transforms.fast import resample
from rembg_beam.transforms.fast.normalize import normalize
from rembg_beam.transforms.fast.resample import resize
from rembg_beam.transforms.models import (
    catalogue,
    opening,
    placement,
    providers,
    rembg_session,
    weights,
)
from rembg_beam.transforms.models.catalogue import MODELS, ModelFile
from rembg_beam.transforms.store import retrying

LOCAL = [name for name, model in MODELS.items() if not model.is_remote]
CPU = "CPUExecutionProvider"


# every model


def test_labels_and_cases_of_names() -> None:
    labels = {
        "u2net: general purpose": "u2net",
        "isnet-anime: anime illustrations": "isnet-anime",
        "U2NetP": "u2netp",
        "sam: general purpose": "sam",
    }
    for label, name in labels.items():
        assert SessionConfig(label).model == name
        assert SessionConfig(label) == SessionConfig(name)


def test_the_catalogue_knows_rembgs_files_and_checksums() -> None:
    for model in [*MODELS.values(), *catalogue.MATTING.values()]:
        for file in model.files:
            if file.release is None:
                continue
            if model.name == catalogue.SAM:
                assert rembg.sessions.sam.SAM_CHECKSUMS[file.release] == file.checksum
            elif model.is_matting:
                spec = rembg.matting.VARIANTS[model.name.removeprefix("vitmatte-")]
                assert (spec["fname"], f"sha256:{spec['sha256']}") == (file.name, file.checksum)
            else:
                source = inspect.getsource(rembg.sessions.sessions[model.name])
                assert f'"{catalogue.RELEASES}{file.release}"' in source
                assert f'"{file.checksum}"' in source
                assert 'f"{cls.name' in source and file.name == f"{model.name}.onnx"


def test_input_sizes_are_rembgs() -> None:
    for model in MODELS.values():
        if model.size and model.size[0] == model.size[1]:
            found = rembg.sessions.sessions[model.session]
            side = model.size[0]
            assert f"({side}, {side})" in inspect.getsource(sys.modules[found.predict.__module__])


@pytest.mark.parametrize("variable", ["REMBG_HOME", "U2NET_HOME", "XDG_DATA_HOME"])
def test_the_home_is_rembgs(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    from rembg.sessions.base import BaseSession

    for name in ("REMBG_HOME", "U2NET_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    assert weights.home() == BaseSession.rembg_home()
    monkeypatch.setenv(variable, "~/somewhere")
    assert weights.home() == BaseSession.rembg_home()


def test_remote_models_are_refused_unless_the_user_says_so() -> None:
    for name in ("withoutbg", "atlascloud"):
        with pytest.raises(ValueError, match=r"uploads every picture .*--allow_remote"):
            SessionConfig(name)
        assert SessionConfig(name, allow_remote=True).model == name


class _Named:
    """As much of a session as `BaseSession.normalize` looks at."""

    class inner_session:
        @staticmethod
        def get_inputs() -> Any:
            return [collections.namedtuple("Input", "name")("x")]


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 255),
    st.sampled_from(["RGB", "L", "RGBA", "CMYK", "P"]),
    st.sampled_from([((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)), ((0.5,) * 3, (1.0,) * 3)]),
    st.integers(0, 2**32 - 1),
)
def test_tensors_are_bit_equal_to_rembgs(brightest: int, mode: str, norm: Any, seed: int) -> None:
    from rembg.sessions.base import BaseSession

    pixels = np.random.default_rng(seed).integers(0, brightest + 1, (13, 17, 3), np.uint8)
    image = Image.fromarray(pixels).convert(mode)
    session: Any = _Named
    mean, std = norm
    theirs = BaseSession.normalize(session, image, mean, std, (32, 24))["x"]
    pixels = resize(np.asarray(image.convert("RGB")), (32, 24))
    for fast in (resample.twin.fast(), None):
        with mock.patch.object(resample.twin, "fast", return_value=fast):
            ours = normalize(pixels, mean, std)
        assert (ours.dtype, ours.shape) == (theirs.dtype, theirs.shape)
        assert ours.tobytes() == theirs.tobytes()


# SAM and clothes


def test_sam_takes_a_prompt_per_picture(
    rembg_home: Path, photos: Path, tmp_path: Path, run: Any
) -> None:
    def mark(x: int, y: int) -> Any:
        return [{"type": "point", "data": [x, y], "label": 1}]

    uri = str(photos / "a.jpg")
    prompts: Dict[str, Any] = {
        "default": {},
        "center": {"sam_prompt": mark(32, 24)},
        "corner": {"sam_prompt": mark(60, 2)},
        "bad": {"sam_prompt": [{"type": "point", "data": "x"}]},
    }
    sources = [Source.of(uri, name=name, extras=extras) for name, extras in prompts.items()]
    transform = RemoveBackground(
        output=str(tmp_path / "out"),
        session=config("sam", rembg_home),
        options=RemoveOptions(only_mask=True),
    )
    outcomes = run(sources, transform)
    failed = [row for row in outcomes if row.status == "failed"]
    assert [(row.step, row.error) for row in failed] == [("remove", "ValueError")]
    assert "2 numbers" in failed[0].message
    masks = {
        name: (tmp_path / "out" / f"{name}.png").read_bytes()
        for name in ("default", "center", "corner")
    }
    assert masks["default"] == masks["center"] != masks["corner"]


def test_clothes_come_as_named_outputs_from_one_run_of_the_model(
    rembg_home: Path, photos: Path, tmp_path: Path, run: Any, tree: Any
) -> None:
    made = config(catalogue.CLOTH, rembg_home)
    output = tmp_path / "out"
    transform = RemoveBackground(output=str(output), session=made, relative_to=str(photos))
    (outcome,) = run([str(photos / "a.jpg")], transform)
    names = [f"a.jpg.{part}.png" for part in ("upper", "lower", "full")]
    assert outcome.outputs == [str(output / name) for name in names]
    assert tree(output) == sorted(names)
    session = rembg.new_session(catalogue.CLOTH, providers=[CPU])
    with Image.open(photos / "a.jpg") as image:
        stacked = rembg.remove(image, session=session)
        height = image.height
    for index, name in enumerate(names):
        with Image.open(output / name) as part:
            expected = stacked.crop((0, index * height, stacked.width, (index + 1) * height))
            assert np.array_equal(np.asarray(part), np.asarray(expected)), name


@pytest.mark.parametrize(
    "options", named("putalpha", "only_mask", "only_mask, post_process_mask", "bgcolor")
)
def test_every_option_holds_for_each_mask_of_clothes(
    rembg_home: Path, encoded: Callable[..., bytes], options: Dict[str, Any]
) -> None:
    made = config(catalogue.CLOTH, rembg_home)
    data = encoded(width=90, height=70)
    cutout = through(RemBGDoFn(made, options=RemoveOptions(**options)), data)
    session = rembg.new_session(catalogue.CLOTH, providers=[CPU])
    for part in cutout.parts:
        with Image.open(io.BytesIO(data)) as image:
            category = part.suffix.removeprefix(".")
            expected = rembg.remove(image, session=session, cc=category, **options)
        assert_same(part.data, expected)
    assert len({part.data for part in cutout.parts}) == 3


def test_the_model_for_clothes_runs_once(rembg_home: Path, encoded: Callable[..., bytes]) -> None:
    runs: List[int] = []

    def opener(made: SessionConfig) -> opening.Loaded:
        loaded = opening.open_session(made)
        predict = loaded.session.predict

        def counted(*arguments: Any, **more: Any) -> Any:
            runs.append(1)
            return predict(*arguments, **more)

        loaded.session.predict = counted
        return loaded

    cutout = through(RemBGDoFn(config(catalogue.CLOTH, rembg_home), opener=opener), encoded())
    assert len(cutout.parts) == 3 and len(runs) == 1


@pytest.mark.parametrize("category", ["upper", "lower", "full", "attire"])
def test_one_category_of_clothes(
    rembg_home: Path, encoded: Callable[..., bytes], category: str
) -> None:
    options = RemoveOptions(extras={"cloth_category": category})
    cutout = through(RemBGDoFn(config(catalogue.CLOTH, rembg_home), options=options), encoded())
    assert [part.suffix for part in cutout.parts] == [f".{category}"]


# providers


@pytest.mark.parametrize(
    "label", ["CPU", "CUDA", "ROCM", "DirectML", "OpenVINO", "CoreML", "Tensorrt", "Azure"]
)
def test_a_provider_owns_the_nodes_or_setup_fails(
    label: str, rembg_home: Path, encoded: Callable[..., bytes]
) -> None:
    """The ones this machine has, and the ones it lacks; Azure is listed and owns nothing."""
    made = config("u2netp", rembg_home, label)
    listed = onnxruntime.get_available_providers()
    name = providers.find(label).name
    if name in listed and label != "Azure":
        assert through(RemBGDoFn(made), encoded()).facts.provider == name
        return
    with pytest.raises(placement.ProviderNotInUse) as failed:
        RemBGDoFn(made).setup()
    message = str(failed.value)
    assert f"asked to run on {providers.find(label).label} ({name})" in message
    assert providers.find(label).package in message
    if name in listed:
        assert f"in use: {CPU} with" in message
    else:
        assert f"lists only {', '.join(listed)}" in message


def test_what_onnxruntime_says_is_plain(tmp_path: Path) -> None:
    """A graph with a weight that nothing uses, of which its log tells in colours."""
    graph = onnx.load(catalogue.bundled_path())
    graph.graph.initializer.append(onnx.helper.make_tensor("idle", 1, [1], [1.0]))
    path = tmp_path / "idle.onnx"
    onnx.save(graph, path)
    said = placement._why(str(path), CPU, {})
    assert said and said.startswith("Removing initializer 'idle'. It is not used by any node")
    assert said.isprintable()


@pytest.mark.parametrize("name", [catalogue.SAM, "isnet-general-use"])
def test_every_session_inside_is_proved(name: str, rembg_home: Path) -> None:
    with pytest.raises(placement.ProviderNotInUse, match=name):
        opening.open_session(config(name, rembg_home, "Azure"))
    loaded = opening.open_session(config(name, rembg_home))
    inner = rembg_session.inner_sessions(loaded.session)
    assert len(inner) == (2 if name == catalogue.SAM else 1)
    for each in inner:
        assert placement.assignment(each).share((CPU,)) == 1.0
        assert not each._enable_fallback
    assert (loaded.provider, loaded.share) == (CPU, 1.0)


def test_sam_gets_the_providers_and_options_it_ignores(rembg_home: Path) -> None:
    made = config(catalogue.SAM, rembg_home, session_option={"intra_op_num_threads": 3})
    session = opening.open_session(made).session
    for inner in (session.encoder, session.decoder):
        assert inner.get_session_options().intra_op_num_threads == 3


def test_the_cpu_at_the_end_of_a_list_is_no_permission(rembg_home: Path) -> None:
    with pytest.raises(placement.ProviderNotInUse, match=r"CUDA .*, CPU .*none of them"):
        opening.open_session(config("u2netp", rembg_home, ["CUDA", "CPU"]))
    with pytest.raises(placement.ProviderNotInUse, match="in use: CPU"):
        opening.open_session(config("u2netp", rembg_home, ["Azure", "CPU"]))


def test_options_of_a_provider_reach_onnxruntime(rembg_home: Path) -> None:
    made = config("u2netp", rembg_home, ("CPU", {"use_arena": "0"}))
    assert made.provider == ((CPU, (("use_arena", "0"),)),)
    assert opening.open_session(made).provider == CPU


@pytest.mark.parametrize("asked", ["CUDA", "Azure", ["Tensorrt", "CUDA"]])
def test_the_explicit_way_out(
    asked: Any, rembg_home: Path, photos: Path, tmp_path: Path, run: Any, caplog: Any
) -> None:
    made = config("u2netp", rembg_home, asked, provider_fallback="cpu")
    opening._warn_once.cache_clear()
    with caplog.at_level(logging.WARNING):
        (outcome,) = run(
            [str(photos / "a.jpg")], RemoveBackground(output=str(tmp_path), session=made)
        )
    assert (outcome.status, outcome.provider) == ("written", CPU)
    assert sum("as provider_fallback allows" in line for line in caplog.messages) == 1
    from rembg_beam.transforms.runtime import metrics

    assert metrics.tally.snapshot()[f"remove_on_{CPU}"] == 1


@pytest.mark.parametrize("name", ["ROCM", "rocm", "ROCMExecutionProvider"])
def test_rocm_is_another_name_of_its_successor(name: str) -> None:
    made = SessionConfig("u2net", [name, "CPU"])
    assert made.provider_names == ("MIGraphXExecutionProvider", CPU)


def test_one_heavy_node_elsewhere_is_too_many() -> None:
    cuda = ("CUDAExecutionProvider",)
    shapes_on_the_cpu = placement.Assignment({cuda[0]: 90, CPU: 10}, {cuda[0]: 50})
    one_convolution = placement.Assignment({cuda[0]: 99, CPU: 1}, {cuda[0]: 50, CPU: 1})
    nothing = placement.Assignment({CPU: 100}, {CPU: 50})
    assert placement.is_in_use(shapes_on_the_cpu, cuda) and shapes_on_the_cpu.share(cuda) == 0.9
    assert not placement.is_in_use(one_convolution, cuda)
    assert not placement.is_in_use(nothing, cuda)
    assert not placement.is_in_use(placement.Assignment({CPU: 3}, {}), cuda)


def test_vitmatte_runs_where_the_model_does(
    rembg_home: Path, encoded: Callable[..., bytes], picture: Callable[..., Image.Image]
) -> None:
    opened: List[SessionConfig] = []

    def opener(made: SessionConfig) -> opening.Loaded:
        opened.append(made)
        return opening.open_session(made)

    made = config("u2netp", rembg_home, session_option={"intra_op_num_threads": 1})
    options = RemoveOptions(vitmatte=True, vitmatte_model="small-composition-1k")
    dofn = RemBGDoFn(made, options=options, opener=opener)
    cutout = through(dofn, encoded())
    assert isinstance(cutout, Cutout), cutout
    assert [each.model for each in opened] == ["u2netp", "vitmatte-small-composition-1k"]
    assert all(each.session_option == made.session_option for each in opened)
    rembg.matting._sessions.clear()
    session = rembg.new_session("u2netp", providers=[CPU])
    expected = rembg.remove(
        picture(), session=session, vitmatte=True, vitmatte_model="small-composition-1k"
    )
    assert rembg.matting._sessions, "outside of our work rembg finds its own"
    assert_same(cutout.parts[0].data, expected)
    with pytest.raises(placement.ProviderNotInUse, match="u2netp"):
        RemBGDoFn(config("u2netp", rembg_home, "Azure"), options=options).setup()


def test_vitmatte_for_one_picture_alone(rembg_home: Path, encoded: Callable[..., bytes]) -> None:
    from rembg_beam.transforms import Stored

    extras = '{"vitmatte": true}'
    cutout = through(RemBGDoFn(config("u2netp", rembg_home)), Stored(encoded(), extras))
    assert isinstance(cutout, Cutout), cutout


def test_thirty_two_threads_and_four_dofns_share_one_session(
    rembg_home: Path, encoded: Callable[..., bytes]
) -> None:
    opened: collections.Counter[str] = collections.Counter()

    def opener(made: SessionConfig) -> opening.Loaded:
        opened[f"{made.model} {made.session_option}"] += 1
        return opening.open_session(made)

    equal = [config("u2netp", rembg_home) for _ in range(4)]
    unequal = [
        config("silueta", rembg_home),
        config("u2netp", rembg_home, session_option={"intra_op_num_threads": 2}),
    ]
    dofns = [RemBGDoFn(made, opener=opener) for made in (*equal, *unequal)]
    data = encoded()
    results: List[Any] = []

    def work(dofn: RemBGDoFn) -> None:
        results.append(cutout_of(dofn.work(("key", data))))

    setups = [threading.Thread(target=dofn.setup) for dofn in dofns]
    works = [threading.Thread(target=work, args=(dofn,)) for dofn in dofns for _ in range(8)]
    for phase in (setups, works):
        for thread in phase:
            thread.start()
        for thread in phase:
            thread.join()
    assert not [result for result in results if isinstance(result, Failure)]
    assert len(results) == 48
    assert len(opened) == 3 and set(opened.values()) == {1}
    for dofn in dofns:
        dofn.teardown()


# files


def genuine(home: Path, monkeypatch: pytest.MonkeyPatch, name: str = "u2netp") -> catalogue.Model:
    """A model whose stand-in has the checksum the catalogue knows."""
    model = MODELS[name]
    data = (home / "models" / name / f"{name}.onnx").read_bytes()
    file = ModelFile(f"{name}.onnx", "x", f"md5:{hashlib.md5(data).hexdigest()}")
    model = model._replace(files=(file,))
    monkeypatch.setitem(MODELS, name, model)
    return model


@pytest.fixture
def empty_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("REMBG_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("MODEL_CHECKSUM_DISABLED", raising=False)
    yield tmp_path / "home"


def left(folder: Path) -> List[str]:
    return [path.name for path in folder.rglob("*") if path.is_file() and path.suffix != ".lock"]


@pytest.mark.parametrize("layout", ["u2netp/u2netp.onnx", "u2netp.onnx"])
def test_a_model_dir(
    layout: str,
    home: Path,
    empty_home: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    encoded: Callable[..., bytes],
) -> None:
    genuine(home, monkeypatch)
    place = tmp_path / "models" / layout
    place.parent.mkdir(parents=True)
    place.write_bytes((home / "models/u2netp/u2netp.onnx").read_bytes())
    made = SessionConfig("u2netp", model_dir=str(tmp_path / "models"), offline=True)
    assert isinstance(through(RemBGDoFn(made), encoded()), Cutout)


@pytest.mark.parametrize("harm", ["truncated", "foreign"])
@pytest.mark.parametrize("where", ["home", "model_dir"])
def test_a_file_that_is_not_rembgs_is_found_before_onnxruntime_sees_it(
    harm: str, where: str, home: Path, empty_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    genuine(home, monkeypatch)
    data = (home / "models/u2netp/u2netp.onnx").read_bytes()
    path = empty_home / "models" / "u2netp" / "u2netp.onnx"
    path.parent.mkdir(parents=True)
    path.write_bytes(data[:-100] if harm == "truncated" else b"<html>" + data)
    folder = str(empty_home / "models") if where == "model_dir" else None
    made = SessionConfig("u2netp", model_dir=folder)
    with pytest.raises(weights.ModelFileError, match=rf"{path}: its \d+ bytes have md5 "):
        opening.open_session(made)
    monkeypatch.setenv("MODEL_CHECKSUM_DISABLED", "1")
    path.write_bytes(data)
    assert opening.open_session(made).provider == CPU


def test_offline_never_downloads(empty_home: Path) -> None:
    with pytest.raises(weights.ModelFileError, match=r"u2net\.onnx is not in .*offline=True"):
        opening.open_session(SessionConfig("u2net", offline=True))
    with pytest.raises(weights.ModelFileError, match="models fetch u2net"):
        opening.open_session(SessionConfig("u2net", model_dir=str(empty_home)))


def test_a_download_that_fails_is_tried_again(
    home: Path, empty_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    genuine(home, monkeypatch)
    monkeypatch.setattr(retrying, "BACKOFF", retrying.Backoff(first_seconds=0.001))
    tries: List[int] = []

    def download(cls: Any, *arguments: Any, **more: Any) -> str:
        tries.append(1)
        if len(tries) < 3:
            raise ConnectionError("the line is down")
        path = empty_home / "models" / "u2netp" / "u2netp.onnx"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes((home / "models/u2netp/u2netp.onnx").read_bytes())
        return str(path)

    session = rembg.sessions.sessions["u2netp"]
    monkeypatch.setattr(session, "download_models", classmethod(download))
    assert opening.open_session(SessionConfig("u2netp")).provider == CPU
    assert len(tries) == 3


def test_a_download_that_never_comes_says_where_the_file_may_be_put(
    empty_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def download(cls: Any, *arguments: Any, **more: Any) -> str:
        raise ConnectionError("no route to host")

    monkeypatch.setattr(retrying, "BACKOFF", retrying.Backoff(first_seconds=0.001))
    session = rembg.sessions.sessions["u2netp"]
    monkeypatch.setattr(session, "download_models", classmethod(download))
    place = re.escape(str(empty_home / "models" / "u2netp"))
    with pytest.raises(weights.ModelFileError, match=f"no route.*u2netp.onnx into '{place}'"):
        opening.open_session(SessionConfig("u2netp"))


# A remote store whose reads are counted, and which can cut the line or send other bytes.
COUNTED = """
    import io, os, sys, time
    from apache_beam.io.filesystem import FileMetadata, FileSystem, MatchResult
    from rembg_beam.transforms.models import catalogue, weights
    from rembg_beam.transforms.models.catalogue import ModelFile
    from rembg_beam.transforms.store import retrying, stores

    folder, harm, checksum, number = sys.argv[1:5]

    class Counted(FileSystem):
        @classmethod
        def scheme(cls): return "counted"
        def _path(self, uri): return folder + "/" + uri.removeprefix("counted://")
        def size(self, uri): return os.path.getsize(self._path(uri))
        def match(self, patterns, limits=None):
            patterns = [pattern.removesuffix("*") for pattern in patterns]
            return [MatchResult(uri, [FileMetadata(uri, os.path.getsize(self._path(uri)), 1.0)]
                    if os.path.exists(self._path(uri)) else []) for uri in patterns]
        def exists(self, uri): return os.path.exists(self._path(uri))
        def open(self, uri, mime_type="", compression_type=""):
            with open(folder + "/count", "ab") as count: count.write(b"x")
            time.sleep(0.3)
            data = open(self._path(uri), "rb").read()
            if harm == "cut": data = data[:len(data) // 2]
            if harm == "other": data = bytes(reversed(data))
            return io.BytesIO(data)
        def has_dirs(self): return True
        mkdirs = join = split = _list = create = copy = rename = None
        checksum = metadata = last_updated = delete = None

    Counted.__abstractmethods__ = frozenset()
    retrying.BACKOFF = retrying.Backoff(first_seconds=0.001)
    model = catalogue.MODELS["u2netp"]._replace(files=(ModelFile("u2netp.onnx", "x", checksum),))
    # Forked once all is imported, so that they ask at the same moment.
    children = []
    while len(children) < int(number):
        children.append(os.fork())
        if not children[-1]:
            break
    else:
        sys.exit(max(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children))
    try:
        sys.stdout.write(str(weights.ensure(model, model_dir="counted://m")) + os.linesep)
    except Exception as error:
        sys.exit(f"{type(error).__name__}: {error}")
"""


def _processes(
    number: int, home: Path, tmp_path: Path, harm: str = "none"
) -> "subprocess.CompletedProcess[str]":
    data = (home / "models/u2netp/u2netp.onnx").read_bytes()
    (tmp_path / "store/m/u2netp").mkdir(parents=True)
    (tmp_path / "store/m/u2netp/u2netp.onnx").write_bytes(data)
    checksum = f"md5:{hashlib.md5(data).hexdigest()}"
    command = [sys.executable, "-c", textwrap.dedent(COUNTED), str(tmp_path / "store"), harm]
    return subprocess.run([*command, checksum, str(number)], capture_output=True, text=True)


@pytest.mark.long
def test_sixteen_processes_copy_a_file_once(home: Path, empty_home: Path, tmp_path: Path) -> None:
    done = _processes(16, home, tmp_path)
    assert done.returncode == 0, done.stderr
    paths = done.stdout.splitlines()
    assert paths == paths[:1] * 16
    assert (tmp_path / "store/count").read_bytes() == b"x"
    assert left(empty_home) == ["u2netp.onnx"]


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (
            "cut",
            r"OSError: .*it was cut off: \d+ of its \d+ bytes came: 'counted://m/u2netp/u2netp.onnx'",
        ),
        ("other", r"ModelFileError: counted://m/u2netp/u2netp.onnx: its \d+ bytes have md5"),
    ],
)
def test_a_source_that_fails_leaves_no_file(
    harm: str, message: str, home: Path, empty_home: Path, tmp_path: Path
) -> None:
    import re

    failed = _processes(1, home, tmp_path, harm)
    assert failed.returncode == 1
    assert re.search(message, failed.stderr), failed.stderr
    assert left(empty_home) == []


def test_a_model_of_a_bucket_is_checked_and_asked_for_again(
    home: Path, empty_home: Path, emulator: Any, proxy: Any
) -> None:
    data = (home / "models/u2netp/u2netp.onnx").read_bytes()
    emulator.put("gs://b/m/u2netp.onnx", data)
    proxy.fault = gs.first(1, gs.GARBLED, of="read")
    file = ModelFile("u2netp.onnx", "x", f"md5:{hashlib.md5(data).hexdigest()}")
    model = catalogue.MODELS["u2netp"]._replace(files=(file,))
    for _ in range(2):
        (path,) = weights.ensure(model, model_dir="gs://b/m")
        assert Path(path).read_bytes() == data
    assert proxy.counts()["read"] == 2


def test_what_a_killed_copy_left_is_removed(home: Path, empty_home: Path, tmp_path: Path) -> None:
    source = home / "models/u2netp/u2netp.onnx"
    target = tmp_path / "cache" / "u2netp.onnx"
    target.parent.mkdir()
    (tmp_path / "cache" / "u2netp.onnx.dead.part").write_bytes(b"half")
    weights.copy_once(str(source), str(target), ModelFile("u2netp.onnx", None, None))
    assert left(target.parent) == ["u2netp.onnx"]
    assert target.read_bytes() == source.read_bytes()
    assert os.path.exists(source)


@pytest.mark.openvino
@pytest.mark.parametrize("name", [name for name in LOCAL if name != "birefnet-general-fp16"])
def test_on_openvino(name: str, rembg_home: Path, encoded: Callable[..., bytes]) -> None:
    cutout = through(RemBGDoFn(config(name, rembg_home, "OpenVINO")), encoded())
    assert isinstance(cutout, Cutout), cutout
    assert cutout.facts.provider == "OpenVINOExecutionProvider"


# the commands


def test_models_lists_the_catalogue(
    capfd: Any, home: Path, empty_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:

    path = empty_home / "models" / "u2netp" / "u2netp.onnx"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"x" * 2_000_000)
    assert cli.main(["models"]) == 0
    rows = {line.split()[0]: line for line in capfd.readouterr().out.splitlines()}
    assert set(MODELS) <= set(rows)
    assert "2.0 " in rows["u2netp"] and " yes " in rows["u2netp"]
    assert "176.0 " in rows["u2net"] and "Apache-2.0" in rows["u2net"]
    assert rows["u2net"].split()[-2:] == ["no", "md5:60024c5c889badc19c04ad937298a77b"]
    assert "not stated" in rows["isnet-anime"]


def test_models_fetch_fills_a_model_dir(
    capfd: Any, rembg_home: Path, tmp_path: Path, encoded: Callable[..., bytes]
) -> None:

    to = tmp_path / "models"
    assert cli.main(["models", "fetch", "u2netp", "SAM", "--to", str(to)]) == 0
    assert len(capfd.readouterr().out.splitlines()) == 3
    for name in ("u2netp", "sam"):
        made = SessionConfig(name, model_dir=str(to), offline=True)
        assert isinstance(through(RemBGDoFn(made), encoded()), Cutout)
    assert cli.main(["models", "fetch", "u2nett", "--to", str(to)]) == 2
    assert "did you mean 'u2net'" in capfd.readouterr().err
    assert cli.main(["models", "fetch", "u2net_custom", "--to", str(to)]) == 2
    assert cli.main(["models", "--fech"]) == 2


def test_providers_tells_which_really_work(capfd: Any) -> None:

    assert cli.main(["providers"]) == 0
    out = capfd.readouterr().out
    rows = {line.split()[0]: line.split()[2:4] for line in out.splitlines() if "Provider" in line}
    listed = onnxruntime.get_available_providers()
    for provider in providers.PROVIDERS:
        assert rows[provider.label][0] == ("yes" if provider.name in listed else "no")
    assert rows["CPU"] == ["yes", "yes"]
    if "AzureExecutionProvider" in listed:
        assert rows["Azure"] == ["yes", "no"] and "Azure: model 'tiny' was asked" in out


def test_two_flavours_side_by_side_are_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their files would overwrite each other: what is installed is made up."""
    monkeypatch.setattr(providers, "installed", lambda: ["onnxruntime 1", "onnxruntime-gpu 1"])
    (warning,) = providers.side_by_side()
    assert "onnxruntime 1 and onnxruntime-gpu 1 are installed side by side" in warning
    monkeypatch.undo()
    assert len(providers.installed()) >= 1


def test_settings_of_the_command_reach_the_session(
    rembg_home: Path, photos: Path, tmp_path: Path, capfd: Any, caplog: Any
) -> None:

    opening._warn_once.cache_clear()
    base = ["run", "--input", str(photos / "a.jpg"), "--output", str(tmp_path / "out")]
    flags = ["--provider", "cuda", "--provider=Tensorrt", "--provider-fallback", "cpu", "--offline"]
    options = ["--session-option", "intra_op_num_threads=2", "--model", "U2NETP"]
    assert cli.main([*base, *flags, *options]) == 0
    assert capfd.readouterr().out.startswith("1 written")
    assert any("as provider_fallback allows" in line for line in caplog.messages)
    clothes = ["--model", catalogue.CLOTH, "--offline", "--cloth_category", "lower"]
    assert cli.main([*base[:-1], str(tmp_path / "clothes"), *clothes]) == 0
    assert (tmp_path / "clothes" / "a.jpg.lower.png").exists()
    assert cli.main([*base, "--model", "u2netp", "--provider", 'CPU={"arena": 1']) == 2
    assert "--provider" in capfd.readouterr().err
