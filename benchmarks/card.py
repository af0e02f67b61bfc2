"""A simulated card: for which share of the time it computes, and how many pictures pass it.

The whole transform runs over JPEGs of 0.67 MP, in a process of its own; only the model's session is
another one: it takes `launch` + `each` x pictures milliseconds for a batch, one batch after another
as they came, as a stream of CUDA's does, and no thread needs Python meanwhile. `python card.py HOME
FOLDER OUTPUT LAUNCH EACH AT_ONCE THREADS` prints JSON: pictures a second, the share of time that
the card computes, and the mean batch.

`simulated` takes the cores' part as waiting too, so that it finds on a busy machine, and for cores
that are not here, what the batches alone do; Python's lock has no part in it.

A card of 70 % of what these cores feed it is as busy as the batches let it be; that is the bar. L4
and H100 are what a card of U²-Net at 320 x 320 may do, estimated from its arithmetic, no card: with
few cores it waits for pictures, whatever the batches do.
"""

import itertools
import json
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Tuple

import graphs
import numpy as np
import photos
import report
import sides
from sides import Bench

SIZE = "0.67"
BATCH = 16
SIZES = (1, BATCH // 4, BATCH // 2, BATCH)
PICTURES = 960
QUICK = 8

# Left out at both ends, of the pictures.
ENDS = 0.1

# Of what the cores feed, that the card of the bar computes.
SHARE = 0.7

# Batches that the card is given at once: as it is, and as it was.
AT_ONCE = (2, 1)

HEAD = (
    "card",
    "batches at once",
    "a batch of n",
    "pictures/s",
    "of the card's best",
    "busy",
    "mean batch",
)
NOTE = (
    "Simulated: the card takes as many milliseconds for a batch as its column says. All else is "
    f"real, {SIZE} MP JPEG to PNG on {sides.CORES} cores, which feed {{:.0f}} pictures/s to a card "
    "that takes no time."
)

# What a picture takes of a core around the model, in milliseconds; and the cores of machines that
# have such a card, with the pictures that pass them.
AROUND_MSECS = 10.6
MACHINES = {"L4": 8, "H100": 26}
SIMULATED = 800

SIMULATED_HEAD = ("card", "cores", "batches at once", "threads", *HEAD[3:])
SIMULATED_NOTE = (
    f"The cores are simulated too: {AROUND_MSECS} ms of one for each picture, everything slowed "
    "down by four, and no lock of Python's."
)


class Kind(NamedTuple):
    """What a card takes for a batch, in milliseconds."""

    launch: float
    each: float

    def msecs(self, pictures: int) -> float:
        return self.launch + self.each * pictures

    @property
    def rate(self) -> float:
        """Pictures a second at best."""
        return BATCH / self.msecs(BATCH) * 1000

    def __str__(self) -> str:
        return f"{self.launch:.1f} + {self.each:.2f} x n ms"


# 310 and 1,480 pictures a second.
CARDS = {"L4": Kind(2, 3.1), "H100": Kind(2, 0.55)}
NO_TIME = Kind(0, 0)


def of_rate(rate: float) -> Kind:
    """A card of so many pictures a second, and the L4's part of launching."""
    scale = CARDS["L4"].rate / rate
    return Kind(*(scale * part for part in CARDS["L4"]))


class Batch(NamedTuple):
    """When a card began it and ended it, and how many pictures it had, those of its padding too."""

    start: float
    end: float
    size: int


class Card:
    """Stands in for an `onnxruntime.InferenceSession` of U²-Netp; the mask is always a disc."""

    def __init__(self, inner: Any, kind: Kind, found: Any) -> None:
        self.inner = inner
        self.kind = kind
        self.batches: List[Batch] = []
        self._map = found
        self._lock = threading.Lock()
        self._free = 0.0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def run(self, names: Any, feeds: Any, options: Any = None) -> List[Any]:
        size = len(feeds["input.1"])
        with self._lock:
            start = max(time.perf_counter(), self._free)
            self._free = end = start + self.kind.msecs(size) / 1000
            self.batches.append(Batch(start, end, size))
        time.sleep(max(end - time.perf_counter(), 0))
        return [np.repeat(self._map, size, axis=0)]


class Found(NamedTuple):
    """What a run found, its ends left out.

    Attributes:
      rate: pictures a second.
      busy: the share of the time that the card computed.
      batch: pictures in a batch, mean.
    """

    rate: float
    busy: float
    batch: float


def card(bench: Bench) -> report.Section:
    """All cards; the share of time that the one of the bar is busy, as a figure."""
    feeds: List[float] = []
    found: Dict[Tuple[str, int], List[Tuple[Kind, Found]]] = {}
    for _ in range(bench.repeats):
        feeds.append(measured(bench, NO_TIME).rate)
        kinds = {f"{SHARE:.0%} of the cores": of_rate(SHARE * feeds[-1]), **CARDS}
        for name, at_once in itertools.product(kinds, AT_ONCE):
            one = kinds[name], measured(bench, kinds[name], at_once)
            found.setdefault((name, at_once), []).append(one)
    rows = [_row(*how, turns) for how, turns in found.items()]
    of_the_bar = next(iter(found.values()))
    figure = report.figure(each.busy for _, each in of_the_bar)
    note = NOTE.format(report.figure(feeds).value)
    more = [*_simulated_rows(QUICK if bench.quick else SIMULATED), "", SIMULATED_NOTE]
    return report.Section([*report.table(HEAD, rows), "", note, "", *more], {"card": figure})


def _row(name: str, at_once: int, turns: List[Tuple[Kind, Found]]) -> List[str]:
    rate, busy, batch = (
        report.figure(column).value for column in zip(*(found for _, found in turns))
    )
    share = report.figure(found.rate / kind.rate for kind, found in turns).value
    kind = turns[-1][0]
    return [
        *(name, str(at_once), str(kind), f"{rate:.0f}", f"{share:.2f}"),
        *(f"{busy:.2f}", f"{batch:.1f}"),
    ]


def measured(bench: Bench, kind: Kind, at_once: int = 2, threads: int = 0) -> Found:
    """A run in a process of its own."""
    graphs.write_without(bench.place)
    folder = photos.folder(bench.place, SIZE, QUICK if bench.quick else PICTURES)
    output = sides.fresh(bench.place / "card")
    words = [graphs.home_without(bench.place), folder, output, *kind, at_once, threads]
    return Found(*sides.answered([sides.PYTHON, Path(__file__), *words], words[0]))


def summary(batches: List[Batch], pictures: int, runs: int) -> Found:
    """Of what a card noted, without its ends.

    >>> summary([Batch(0, 1, 4), Batch(1, 2, 4), Batch(3, 4, 4)], 12, 3)
    Found(rate=3.0, busy=0.75, batch=4.0)
    """
    ends = int(ENDS * len(batches))
    kept = sorted(batches)[ends : len(batches) - ends]
    # A card that takes no time may have had all it got at once.
    seconds = max(kept[-1].end - kept[0].start, 1e-3)
    busy = sum(batch.end - batch.start for batch in kept)
    mean = pictures / runs
    return Found(mean * len(kept) / seconds, busy / seconds, mean)


def simulated(
    kind: Kind, cores: int, at_once: int, threads: int, pictures: int, slower: float = 4
) -> Found:
    """What pictures find that wait for a core, the card, and a core again.

    Args:
      slower: than real, so that what the threads themselves take counts less.
    """
    from rembg_beam.transforms.models.batching import Batching

    zeros = np.zeros((1, 3, 2, 2), np.float32)
    inner = Card(None, Kind(*(slower * part for part in kind)), zeros)
    waits = {"wait_msecs": 5 * slower, "sizes": SIZES}
    batching = Batching(inner, max_size=BATCH, at_once=at_once, **waits)
    free = threading.Semaphore(cores)

    def half() -> None:
        with free:
            time.sleep(slower * AROUND_MSECS / 2000)

    def picture(_: int) -> None:
        half()
        batching.run(None, {"input.1": zeros})
        half()

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(picture, range(pictures)))
    found = summary(inner.batches, batching.calls, batching.runs)
    return found._replace(rate=slower * found.rate)


