"""Beam's worker processes ("SDK harnesses"): whether this is one, and its end.

In: this process. Out: answers, or its end. What a step raises fails a bundle alone, and the runner
may give it to the same process again; where a process can't work any more, it has to be gone.
Runners start another in its place, and give a bundle up after some attempts. Nothing here fails.
"""

import logging
import os
import signal
import sys

# What such a process is started with: by a container or Beam's multi_processing mode, by `-m`; and
# by a pool, by `-c`.
_MODULE = "apache_beam.runners.worker.sdk_worker_main"
_OF_A_POOL = "from apache_beam.runners.worker.sdk_worker import SdkHarness;"

_log = logging.getLogger(__name__)


def is_of_a_pool() -> bool:
    """Whether it is one that a pool of processes started."""
    return sys.orig_argv[-1].startswith(_OF_A_POOL)


def is_worker() -> bool:
    """Whether it is one of any kind, and does nothing else."""
    return is_of_a_pool() or _MODULE in sys.orig_argv


def end(why: Exception) -> None:
    """Ends it at once if it is one, killed as by the system; any other process goes on."""
    if is_worker():
        _log.error("this worker process ends: %s", why)
        logging.shutdown()  # sends to the runner what is logged
        os.kill(os.getpid(), signal.SIGKILL)
