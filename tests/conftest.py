"""Fixtures: pictures to read, and pipelines on Beam's FnApiRunner in this process."""

import importlib.util
import io
import os
import shutil
import signal
from pathlib import Path
from typing import Any, Callable, Iterator, List

import apache_beam as beam
import numpy as np
import pytest
from PIL import Image
from support import standins, web

from rembg_beam.transforms.fast import plain, resample
from rembg_beam.transforms.models import sessions
from rembg_beam.transforms.models.rembg_import import import_rembg
from rembg_beam.transforms.pictures import subject, suspect
from rembg_beam.transforms.runtime import memory, metrics

ROOT = Path(__file__).resolve().parent.parent

# Before a test does, which would have pymatting compile all its loops.
import_rembg()

if importlib.util.find_spec("hypothesis"):  # which `make test-gpu` does without
    from hypothesis import HealthCheck, settings

    # No example fails because the machine is busy.
    settings.register_profile(
        "patient", deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )
    settings.load_profile("patient")


@pytest.fixture
def root() -> Path:
    """The repository."""
    return ROOT


@pytest.fixture(scope="session", autouse=True)
def _fast() -> None:
    """The loops that a run of many pictures comes to use; the command's tests start without."""
    assert all(module.twin.load() for module in (resample, plain, suspect, subject))


@pytest.fixture(scope="session", autouse=True)
def _as_in_a_terminal() -> None:
    """In the background and by nohup signals are ignored, and would be by what tests start."""
    for number in (signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, lambda *_: None)


@pytest.fixture(scope="session", autouse=True)
def _few_sessions() -> None:
    """Tests use many, each once: kept for a minute they would take gigabytes."""
    sessions.IDLE_SECONDS = 2.0


@pytest.fixture(autouse=True)
def _fresh_tally() -> Iterator[None]:
    metrics.tally.clear()
    memory.forget()
    yield
    metrics.tally.clear()
    memory.forget()


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home of rembg's with a stand-in for every local model."""
    home = tmp_path_factory.mktemp("rembg")
    standins.write_all(home)
    return home


@pytest.fixture
def rembg_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """That home, where rembg looks for its own."""
    monkeypatch.setenv("REMBG_HOME", str(home))
    monkeypatch.setenv("MODEL_CHECKSUM_DISABLED", "1")
    return home


