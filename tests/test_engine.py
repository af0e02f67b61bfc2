"""The engine of one picture, without Beam."""

import gc
import io
import subprocess
import sys
import time
import weakref
from typing import Callable

import pytest
import rembg
from PIL import Image
from support.cutting import rembgs_own

from rembg_beam.transforms import Engine, RemoveOptions, SessionConfig
from rembg_beam.transforms.models import sessions
from rembg_beam.transforms.pictures.errors import NotAPicture
from rembg_beam.transforms.runtime import memory


def test_bytes_in_cutout_out(encoded: Callable[..., bytes]) -> None:
    data = encoded(width=100, height=80)
    with Engine(SessionConfig("tiny")) as engine:
        cutout = engine.remove(data)
        mask = engine.remove(data, '{"only_mask": true}')
    with Image.open(io.BytesIO(cutout.parts[0].data)) as ours:
        expected = Image.open(io.BytesIO(rembg.remove(data, session=rembgs_own())))
        assert (ours.mode, ours.tobytes()) == (expected.mode, expected.tobytes())
    with Image.open(io.BytesIO(mask.parts[0].data)) as ours:
        assert ours.mode == "L"
    assert (cutout.model, cutout.facts.width, cutout.facts.height) == ("tiny", 100, 80)
    assert not any(memory.budget().held().values())


def test_what_a_picture_is_refused_for_rises(encoded: Callable[..., bytes]) -> None:
    with Engine(SessionConfig("tiny"), options=RemoveOptions(putalpha=True)) as engine:
        with pytest.raises(NotAPicture):
            engine.remove(b"no picture")
        with pytest.raises(ValueError, match="only_mask with putalpha makes no sense"):
            engine.remove(encoded(), '{"only_mask": true, "putalpha": true}')
        assert engine.remove(encoded()).parts
    assert not any(memory.budget().held().values())


def test_it_needs_no_beam(encoded: Callable[..., bytes]) -> None:
    program = """
import sys
from rembg_beam.transforms import Engine, SessionConfig
with Engine(SessionConfig("tiny")) as engine:
    assert engine.remove(sys.stdin.buffer.read()).parts
assert "apache_beam" not in sys.modules
"""
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, input=encoded(), capture_output=True)
    assert done.returncode == 0, done.stderr


def test_a_closed_engine_holds_no_session(
    encoded: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor anybody else its graph, for which garbage need not be looked for."""
    monkeypatch.setattr(sessions, "IDLE_SECONDS", 0.0)
    engine = Engine(SessionConfig("tiny", max_batch_wait_msecs=7))
    inner = engine.open().session.inner_session
    while hasattr(inner, "inner"):
        inner = inner.inner
    graph = weakref.ref(inner)
    assert engine.remove(encoded()).parts
    gc.collect()
    gc.disable()
    try:
        del inner
        engine.close()
        until = time.monotonic() + 60
        while graph() is not None and time.monotonic() < until:
            time.sleep(0.01)
        assert graph() is None
    finally:
        gc.enable()
