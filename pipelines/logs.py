"""What goes to which stream: results to stdout, everything else to stderr, legibly, no secrets.

Libraries print: onnxruntime on file descriptor 1 and 2 from C++, rembg and pymatting with `print`,
Beam by logging, and in multi_processing mode as records of its workers, printed as protocol
buffers. Nothing here fails.
"""

import contextlib
import logging
import os
import re
import sys
from typing import Iterator, TextIO

from ..transforms.store import uris

_WORKER_LOGGER = "apache_beam.runners.portability.local_job_service"
_OURS = "rembg_beam"

# What Beam adds to an error: the step's label.
_STEP = re.compile(r" \[while running '[^']*'\]")

# The class of an error of ours, before its message.
_CLASS = re.compile(rf"^{_OURS}[\w.]*: ")
_MESSAGE = re.compile(r'message: "((?:[^"\\]|\\.)*)"')
_METRICS = f"{_OURS}.transforms.runtime.metrics"

_SAID_BY_THE_RUN = (
    "common",
    "worker.data_plane",
    "portability.fn_api_runner.worker_handlers",
)

# Functions of Beam's job service that tell, with a traceback, what the run says in a line.
_SAYING_WHY = ("_run_job", "read_messages")


@contextlib.contextmanager
def results_only_on_stdout() -> Iterator[TextIO]:
    """Sends file descriptor 1 to stderr; yields the true stdout."""
    sys.stdout.flush()
    saved = os.dup(1)
    os.dup2(2, 1)
    try:
        with open(saved, "w", encoding="utf-8", closefd=False) as stdout:
            yield stdout
    finally:
        with contextlib.suppress(OSError):  # of a terminal that is gone
            sys.stdout.flush()
        os.dup2(saved, 1)
        os.close(saved)


def to_stderr() -> None:
    """Logs warnings; of the steps' own progress only what other processes tell."""
    from .progress import shown

    handler = shown.Handler()
    handler.addFilter(_legible)
    handler.setFormatter(_WithoutSecrets("%(message)s"))
    logging.basicConfig(handlers=[handler], level=logging.WARNING)
    logging.getLogger(_WORKER_LOGGER).setLevel(logging.INFO)
    logging.getLogger(_OURS).setLevel(logging.INFO)
    logging.getLogger(_METRICS).setLevel(logging.WARNING)
    # A worker's exception, or its death, is said by the run; here Beam's traceback would come too.
    for name in _SAID_BY_THE_RUN:
        logging.getLogger(f"apache_beam.runners.{name}").setLevel(logging.CRITICAL)


def cause(error: BaseException) -> str:
    """What went wrong; of an exception that carries a worker's traceback, its last line.

    >>> cause(RuntimeError("Traceback ...\\n  File ...\\nValueError: no such model"))
    'ValueError: no such model'
    >>> cause(RuntimeError("no room [while running 'Write/A']"))
    'no room'
    >>> cause(RuntimeError("Traceback ...\\nrembg_beam.transforms.models.A: no such model"))
    'no such model'
    """
    said = _STEP.sub("", str(error))
    lines = [line for line in said.splitlines() if line.strip()]
    if not lines:
        return type(error).__name__
    return _CLASS.sub("", lines[-1]) if "Traceback" in said else said


def say(text: str) -> None:
    """Tells the user something, on stderr; nobody, if its terminal is gone."""
    with contextlib.suppress(OSError):
        print(f"rembg-beam: {uris.without_secrets_in(text)}", file=sys.stderr, flush=True)


def printable(text: str) -> str:
    r"""The text as a terminal shows it, which would obey the control characters of a name.

    >>> printable("a\x1b.jpg")
    'a\\x1b.jpg'
    """
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


class _WithoutSecrets(logging.Formatter):
    """Formats a record, its traceback included, without the credentials in URIs."""

    def format(self, record: logging.LogRecord) -> str:
        return uris.without_secrets_in(super().format(record))


def _legible(record: logging.LogRecord) -> bool:
    """Of a worker's record its message, and only our own below a warning."""
    if record.levelno >= logging.ERROR and record.funcName in _SAYING_WHY:
        return False
    if record.name != _WORKER_LOGGER:
        return True
    text = record.getMessage()
    if message := _MESSAGE.search(text):
        said = message[1].partition("\\nTraceback")[0]
        record.msg, record.args = f"worker: {said}", ()
    is_ours = f"{_OURS}/transforms" in text or "/transforms/runtime/metrics.py" in text
    return record.levelno >= logging.WARNING or is_ours
