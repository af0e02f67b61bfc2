"""Google's machine types: how many cores and how much memory, and which of NVIDIA's GPUs.

In: names, as `--machine_type` and `worker_accelerator` have them. Out: numbers, None where a name
is not in the tables. They are of cloud.google.com/compute/docs/gpus,
cloud.google.com/compute/docs/accelerator-optimized-machines and
cloud.google.com/compute/docs/general-purpose-machines. Pure functions.
"""

import re
from typing import Dict, NamedTuple, Optional, Tuple


class Machine(NamedTuple):
    """A machine type.

    Attributes:
      series: such as `g2-standard`.
      vcpus: its cores, as Google counts them; None if not known.
      gigabytes: of its memory; None if not known.
      gpus: how many GPUs are always in it; None for a series that they are added to, or in none.
    """

    series: str
    vcpus: Optional[int]
    gigabytes: Optional[float]
    gpus: Optional[int]


class Gpu(NamedTuple):
    """A GPU.

    Attributes:
      series: the machines that take it.
      gigabytes: of its memory.
      tflops: of its tensor cores in TF32, without sparsity; in FP32 where it has no TF32; by
        NVIDIA's data sheets; None if not known.
    """

    series: Tuple[str, ...]
    gigabytes: int
    tflops: Optional[float] = None


_N1 = ("n1-standard", "n1-highmem", "n1-highcpu", "n1-custom", "custom")

GPUS: Dict[str, Gpu] = {
    "nvidia-l4": Gpu(("g2-standard", "g2-custom"), 24, 60),
    "nvidia-tesla-t4": Gpu(_N1, 16, 8.1),
    "nvidia-tesla-p4": Gpu(_N1, 8),
    "nvidia-tesla-p100": Gpu(_N1, 16),
    "nvidia-tesla-v100": Gpu(_N1, 16),
    "nvidia-tesla-a100": Gpu(("a2-highgpu", "a2-megagpu"), 40),
    "nvidia-a100-80gb": Gpu(("a2-ultragpu",), 80),
    "nvidia-h100-80gb": Gpu(("a3-highgpu", "a3-edgegpu"), 80, 494),
    "nvidia-h100-mega-80gb": Gpu(("a3-megagpu",), 80),
}

# Gigabytes for each vCPU.
_MEMORY = {
    **{"n1-standard": 3.75, "n1-highmem": 6.5, "n1-highcpu": 0.9, "g2-standard": 4.0},
    **{f"{one}-standard": 4.0 for one in ("e2", "n2", "n2d", "n4", "c2", "c2d", "c3", "t2d")},
    **{f"{one}-highmem": 8.0 for one in ("e2", "n2", "n2d", "n4", "c2d", "c3")},
    **{f"{one}-highcpu": 1.0 for one in ("e2", "n2", "n2d")},
    **{f"{one}-highcpu": 2.0 for one in ("n4", "c2d", "c3")},
}

# vCPUs and gigabytes for each GPU.
_WITH_GPUS = {
    "a2-highgpu": (12, 85.0),
    "a2-megagpu": (6, 85.0),
    "a2-ultragpu": (12, 170.0),
    "a3-highgpu": (26, 234.0),
    "a3-megagpu": (26, 234.0),
    "a3-edgegpu": (26, 234.0),
}

# G2 has one, but for these numbers of vCPUs.
_GPUS_OF_G2 = {24: 2, 48: 4, 96: 8}


def machine(name: str) -> Machine:
    """A machine type, taken apart.

    >>> machine("g2-standard-24")
    Machine(series='g2-standard', vcpus=24, gigabytes=96.0, gpus=2)
    >>> machine("a2-highgpu-2g")
    Machine(series='a2-highgpu', vcpus=24, gigabytes=170.0, gpus=2)
    >>> machine("n1-custom-4-8192")
    Machine(series='n1-custom', vcpus=4, gigabytes=8.0, gpus=None)
    >>> machine("zz-new-8")
    Machine(series='zz-new', vcpus=8, gigabytes=None, gpus=None)
    """
    if custom := re.fullmatch(r"((?:\w+-)?custom)-(\d+)-(\d+)(?:-ext)?", name):
        series, vcpus = custom[1], int(custom[2])
        return Machine(series, vcpus, int(custom[3]) / 1024, _gpus(series, vcpus))
    if gpus := re.fullmatch(r"(a\d-\w+gpu)-(\d+)g", name):
        each = _WITH_GPUS.get(gpus[1])
        count = int(gpus[2])
        if each is None:
            return Machine(gpus[1], None, None, count)
        return Machine(gpus[1], each[0] * count, each[1] * count, count)
    series, _, number = name.rpartition("-")
    if not number.isdigit():
        return Machine(name, None, None, None)
    vcpus = int(number)
    memory = _MEMORY.get(series)
    return Machine(series, vcpus, memory and memory * vcpus, _gpus(series, vcpus))


def _gpus(series: str, vcpus: int) -> Optional[int]:
    return _GPUS_OF_G2.get(vcpus, 1) if series.startswith("g2-") else None
