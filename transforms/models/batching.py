"""Dynamic batching: the calls of many threads, gathered into runs of one graph.

`Batching` stands in for the `onnxruntime.InferenceSession` inside a rembg session, with the same
`run`. A thread that calls it while nobody gathers becomes the one who does: it waits, milliseconds
at most, for others to join, runs the graph once for all, deals the slices out, and hands the duty
to the first of those who came meanwhile. While a batch runs, the next one grows.

Batches have few, fixed sizes where a provider pays for each new one (a GPU's kernels are chosen by
shape): one that is smaller is padded with its last picture. A batch that fails is run again one by
one, so that an exception reaches only the caller whose picture it is.

`probe` finds out, by running it, which batches a graph takes, and whether they give each picture,
to the bit, what it gets alone.
"""

import logging
import threading
import time
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from .runs import Run, note

# Of a mask's pixels, that a batch may give another level than a run alone, one above or below.
SHARE = 0.05

_PROBES = 3

_log = logging.getLogger(__name__)

Feeds = Dict[str, Any]


class _Call:
    """A thread's call, and what becomes of it."""

    def __init__(self, names: Optional[Sequence[str]], feeds: Feeds) -> None:
        self.names = names
        self.feeds = feeds
        self.run: Optional[Run] = None
        self.error: Optional[BaseException] = None
        self.leads = False
        self.woken = threading.Event()

    def kind(self) -> Any:
        """What calls of one batch have in common."""
        shapes = [(name, value.shape, value.dtype) for name, value in self.feeds.items()]
        return self.names and tuple(self.names), tuple(sorted(shapes, key=str))