def _simulated_rows(pictures: int) -> List[str]:
    rows = []
    fed = {name: 1000 * cores / AROUND_MSECS for name, cores in MACHINES.items()}
    cards = {f"{SHARE:.0%} of the cores": (of_rate(SHARE * fed["L4"]), MACHINES["L4"])}
    cards |= {name: (CARDS[name], cores) for name, cores in MACHINES.items()}
    for name, (kind, cores) in cards.items():
        for at_once in (1, 2, 3):
            threads = cores + (at_once + 1) * BATCH
            rate, busy, batch = simulated(kind, cores, at_once, threads, pictures)
            numbers = [f"{rate:.0f}", f"{rate / kind.rate:.2f}", f"{busy:.2f}", f"{batch:.1f}"]
            rows.append([name, str(cores), str(at_once), str(threads), *numbers])
    return report.table(SIMULATED_HEAD, rows)


_opened: List[Any] = []
_kind, _at_once = NO_TIME, 2


def opener(config: Any) -> Any:
    """As `open_session`, for a card."""
    from rembg_beam.transforms.models import opening
    from rembg_beam.transforms.models.batching import Batching
    from rembg_beam.transforms.models.first_output import FirstOutput

    loaded = opening.open_session(config)
    graph = loaded.session.inner_session.inner.inner
    zeros = np.zeros((1, 3, graphs.SIZE, graphs.SIZE), np.float32)
    inner = Card(graph, _kind, graph.run(None, {"input.1": zeros})[0])
    batching = Batching(inner, max_size=BATCH, at_once=_at_once, sizes=SIZES)
    loaded.session.inner_session = FirstOutput(batching)
    _opened.append(batching)
    return loaded._replace(provider="a simulated card", batch=BATCH)


def main(folder: str, output: str, kind: Kind, at_once: int, threads: int) -> None:
    """Removes the backgrounds of a folder's pictures."""
    global _kind, _at_once
    import apache_beam as beam

    from rembg_beam.transforms import RemoveBackground, RemoveBackgrounds, SessionConfig

    _kind, _at_once = kind, at_once
    remove = RemoveBackground(
        output=output,
        session=SessionConfig(graphs.WITHOUT, offline=True),
        remove_threads=threads,
        opener=opener,
    )
    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        _ = pipeline | RemoveBackgrounds(remove=remove, input=[folder])
    (batching,) = _opened
    print(json.dumps(summary(batching.inner.batches, batching.calls, batching.runs)))


if __name__ == "__main__":
    # Beam takes functions of a module by name, of a program by value.
    import card as module

    _, _, photos_folder, where, *numbers = sys.argv
    launch, each, at_once, threads = map(float, numbers)
    # As many as a GPU's get by default.
    given = int(threads) or sides.CORES + (int(at_once) + 1) * BATCH
    module.main(photos_folder, where, module.Kind(launch, each), int(at_once), given)
