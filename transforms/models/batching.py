"""Dynamic batching: the calls of many threads, gathered into runs of one graph.

`Batching` stands in for the `onnxruntime.InferenceSession` inside a rembg session, with the same
`run`. A `BatchQueue` gathers the calls; here the graph is run once for all, and the slices are
dealt out.

Batches have few, fixed sizes where a provider pays for each new one (a GPU's kernels are chosen by
shape): one that is smaller is padded with its last picture. A batch that fails is run again one by
one, so that an exception reaches only the caller whose picture it is. One that the card has no
memory for is run again in halves while nothing else runs there, and batches stay that small.
"""

import contextlib
import logging
import threading
import time
import weakref
from typing import Any, Callable, List, Optional, Sequence

import numpy as np

from . import device_lost, device_memory
from .batch_queue import BatchQueue, Call, Limits
from .outputs import Check
from .stand_in import Feeds, Run, StandIn

# By how much of a level, of 255, a batch may always move a mask before it is rounded: pixels that
# lie so near to the next level get it.
LEVELS = 0.1

# Batches that a card is given at once: it begins the second before a thread of Python has woken up
# to take what the first one gave. A third gains nothing, and takes memory.
AT_ONCE = 2

# Batches that fail, one after another, before they are made smaller.
FAILURES = 3

_log = logging.getLogger(__name__)


