"""Rules for the GPUs of Dataflow's workers.

In: a `Plan`. Out: what is wrong, or None. `worker_accelerator` is
`type:TYPE;count:COUNT;install-nvidia-driver;use_nvidia_mps`, a service option or an experiment:
cloud.google.com/dataflow/docs/gpu/use-gpus.
"""

from typing import Dict, Optional

from ...transforms.setting import did_you_mean
from . import dataflow, machines
from .plan import NVIDIA, Plan, Rule, provider_options

_KEYS = ("type", "count", "install-nvidia-driver", "use_nvidia_mps")
_ACCELERATOR = "--dataflow_service_options=worker_accelerator"


def accelerator(plan: Plan) -> Optional[Dict[str, str]]:
    """The accelerator that workers are asked for, by either way, taken apart; None for none."""
    text = plan.experiments.get("worker_accelerator") or plan.hinted_accelerator
    if not text:
        return None
    parts = [part.partition(":") for part in text.split(";") if part]
    return {key.strip(): value.strip() for key, _, value in parts}


def _gpu(plan: Plan) -> Optional[machines.Gpu]:
    return machines.GPUS.get((accelerator(plan) or {}).get("type", ""))


def number(plan: Plan) -> int:
    """How many of them a worker is asked to have."""
    count = (accelerator(plan) or {}).get("count", "1")
    return int(count) if count.isdecimal() else 1


def _malformed(plan: Plan) -> Optional[str]:
    asked = accelerator(plan) or {}
    for key in asked:
        if key not in _KEYS:
            return f"{key!r} is no part of worker_accelerator{did_you_mean(key, _KEYS, '', repr)}"
    lacking = [key for key in ("type", "count") if asked and key not in asked]
    if lacking:
        return f"worker_accelerator lacks its {lacking[0]}"
    count = asked.get("count", "1")
    if not count.isdecimal() or int(count) < 1:
        return f"worker_accelerator has count:{count}, which must be a whole number from 1 on"
    return None


def _unknown_type(plan: Plan) -> Optional[str]:
    kind = (accelerator(plan) or {}).get("type")
    if not kind or kind in machines.GPUS:
        return None
    hint = did_you_mean(kind, machines.GPUS, f"; it knows {', '.join(machines.GPUS)}")
    return f"this command doesn't know {kind!r}{hint}"


def _wrong_machine(plan: Plan) -> Optional[str]:
    gpu, name = _gpu(plan), plan.worker.machine_type
    if not gpu:
        return None
    kind = (accelerator(plan) or {})["type"]
    if name and machines.machine(name).series not in gpu.series:
        return f"{name} takes no {kind}, which is for {', '.join(gpu.series)}"
    if not name and "n1-standard" not in gpu.series:
        return f"Dataflow's default machine takes no {kind}, which is for {', '.join(gpu.series)}"
    return None


def _wrong_count(plan: Plan) -> Optional[str]:
    name = plan.worker.machine_type
    gpus = machines.machine(name).gpus if name and _gpu(plan) else None
    if gpus is None or gpus == number(plan):
        return None
    return f"{name} has {gpus} GPUs, and {number(plan)} are asked for"


def _idle_gpus(plan: Plan) -> Optional[str]:
    count = number(plan)
    if count <= 1 or not plan.wants_nvidia:
        return None
    return f"a worker has {count} GPUs, and its processes use the first, or the one of device_id"


def _no_driver(plan: Plan) -> Optional[str]:
    asked = accelerator(plan)
    if not asked or "install-nvidia-driver" in asked:
        return None
    return "workers have a GPU and no driver for it"


def _no_accelerator(plan: Plan) -> Optional[str]:
    if not plan.wants_nvidia or accelerator(plan) or plan.settings.provider_fallback:
        return None
    return "the provider needs a GPU of NVIDIA's, and workers have none"


