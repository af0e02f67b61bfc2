"""The tables of `docs/scale.md`, made of what was measured, of prices and of `results.md`.

`python benchmarks/scale.py` writes them into the page; `make reference` does that too. What one
picture costs in bytes and requests is checked against a run by `tests/test_scale.py`. Rows and
seconds are those of `python benchmarks/scale.py --measure`, which packs, writes and reads
`ROWS_PER_FILE` typical rows and prints medians.
"""

import random
import re
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Callable, Dict, List, NamedTuple, Optional, Sequence

import card
import report
from apache_beam.testing.load_tests import dataflow_cost_consts as prices

from rembg_beam.transforms import Cutout, Outcome, Part, Source
from rembg_beam.transforms.elements import Facts, RunColumns, written
from rembg_beam.transforms.folder import earlier, manifest

HERE = Path(__file__).resolve().parent
PAGE = HERE.parent / "docs" / "scale.md"

JOBS = (10**6, 10**7, 10**8, 10**9, 10**10)
MILLION = 10**6


class Crossing(NamedTuple):
    """What crosses a shuffle: the step that asks for it, of what, for each of what, bytes."""

    step: str
    element: str
    each: str
    size: int


# For gs://my-bucket/photos/2026/000/0123456789abcdef.jpg; keys and Beam's own bytes included.
NAMED, DONE, ROW, TO_DO = "picture", "output that is there", "earlier row", "picture to be done"
CROSSINGS = (
    Crossing("Group those of one output", "its output's name, and the source", NAMED, 136),
    Crossing("Leave what is done", "the same", NAMED, 250),
    Crossing("Leave what is done", "a file of the listing", DONE, 201),
    Crossing("Last of each kind", "an earlier row", ROW, 412),
    Crossing("Leave what is done", "the last row of each kind", ROW, 426),
    Crossing("Spread them over the workers", "the source", TO_DO, 261),
    Crossing("Gather all rows", "its row, packed with 999 others", NAMED, 76),
)

# Of a Parquet file of ROWS_PER_FILE typical rows; CPU seconds to make it of what came through the
# shuffle, and to read it again for a resumed run. 2026-11-28, one core of an AMD EPYC.
ROW_BYTES = 64.5
WRITE_SECONDS = 0.55
READ_SECONDS = 2.5

# Assumed, not measured: for the answer to one request for a thousand names.
PAGE_SECONDS = 0.2
PAGE_NAMES = 1000

# Dollars for a request, by https://cloud.google.com/storage/pricing-examples: to write or list, and
# to read.
CLASS_A, CLASS_B = 0.005 / 1000, 0.0004 / 1000

DISK_GB = 100

# Of the tensor cores in TF32 and of the T4, which has no TF32, in FP32, by NVIDIA's data sheets.
L4_TFLOPS, T4_TFLOPS = 60, 8.1

# Dollars an hour for a3-highgpu-1g in us-central1, by Compute Engine's catalogue in September 2026:
# Beam has no price of it.
H100_MACHINE = 10.98


class Worker(NamedTuple):
    """A machine with its disk, what it does, and where that figure is from.

    Attributes:
      machine: its type.
      model: that it runs, and the size of pictures.
      hourly: dollars.
      rate: pictures a second.
      source: of the rate.
    """

    machine: str
    model: str
    hourly: float
    rate: float
    source: str

    @property
    def hours(self) -> float:
        """For a million pictures."""
        return MILLION / self.rate / 3600


def workers() -> List[Worker]:
    """Those of the table of costs."""
    cpu = hourly(4, 16)
    h100 = H100_MACHINE + DISK_GB * prices.PD_PER_GB_HR
    l4 = card.CARDS["L4"].rate
    t4 = l4 * T4_TFLOPS / L4_TFLOPS
    small = "U²-Net, 0.67 MP"
    return [
        Worker("4 vCPUs, 16 GB", "U²-Netp, 1 MP", cpu, on_cpu("u2netp", 4), "measured"),
        Worker("4 vCPUs, 16 GB", "U²-Net, 1 MP", cpu, on_cpu("u2net", 4), "measured"),
        _gpu("n1-standard-4, T4", small, hourly(4, 15, prices.T4_PER_GPU_PER_HOUR), 4, t4),
        _gpu("g2-standard-8, L4", small, hourly(8, 32, prices.L4_PER_GPU_PER_HOUR), 8, l4),
        _gpu("a3-highgpu-1g, H100", small, h100, 26, card.CARDS["H100"].rate),
    ]


