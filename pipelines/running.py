"""A run's pipelines: one in a thread of its own, and another where a worker process died.

In: what makes a pipeline of a job. Out: `Running`, which is waited for, with the error or the
result it came to. `pipeline` raises `UsageError` for options of Beam's that make no sense.
"""

import gc
import threading
import time
from dataclasses import replace
from typing import Any, Callable, Optional

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from ..transforms import RemoveBackgrounds
from ..transforms.folder import layout
from ..transforms.job import WriteFilesAndRows
from ..transforms.runtime import shared
from ..transforms.store import stores, uris
from . import logs, runners, signals, workers
from .status import UsageError

# For a pipeline to end whose worker processes were killed.
GRACE_SECONDS = 5.0

# Worker processes that may die before the run is given up.
WORKER_DEATHS = 4


class Attempt:
    """A pipeline that runs in a thread of its own.

    Args:
      pipeline: the pipeline.
      sends: whether its runner's `run` ends once the job is sent; it is called on this thread
        then, since the runner may start a job server, and listen to signals for it, which no other
        thread can.
    """

    def __init__(self, pipeline: beam.Pipeline, sends: bool) -> None:
        self.error: Optional[BaseException] = None
        self.result: Any = None
        self._pipeline = pipeline
        # What was imported and built stays: garbage is not looked for among it.
        gc.freeze()
        gc.enable()
        if sends:
            self._begin()
        self._thread = threading.Thread(target=self._run, daemon=True, name="pipeline")
        self._thread.start()

    def wait(self, seconds: float) -> bool:
        """Whether it ended within that time."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _begin(self) -> None:
        # Beam would stop its job server on Ctrl-C before we hear of it, even if that is ignored.
        with signals.kept():
            try:
                self.result = self._pipeline.run()
            except Exception as error:
                self.error = error

    def _run(self) -> None:
        try:
            if self.result is None and self.error is None:
                self.result = self._pipeline.run()
            if self.error is None:
                self.result.wait_until_finish()
        except BaseException as error:
            self.error = error


class Running:
    """A run: a pipeline, and after a worker process died another, which goes on from there.

    Args:
      make: makes its pipeline.
      sends: see `Attempt`.
      watch: notices worker processes that die.
      goes_on: whether a run may go on from what another wrote.

    Attributes:
      died: worker processes that died.
    """

    def __init__(
        self, make: Callable[[], beam.Pipeline], sends: bool, watch: workers.Watch, goes_on: bool
    ) -> None:
        self._sends = sends
        self._start = time.monotonic()
        self.seconds = 0.0
        self.died = 0
        self._make = make
        self._watch = watch
        self._goes_on = goes_on
        self._failed: Optional[BaseException] = None
        self._attempt = Attempt(make(), sends)

    @property
    def error(self) -> Optional[BaseException]:
        return self._failed or self._attempt.error

    @property
    def result(self) -> Any:
        """What the runner gave for the job that it was sent; None by then."""
        return self._attempt.result

    @property
    def is_sent(self) -> bool:
        """Whether it has begun where it runs."""
        return self.result is not None

    def wait(self, seconds: float) -> bool:
        """Whether it ended within that time."""
        ended = self._attempt.wait(seconds)
        well = ended and self._attempt.error is None
        self._watch.judge(self._attempt.error)
        if self._watch.death is not None and not well:
            ended = not self._replaced(self._watch.death)
        self.seconds = time.monotonic() - self._start
        return ended

    def _replaced(self, death: workers.Death) -> bool:
        """Whether new worker processes go on in place of all there are."""
        self.died += 1
        workers.end_all()
        shared.forget()
        self._attempt.wait(GRACE_SECONDS)
        if death.is_of_its_own or not self._goes_on or self.died >= WORKER_DEATHS:
            before = f", after {self.died - 1} before it" if self.died > 1 else ""
            self._failed = RuntimeError(f"{death}{before}")
            return False
        logs.say(f"{death}; new ones go on from what is written")
        self._watch.forget()
        self._attempt = Attempt(self._make(), self._sends)
        return True


def pipeline(runner: str, options: PipelineOptions, job: RemoveBackgrounds) -> beam.Pipeline:
    """The pipeline of a job, built."""
    try:
        made = beam.Pipeline(runner=runner, options=options)
    except ValueError as error:
        raise UsageError(str(error)) from error
    # Beam ties a transform to the pipeline it was applied to.
    if _is_new(runner, job):
        job = replace(job, on_existing="overwrite")
    _ = made | "RemoveBackgrounds" >> WriteFilesAndRows(job=job)
    return made


def _is_new(runner: str, job: RemoveBackgrounds) -> bool:
    """Whether no run left anything in a folder of this machine: it needs no join with what is done,
    which for a few pictures takes as long as they do."""
    output = job.remove.output
    if runner != runners.HERE or not uris.is_local(output):
        return False
    try:
        return all(
            file.name.startswith((f"{layout.MANIFEST}/_", f"{uris.TEMPORARY}/"))
            for file in stores.listing(output)
        )
    except OSError:  # the job will say so
        return False
