"""Rules for images of workers, and for runners that have a cluster do the work.

In: a `Plan`. Out: what is wrong, or None.
"""

from typing import Optional

from apache_beam.options.pipeline_options import SetupOptions

from ...transforms.store import uris
from .. import checks
from . import images
from .plan import Plan, Rule


def _no_image(plan: Plan) -> Optional[str]:
    """Beam's own image, to which nothing brings rembg-beam."""
    setup = plan.view(SetupOptions)
    brought = (
        *(setup.setup_file, setup.requirements_file, setup.extra_packages),
        setup.prebuild_sdk_container_engine,
    )
    if plan.environment_type != "DOCKER" or any(brought):
        return None
    if plan.image is None and not plan.wants_nvidia:
        return "workers run in Beam's own image, which has no rembg-beam"
    if plan.image is not None and images.is_beams_own(plan.image):
        return f"{plan.image!r} is Beam's own image, which has no rembg-beam"
    return None


def _no_gpu_image(plan: Plan) -> Optional[str]:
    if plan.environment_type != "DOCKER" or plan.image is not None or not plan.wants_nvidia:
        return None
    return "workers run in Beam's own image, which has neither rembg-beam nor CUDA"


def _other_versions(plan: Plan) -> Optional[str]:
    return images.differing(plan.image)


def _local_paths(plan: Plan) -> Optional[str]:
    local = checks.local_paths(plan.settings) if plan.kind == "dataflowrunner" else []
    return f"{local[0]!r} is a path of this machine, which workers don't see" if local else None


def _paths_of_a_cluster(plan: Plan) -> Optional[str]:
    local = checks.local_paths(plan.settings) if plan.kind != "dataflowrunner" else []
    if not local or plan.master is None:
        return None
    return f"{local[0]!r} is a path, which on the workers of {plan.master} may be another folder"


def _local_model(plan: Plan) -> Optional[str]:
    """An image of one's own may have the folder: what isn't known is not said."""
    if plan.environment_type != "DOCKER" or plan.image is not None:
        return None
    given = [uri for uri in (plan.settings.model_path, plan.settings.model_dir) if uri]
    local = [uri for uri in given if uris.is_local(uri)]
    return f"Beam's own image has no {local[0]!r}" if local else None


def _loopback(plan: Plan) -> Optional[str]:
    if plan.environment_type != "LOOPBACK" or plan.master is None:
        return None
    return f"{plan.master} has this machine do all the work, and must reach it by network"


RULES = (
    Rule(
        "no-image",
        "--sdk_container_image, --environment_config",
        _no_image,
        "build an image of containers/cpu.Dockerfile, or bring rembg-beam by --requirements_file",
    ),
    Rule(
        "no-gpu-image",
        "--sdk_container_image, --environment_config",
        _no_gpu_image,
        "build an image of containers/gpu.Dockerfile and name it",
    ),
    Rule(
        "other-versions",
        "--sdk_container_image, --environment_config",
        _other_versions,
        "submit with the image's versions, or build an image with these, as "
        "containers/versions.py prints them",
    ),
    Rule(
        "local-paths",
        "--input, --input_list, --output",
        _local_paths,
        "use gs:// URIs for inputs and output",
    ),
    Rule(
        "paths-of-a-cluster",
        "--input, --input_list, --output",
        _paths_of_a_cluster,
        "use URIs of a store that all reach, unless each worker has that folder at the same path",
        fails=False,
    ),
    Rule(
        "local-model",
        "--model_path, --model_dir",
        _local_model,
        "use a URI that workers reach, or an image that holds the model",
    ),
    Rule(
        "loopback",
        "--environment_type",
        _loopback,
        "give workers an image, by --environment_type=DOCKER and --environment_config, or a pool",
        fails=False,
    ),
)
