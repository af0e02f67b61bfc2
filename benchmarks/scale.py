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

from rembg_beam.pipelines.planning import costs, fleet
from rembg_beam.pipelines.planning.prices import Prices
from rembg_beam.pipelines.planning.units import dollars, size
from rembg_beam.transforms import Cutout, Outcome, Part, Source
from rembg_beam.transforms.elements import Facts
from rembg_beam.transforms.folder import earlier, manifest
from rembg_beam.transforms.outcomes import RunColumns, written

HERE = Path(__file__).resolve().parent
PAGE = HERE.parent / "docs" / "scale.md"

JOBS = (10**6, 10**7, 10**8, 10**9, 10**10)
MILLION = 10**6

PRICES = Prices()

# Of `graphs.py`'s U²-Net, as `planning.flops` counts them.
U2NET_FLOPS = 117.2e9


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
    cpu = fleet.hourly(PRICES, 4, 16)
    return [
        Worker("4 vCPUs, 16 GB", "U²-Netp, 1 MP", cpu, on_cpu("u2netp", 4), "measured"),
        Worker("4 vCPUs, 16 GB", "U²-Net, 1 MP", cpu, on_cpu("u2net", 4), "measured"),
        *(_gpu(each) for each in fleet.WORKERS if each.gpu),
    ]


def _gpu(worker: fleet.Worker) -> Worker:
    rate = min(worker.inferences(U2NET_FLOPS), 1000 * worker.vcpus / card.AROUND_MSECS)
    hourly = worker.hourly(PRICES)
    return Worker(worker.label, "U²-Net, 0.67 MP", hourly, rate, "estimated, at best")


def on_cpu(model: str, cores: int) -> float:
    """Pictures of 1 MP a second, by the results for two cores."""
    text = (HERE / "results.md").read_text()
    row = re.search(rf"^\| {model} \| 1 \|(?:[^|]+\|){{3}} ([\d.]+)/s", text, re.MULTILINE)
    assert row, f"results.md has no row of {model} at 1 MP"
    return float(row[1]) * cores / 2


def crossings_table() -> List[str]:
    rows = [(f"`{c.step}`", c.element, c.each, str(c.size)) for c in costs.CROSSINGS]
    return report.table(("step", "what crosses", "for each", "bytes"), rows)


def into_shards_table() -> List[str]:
    rows = [(f"`{c.step}`", c.element, c.each, str(c.size)) for c in costs.INTO_SHARDS]
    return report.table(("step", "what crosses", "for each", "bytes"), rows)


def sharded_table() -> List[str]:
    """Jobs from shards of a thousand pictures into such shards, in an empty folder."""
    head = ("pictures", "through shuffles", "writes", "reads", "for")
    rows = []
    for pictures in JOBS:
        asked = costs.of_shards(pictures)
        crossed = pictures * sum(each.size for each in costs.INTO_SHARDS)
        paid = asked.dollars(PRICES) + crossed / 1e9 * PRICES.shuffle_gb
        figures = (f"{asked.writes:,.0f}", f"{asked.reads:,.0f}", dollars(paid))
        rows.append([count(pictures), size(crossed), *figures])
    return report.table(head, rows)


def fresh_table() -> List[str]:
    """Jobs into an empty folder."""
    head = (
        *("pictures", "through shuffles", "for", "storage requests", "for", "one listing"),
        *("manifest", "files", "its writer"),
    )
    rows = []
    for pictures in JOBS:
        crossed = pictures * costs.shuffled(costs.NAMED, costs.TO_DO)
        files = costs.manifest_files(pictures)
        lists = pictures // costs.PAGE_NAMES
        paid = costs.of_files(pictures).dollars(PRICES)
        times = duration(lists * costs.PAGE_SECONDS), duration(files * costs.WRITE_SECONDS)
        rows.append(
            [
                count(pictures),
                *(size(crossed), dollars(crossed / 1e9 * PRICES.shuffle_gb)),
                *(count(2 * pictures + lists), dollars(paid), times[0]),
                *(size(pictures * costs.ROW_BYTES), f"{files:,}", times[1]),
            ]
        )
    return report.table(head, rows)


def resumed_table() -> List[str]:
    """The same once more, when all is done, by one run before."""
    head = ("pictures", "through shuffles", "for", "one listing of the outputs", "rows read, CPU")
    rows = []
    for pictures in JOBS:
        crossed = pictures * costs.shuffled(costs.NAMED, costs.DONE, costs.ROW)
        pages, files = pictures // costs.PAGE_NAMES, pictures / manifest.ROWS_PER_FILE
        paid = dollars(crossed / 1e9 * PRICES.shuffle_gb)
        times = duration(pages * costs.PAGE_SECONDS), duration(files * costs.READ_SECONDS)
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
    "into-shards": into_shards_table,
    "fresh": fresh_table,
    "sharded": sharded_table,
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
            read_waited_msecs=draw.randint(0, 3),
            read_msecs=draw.randint(20, 80),
            remove_waited_msecs=draw.randint(300, 900),
            remove_msecs=draw.randint(400, 900),
            memory_waited_msecs=0,
            model_waited_msecs=0,
            model_msecs=draw.randint(300, 700),
            write_waited_msecs=draw.randint(0, 3),
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
