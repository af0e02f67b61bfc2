"""Signals: they rise on the main thread, and leave what other threads need."""

import _imp
import importlib
import signal
import threading
import time

import pytest

from rembg_beam.pipelines import signals

# Which is looked for each time.
MODULE = "this_is_no_module"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_one_that_comes_while_imports_are_locked_leaves_no_lock(number: int) -> None:
    """The lock of all imports is taken in Python: a signal is noticed before it would be given
    back."""
    locked = threading.Event()

    def import_slowly() -> None:
        _imp.acquire_lock()
        locked.set()
        time.sleep(0.1)
        signal.raise_signal(number)
        time.sleep(0.1)
        _imp.release_lock()

    other = threading.Thread(target=import_slowly)
    with pytest.raises(signals.Stopped) as stopped, signals.heard():
        other.start()
        locked.wait()
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            with pytest.raises(ModuleNotFoundError):
                importlib.import_module(MODULE)
    other.join()
    assert signals.status(stopped.value) == 128 + number
    held = _imp.lock_held()
    while _imp.lock_held():
        _imp.release_lock()
    assert not held
