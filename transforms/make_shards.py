"""Make shards: `Shard` -> the rows of its pictures, once it lies in the output folder.

In: shards of a plan. Out: an `Outcome` for each of their pictures. Pictures are read and their
backgrounds removed by the steps that make files, each in its threads, and what comes of them is
written in the order of their keys to files on this machine, which are then uploaded. While a shard
is written and uploaded the pictures of the next are in work. What can't be read or removed is a row
and no sample. Fails where there is no room, or where the store refuses a shard.
"""

import contextlib
import errno
import time
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Deque, Iterator, List, NamedTuple, Optional, Tuple, Union

import apache_beam as beam
from apache_beam.transforms.combiners import CountCombineFn
from apache_beam.transforms.window import GlobalWindows

from . import coders as coders
from . import strict_json
from .elements import Cutout, Failure, Outcome, Source, Stored, size_of
from .outcomes import RunColumns, failed, written
from .outputs import shards
from .outputs.carried import carried
from .outputs.finish import ANOTHERS, finish
from .outputs.options import DataSet
from .outputs.parts import in_shard
from .outputs.plan import Shard
from .outputs.samples import Sample
from .outputs.writers import FORMATS, ShardFiles
from .read_samples import Carrying, Named, Others, ReadSamples
from .remove_background import RemoveBackground
from .runtime import memory, metrics, shared
from .runtime.concurrency import pool
from .runtime.in_order import InOrder
from .store import stores, uris

STEP = "write"

# Shards that are uploaded at once, each of which lies on this machine until it is.
UPLOADS = 2

# How many elements are in flight for each thread of a step: one in work, one waiting for it.
IN_FLIGHT_PER_THREAD = 2


class Job(NamedTuple):
    """What of a run all its shards have in common."""

    remove: RemoveBackground
    dataset: DataSet
    columns: RunColumns


class Made(NamedTuple):
    """What became of a picture: its parts, its file's bytes if they are kept, the members that are
    carried through, and the memory of all."""

    cutout: Cutout
    original: Optional[bytes]
    others: Others
    lease: memory.Lease


@dataclass(eq=False)
class _Building:
    """A shard whose files are written, and its rows so far; `close` removes the files."""

    shard: Shard
    job: Job
    run_id: str
    rows: List[Outcome] = field(default_factory=list)
    upload: Optional["Future[List[Outcome]]"] = None

    def __post_init__(self) -> None:
        self._closing = contextlib.ExitStack()
        spool = self._closing.enter_context(stores.spool(self.job.remove.output))
        dataset = self.job.dataset
        self._files = ShardFiles(
            spool, self.shard.number, dataset.output_format, self.shard.fields, dataset.shard_bytes
        )

    def add(self, key: str, source: Source, result: Union[Made, Failure]) -> None:
        """Adds a picture, in the order of the shard's."""
        metrics.tally.add(shared.IN_UNFINISHED_SHARDS)
        if isinstance(result, Failure):
            self.rows.append(failed(source, result, self.job.columns))
            return
        started = time.perf_counter()
        row = written(source, result.cutout, (), self.job.columns)
        sample = self._sample(key, source, result, row)
        if sample.parts:
            name = self._files.add(sample)
            uri = uris.without_secrets(uris.join(self.job.remove.output, name))
            row = row._replace(outputs=[uri])
        result.lease.release()
        seconds, size = time.perf_counter() - started, size_of(result.cutout)
        metrics.count_step(STEP, size=size, seconds=seconds)
        self.rows.append(row._replace(bytes_out=size, write_msecs=round(seconds * 1000)))

    def _sample(self, key: str, source: Source, result: Made, row: Outcome) -> Sample:
        options = self.job.remove.options
        parts = [
            part._replace(suffix=in_shard(part.suffix, source.extras, options))
            for part in result.cutout.parts
        ]
        original = None if result.original is None else (self.shard.original, result.original)
        return Sample(key, original, parts, row, result.others)

    def begin_upload(self) -> None:
        """Has a thread write the shard to the output folder, if all its pictures are there."""
        if len(self.rows) == len(self.shard.sources):
            self.upload = pool(STEP, self.job.remove.write_threads).submit(self._write)

    def _write(self) -> List[Outcome]:
        """Gives the rows that count."""
        output, number = self.job.remove.output, self.shard.number
        with self._closing:
            rows = shards.write(
                output,
                number,
                self._files.close(),
                self.rows,
                run_id=self.run_id,
                format=(format := self.job.dataset.output_format),
                facts=self.shard.fields.facts,
                columns=FORMATS[format].columns(self.shard.fields),
                original=self.shard.original,
            )
        _check_pictures(self.job, self.shard, rows)
        return rows

    def close(self) -> None:
        """It is no longer on its way, whether or not it was made."""
        metrics.tally.add(shared.IN_UNFINISHED_SHARDS, -len(self.rows))
        self._closing.close()