class Batching(StandIn):
    """Stands in for an `onnxruntime.InferenceSession`; safe to use from any thread.

    Args:
      inner: the session; all inputs and outputs have the batch as their first axis.
      max_size: pictures in a batch at most; 1 for none.
      at_once: batches that run at once at most; None for any number.
      wait_msecs: how long a batch that is not full waits for more, from its first call on, where
        none runs. Raise it for fuller batches, at the cost of so many milliseconds a picture when
        there are few.
      sizes: the sizes batches are padded to, the largest of them `max_size`; none for any size.
      error: by how much the map of a batch may differ from single runs, 0 if by no bit.
      most: levels by which it may move a mask; see `batch_trial`.
      alone_exact: whether a run for one picture gives the bits of the model's own graph.
      as_map: the first output -> the map that rembg stretches to a mask.
      check: raises for outputs, of one picture, of which no mask can be made.

    Attributes:
      calls, runs: how many calls were answered, by how many runs of the graph.
    """

    def __init__(
        self,
        inner: Any,
        *,
        max_size: int = 1,
        at_once: Optional[int] = None,
        wait_msecs: float = 5.0,
        sizes: Sequence[int] = (),
        error: float = 0.0,
        most: float = LEVELS,
        alone_exact: bool = True,
        as_map: Callable[[Any], Any] = np.asarray,
        check: Check = lambda found: None,
    ) -> None:
        super().__init__(inner)
        self.sizes = tuple(sorted(sizes))
        self.error = error
        self.most = most
        self.alone_exact = alone_exact
        self.as_map = as_map
        self.check = check
        self.calls = 0
        self.runs = 0
        self._failed = 0
        self._counting = threading.Lock()
        self._gathers = max_size > 1 or at_once is not None
        # Not its own method: in a circle the graph would stay until garbage is looked for.
        serve = weakref.WeakMethod(self._serve)
        self._queue = BatchQueue(
            lambda *batch: serve()(*batch),  # type: ignore[misc]
            Limits(max_size, at_once),
            wait_msecs / 1000,
        )

    @property
    def max_size(self) -> int:
        return self._queue.limits.max_size

    @property
    def at_once(self) -> Optional[int]:
        return self._queue.limits.at_once

    def run_one(
        self, output_names: Optional[Sequence[str]], input_feed: Feeds, run_options: Any = None
    ) -> Run:
        """As `StandIn.run_one`."""
        if run_options is not None or not self._gathers:
            run = self._alone(output_names, input_feed, run_options)
            self._count(calls=1)
        else:
            start = time.perf_counter()
            run = self._queue.put(Call(output_names, input_feed))
            run = run._replace(waited=time.perf_counter() - start - run.seconds)
        return run._replace(extremes=self.check(run.outputs))

    def _alone(self, names: Optional[Sequence[str]], feeds: Feeds, options: Any = None) -> Run:
        start = time.perf_counter()
        outputs = self._outputs(names, feeds, options)
        return Run(outputs, self.alone_exact, time.perf_counter() - start)

    def _outputs(self, names: Optional[Sequence[str]], feeds: Feeds, options: Any = None) -> Any:
        with device_memory.told():
            return self.inner.run(names, feeds, options)

    def _count(self, *, calls: int) -> None:
        with self._counting:
            self.calls += calls
            self.runs += 1

    def _serve(self, batch: List[Call], limits: Limits) -> None:
        """Runs a batch; if it fails, again in parts."""
        is_alone = self._queue.is_alone()
        try:
            self._run(batch)
        except device_memory.OutOfMemory as error:
            if is_alone and len(batch) == 1:
                batch[0].error = error
                return
            size = self._padded(len(batch)) if is_alone else None
            self._restrict(limits, lowered(limits, self.sizes, size))
            with contextlib.nullcontext() if is_alone else self._queue.alone():
                self._serve_in_parts(batch)
        except Exception as error:
            if len(batch) == 1 or device_lost.is_meant(error):
                for call in batch:
                    call.error = error
                return
            self._note_failure(len(batch), error)
            for call in batch:
                self._serve([call], self._queue.limits)

    def _serve_in_parts(self, batch: List[Call]) -> None:
        while batch:
            limits = self._queue.limits
            part, batch = batch[: limits.max_size], batch[limits.max_size :]
            self._serve(part, limits)

    def _run(self, batch: List[Call]) -> None:
        number = len(batch)
        size = self._padded(number)
        feeds = {
            name: stacked([call.feeds[name] for call in batch], size) for name in batch[0].feeds
        }
        whole = self._alone(batch[0].names, feeds)
        self._count(calls=number)
        if number > 1:
            self._failed = 0
        for index, call in enumerate(batch):
            parts = [output[index : index + 1] for output in whole.outputs]
            if size == 1 or self.error == 0:
                call.run = whole._replace(outputs=parts)
            elif is_faint(self.as_map(parts[0]), self.error, self.most):
                alone = self._alone(call.names, call.feeds)
                call.run = alone._replace(seconds=whole.seconds + alone.seconds)
            else:
                call.run = whole._replace(outputs=parts, exact=False)

    def _padded(self, number: int) -> int:
        """The size of a batch of so many pictures."""
        return next((size for size in self.sizes if size >= number), number)

    def _note_failure(self, size: int, error: Exception) -> None:
        """A batch that failed costs its pictures twice; where it keeps failing it gets smaller."""
        with self._counting:
            self._failed += 1
            is_first, is_last = self._failed == 1, self._failed >= FAILURES
            if is_last:
                self._failed = 0
        if is_first:
            _log.warning("a batch of %d failed and was run one by one: %s", size, error)
        if is_last:
            limits = self._queue.limits
            smaller = [each for each in self.sizes or (1, size // 2) if each < size]
            most = min(limits.max_size, max(smaller, default=1))
            if self._queue.replace(limits, limits._replace(max_size=most)):
                _log.warning("batches have at most %d pictures from here", most)

    def _restrict(self, before: Limits, limits: Limits) -> None:
        """Memory ran out; where other limits were set since the batch began, these are tried."""
        if limits != before and self._queue.replace(before, limits):
            _log.warning(
                "memory of the provider ran out: from here on batches of %d, %s at once",
                *(limits.max_size, limits.at_once or "any number of"),
            )


def lowered(limits: Limits, sizes: Sequence[int], alone: Optional[int]) -> Limits:
    """Half as many pictures in a batch; where no such size is, batches by turns.

    >>> lowered(Limits(16, 2), (1, 4, 8, 16), None), lowered(Limits(16, 2), (1, 4, 8, 16), 16)
    (Limits(max_size=8, at_once=2), Limits(max_size=8, at_once=2))
    >>> lowered(Limits(4, 2), (1, 4), None), lowered(Limits(4, 2), (1, 4), 4)
    (Limits(max_size=4, at_once=1), Limits(max_size=1, at_once=2))

    Args:
      limits: in which memory ran out.
      sizes: that batches may have; none for any.
      alone: that of the batch for which it did, if it was the only one; None beside another.
    """
    half = (alone or limits.max_size) // 2
    if alone is None and (half == 0 or half not in (sizes or (half,))):
        return limits._replace(at_once=1)
    smaller = max([size for size in sizes or (half,) if size <= half], default=1)
    return limits._replace(max_size=min(limits.max_size, smaller))


def stacked(arrays: List[Any], size: int) -> Any:
    """[1, ...] each -> [size, ...], the last one repeated."""
    if size == 1:
        return arrays[0]
    return np.concatenate([*arrays, *[arrays[-1]] * (size - len(arrays))])


def is_faint(map: Any, error: float, most: float) -> bool:
    """Whether stretching a map to 255 levels makes an error of it more than `most` levels."""
    return bool(255 * error > most * (np.max(map) - np.min(map)))
