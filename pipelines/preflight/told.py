"""What a runner would be told, in lines.

In: a `Plan` and its job. Out: pairs of a name and what it is told. The pipeline is built, and for
Dataflow its job, so that what Beam refuses is refused here: with `ValueError` or `RuntimeError`.
"""

from dataclasses import replace
from typing import List, Tuple

from apache_beam.options.pipeline_options import (
    DirectOptions,
    FlinkRunnerOptions,
    PortableOptions,
    SparkRunnerOptions,
    WorkerOptions,
)

from ...transforms import RemoveBackgrounds
from ...transforms.store import uris
from .. import beam_options, running
from .plan import Plan


def told(plan: Plan, job: RemoveBackgrounds) -> List[Tuple[str, str]]:
    """What the runner would be told of a job, and what the job is."""
    # A folder elsewhere is not looked into.
    job = replace(job, compare_settings=uris.is_local(job.remove.output))
    if plan.kind == "dataflowrunner":
        from . import dataflow_job

        found = dataflow_job.told(plan, dataflow_job.made(plan, job))
    else:
        running.pipeline(plan.runner, beam_options.Options(list(plan.flags)), job)
        found = _portable(plan) if plan.kind.startswith(("flink", "spark", "port")) else _here(plan)
    return [*_of_the_job(plan, job), *found]


def _of_the_job(plan: Plan, job: RemoveBackgrounds) -> List[Tuple[str, str]]:
    given = plan.settings
    named = [*given.input, *map(str, given.input_list)]
    config = job.remove.config
    return [
        ("inputs", ", ".join(map(uris.without_secrets, named)) or "what failed last"),
        ("output", uris.without_secrets(job.remove.output)),
        ("model", config.model),
        ("providers", ", ".join(config.provider_names)),
    ]


def _portable(plan: Plan) -> List[Tuple[str, str]]:
    portable = plan.view(PortableOptions)
    flink, spark = plan.view(FlinkRunnerOptions), plan.view(SparkRunnerOptions)
    masters = {"flinkrunner": flink.flink_master, "sparkrunner": spark.spark_master_url}
    found = {
        "master": masters.get(plan.kind),
        "job server": portable.job_endpoint or "one that Beam starts",
        "parallelism": flink.parallelism if flink.parallelism > 0 else None,
        "workers": f"{plan.environment_type} {portable.environment_config or ''}".strip(),
        "SDK processes": portable.sdk_worker_parallelism,
        "minutes a picture": plan.view(WorkerOptions).element_processing_timeout_minutes,
    }
    return [(name, str(value)) for name, value in found.items() if value]


def _here(plan: Plan) -> List[Tuple[str, str]]:
    direct = plan.view(DirectOptions)
    mode = direct.direct_running_mode
    return [
        ("running mode", mode),
        *([("processes", str(direct.direct_num_workers))] if mode == "multi_processing" else []),
    ]