def _check_pictures(job: Job, shard: Shard, rows: List[Outcome]) -> None:
    """Raises `OSError` unless the rows are of the shard's pictures."""
    if {row.name for row in rows} != {source.name for source in shard.sources}:
        folder = uris.without_secrets(job.remove.output)
        raise OSError(errno.EBUSY, ANOTHERS.format(shard.number), folder)


class MakeShards(beam.DoFn):
    """See the module's docstring.

    Args:
      job: the run.
    """

    def __init__(self, job: Job) -> None:
        self.job = job
        pictures, self._remove = job.remove.steps(job.columns)[:2]
        self._read = ReadSamples(pictures)
        self._in_order: Optional[InOrder] = None
        self._forget()

    def setup(self) -> None:
        self._read.setup()
        self._remove.setup()
        stores.begin(self.job.remove.output)

    def teardown(self) -> None:
        self._remove.teardown()
        stores.end(self.job.remove.output)

    def start_bundle(self) -> None:
        # The runner retries a failed bundle as a whole.
        if self._in_order is not None:
            self._in_order.cancel()
        for building in self._buildings:
            building.close()
        self._forget()
        self._in_order = InOrder([self._read, self._remove], self._keep)

    def process(self, shard: Shard, run_id: str) -> Iterator[Outcome]:
        assert self._in_order is not None
        # An attempt before at the same bundle may have made it.
        there = shards.own(self.job.remove.output, shard.number, run_id)
        if there is not None:
            _check_pictures(self.job, shard, there)
            yield from map(metrics.count_outcome, there)
            return
        building = _Building(shard, self.job, run_id)
        self._buildings.append(building)
        at_most = IN_FLIGHT_PER_THREAD * (self._read.threads + self._remove.threads)
        for key, source in zip(shard.keys, shard.sources, strict=True):
            self._awaited.append((building, key, source))
            self._in_order.put((source, _others(source, shard)))
            yield from self._take(at_most)

    def finish_bundle(self) -> Iterator[Any]:
        for rows in (self._take(0), self._made(0)):
            yield from map(GlobalWindows.windowed_value, rows)

    def _forget(self) -> None:
        # The pictures in flight, and the shards on their way, those to be uploaded first.
        self._awaited: Deque[Tuple[_Building, str, Source]] = deque()
        self._buildings: Deque[_Building] = deque()

    def _take(self, at_most: int) -> Iterator[Outcome]:
        """Adds the pictures that are there to their shards; gives the rows of whole shards."""
        assert self._in_order is not None
        for result in self._in_order.take(at_most):
            building, key, source = self._awaited.popleft()
            building.add(key, source, result if isinstance(result, Made) else result[1])
            building.begin_upload()
            yield from self._made(UPLOADS)

    def _made(self, at_most: int) -> Iterator[Outcome]:
        """The rows of the shards that are there, and those to wait for until no more than `at_most`
        are uploaded."""
        while self._buildings and (upload := self._buildings[0].upload) is not None:
            under_way = sum(each.upload is not None for each in self._buildings)
            if under_way <= at_most and not upload.done():
                return
            rows = upload.result()
            self._buildings.popleft().close()
            yield from map(metrics.count_outcome, rows)

    def _keep(self, element: Tuple[Carrying, Stored], output: Tuple[Carrying, Cutout]) -> Made:
        (_, others), stored = element
        original = stored.data if self.job.dataset.keep_original else None
        size = size_of(output[1]) + len(original or b"") + sum(len(data) for _, data in others)
        lease = memory.budget().hold(memory.RESULT, size, wait=False)
        return Made(output[1], original, others, lease)


def _others(source: Source, shard: Shard) -> Named:
    """The members that the picture's sample gets besides those that are made."""
    found = carried(source, strict_json.loads(source.metadata)) if shard.fields.others else {}
    return [(name, found[name]) for name in shard.fields.others if name in found]


class WriteShards(beam.PTransform):
    """Makes the shards of a plan, and then what is made of all shards together.

    Takes two PCollections: shards, and the URIs of orphans.

    Args:
      job: the run.
      run_id: its id, as `run_of` gives it.

    Returns:
      The outcomes of the shards' pictures, whose rows are written.
    """

    def __init__(self, job: Job, run_id: Any) -> None:
        super().__init__()
        self.job = job
        self.run_id = run_id

    def expand(self, planned: Any) -> beam.PCollection:
        making = beam.ParDo(MakeShards(self.job), self.run_id).with_output_types(Outcome)
        outcomes = planned[0] | "Make them" >> making
        orphans = beam.pvalue.AsList(planned[1])
        _ = (
            outcomes
            | "All are made" >> beam.CombineGlobally(CountCombineFn())
            | "Finish the folder" >> beam.Map(_finish, orphans, self.job, self.run_id)
        )
        return outcomes


def _finish(_: int, orphans: List[str], job: Job, run_id: str) -> None:
    finish(job.remove.output, job.dataset.output_format, orphans, run_id)