def _no_gpu_provider(plan: Plan) -> Optional[str]:
    if plan.session is None or plan.wants_nvidia:
        return None
    if asked := accelerator(plan):
        return f"workers have a GPU ({asked.get('type')}), and no provider uses it"
    name = plan.worker.machine_type
    series = machines.machine(name).series if name else ""
    if not series.startswith(("g2-", "a2-", "a3-")):
        return None
    return f"{name} comes with a GPU, and no provider uses it"


def _hint_too(plan: Plan) -> Optional[str]:
    if not plan.hinted_accelerator or "worker_accelerator" not in plan.experiments:
        return None
    return "worker_accelerator and a resource hint both ask for an accelerator"


def _flexrs(plan: Plan) -> Optional[str]:
    if not plan.cloud.flexrs_goal or not accelerator(plan):
        return None
    return "FlexRS has no GPUs"


def _has_mps(plan: Plan) -> bool:
    return "use_nvidia_mps" in (accelerator(plan) or {})


def _mps_alone(plan: Plan) -> Optional[str]:
    if not _has_mps(plan) or dataflow.processes(plan) != 1:
        return None
    return "MPS shares a GPU among processes, and a worker has one"


def _crowded_gpu(plan: Plan) -> Optional[str]:
    count = dataflow.processes(plan)
    if not accelerator(plan) or not plan.wants_nvidia or _has_mps(plan) or not count or count == 1:
        return None
    return f"{count} SDK processes load the model onto one GPU, and use it by turns"


def _gpu_memory(plan: Plan) -> Optional[str]:
    gpu, count = _gpu(plan), dataflow.processes(plan)
    limit = provider_options(plan, *NVIDIA).get("gpu_mem_limit")
    if not gpu or not count or not str(limit or "").isdigit():
        return None
    each = int(str(limit)) / 1e9
    if count * each <= gpu.gigabytes:
        return None
    return f"{count} times {each:g} GB is more than the {gpu.gigabytes} GB of the GPU"


RULES = (
    Rule("accelerator", _ACCELERATOR, _malformed, "write type:TYPE;count:1;install-nvidia-driver"),
    Rule(
        "accelerator-type",
        _ACCELERATOR,
        _unknown_type,
        "see that Dataflow has it; it is sent as it is",
        fails=False,
    ),
    Rule("machine", "--machine_type", _wrong_machine, "take a machine of these series"),
    Rule("gpus-of-machine", "--machine_type", _wrong_count, "ask for as many as it has"),
    Rule(
        "idle-gpus",
        _ACCELERATOR,
        _idle_gpus,
        "take more workers with one GPU each",
        fails=False,
    ),
    Rule("driver", _ACCELERATOR, _no_driver, "add ;install-nvidia-driver"),
    Rule(
        "no-accelerator",
        "--provider",
        _no_accelerator,
        "ask for one by --dataflow_service_options, or take --provider CPU",
    ),
    Rule(
        "unused-gpu",
        "--provider",
        _no_gpu_provider,
        "take --provider CUDA, or machines without a GPU",
        fails=False,
    ),
    Rule(
        "hint-and-accelerator",
        "--resource_hints",
        _hint_too,
        "leave one out: Dataflow takes no worker_accelerator together with such a hint",
    ),
    Rule("flexrs", "--flexrs_goal", _flexrs, "leave it out"),
    Rule(
        "mps-alone",
        "--experiments=no_use_multiple_sdk_containers",
        _mps_alone,
        "leave it out for one process per vCPU, or leave out use_nvidia_mps",
        fails=False,
    ),
    Rule(
        "crowded-gpu",
        "--experiments",
        _crowded_gpu,
        "add no_use_multiple_sdk_containers, or use_nvidia_mps to worker_accelerator",
        fails=False,
    ),
    Rule(
        "gpu-memory",
        "--provider",
        _gpu_memory,
        "lower gpu_mem_limit, or have fewer processes",
    ),
)
