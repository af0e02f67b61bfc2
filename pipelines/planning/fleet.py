"""Machines that a job may have as workers: what they cost, and what they do at best.

In: the machine that a job asks for, prices, and what a picture takes. Out: workers, dollars an
hour, pictures a second. No GPU was measured: what they do with a model follows from its arithmetic.
Nothing can fail.
"""

import math
from typing import NamedTuple, Optional, Tuple

from ..preflight import machines
from .costs import DISK_GB
from .prices import Prices


class Worker(NamedTuple):
    """A type of machine.

    Attributes:
      machine: its name.
      gbps: gigabits that it may send in a second: cloud.google.com/compute/docs/network-bandwidth;
        infinity where that is not known.
      gpu: the name of its GPU; None for none.
      share: of its TFLOPS that a model gets at best, estimated: with U²-Net so many pictures a
        second as the simulated cards of `benchmarks/card.py`.
      gpus: how many it has; all are paid for, and its processes use one.
    """

    machine: str
    gbps: float
    gpu: Optional[str] = None
    share: float = 0.0
    gpus: int = 1

    @property
    def chip(self) -> str:
        """What its GPU is called; "" for none.

        >>> [worker.chip for worker in WORKERS]
        ['', 'T4', 'L4', 'H100']
        """
        gpu = (self.gpu or "").removeprefix("nvidia-").removeprefix("tesla-")
        return gpu.partition("-")[0].upper()

    @property
    def label(self) -> str:
        if not self.gpu:
            return self.machine
        chips = self.chip if self.gpus == 1 else f"{self.gpus} {self.chip}"
        return f"{self.machine}, {chips}"

    @property
    def vcpus(self) -> int:
        return machines.machine(self.machine).vcpus or 0

    def hourly(self, prices: Prices) -> float:
        """Dollars for an hour as a batch worker of Dataflow, with its disk."""
        if self.gpu == "nvidia-h100-80gb":
            return prices.h100_machine_hour + DISK_GB * prices.disk_gb_hour
        gpus = {"nvidia-tesla-t4": prices.t4_hour, "nvidia-l4": prices.l4_hour}
        memory = machines.machine(self.machine).gigabytes or 0
        return hourly(prices, self.vcpus, memory) + self.gpus * gpus.get(self.gpu or "", 0)

    def inferences(self, flops: float) -> float:
        """How many a second one GPU does at best, of so many operations each."""
        tflops = machines.GPUS[self.gpu].tflops if self.gpu else None
        return self.share * (tflops or 0) * 1e12 / flops


def hourly(prices: Prices, vcpus: int, memory_gb: float) -> float:
    """Dollars for an hour of such a batch worker of Dataflow, with its disk."""
    machine = vcpus * prices.vcpu_hour + memory_gb * prices.memory_gb_hour
    return machine + DISK_GB * prices.disk_gb_hour


WORKERS = (
    Worker("n2-standard-8", 16),
    Worker("n1-standard-4", 10, "nvidia-tesla-t4", 0.6),
    Worker("g2-standard-8", 16, "nvidia-l4", 0.6),
    Worker("a3-highgpu-1g", 25, "nvidia-h100-80gb", 0.35),
)


def workers(machine: Optional[str], gpu: Optional[str], gpus: int = 1) -> Tuple[Worker, ...]:
    """Those that are looked at: first the one that a job asks for, if its vCPUs, memory and GPU are
    known and it is none of the others.

    >>> [worker.label for worker in workers("e2-standard-16", None)[:2]]
    ['e2-standard-16', 'n2-standard-8']
    >>> workers("g2-standard-24", "nvidia-l4", 2)[0].label
    'g2-standard-24, 2 L4'
    >>> workers("zz-new-8", None) == workers("n1-standard-4", "nvidia-tesla-t4") == WORKERS
    True
    """
    known = machines.machine(machine or "")
    shares = {each.gpu: each.share for each in WORKERS if not each.machine.startswith("a3-")}
    is_other = all((each.machine, each.gpu, each.gpus) != (machine, gpu, gpus) for each in WORKERS)
    if not (machine and known.vcpus and known.gigabytes and gpu in shares and is_other):
        return WORKERS
    if gpu is None and known.gpus:  # it is paid for, and nothing uses it
        return WORKERS
    return (Worker(machine, math.inf, gpu, shares[gpu], gpus if gpu else 1), *WORKERS)
