"""Standard input of this process, as a shell would connect it."""

import contextlib
import os
import threading
from typing import Iterator


@contextlib.contextmanager
def stdin(data: bytes) -> Iterator[None]:
    """Standard input of this process is a pipe that holds these bytes."""
    reading, writing = os.pipe()
    saved = os.dup(0)
    os.dup2(reading, 0)
    writer = threading.Thread(target=_write, args=(writing, data))
    writer.start()
    try:
        yield
    finally:
        os.dup2(saved, 0)
        os.close(saved)
        os.close(reading)
        writer.join()


def _write(descriptor: int, data: bytes) -> None:
    with contextlib.suppress(BrokenPipeError), open(descriptor, "wb") as file:
        file.write(data)