def _gpu(machine: str, model: str, dollars: float, vcpus: int, rate: float) -> Worker:
    fed = 1000 * vcpus / card.AROUND_MSECS
    return Worker(machine, model, dollars, min(rate, fed), "estimated, at best")


def hourly(vcpus: int, memory_gb: int, gpu: float = 0) -> float:
    """Dollars for an hour of a batch worker of Dataflow, with its disk."""
    machine = vcpus * prices.VCPU_PER_HR_BATCH + memory_gb * prices.MEM_PER_GB_HR_BATCH
    return machine + gpu + DISK_GB * prices.PD_PER_GB_HR


def on_cpu(model: str, cores: int) -> float:
    """Pictures of 1 MP a second, by the results for two cores."""
    text = (HERE / "results.md").read_text()
    row = re.search(rf"^\| {model} \| 1 \|(?:[^|]+\|){{3}} ([\d.]+)/s", text, re.MULTILINE)
    assert row, f"results.md has no row of {model} at 1 MP"
    return float(row[1]) * cores / 2


def shuffled(*each: str) -> int:
    """Bytes that cross shuffles for each of these."""
    return sum(crossing.size for crossing in CROSSINGS if crossing.each in each)


def crossings_table() -> List[str]:
    rows = [(f"`{c.step}`", c.element, c.each, str(c.size)) for c in CROSSINGS]
    return report.table(("step", "what crosses", "for each", "bytes"), rows)


