"""Rules for Dataflow: where a job runs, its workers, disk and memory.

In: a `Plan`. Out: what is wrong, or None. What Beam itself checks of its options is asked of Beam,
piece by piece: as a whole its check asks Google about buckets.
"""

from typing import Any, Optional

from apache_beam.options.pipeline_options import (
    GoogleCloudOptions,
    PipelineOptions,
    StandardOptions,
    WorkerOptions,
)
from apache_beam.options.pipeline_options_validator import PipelineOptionsValidator
from apache_beam.runners.dataflow.dataflow_runner import DataflowRunner

from ...transforms.store import uris
from . import machines
from .plan import Plan, Rule

# What Dataflow gives a batch job that does not say: cloud.google.com/dataflow/docs/guides/flexrs.
DEFAULT_DISK_GB = 25

# Of a worker's system, logs and Beam's containers.
SYSTEM_DISK_GB = 15
# Of an image, packed and unpacked, without its models: with CUDA's and cuDNN's libraries, and not.
GPU_IMAGE_GB, CPU_IMAGE_GB = 15, 5

# Of a process that holds the bundled model, measured with three pictures.
PROCESS_GB = 0.5
# Above so many processes, half of a machine's memory for each is certain to be too much.
SHARING_PROCESSES = 2


def _beams(plan: Plan, check: str, view: Any) -> Optional[str]:
    """What a check of Beam's own says, on a copy: some of them change what they check."""
    options = PipelineOptions(list(plan.flags))
    options.view_as(GoogleCloudOptions).region = plan.cloud.region or "any"
    errors = getattr(_validator(options), check)(options.view_as(view))
    return "; ".join(str(error).rstrip(".") for error in errors) or None


def _validator(options: PipelineOptions) -> PipelineOptionsValidator:
    return PipelineOptionsValidator(options, DataflowRunner())


def _is_sent(plan: Plan) -> bool:
    """Whether Google is told; a stand-in of one's own may have other rules."""
    return bool(_validator(plan.options).is_service_runner())


def _project(plan: Plan) -> Optional[str]:
    return _beams(plan, "validate_cloud_options", GoogleCloudOptions) if _is_sent(plan) else None


def _workers(plan: Plan) -> Optional[str]:
    return _beams(plan, "validate_num_workers", WorkerOptions)


def _zone(plan: Plan) -> Optional[str]:
    return _beams(plan, "validate_worker_region_zone", WorkerOptions)


def _region(plan: Plan) -> Optional[str]:
    if plan.cloud.region or not _is_sent(plan):
        return None
    return None if DataflowRunner().get_default_gcp_region() else "Dataflow needs a region"


def _temp_location(plan: Plan) -> Optional[str]:
    given = {
        "temp_location": plan.cloud.temp_location,
        "staging_location": plan.cloud.staging_location,
    }
    if not _is_sent(plan):
        return None
    if not any(given.values()):
        return "Dataflow needs a folder of Google Cloud Storage for its own files"
    validator = _validator(plan.options)
    errors = [validator.validate_gcs_path(plan.cloud, name) for name in given]
    # Beam takes the one for the other.
    return None if [] in errors else str(next(e for e in errors if "Missing" not in e[0])[0])


def _streaming(plan: Plan) -> Optional[str]:
    if not plan.view(StandardOptions).streaming:
        return None
    return "the inputs end, and a streaming job keeps and bills workers as if they did not"


def _private_workers(plan: Plan) -> Optional[str]:
    if plan.worker.use_public_ips is not False:
        return None
    named = (*plan.settings.input, *plan.settings.input_list)
    web = [uri for uri in named if uris.is_web(uri)]
    if not web:
        return None
    shown = uris.without_secrets(web[0])
    return f"{shown!r} is on the web, which workers without public addresses don't reach"


def _disk(plan: Plan) -> Optional[str]:
    gpus = plan.wants_nvidia
    models = (plan.model.megabytes or 0) / 1000 if plan.model else 0
    image = GPU_IMAGE_GB if gpus else CPU_IMAGE_GB if plan.image else 0
    needed = round(SYSTEM_DISK_GB + image + models)
    given = plan.worker.disk_size_gb or DEFAULT_DISK_GB
    if given >= needed:
        return None
    default = "" if plan.worker.disk_size_gb else ", Dataflow's default,"
    what = "an image with CUDA" if gpus else "an image"
    return f"{given} GB{default} are too few for the system, {what} and models: {needed} GB"


def processes(plan: Plan) -> Optional[int]:
    """SDK processes on a worker: one for each vCPU, unless told otherwise; None if not known."""
    if "no_use_multiple_sdk_containers" in plan.experiments:
        return 1
    name = plan.worker.machine_type
    return machines.machine(name).vcpus if name else None


def _memory(plan: Plan) -> Optional[str]:
    """A lower bound: what isn't known of a model counts nothing."""
    count, name = processes(plan), plan.worker.machine_type
    gigabytes = machines.machine(name).gigabytes if name else None
    if not count or not gigabytes:
        return None
    model = (plan.model.megabytes or 0) / 1000 if plan.model else 0
    each = PROCESS_GB + model + (plan.settings.max_memory or 0) / 1e9
    if count * each <= gigabytes:
        return None
    return (
        f"{count} SDK processes of {each:.1f} GB at least ({PROCESS_GB} their own, {model:.1f} the "
        f"model, the rest --max_memory) need more than the {gigabytes:g} GB of {name}"
    )


def _shared_memory(plan: Plan) -> Optional[str]:
    count = processes(plan)
    if plan.settings.max_memory or not count or count <= SHARING_PROCESSES:
        return None
    return (
        f"each of {count} SDK processes takes up to half of the machine's memory for pictures, "
        "as if it were alone"
    )


RULES = (
    Rule("project", "--project, --job_name", _project, "name the project by its ID"),
    Rule("region", "--region", _region, "name the region of the pictures' bucket"),
    Rule(
        "temp-location",
        "--temp_location, --staging_location",
        _temp_location,
        "name a folder in a bucket, such as gs://my-bucket/tmp",
    ),
    Rule("workers", "--num_workers, --max_num_workers", _workers, "raise --max_num_workers"),
    Rule("zone", "--worker_region, --worker_zone", _zone, "give one of them"),
    Rule("streaming", "--streaming", _streaming, "leave it out", fails=False),
    Rule(
        "private-workers",
        "--no_use_public_ips",
        _private_workers,
        "leave it out, or see that the network has a Cloud NAT",
        fails=False,
    ),
    Rule("disk", "--disk_size_gb", _disk, "raise it; 50 is plenty for one model"),
    Rule(
        "memory",
        "--machine_type",
        _memory,
        "take a larger machine, lower --max_memory, or have one process by "
        "--experiments=no_use_multiple_sdk_containers",
    ),
    Rule(
        "shared-memory",
        "--max_memory",
        _shared_memory,
        "give each its share by --max_memory, or have one process by "
        "--experiments=no_use_multiple_sdk_containers",
        fails=False,
    ),
)
