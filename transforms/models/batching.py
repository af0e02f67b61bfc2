"""Dynamic batching: the calls of many threads, gathered into runs of one graph.

`Batching` stands in for the `onnxruntime.InferenceSession` inside a rembg session, with the same
`run`. A thread that calls it while nobody gathers becomes the one who does: it waits for others to
join, hands the duty to the first of those who come later, runs the graph once for all, and deals
the slices out. A full batch runs at once, beside another one: while a card computes that, this one
is stacked and lies there when the card is free. One that is not full waits, milliseconds at most,
and for a card that has nothing to do.

Batches have few, fixed sizes where a provider pays for each new one (a GPU's kernels are chosen by
shape): one that is smaller is padded with its last picture. A batch that fails is run again one by
one, so that an exception reaches only the caller whose picture it is. One that the card has no
memory for is run again in halves while nothing else runs there, and batches stay that small.
"""

import contextlib
import logging
import threading
import time
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from . import device_memory

# By how much of a level, of 255, a batch may always move a mask before it is rounded: pixels that
# lie so near to the next level get it.
LEVELS = 0.1

# Batches that a card is given at once: it starts the second without waiting for a thread of Python
# to wake up, with its results of the first. A third gains nothing, and takes memory.
AT_ONCE = 2

# Batches that fail, one after another, before they are made smaller.
FAILURES = 3

_log = logging.getLogger(__name__)

Feeds = Dict[str, Any]


class Run(NamedTuple):
    """What a run of a graph gave for one picture.

    Attributes:
      outputs: of the graph, arrays whose first axis is the batch, of one.
      exact: whether they are, to the bit, those of a run for this picture alone.
    """

    outputs: Sequence[Any]
    exact: bool


