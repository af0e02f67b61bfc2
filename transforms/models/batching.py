"""Dynamic batching: the calls of many threads, gathered into runs of one graph.

`Batching` stands in for the `onnxruntime.InferenceSession` inside a rembg session, with the same
`run`. A thread that calls it while nobody gathers becomes the one who does: it waits, milliseconds
at most, for others to join, runs the graph once for all, deals the slices out, and hands the duty
to the first of those who came meanwhile. While a batch runs, the next one grows.

Batches have few, fixed sizes where a provider pays for each new one (a GPU's kernels are chosen by
shape): one that is smaller is padded with its last picture. A batch that fails is run again one by
one, so that an exception reaches only the caller whose picture it is.
"""

import logging
import threading
import time
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence

import numpy as np

# By how much of a level, of 255, a batch may always move a mask before it is rounded: pixels that
# lie so near to the next level get it.
LEVELS = 0.1

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

    outputs: List[Any]
    exact: bool


class StandIn:
    """In place of an `onnxruntime.InferenceSession`: what it has not itself is the session's."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def __getattr__(self, name: str) -> Any:
        if name == "inner":  # of an instance that is being copied
            raise AttributeError(name)
        return getattr(self.inner, name)


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
      max_size: pictures in a batch at most; 1 for none: calls then run side by side.
      wait_msecs: how long a batch that is not full waits for more, from its first call on. Raise
        it for fuller batches, at the cost of so many milliseconds a picture when there are few.
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
        wait_msecs: float = 5.0,
        sizes: Sequence[int] = (),
        error: float = 0.0,
        most: float = LEVELS,
        alone_exact: bool = True,
        as_map: Callable[[Any], Any] = np.asarray,
        check: Callable[[List[Any]], None] = lambda outputs: None,
    ) -> None:
        super().__init__(inner)
        self.max_size = max_size
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

    def run(
        self, output_names: Optional[Sequence[str]], input_feed: Feeds, run_options: Any = None
    ) -> List[Any]:
        """As `InferenceSession.run`, for a picture: arrays whose first axis is 1."""
        return self.run_one(output_names, input_feed, run_options).outputs

    def run_one(
        self, output_names: Optional[Sequence[str]], input_feed: Feeds, run_options: Any = None
    ) -> Run:
        """The same, and whether it is exact."""
        if self.max_size == 1 or run_options is not None:
            run = self._alone(output_names, input_feed, run_options)
            self._count(calls=1)
        else:
            run = self._gathered(_Call(output_names, input_feed))
        self.check(run.outputs)
        return run

    def _alone(self, names: Optional[Sequence[str]], feeds: Feeds, options: Any = None) -> Run:
        return Run(self.inner.run(names, feeds, options), self.alone_exact)

    def _count(self, *, calls: int) -> None:
        with self._changed:
            self.calls += calls
            self.runs += 1

    def _gathered(self, call: _Call) -> Run:
        with self._changed:
            self._waiting.append(call)
            self._changed.notify_all()
            call.leads, self._led = not self._led, True
        try:
            if not call.leads:
                call.woken.wait()
            if call.leads:
                self._serve(self._batch())
        finally:
            self._leave(call)
        if call.error is not None:
            raise call.error
        assert call.run is not None
        return call.run

    def _batch(self) -> List[_Call]:
        """The first of those who wait, and who of the others is like it, once the wait is over."""
        with self._changed:
            end = self._waiting[0].arrived + self.wait_seconds
            while len(self._waiting) < self.max_size:
                left = end - time.monotonic()
                if left <= 0:
                    break
                self._changed.wait(left)
            kind = self._waiting[0].kind
            batch = [call for call in self._waiting if call.kind == kind][: self.max_size]
            self._waiting = [call for call in self._waiting if call not in batch]
        return batch

    def _serve(self, batch: List[_Call]) -> None:
        try:
            self._run(batch)
        except Exception as error:
            if len(batch) == 1:
                batch[0].error = error
            else:
                self._note_failure(len(batch), error)
                for call in batch:
                    self._serve([call])
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
        outputs = self.inner.run(batch[0].names, feeds)
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
        self._failed += 1
        if self._failed == 1:
            _log.warning("a batch of %d failed and was run one by one: %s", size, error)
        if self._failed >= FAILURES:
            smaller = [each for each in self.sizes or (1, size // 2) if each < size]
            self.max_size, self._failed = max(smaller, default=1), 0
            _log.warning("batches have at most %d pictures from here", self.max_size)

    def _leave(self, call: _Call) -> None:
        """Ends a call, and with the one that led its lead."""
        with self._changed:
            if call in self._waiting:  # it was interrupted
                self._waiting.remove(call)
            if not call.leads:
                return
            if self._waiting:
                self._waiting[0].leads = True
                self._waiting[0].woken.set()
            else:
                self._led = False


def stacked(arrays: List[Any], size: int) -> Any:
    """[1, ...] each -> [size, ...], the last one repeated."""
    if size == 1:
        return arrays[0]
    return np.concatenate([*arrays, *[arrays[-1]] * (size - len(arrays))])


def is_faint(map: Any, error: float, most: float) -> bool:
    """Whether stretching a map to 255 levels makes an error of it more than `most` levels."""
    return bool(255 * error > most * (np.max(map) - np.min(map)))
