"""A sample of pictures -> what each takes here: read, cut out and encoded, nothing written.

In: a job, and some of its sources. Out: `Measured`. The steps are a run's own, with as many
threads, in a pipeline in this process; in place of the last one stands `Note`, whose notes lie in a
temporary file. Some pictures go before, until all is warm, and some after, so that all threads are
at work from the first picture that counts to the last; where there are many threads, or few
pictures, these are done several times. Fails as a run does where no session can be made; a picture
that can't be done is counted.
"""

import itertools
import json
import logging
import math
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple, Union

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from loky import cpu_count

from ...transforms import Cutout, Failure, RemoveBackground, RemoveBackgrounds, Source
from ...transforms.models import sessions
from ...transforms.models.config import SessionConfig
from ...transforms.models.opening import Loaded
from ...transforms.models.placement import ProviderNotInUse
from ...transforms.models.providers import CPU
from ...transforms.rembg_dofn import default_threads
from ...transforms.runtime import metrics
from ...transforms.runtime.failures import FAILURES
from .. import runners, running, warm
from . import timing

# Pictures that go before those that count, at least.
WARMING = 8

# Pictures that count, at least, for each thread: results come in waves.
WAVES = 4

# Of those that can't be done, of which it is told why.
REASONS = 3

# Of hearing signals.
TICK_SECONDS = 0.2

# Of a normal distribution, for 95 of 100.
_DEVIATIONS = 1.96

_log = logging.getLogger(__name__)

Noted = Dict[str, Any]


class Measured(NamedTuple):
    """What a picture of the sample takes, as means.

    Attributes:
      pictures, failed: how many were measured, and how many of these can't be done.
      why: of some that can't, which they are, and the reason.
      seconds: of the clock, while all threads are at work.
      spread: the half of the interval of 95 % around it, as a share of it, by how pictures differ.
      occupied: the share of that in which the threads that remove backgrounds are in work.
      cpu_seconds: of all threads of this process.
      model_seconds: of these the model's.
      bytes_in, bytes_out, parts: of files read and made, and how many are made.
      start_seconds: until the session is there and the first pictures are done, beyond their own.
      threads, cores, provider: that were at work.
    """

    pictures: int
    failed: int
    why: Tuple[str, ...]
    seconds: float
    spread: Optional[float]
    occupied: float
    cpu_seconds: float
    model_seconds: float
    bytes_in: float
    bytes_out: float
    parts: float
    start_seconds: float
    threads: int
    cores: int
    provider: str

    @property
    def is_on_cpu(self) -> bool:
        return self.provider == CPU.name


@beam.typehints.with_input_types(Tuple[Source, Union[Cutout, Failure]])
class Note(beam.DoFn):
    """Notes when a picture was done, and what is known of it.

    Args:
      path: of a file on this machine, to whose end it goes as a line of JSON.
      config: of the session that is at work.
    """

    def __init__(self, path: str, config: SessionConfig) -> None:
        self._path = path
        self._config = config

    def setup(self) -> None:
        self._loaded = sessions.acquire(self._config, timing.open_timed)

    def process(self, element: Tuple[Source, Union[Cutout, Failure]]) -> None:
        source, result = element
        failure = result if isinstance(result, Failure) else None
        parts = [] if isinstance(result, Failure) else result.parts
        noted = {
            "picture": source.name or source.uri,
            "at": time.perf_counter(),
            "cpu": time.process_time(),
            "model": timing.model_seconds(self._loaded),
            "failed": failure is not None,
            "why": failure and f"{source.uri} ({failure.error}): {failure.message}",
            "worked": result.facts.remove_msecs or 0,
            "bytes_in": result.facts.bytes_in or 0,
            "bytes_out": sum(len(part.data) for part in parts),
            "parts": len(parts),
        }
        with open(self._path, "a", encoding="utf-8") as file:
            print(json.dumps(noted), file=file)

    def teardown(self) -> None:
        sessions.release(self._config, timing.open_timed)


