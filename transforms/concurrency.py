"""A DoFn whose elements are worked on by threads, beside the bundle's own.

In: elements of a bundle. Out: what `emit` makes of each result, in the order they become ready,
each with the window, timestamp and pane of its own element. A subclass says:

- `work(element)` runs in a pool thread, knows no Beam and touches no counter;
- `emit(element, result, seconds)` runs on the bundle's thread; it counts, tags and yields;
- `lease(element)`, if it has one, accounts for the memory of an element until its work is done.

Results are handed on while later elements are worked on, so three such steps in a row (read,
remove, write) overlap even where the runner gives a worker one bundle at a time. There is one pool
per step and number of threads in a process, however many instances the runner makes. An exception
of `work` rises on the bundle's thread and fails the bundle; a step that makes rows of its failures
does so within `work`.
"""

import contextlib
import threading
import time
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import (
    Any,
    ContextManager,
    Dict,
    Generic,
    Iterable,
    Iterator,
    Optional,
    Tuple,
    TypeVar,
)

import apache_beam as beam
from apache_beam.pvalue import TaggedOutput
from apache_beam.utils.windowed_value import WindowedValue

In = TypeVar("In")
Result = TypeVar("Result")

# How many elements an instance holds for each thread: one in work, one waiting for it.
PENDING_PER_THREAD = 2

_pools: Dict[Tuple[str, int], ThreadPoolExecutor] = {}
_pools_lock = threading.Lock()


def pool(step: str, threads: int) -> ThreadPoolExecutor:
    """The process's pool for a step."""
    with _pools_lock:
        if (step, threads) not in _pools:
            _pools[step, threads] = ThreadPoolExecutor(threads, f"rembg_beam-{step}")
        return _pools[step, threads]


class ConcurrentDoFn(beam.DoFn, Generic[In, Result]):
    """See the module's docstring.

    Args:
      step: the pool's name.
      threads: how many elements are worked on at once in a process.
    """

    def __init__(self, step: str, threads: int) -> None:
        self.step = step
        self.threads = threads
        self._pending: Dict[Future[Tuple[Result, float]], WindowedValue] = {}

    def work(self, element: In) -> Result:
        raise NotImplementedError

    def emit(self, element: In, result: Result, seconds: float) -> Iterable[Any]:
        raise NotImplementedError

    def lease(self, element: In) -> ContextManager[Any]:
        """What is held while the element waits and is worked on; taken on the bundle's thread."""
        return contextlib.nullcontext()

    def start_bundle(self) -> None:
        # The runner retries a failed bundle as a whole: what it left must not come out twice.
        for future in self._pending:
            future.cancel()
        self._pending = {}

    def process(
        self,
        element: In,
        windowed: Any = beam.DoFn.WindowedValueParam,
    ) -> Iterator[Any]:
        while len(self._pending) >= self.threads * PENDING_PER_THREAD:
            yield from self._hand_on(timeout=None)
        lease = self.lease(element)
        future = pool(self.step, self.threads).submit(_timed, self.work, element, lease)
        self._pending[future] = windowed
        yield from self._hand_on(timeout=0)

    def finish_bundle(self) -> Iterator[Any]:
        while self._pending:
            yield from self._hand_on(timeout=None)

    def _hand_on(self, timeout: Optional[float]) -> Iterator[Any]:
        ready = wait(self._pending, timeout, return_when=FIRST_COMPLETED).done
        # In the order they came, not in that of a set.
        for future in [future for future in self._pending if future in ready]:
            windowed = self._pending.pop(future)
            result, seconds = future.result()
            for output in self.emit(windowed.value, result, seconds):
                yield _with_window_of(windowed, output)


def _timed(work: Any, element: Any, lease: ContextManager[Any]) -> Tuple[Any, float]:
    start = time.perf_counter()
    try:
        with lease:
            return work(element), time.perf_counter() - start
    except SystemExit as error:
        # In a pool thread it would end nothing, and on the bundle's thread hang the worker.
        raise RuntimeError(f"a library called sys.exit({error.code!r})") from error


def _with_window_of(windowed: WindowedValue, output: Any) -> Any:
    if isinstance(output, TaggedOutput):
        return TaggedOutput(output.tag, windowed.with_value(output.value))
    return windowed.with_value(output)