@pytest.fixture
def picture() -> Callable[..., Image.Image]:
    """Makes a picture: a bright disc on a dark gradient, different for each seed."""

    def make(width: int = 48, height: int = 32, mode: str = "RGB", seed: int = 0) -> Image.Image:
        y, x = np.mgrid[0:height, 0:width]
        disc = (x - width / 2) ** 2 + (y - height / 2) ** 2 < (min(width, height) / 3) ** 2
        pixels = np.stack([x * 255 // width, y * 255 // height, x * 0 + seed % 256], -1)
        pixels[disc] = (250, 240, 20 + seed % 200)
        return Image.fromarray(pixels.astype(np.uint8), "RGB").convert(mode)

    return make


@pytest.fixture
def encoded(picture: Callable[..., Image.Image]) -> Callable[..., bytes]:
    """The bytes of such a picture."""

    def make(format: str = "PNG", exif: Any = None, **more: Any) -> bytes:
        buffer = io.BytesIO()
        picture(**more).save(buffer, format, **({"exif": exif} if exif else {}))
        return buffer.getvalue()

    return make


@pytest.fixture
def photos(tmp_path: Path, encoded: Callable[..., bytes]) -> Path:
    """A folder of odd pictures, three of them no pictures at all."""
    folder = tmp_path / "photos"
    (folder / "sub").mkdir(parents=True)
    jpeg = encoded("JPEG", width=64, height=48)
    turned = Image.Exif()
    turned[0x112] = 6
    contents = {
        "a.jpg": jpeg,
        "A.JPG": encoded("JPEG", seed=1),
        "a.png": encoded("PNG", seed=2),
        "c[1].jpg": encoded("JPEG", seed=3),
        "sub/b.JPEG": encoded("JPEG", seed=4),
        "sub/turned.jpg": encoded("JPEG", exif=turned, width=40, height=20),
        "cmyk.jpg": encoded("JPEG", mode="CMYK"),
        "truncated.jpg": jpeg[: len(jpeg) // 2],
        "empty.jpg": b"",
        "text.jpg": b"not a picture",
        "notes.txt": b"left out of a folder",
        ".hidden.jpg": jpeg,
    }
    for name, data in contents.items():
        (folder / name).write_bytes(data)
    return folder


NOT_PICTURES = {
    "truncated.jpg": "TruncatedPicture",
    "empty.jpg": "EmptyFile",
    "text.jpg": "NotAPicture",
}


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the examples and settings files of the repository, and the current one."""
    for name in ("examples", "configs"):
        shutil.copytree(ROOT / name, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run() -> Callable[..., List[Any]]:
    """Runs `elements | transform` in this process and returns what comes out, in no order."""

    def run(elements: Any, transform: Any) -> List[Any]:
        _kept.clear()
        with beam.Pipeline(runner="FnApiRunner") as pipeline:
            outputs = pipeline | beam.Create(elements, reshuffle=False) | transform
            _ = outputs | "Keep them" >> beam.Map(_keep)
        return list(_kept)

    return run


_kept: List[Any] = []


def _keep(element: Any) -> None:
    _kept.append(element)


def tree(folder: Any) -> List[str]:
    """The files below a folder, relative; what tells of them left out."""
    found = []
    for directory, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name not in ("_manifest",)]
        found += [os.path.relpath(os.path.join(directory, name), folder) for name in names]
    return sorted(name for name in found if name != "metadata.parquet")


@pytest.fixture(name="tree")
def _tree() -> Callable[[Any], List[str]]:
    return tree


@pytest.fixture(name="not_pictures")
def _not_pictures() -> Any:
    return NOT_PICTURES


@pytest.fixture(scope="session")
def emulator() -> Iterator[Any]:
    """Google Cloud Storage on loopback; see the module `gs`."""
    from support import gs

    emulator = gs.Emulator()
    yield emulator
    emulator.stop()


@pytest.fixture
def proxy(emulator: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The way to it for this test: an empty bucket `b`, requests counted, waits of no length."""
    from support import gs

    from rembg_beam.transforms.store import gcs

    emulator.empty("b")
    proxy = gs.Proxy(emulator)
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", proxy.url)
    monkeypatch.setattr(gcs, "RETRY", gcs.RETRY.with_delay(initial=0.001, maximum=0.01))
    yield proxy
    proxy.stop()


@pytest.fixture(scope="session")
def _s3_server() -> Iterator[Any]:
    from support import s3

    server = s3.Server()
    yield server
    server.stop()


@pytest.fixture
def s3_server(_s3_server: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """S3 on loopback for this test: an empty bucket, requests counted, waits of no length."""
    from apache_beam.io.filesystems import FileSystems

    from rembg_beam.transforms.store import retrying

    _s3_server.empty()
    for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY"):
        monkeypatch.setenv(f"AWS_{name}", "none")
    for name in ("CONFIG_FILE", "SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(f"AWS_{name}", os.devnull)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", _s3_server.url)
    # Those of all tests, so that they share a client.
    monkeypatch.setattr(FileSystems, "_pipeline_options", _s3_server.options)
    monkeypatch.setattr(retrying, "BACKOFF", retrying.Backoff(first_seconds=0.001))
    return _s3_server


@pytest.fixture
def without_credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No credentials of Google Cloud; whoever makes a client nevertheless fails."""
    from apache_beam.io.filesystems import FileSystems
    from apache_beam.io.gcp import gcsio

    for name in ("STORAGE_EMULATOR_HOST", "GOOGLE_APPLICATION_CREDENTIALS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_GCE_CHECK", "true")  # the library's: no look for Google's own machines
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    # What Beam asks again and again, for minutes.
    monkeypatch.setattr(gcsio, "create_storage_client", None)
    monkeypatch.setattr(FileSystems, "_pipeline_options", FileSystems._pipeline_options)


@pytest.fixture
def elsewhere(tmp_path: Path) -> str:
    """The URI of a folder on another file system of Beam's."""
    from support.elsewhere import Elsewhere

    Elsewhere.created.clear()
    Elsewhere.failing.clear()
    return f"elsewhere://{tmp_path}"


@pytest.fixture
def server(encoded: Callable[..., bytes]) -> Iterator[web.Server]:
    """A web server that behaves badly where it is asked to, with a picture."""
    server = web.Server()
    server.pictures["/a.jpg"] = encoded("JPEG", width=64, height=48)
    yield server
    server.stop()


@pytest.fixture
def listener() -> Iterator[web.Listener]:
    """Counts who connects to it."""
    listener = web.Listener()
    yield listener
    listener.stop()