class Batching:
    """Stands in for an `onnxruntime.InferenceSession`; safe to use from any thread.

    Args:
      inner: the session; all inputs and outputs have the batch as their first axis.
      max_size: pictures in a batch at most; 1 for none: calls then run side by side.
      wait_msecs: how long a batch that is not full waits for more. Raise it for fuller batches, at
        the cost of so many milliseconds a picture when there are few.
      sizes: the sizes batches are padded to, the largest of them `max_size`; none for any size.
      exact: whether a batch gives each picture the bits that a run alone gives.

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
        exact: bool = True,
    ) -> None:
        self.inner = inner
        self.max_size = max_size
        self.wait_seconds = wait_msecs / 1000
        self.sizes = tuple(sorted(sizes))
        self.exact = exact
        self.calls = 0
        self.runs = 0
        self._waiting: List[_Call] = []
        self._changed = threading.Condition()
        self._led = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def run(
        self, output_names: Optional[Sequence[str]], input_feed: Feeds, run_options: Any = None
    ) -> List[Any]:
        """As `InferenceSession.run`, for a picture: arrays whose first axis is 1."""
        if self.max_size == 1 or run_options is not None:
            run = Run(self.inner.run(output_names, input_feed, run_options), True)
            self._count(calls=1)
        else:
            run = self._gathered(_Call(output_names, input_feed))
        note(run)
        return run.outputs

    def _count(self, *, calls: int) -> None:
        with self._changed:
            self.calls += calls
            self.runs += 1

    def _gathered(self, call: _Call) -> Run:
        with self._changed:
            self._waiting.append(call)
            self._changed.notify_all()
            leads, self._led = not self._led, True
        if not leads:
            call.woken.wait()
            leads = call.leads
        if leads:
            try:
                self._serve(self._batch())
            finally:
                self._hand_over()
        if call.error is not None:
            raise call.error
        assert call.run is not None
        return call.run

    def _batch(self) -> List[_Call]:
        """The first of those who wait, and who of the others is like it, once the wait is over."""
        end = time.monotonic() + self.wait_seconds
        with self._changed:
            while len(self._waiting) < self.max_size:
                left = end - time.monotonic()
                if left <= 0:
                    break
                self._changed.wait(left)
            kind = self._waiting[0].kind()
            batch = [call for call in self._waiting if call.kind() == kind][: self.max_size]
            self._waiting = [call for call in self._waiting if call not in batch]
        return batch

    def _serve(self, batch: List[_Call]) -> None:
        try:
            self._run(batch)
        except Exception as error:
            if len(batch) == 1:
                batch[0].error = error
            else:
                for call in batch:
                    self._serve([call])
        except BaseException as error:
            for call in batch:
                call.error = error
            raise
        finally:
            for call in batch:
                call.woken.set()

    def _run(self, batch: List[_Call]) -> None:
        number = len(batch)
        size = next((size for size in self.sizes if size >= number), number)
        feeds = {
            name: _stacked([call.feeds[name] for call in batch], size) for name in batch[0].feeds
        }
        outputs = self.inner.run(batch[0].names, feeds)
        self._count(calls=number)
        for index, call in enumerate(batch):
            parts = [output[index : index + 1] for output in outputs]
            call.run = Run(parts, self.exact or size == 1)

    def _hand_over(self) -> None:
        with self._changed:
            if self._waiting:
                self._waiting[0].leads = True
                self._waiting[0].woken.set()
            else:
                self._led = False


def _stacked(arrays: List[Any], size: int) -> Any:
    """[1, ...] each -> [size, ...], the last one repeated."""
    if size == 1:
        return arrays[0]
    return np.concatenate([*arrays, *[arrays[-1]] * (size - len(arrays))])


class Batches(NamedTuple):
    """What a graph makes of batches.

    Attributes:
      sizes: those it takes, 1 among them.
      exact: whether they give each picture the bits of a run alone.
    """

    sizes: Tuple[int, ...]
    exact: bool


def probe(inner: Any, sizes: Sequence[int]) -> Batches:
    """Runs a session at each size, smallest first, until one fails or gives other masks.

    A mask is another if a pixel differs by more than a level, or more than `SHARE` of them by one.
    The runs also let a provider choose its kernels before the first picture comes.
    """
    taken, exact = [1], True
    try:
        (given,) = inner.get_inputs()
        pictures = _noise(given.shape[1:])
        alone = [inner.run(None, {given.name: picture}) for picture in pictures]
    except Exception as error:
        _log.info("no batches: %s", error)
        return Batches((1,), True)
    for size in sorted(set(sizes) - {1}):
        feed = _stacked([pictures[index % _PROBES] for index in range(size)], size)
        try:
            outputs = inner.run(None, {given.name: feed})
            exact = exact and _agree(outputs, alone, size)
        except Exception as error:
            _log.info("no batches of %d or more: %s", size, error)
            break
        taken.append(size)
    return Batches(tuple(taken), exact)


def _noise(shape: Sequence[int]) -> List[Any]:
    """Tensors about as large as those of pictures, float32 [1, channels, height, width]."""
    random = np.random.default_rng(0)
    return [random.normal(0, 1, (1, *shape)).astype(np.float32) for _ in range(_PROBES)]


def _agree(outputs: List[Any], alone: List[List[Any]], size: int) -> bool:
    """Whether a batch gave the bits of single runs; `ValueError` if its masks are others."""
    exact = True
    for place, output in enumerate(outputs):
        if output.shape[0] != size:
            raise ValueError(f"output {place} has {output.shape[0]} maps for {size} pictures")
        for index in range(size):
            single = alone[index % _PROBES][place]
            if not np.array_equal(output[index : index + 1], single):
                exact = False
                if place == 0:
                    _compare(output[index : index + 1], single)
    return exact


def _compare(one: Any, other: Any) -> None:
    difference = np.abs(_levels(one) - _levels(other))
    share = np.count_nonzero(difference) / difference.size
    if difference.max() > 1 or share > SHARE:
        raise ValueError(
            f"a picture's mask differs by {difference.max():.0f} levels at most, on "
            f"{share:.1%} of its pixels, from the one it has alone"
        )


def _levels(map: Any) -> Any:
    """A map stretched to 0 to 255, as rembg does it."""
    low, high = np.min(map), np.max(map)
    return np.floor((map - low) / max(high - low, np.finfo(np.float32).tiny) * 255)
