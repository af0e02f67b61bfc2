"""Beam's own job for Dataflow, made in a folder of its own without a network, and read back.

In: a `Plan` and its job. Out: what Dataflow would be sent, as JSON has it. Fails as Beam does, with
`ValueError` or `RuntimeError`, for options that no job can be made of.
"""

import json
import tempfile
from pathlib import Path
from typing import Any, Dict, List, Tuple

from apache_beam.options.pipeline_options import (
    DebugOptions,
    GoogleCloudOptions,
    PipelineOptions,
    SetupOptions,
)

from ...transforms import RemoveBackgrounds
from ...transforms.store import uris
from .. import running
from .plan import Plan


def made(plan: Plan, job: RemoveBackgrounds) -> Dict[str, Any]:
    """The job that Dataflow would be sent."""
    with tempfile.TemporaryDirectory() as folder:
        options = _offline(plan, Path(folder))
        running.pipeline(plan.runner, options, job).run()
        found: Dict[str, Any] = json.loads((Path(folder) / "job.json").read_text())
    return found


def _offline(plan: Plan, folder: Path) -> PipelineOptions:
    """The options with nothing in them that would be asked of Google, fetched or built."""
    options = PipelineOptions(list(plan.flags))
    cloud, setup = options.view_as(GoogleCloudOptions), options.view_as(SetupOptions)
    cloud.no_auth, cloud.update, cloud.impersonate_service_account = True, False, None
    cloud.dataflow_endpoint = "http://localhost:1"
    cloud.template_location = str(folder / "job.json")
    for name in ("staging_location", "temp_location"):
        (folder / name).mkdir()
        setattr(cloud, name, str(folder / name))
    options.view_as(DebugOptions).dataflow_job_file = None
    setup.prebuild_sdk_container_engine, setup.requirements_cache = None, "skip"
    if uris.scheme(setup.sdk_location):
        setup.sdk_location = "container"
    return options


def told(plan: Plan, job: Dict[str, Any]) -> List[Tuple[str, str]]:
    """What matters of it, by name."""
    environment = job["environment"]
    (pool,) = environment["workerPools"]
    options = environment["sdkPipelineOptions"]["options"]
    experiments = environment.get("experiments", [])
    one = "no_use_multiple_sdk_containers" in experiments
    images = {each["containerImage"] for each in pool.get("sdkHarnessContainerImages", [])}
    services = environment.get("serviceOptions", [])
    accelerator = [each for each in (*services, *experiments) if "worker_accelerator=" in each]
    found = {
        "project": options.get("project"),
        "region": options.get("region"),
        # Of what was given: the job that is read back has a folder of its own.
        "temporary files": plan.cloud.temp_location or plan.cloud.staging_location,
        "workers": _workers(pool),
        "machines": pool.get("machineType", "Dataflow's default"),
        "disks": f"{pool['diskSizeGb']} GB" if "diskSizeGb" in pool else "Dataflow's default",
        "accelerator": ", ".join(each.partition("=")[2] for each in accelerator) or "none",
        "resource hints": ", ".join(map(str, options.get("resource_hints") or [])),
        "image": ", ".join(sorted(images)) or pool.get("workerHarnessContainerImage"),
        "SDK processes": "one for each worker" if one else "one for each vCPU",
        "network": _network(pool),
        "flexible scheduling": environment.get("flexResourceSchedulingGoal"),
        "service options": ", ".join(each for each in services if each not in accelerator),
        "experiments": ", ".join(experiments),
        "staged files": ", ".join(each["name"] for each in pool.get("packages", [])) or "none",
        "kind": f"{environment['version']['job_type']}, by {environment['userAgent']['name']} "
        f"{environment['userAgent']['version']}",
    }
    return [(name, str(value)) for name, value in found.items() if value]


def _workers(pool: Dict[str, Any]) -> str:
    scaling = pool.get("autoscalingSettings", {})
    first, most = pool.get("numWorkers"), scaling.get("maxNumWorkers")
    parts = [f"{first} at first" if first else "as many as Dataflow thinks fit"]
    parts += [f"{most} at most"] if most else ["no limit of yours"]
    return ", ".join(parts)


def _network(pool: Dict[str, Any]) -> str:
    private = pool.get("ipConfiguration") == "WORKER_IP_PRIVATE"
    names = [pool[name] for name in ("network", "subnetwork") if name in pool]
    return ", ".join([*names, *(["no public addresses"] if private else [])])