def measure(
    job: RemoveBackgrounds, options: PipelineOptions, sources: Sequence[Source], found: int
) -> Measured:
    """What the sources take, which are a sample of `found`; `options` are for a pipeline here."""
    start = time.perf_counter()
    config, loaded = _session(job.remove.config)
    try:
        opened = time.perf_counter() - start
        warm.load()  # a run of many has it from its first seconds on
        remove = replace(job.remove, session=config, opener=timing.open_timed)
        threads = remove.remove_threads or default_threads(loaded)
        lead = max(WARMING, 2 * threads)
        counting = list(sources) * math.ceil(max(WAVES * threads / len(sources), 1))
        elements = [*_first(sources, lead), *counting, *_first(sources, threads)]
        began, notes = time.perf_counter(), _run(remove, options, elements)
    finally:
        sessions.release(config, timing.open_timed)
    window = notes[lead - 1 : lead + len(counting)]
    seconds, cpu, model = (_each(window, name) for name in ("at", "cpu", "model"))
    counted = window[1:]
    each_once = list({note["picture"]: note for note in notes}.values())
    failed = [note["why"] for note in each_once if note["failed"]]
    return Measured(
        pictures=len(sources),
        failed=len(failed),
        why=tuple(failed[:REASONS]),
        seconds=seconds,
        spread=spread([each["worked"] for each in counted], len(sources), found),
        occupied=_mean(counted, "worked") / 1000 / (seconds * threads),
        cpu_seconds=cpu,
        model_seconds=min(model, cpu),
        **{name: _mean(each_once, name) for name in ("bytes_in", "bytes_out", "parts")},
        start_seconds=opened + max(window[0]["at"] - began - lead * seconds, 0.0),
        threads=threads,
        cores=cpu_count(),
        provider=loaded.provider or "a service",
    )


def spread(values: Sequence[float], number: int, found: int) -> Optional[float]:
    """The half of the interval of 95 % around a mean, as a share of it; None where one picture says
    nothing of others.

    >>> spread([1, 3, 1, 3], 4, 4), round(spread([1, 3] * 50, 100, 10**6), 3)
    (0.0, 0.098)

    Args:
      values: of a sample, each of its pictures as often as any other.
      number: of its pictures.
      found: of all.
    """
    mean = statistics.fmean(values)
    if number >= found or not mean:
        return 0.0
    if number < 2:
        return None
    left_out = 1 - number / found  # of a sample of all, nothing is unknown
    return _DEVIATIONS * statistics.stdev(values) / mean * math.sqrt(left_out / number)


def _session(config: SessionConfig) -> Tuple[SessionConfig, Loaded]:
    """The process's session; on the CPU where this machine lacks what workers have."""
    try:
        return config, sessions.acquire(config, timing.open_timed)
    except ProviderNotInUse as error:
        _log.warning("the sample runs on the CPU, since the provider is not here: %s", error)
        here = replace(config, provider="CPU", precision="fp32")
        return here, sessions.acquire(here, timing.open_timed)


def _first(sources: Sequence[Source], number: int) -> Iterator[Source]:
    return itertools.islice(itertools.cycle(sources), number)


def _run(remove: RemoveBackground, options: PipelineOptions, sources: List[Source]) -> List[Noted]:
    """Does the pictures; the notes, in the order in which they were done."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "notes.jsonl"
        pipeline = beam.Pipeline(runner=runners.HERE, options=options)
        _build(pipeline, remove, sources, str(path))
        attempt = running.Attempt(pipeline, sends=False)
        while not attempt.wait(TICK_SECONDS):
            pass  # signals are heard here
        if attempt.error is not None:
            raise attempt.error
        notes = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    metrics.tally.clear()
    return sorted(notes, key=lambda each: float(each["at"]))


def _build(
    pipeline: beam.Pipeline, remove: RemoveBackground, sources: List[Source], path: str
) -> None:
    reading, removing, _ = remove.steps(remove.columns())
    stored, unread = (
        pipeline
        | "The sample" >> beam.Create(sources, reshuffle=False)
        | "Read pictures" >> beam.ParDo(reading).with_outputs(FAILURES, main="stored")
    )
    cutouts, unremoved = stored | "Remove backgrounds" >> beam.ParDo(removing).with_outputs(
        FAILURES, main="cutouts"
    )
    for name, each in {"read": unread, "cut out": unremoved, "done": cutouts}.items():
        _ = each | f"Note what was {name}" >> beam.ParDo(Note(path, remove.config))


def _each(window: Sequence[Noted], name: str) -> float:
    """What a picture adds to a count, of those after the first."""
    return float(window[-1][name] - window[0][name]) / (len(window) - 1)


def _mean(notes: Sequence[Noted], name: str) -> float:
    return statistics.fmean(each[name] for each in notes)
