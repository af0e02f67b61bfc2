"""What a run must know of Beam's runners: which work where, and which can't do this job.

In: a runner's name and Beam's options. Out: answers. `chosen` raises `UsageError` for a runner that
can't carry the job.
"""

from apache_beam.options.pipeline_options import (
    DirectOptions,
    FlinkRunnerOptions,
    PipelineOptions,
    PortableOptions,
    SparkRunnerOptions,
    StandardOptions,
)

from .status import UsageError

# The runner that runs a pipeline in this process.
HERE = "FnApiRunner"

# Runners that end with this process: they work in it, or in one that they start.
_OF_THIS_PROCESS = ("directrunner", "fnapirunner", "prismrunner")

_YEAR_SECONDS = 365 * 24 * 3600

# Those that send the job to a job server, which they may start.
_SENDING = ("flinkrunner", "portablerunner", "prismrunner", "sparkrunner")

# Runners that were tried, and what was seen.
_REFUSED = {
    "daskrunner": "of a step with several outputs it gives all to whoever takes one, and it drops "
    "what comes at the end of a bundle (tried with Beam 2.77)",
}


def chosen(options: PipelineOptions) -> str:
    """The runner asked for, else `HERE`; refuses one that is known not to give each input a row."""
    runner = options.view_as(StandardOptions).runner or HERE
    if seen := _REFUSED.get(short(runner)):
        raise UsageError(
            f"--runner {runner} can't carry this job: {seen}. Leave out --runner to run on this "
            "machine, or take PrismRunner, FlinkRunner, SparkRunner or DataflowRunner"
        )
    return str(runner)


def let_take_its_time(runner: str, options: PipelineOptions) -> None:
    """Beam takes a job on Prism for failed after `--job_server_timeout`, by default 300 seconds."""
    portable = options.view_as(PortableOptions)
    is_own = short(runner) == "prismrunner" and not portable.job_endpoint
    if is_own and portable.job_server_timeout == PortableOptions().job_server_timeout:
        portable.job_server_timeout = _YEAR_SECONDS


def is_one_process(runner: str, options: PipelineOptions) -> bool:
    """Whether all runs in this process."""
    return runner == HERE and not starts_workers(runner, options)


def starts_workers(runner: str, options: PipelineOptions) -> bool:
    """Whether it runs the job from this process, in others that it starts."""
    mode = options.view_as(DirectOptions).direct_running_mode
    return runner == HERE and mode == "multi_processing"


def has_embedded_pool(options: PipelineOptions) -> bool:
    """Whether the job is run from this process, by workers of a pool elsewhere."""
    portable = options.view_as(PortableOptions)
    return portable.job_endpoint == "embed" and portable.environment_type == "EXTERNAL"


def is_elsewhere(runner: str, options: PipelineOptions) -> bool:
    """Whether the job goes on when this process ends."""
    endpoint = options.view_as(PortableOptions).job_endpoint
    if endpoint:
        return bool(endpoint != "embed")
    name = short(runner)
    if name == "flinkrunner":
        return options.view_as(FlinkRunnerOptions).flink_master not in ("[auto]", "[local]")
    if name == "sparkrunner":
        return not options.view_as(SparkRunnerOptions).spark_master_url.startswith("local")
    return name not in _OF_THIS_PROCESS


def sends(runner: str) -> bool:
    """Whether it sends the job to a job server, and does not wait for its end."""
    return short(runner) in _SENDING


def short(runner: str) -> str:
    """As Beam compares names.

    >>> short("apache_beam.runners.portability.prism_runner.PrismRunner"), short("Flink")
    ('prismrunner', 'flinkrunner')
    """
    name = runner.rpartition(".")[2].lower()
    return name if name.endswith("runner") else f"{name}runner"