def fresh_table() -> List[str]:
    """Jobs into an empty folder."""
    head = (
        *("pictures", "through shuffles", "for", "storage requests", "for", "one listing"),
        *("manifest", "files", "its writer"),
    )
    rows = []
    for pictures in JOBS:
        crossed = pictures * shuffled(NAMED, TO_DO)
        files = -(-pictures // manifest.ROWS_PER_FILE)
        lists = pictures // PAGE_NAMES
        paid = CLASS_A * (pictures + lists + files) + CLASS_B * pictures
        rows.append(
            [
                count(pictures),
                *(size(crossed), dollars(crossed / 1e9 * prices.SHUFFLE_PER_GB_BATCH)),
                *(count(2 * pictures + lists), dollars(paid), duration(lists * PAGE_SECONDS)),
                *(size(pictures * ROW_BYTES), f"{files:,}", duration(files * WRITE_SECONDS)),
            ]
        )
    return report.table(head, rows)


def resumed_table() -> List[str]:
    """The same once more, when all is done, by one run before."""
    head = ("pictures", "through shuffles", "for", "one listing of the outputs", "rows read, CPU")
    rows = []
    for pictures in JOBS:
        crossed = pictures * shuffled(NAMED, DONE, ROW)
        pages, files = pictures // PAGE_NAMES, pictures / manifest.ROWS_PER_FILE
        paid = dollars(crossed / 1e9 * prices.SHUFFLE_PER_GB_BATCH)
        times = duration(pages * PAGE_SECONDS), duration(files * READ_SECONDS)
        rows.append([count(pictures), size(crossed), paid, *times])
    return report.table(head, rows)


def costs_table() -> List[str]:
    head = ("worker", "model, pictures", "an hour", "pictures/s", "how known", "hours", "a million")
    rows = [
        [
            *(each.machine, each.model, f"${each.hourly:.2f}", f"{each.rate:,.1f}", each.source),
            *(f"{each.hours:.1f}", f"${each.hours * each.hourly:.2f}"),
        ]
        for each in workers()
    ]
    return report.table(head, rows)


TABLES: Dict[str, Callable[[], List[str]]] = {
    "crossings": crossings_table,
    "fresh": fresh_table,
    "resumed": resumed_table,
    "costs": costs_table,
}


def count(number: float) -> str:
    """
    >>> count(10**6), count(20_100_000), count(10**10)
    ('1 million', '20.1 million', '10 billion')
    """
    unit, name = (10**9, "billion") if number >= 10**9 else (10**6, "million")
    return f"{number / unit:.3g} {name}"


def size(number: float) -> str:
    """
    >>> size(64.4e6), size(7_230_000_000_000)
    ('64 MB', '7.2 TB')
    """
    unit, name = next(
        each for each in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB")) if number >= each[0]
    )
    value = number / unit
    return f"{value:.1f} {name}" if value < 10 else f"{value:,.0f} {name}"


def dollars(amount: float) -> str:
    """
    >>> dollars(0.00794), dollars(5.405), dollars(54_050.1)
    ('$0.008', '$5.41', '$54,050')
    """
    if amount < 0.1:
        return f"${amount:.3f}"
    return f"${amount:.2f}" if amount < 100 else f"${amount:,.0f}"


def duration(seconds: float) -> str:
    """
    >>> duration(8.7), duration(200), duration(87_000), duration(2e6)
    ('9 s', '3 min', '24 h', '23 days')
    """
    for unit, name in ((86400, "days"), (3600, "h"), (60, "min")):
        if seconds >= 2 * unit:
            return f"{seconds / unit:.0f} {name}"
    return f"{seconds:.0f} s"


def page(text: str) -> str:
    """The page with each table between its markers."""
    for name, table in TABLES.items():
        between = rf"(?<=<!-- {name} -->\n).*?(?=<!-- /{name} -->)"
        made = "\n".join(["", *table(), "", ""])
        text, found = re.subn(between, lambda _, made=made: made, text, flags=re.DOTALL)
        assert found == 1, f"the page has no place for {name}"
    return text


def typical_rows(number: int) -> List[Outcome]:
    """Rows of pictures that were written, of names and figures as they come."""
    draw = random.Random(7)
    columns = RunColumns("u2net")
    rows = []
    for index in range(number):
        name = f"2026/{index % 1000:03}/{draw.getrandbits(64):016x}.jpg"
        facts = Facts(
            width=1000,
            height=667,
            animated=False,
            model_checksum="md5:60024c5c889badc19c04ad937298a77b",
            provider="CPUExecutionProvider",
            peak=draw.random(),
            foreground=draw.random(),
            bytes_in=draw.randint(100_000, 200_000),
            bytes_out=draw.randint(500_000, 900_000),
            read_attempts=1,
            write_attempts=1,
            read_msecs=draw.randint(20, 80),
            remove_msecs=draw.randint(400, 900),
            write_msecs=draw.randint(30, 120),
            worker=f"worker-{index % 64}:{1000 + index % 8}",
        )
        source = Source(f"gs://my-bucket/photos/{name}", name, output_name=name)
        outputs = [f"gs://my-bucket/cutouts/{name}.png"]
        rows.append(written(source, Cutout([Part("", b"")], "u2net", facts), outputs, columns))
    return rows


def packed(rows: Sequence[Outcome], chunk: int = 1000) -> List[bytes]:
    """The rows as they cross the shuffle."""
    starts = range(0, len(rows), chunk)
    return [manifest.pack([*rows[start : start + chunk]])[1] for start in starts]


def file_of(packs: Sequence[bytes]) -> bytes:
    """The file that is made of them."""
    import pyarrow

    return manifest.encode(pyarrow.concat_tables(map(manifest.decode, packs)))


def measure(number: int = manifest.ROWS_PER_FILE, repeats: int = 5) -> None:
    """Prints bytes of a row and seconds of CPU for so many."""
    packs = packed(typical_rows(number))
    print(f"packed: {sum(map(len, packs)) / number:.1f} bytes a row")
    data = file_of(packs)
    print(f"in a file: {len(data) / number:.1f} bytes a row")
    print(f"to write them: {_cpu(lambda: file_of(packs), repeats):.2f} s")
    with tempfile.NamedTemporaryFile(suffix=".parquet") as file:
        file.write(data)
        file.flush()
        one = earlier.Manifest("r1", file.name, 0.0)
        seconds = _cpu(lambda: [[*earlier.keyed_row(row)] for row in earlier.rows(one)], repeats)
    print(f"to read them: {seconds:.2f} s")


def _cpu(work: Callable[[], object], repeats: int) -> float:
    found = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        found.append(time.process_time() - start)
    return statistics.median(found)


def main(arguments: Optional[Sequence[str]] = None) -> None:
    if "--measure" in (arguments or ()):
        measure()
    else:
        PAGE.write_text(page(PAGE.read_text()))


if __name__ == "__main__":
    main(sys.argv[1:])
