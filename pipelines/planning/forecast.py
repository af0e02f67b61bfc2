"""What is to be done and what a picture takes -> hours and dollars, by machine and number.

In: `Inputs`, `Measured`, the model's operations, prices. Out: `Forecast`. A machine does so many
pictures a second as the scarcest of what it has allows: the model's arithmetic, its cores, its
network; all machines together no more than a bucket takes requests. A vCPU is taken for one of this
machine's cores. Pure arithmetic; nothing can fail.
"""

from typing import Dict, List, NamedTuple, Optional, Sequence

from . import costs
from .costs import Requests
from .fleet import WORKERS, Worker
from .inputs import Inputs
from .prices import Prices
from .sample import Measured

# How many machines are looked at.
NUMBERS = (1, 10, 100)

# Of a worker, from its order to its first picture: the machine, its image, the model. Assumed, not
# measured.
START_SECONDS = 300

HERE = "this machine"
FILES, SHARDS = "files", "shards"

# What most of the time is for: what a worker has of it is scarce, or a bucket; or workers start.
MODEL, CORES, NETWORK, REQUESTS, START = "model", "cores", "network", "requests", "start"


class Row(NamedTuple):
    """A kind of machine, a number of them, and how pictures lie.

    Attributes:
      machine, number: which, and how many.
      layout: "files", or in and out "shards".
      hours: from the start to the end.
      dollars: of machines, requests and shuffles; None for this machine, which costs nothing more.
      limit: what most of the time is for.
      is_estimate: whether the speed of the model follows from arithmetic, and not from the sample.
    """

    machine: str
    number: int
    layout: str
    hours: float
    dollars: Optional[float]
    limit: str
    is_estimate: bool


class Stored(NamedTuple):
    """What lies in storage: bytes, and dollars for a month of it."""

    bytes: float
    dollars_month: float


class Forecast(NamedTuple):
    """What a run would take; dollars of requests are part of those of the rows."""

    rows: List[Row]
    stored_in: Stored
    stored_out: Stored
    requests: Dict[str, Requests]


def forecast(
    inputs: Inputs,
    measured: Measured,
    flops: Optional[float],
    prices: Prices,
    samples_per_shard: int,
    workers: Sequence[Worker] = WORKERS,
) -> Forecast:
    """The table: this machine, then workers; without GPUs where `flops` isn't known."""
    pictures, made = inputs.to_do, measured.parts * inputs.to_do
    bytes_in, bytes_out = inputs.bytes_in(measured.bytes_in), measured.bytes_out * pictures
    shards = costs.of_shards(pictures, bytes_in / pictures, samples_per_shard)
    requests = {FILES: costs.of_files(pictures, measured.parts), SHARDS: shards}
    rows = [_here(pictures, measured, layout) for layout in (FILES, SHARDS)]
    for worker in workers:
        if (worker.gpu and not flops) or not (worker.gpu or measured.is_on_cpu):
            continue
        rates = _rates(worker, measured, flops, bytes_in / pictures)
        for number in NUMBERS:
            for layout in (FILES, SHARDS):
                times = Times.of(pictures, number * min(rates.values()), layout, made)
                paid = requests[layout].dollars(prices) + shuffled(pictures, layout, prices)
                paid += times.paid_hours(number) * worker.hourly(prices)
                limit = times.limit or min(rates, key=lambda name: rates[name])
                is_estimate = worker.gpu is not None
                row = Row(worker.label, number, layout, times.hours, paid, limit, is_estimate)
                rows.append(row)
    return Forecast(rows, _stored(bytes_in, prices), _stored(bytes_out, prices), requests)


class Times(NamedTuple):
    """Seconds of a job on several machines.

    Attributes:
      alone: while one worker lists the inputs, and at last writes the rows.
      work: while all are at work, their start included.
      limit: what is waited for, if it is not what a worker has.
    """

    alone: float
    work: float
    limit: Optional[str]

    @classmethod
    def of(cls, pictures: float, rate: float, layout: str, files: float) -> "Times":
        """Of so many pictures at a rate of all machines together, into so many files."""
        lists = pictures // costs.PAGE_NAMES if layout == FILES else 0
        alone = lists * costs.PAGE_SECONDS + costs.manifest_files(pictures) * costs.WRITE_SECONDS
        needed = pictures / rate
        taken = needed
        if layout == FILES:
            taken = max(
                throttled(pictures, rate, costs.BUCKET_READS),
                throttled(files, rate * files / pictures, costs.BUCKET_WRITES),
            )
        limit = REQUESTS if taken > 1.05 * needed else None
        return cls(alone, START_SECONDS + taken, START if taken < START_SECONDS else limit)

    @property
    def hours(self) -> float:
        return (self.alone + self.work) / 3600

    def paid_hours(self, number: int) -> float:
        """Of all machines; one of them is at work alone, too."""
        return (self.alone + number * self.work) / 3600


def throttled(requests: float, rate: float, first: float) -> float:
    """Seconds for requests at a rate, where a bucket takes `first` a second, twice as many after
    each `DOUBLING_SECONDS`.

    >>> throttled(1_000_000, 500, 1000), throttled(3_600_000, 4000, 1000)
    (2000.0, 2400.0)
    """
    if not requests:
        return 0.0
    seconds, done, allowed = 0.0, 0.0, first
    while allowed < rate and done + allowed * costs.DOUBLING_SECONDS < requests:
        done += allowed * costs.DOUBLING_SECONDS
        seconds += costs.DOUBLING_SECONDS
        allowed *= 2
    return seconds + (requests - done) / min(rate, allowed)


def shuffled(pictures: float, layout: str, prices: Prices) -> float:
    """Dollars for what crosses shuffles."""
    in_files = costs.shuffled(costs.NAMED, costs.TO_DO)
    each = in_files if layout == FILES else sum(one.size for one in costs.INTO_SHARDS)
    return pictures * each / 1e9 * prices.shuffle_gb


def _here(pictures: int, measured: Measured, layout: str) -> Row:
    work = pictures * measured.seconds
    limit = _scarce_core(measured) if measured.occupied > 0.5 else NETWORK
    limit = START if work < measured.start_seconds else limit
    return Row(HERE, 1, layout, (measured.start_seconds + work) / 3600, None, limit, False)


def _rates(
    worker: Worker, measured: Measured, flops: Optional[float], bytes_in: float
) -> Dict[str, float]:
    """Pictures a second, by what may be scarce."""
    around = max(measured.cpu_seconds - measured.model_seconds, 1e-4)
    network = worker.gbps * 1e9 / 8 / max(bytes_in, measured.bytes_out, 1)
    if worker.gpu and flops:
        model, cores = worker.inferences(flops), worker.vcpus / around
        return {MODEL: model, CORES: cores, NETWORK: network}
    return {_scarce_core(measured): worker.vcpus / measured.cpu_seconds, NETWORK: network}


def _scarce_core(measured: Measured) -> str:
    """Whether cores are mostly taken by the model, or by what is around it."""
    is_model = measured.model_seconds > measured.cpu_seconds / 2 or not measured.is_on_cpu
    return MODEL if is_model else CORES


def _stored(size: float, prices: Prices) -> Stored:
    return Stored(size, size / 1e9 * prices.storage_gb_month)
