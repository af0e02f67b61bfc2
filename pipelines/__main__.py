"""`python -m rembg_beam.pipelines`, and the command `rembg-beam`: start and end of the process.

In: the process's arguments. Out: its exit status. What is imported stays until the end, so neither
is garbage looked for among it, nor is it taken apart: of a run over one picture either takes a
fifth. Ctrl-C in the imports ends as it does in a run.
"""

import atexit
import contextlib
import gc
import os
import sys
from typing import NoReturn


def main() -> int:
    """The command; returns its exit status."""
    gc.disable()  # until `run` begins
    try:
        from .cli import main as command

        return command()
    except KeyboardInterrupt:
        print("rembg-beam: interrupted before anything ran", file=sys.stderr)
        return 130  # `signals.INTERRUPTED`


def start() -> NoReturn:
    """The command, as a process of its own."""
    status = main()
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):
            stream.flush()
    os._exit(status)


if __name__ == "__main__":
    start()
