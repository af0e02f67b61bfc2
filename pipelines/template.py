"""A Dataflow template in place of a run: the job as a file, which Dataflow starts later.

In: a job, and Beam's options with `--template_location`. Out: an exit status, as soon as the file
is written. All options hold as they are then: none can be given when the job is started. Nothing is
left in the output folder: the job itself compares its settings with the folder's record, writes it,
and makes the run's id, so that each launch is a run. Fails with `UsageError` for what a job that
nobody waits for can't do.
"""

from typing import TextIO

from apache_beam.options.pipeline_options import GoogleCloudOptions, PipelineOptions

from ..transforms import RemoveBackgrounds
from ..transforms.sources import lists
from . import checks, logs, runners, running
from .settings import Settings
from .status import FAILED_RUN, OK, UsageError


def is_wanted(options: PipelineOptions) -> bool:
    return bool(_location(options))


def check(runner: str, given: Settings) -> None:
    """Refuses what only a command that waits for its job can do; reads nothing."""
    if runners.short(runner) != "dataflowrunner":
        raise UsageError(
            f"--template_location: {runner} has no templates; leave it out, or give "
            "--runner DataflowRunner"
        )
    for uri in filter(lists.is_read_once, given.input_list):
        raise UsageError(
            f"--input_list {uri!r}: it can be read only once, and now, while a template's job runs "
            "later; name a file in a bucket"
        )
    if given.max_failures is not None:
        raise UsageError(
            "--max_failures: nobody waits for a template's job, or counts its failures; leave it "
            "out, and look at the rows by `rembg-beam report OUTPUT --fail_if 'failed>5%'`"
        )


def write(runner: str, options: PipelineOptions, job: RemoveBackgrounds, stdout: TextIO) -> int:
    """Writes the template of a job; returns the exit status."""
    checks.since(job)  # the job would only fail of a folder of other settings
    try:
        running.pipeline(runner, options, job).run()
    except Exception as error:
        logs.say(f"no template was written: {logs.cause(error)}")
        return FAILED_RUN
    print(f"template: {_location(options)}; its options can't be changed any more", file=stdout)
    return OK


def _location(options: PipelineOptions) -> str:
    return options.view_as(GoogleCloudOptions).template_location or ""