class StandIn:
    """In place of an `onnxruntime.InferenceSession`: what it has not itself is the session's."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def __getattr__(self, name: str) -> Any:
        if name == "inner":  # of an instance that is being copied
            raise AttributeError(name)
        return getattr(self.inner, name)

    def run(
        self, output_names: Optional[Sequence[str]], input_feed: Feeds, run_options: Any = None
    ) -> Sequence[Any]:
        """As `InferenceSession.run`, for a picture: arrays whose first axis is 1."""
        return self.run_one(output_names, input_feed, run_options).outputs

    def run_one(
        self, output_names: Optional[Sequence[str]], input_feed: Feeds, run_options: Any = None
    ) -> Run:
        """The same, and whether it is exact."""
        if isinstance(self.inner, StandIn):
            return self.inner.run_one(output_names, input_feed, run_options)
        return Run(self.inner.run(output_names, input_feed, run_options), True)


class _Call:
    """A thread's call, and what becomes of it."""

    def __init__(self, names: Optional[Sequence[str]], feeds: Feeds) -> None:
        shapes = [(name, value.shape, str(value.dtype)) for name, value in feeds.items()]
        # What calls of one batch have in common.
        self.kind = (names and tuple(names), tuple(sorted(shapes)))
        self.names = names
        self.feeds = feeds
        self.arrived = time.monotonic()
        self.run: Optional[Run] = None
        self.error: Optional[BaseException] = None
        self.leads = False
        self.woken = threading.Event()


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
        check: Callable[[Sequence[Any]], None] = lambda outputs: None,
    ) -> None:
        super().__init__(inner)
        self.max_size = max_size
        self.at_once = at_once
        self.wait_seconds = wait_msecs / 1000
        self.sizes = tuple(sorted(sizes))
        self.error = error
        self.most = most
        self.alone_exact = alone_exact
        self.as_map = as_map
        self.check = check
        self.calls = 0
        self.runs = 0
        self._failed = 0
        self._waiting: List[_Call] = []
        self._changed = threading.Condition()
        self._led = False
        self._running = 0
        self._alone_wanted = 0

    def run_one(
        self, output_names: Optional[Sequence[str]], input_feed: Feeds, run_options: Any = None
    ) -> Run:
        """As `StandIn.run_one`."""
        if run_options is not None or (self.max_size == 1 and self.at_once is None):
            run = self._alone(output_names, input_feed, run_options)
            self._count(calls=1)
        else:
            run = self._gathered(_Call(output_names, input_feed))
        self.check(run.outputs)
        return run

    def _alone(self, names: Optional[Sequence[str]], feeds: Feeds, options: Any = None) -> Run:
        return Run(self._outputs(names, feeds, options), self.alone_exact)

    def _outputs(self, names: Optional[Sequence[str]], feeds: Feeds, options: Any = None) -> Any:
        with device_memory.told():
            return self.inner.run(names, feeds, options)

    def _count(self, *, calls: int) -> None:
        with self._changed:
            self.calls += calls
            self.runs += 1

    def _gathered(self, call: _Call) -> Run:
        with self._changed:
            self._waiting.append(call)
            if not self._led:
                self._hand_on()
            elif len(self._waiting) >= self.max_size and self._has_room():
                self._changed.notify_all()
        try:
            call.woken.wait()
            if call.leads:
                self._lead()
        finally:
            self._leave(call)
        if call.error is not None:
            raise call.error
        assert call.run is not None
        return call.run

    def _hand_on(self) -> None:
        """The first of those who wait leads from here."""
        self._led = bool(self._waiting)
        if self._led:
            self._waiting[0].leads = True
            self._waiting[0].woken.set()

    def _has_room(self) -> bool:
        """Whether another batch may run."""
        is_full = self.at_once is not None and self._running >= self.at_once
        return not (is_full or self._alone_wanted)

    def _lead(self) -> None:
        batch = self._batch()
        try:
            self._serve(batch)
        finally:
            with self._changed:
                self._running -= 1
                self._changed.notify_all()

    def _batch(self) -> List[_Call]:
        """The first of those who wait, and who of the others is like it, once they may run."""
        with self._changed:
            while True:
                first = self._waiting[0]
                batch = [call for call in self._waiting if call.kind == first.kind]
                left = first.arrived + self.wait_seconds - time.monotonic()
                is_due = len(batch) >= self.max_size or (left <= 0 and not self._running)
                if is_due and self._has_room():
                    break
                self._changed.wait(None if is_due or self._running else left)
            batch = batch[: self.max_size]
            self._waiting = [call for call in self._waiting if call not in batch]
            self._running += 1
            first.leads = False
            self._hand_on()
        return batch

    def _serve(self, batch: List[_Call], *, runs_alone: bool = False) -> None:
        """Runs a batch; if it fails, again in parts."""
        before = self.max_size, self.at_once
        runs_alone = runs_alone or self.at_once == self._running == 1
        try:
            self._run(batch)
        except device_memory.OutOfMemory as error:
            if runs_alone and len(batch) == 1:
                batch[0].error = error
                return
            self._lower(len(batch) if runs_alone else None, before)
            with contextlib.nullcontext() if runs_alone else self._while_nothing_runs():
                rest = batch
                while rest:
                    part, rest = rest[: self.max_size], rest[self.max_size :]
                    self._serve(part, runs_alone=True)
        except Exception as error:
            if len(batch) == 1:
                batch[0].error = error
                return
            self._note_failure(len(batch), error)
            for call in batch:
                self._serve([call], runs_alone=runs_alone)
        finally:
            for call in batch:
                if call.run is None and call.error is None:
                    call.error = RuntimeError("the thread that ran its batch was interrupted")
                call.woken.set()

    def _run(self, batch: List[_Call]) -> None:
        number = len(batch)
        size = next((size for size in self.sizes if size >= number), number)
        feeds = {
            name: stacked([call.feeds[name] for call in batch], size) for name in batch[0].feeds
        }
        outputs = self._outputs(batch[0].names, feeds)
        self._count(calls=number)
        if number > 1:
            self._failed = 0
        for index, call in enumerate(batch):
            parts = [output[index : index + 1] for output in outputs]
            if size == 1 or self.error == 0:
                call.run = Run(parts, self.alone_exact)
            elif is_faint(self.as_map(parts[0]), self.error, self.most):
                call.run = self._alone(call.names, call.feeds)
            else:
                call.run = Run(parts, False)

    def _note_failure(self, size: int, error: Exception) -> None:
        """A batch that failed costs its pictures twice; where it keeps failing it gets smaller."""
        with self._changed:
            self._failed += 1
            is_first, is_last = self._failed == 1, self._failed >= FAILURES
            if is_last:
                smaller = [each for each in self.sizes or (1, size // 2) if each < size]
                self.max_size = min(self.max_size, max(smaller, default=1))
                self._failed = 0
        if is_first:
            _log.warning("a batch of %d failed and was run one by one: %s", size, error)
        if is_last:
            _log.warning("batches have at most %d pictures from here", self.max_size)

    def _lower(self, alone: Optional[int], before: Tuple[int, Optional[int]]) -> None:
        """Memory ran out: from here on batches have half as many pictures, or run by turns.

        Args:
          alone: how many pictures the batch had, if it was the only one; None beside another,
            where nothing is done if another thread has done so since.
          before: `max_size` and `at_once` when the batch was begun.
        """
        with self._changed:
            if alone is None and (self.max_size, self.at_once) != before:
                return
            half = (alone or self.max_size) // 2
            sizes = self.sizes or (half,)
            if alone is None and half not in sizes:
                self.at_once = 1
            else:
                smaller = max([size for size in sizes if 1 <= size <= half], default=1)
                self.max_size = min(self.max_size, smaller)
            now = self.max_size, self.at_once or "any number of"
        _log.warning("memory of the provider ran out: from here on batches of %d, %s at once", *now)

    @contextlib.contextmanager
    def _while_nothing_runs(self) -> Iterator[None]:
        """Within it the caller's batch is the only one."""
        with self._changed:
            self._alone_wanted += 1
            self._running -= 1
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._running)
            self._running += 1
        try:
            yield
        finally:
            with self._changed:
                self._alone_wanted -= 1

    def _leave(self, call: _Call) -> None:
        """Ends a call; if it was interrupted while it waited, another one takes its place."""
        with self._changed:
            if call in self._waiting:
                self._waiting.remove(call)
            if call.leads:
                self._hand_on()


def stacked(arrays: List[Any], size: int) -> Any:
    """[1, ...] each -> [size, ...], the last one repeated."""
    if size == 1:
        return arrays[0]
    return np.concatenate([*arrays, *[arrays[-1]] * (size - len(arrays))])


def is_faint(map: Any, error: float, most: float) -> bool:
    """Whether stretching a map to 255 levels makes an error of it more than `most` levels."""
    return bool(255 * error > most * (np.max(map) - np.min(map)))
