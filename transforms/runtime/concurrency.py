"""A DoFn whose elements are worked on by threads, beside the bundle's own.

In: elements of a bundle. Out: what `emit` makes of each result, in the order they become ready,
each with the window, timestamp and pane of its own element. A subclass says:

- `work(element)` runs in a pool thread, knows no Beam and touches no counter;
- `emit(element, result, took)` runs on the bundle's thread; it counts, tags and yields;
- `lease(element)`, if it has one, accounts for the memory of an element until its work is done.

What can't be done now, because somebody has to be waited for, returns `Later`: its thread goes on
with other elements, and it is taken up again when its time has come, those that came first first.

Results are handed on while later elements are worked on, so three such steps in a row (read,
remove, write) overlap even where the runner gives a worker one bundle at a time. There is one pool
per step and number of threads in a process, however many instances the runner makes. An exception
of `work` rises on the bundle's thread and fails the bundle; a step that makes rows of its failures
does so within `work`.
"""

import contextlib
import heapq
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from queue import Empty, SimpleQueue
from typing import (
    Any,
    Callable,
    ContextManager,
    Dict,
    Generic,
    Iterable,
    Iterator,
    List,
    NamedTuple,
    Optional,
    Tuple,
    TypeVar,
    Union,
)

import apache_beam as beam
from apache_beam.pvalue import TaggedOutput
from apache_beam.utils.windowed_value import WindowedValue

In = TypeVar("In")
Result = TypeVar("Result")

# How many elements an instance holds for each thread: one in work, one waiting for it.
PENDING_PER_THREAD = 2

# How many elements it puts off for each thread, before it takes no more of the bundle.
LATER_PER_THREAD = 64

_pools: Dict[Tuple[str, int], ThreadPoolExecutor] = {}
_pools_lock = threading.Lock()


class Later(NamedTuple):
    """The result of work that can't be done now: to be done by `again()`, after so many seconds."""

    seconds: float
    again: Callable[[], Any]


class Took(NamedTuple):
    """Seconds that a thread worked on an element, and that it waited before: for a free thread, or
    put off."""

    seconds: float
    waited: float


class Done(NamedTuple):
    """What a call in a pool thread gave, the seconds it took, and when it ended."""

    result: Any
    seconds: float
    ended: float

    def took(self, arrived: float, before: float = 0.0) -> Took:
        """By an element that came at this time, and took so many seconds in earlier calls."""
        seconds = before + self.seconds
        return Took(seconds, self.ended - arrived - seconds)


class _Element(NamedTuple):
    """An element, which of the bundle's it is, when it came, what is to be done, and what it took
    so far."""

    windowed: WindowedValue
    number: int
    arrived: float
    call: Callable[[], Any]
    was_put_off: bool = False
    seconds: float = 0.0


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
        self._forget()

    def work(self, element: In) -> Union[Result, Later]:
        raise NotImplementedError

    def emit(self, element: In, result: Result, took: Took) -> Iterable[Any]:
        raise NotImplementedError

    def lease(self, element: In) -> ContextManager[Any]:
        """What is held while the element waits and is worked on; taken on the bundle's thread."""
        return contextlib.nullcontext()

    def start_bundle(self) -> None:
        # The runner retries a failed bundle as a whole: what it left must not come out twice.
        for future in self._pending:
            future.cancel()
        self._forget()

    def process(
        self,
        element: In,
        windowed: Any = beam.DoFn.WindowedValueParam,
    ) -> Iterator[Any]:
        arrived = time.perf_counter()
        while self._is_full():
            yield from self._hand_on(block=True)
        self._count += 1
        self._submit(_Element(windowed, self._count, arrived, partial(self.work, element)))
        yield from self._hand_on(block=False)

    def finish_bundle(self) -> Iterator[Any]:
        while self._pending or self._put_off or self._due:
            yield from self._hand_on(block=True)

    def _forget(self) -> None:
        # Of futures that have ended; made with the first, since it can't be pickled.
        self._queue: Optional[SimpleQueue[Future[Any]]] = None
        self._pending: Dict[Future[Done], _Element] = {}
        # By the time that they wait for; and what has waited long enough, in the order it came.
        self._put_off: List[Tuple[float, int, _Element]] = []
        self._due: List[Tuple[int, _Element]] = []
        self._resumed = self._count = 0

    def _is_full(self) -> bool:
        return (
            len(self._pending) - self._resumed >= self.threads * PENDING_PER_THREAD
            or len(self._put_off) + len(self._due) >= self.threads * LATER_PER_THREAD
        )

    def _submit(self, element: _Element) -> None:
        lease = self.lease(element.windowed.value)
        future = pool(self.step, self.threads).submit(timed, element.call, lease)
        self._pending[future] = element
        self._resumed += element.was_put_off
        if self._queue is None:
            self._queue = SimpleQueue()
        future.add_done_callback(self._queue.put)

    def _hand_on(self, block: bool) -> Iterator[Any]:
        self._resume()
        for element, done in self._ready(block):
            result, took = done.result, done.took(element.arrived, element.seconds)
            if isinstance(result, Later):
                at = time.monotonic() + result.seconds
                element = element._replace(
                    call=result.again, was_put_off=True, seconds=took.seconds
                )
                heapq.heappush(self._put_off, (at, element.number, element))
                continue
            for output in self.emit(element.windowed.value, result, took):
                yield _with_window_of(element.windowed, output)

    def _ready(self, block: bool) -> Iterator[Tuple[_Element, Done]]:
        """The elements that are done; with `block`, after a wait for one, or for one put off."""
        timeout = self._patience() if block else 0
        if not self._pending:
            time.sleep(timeout or 0)
            return
        for future in self._ended(timeout):
            element = self._pending.pop(future)
            self._resumed -= element.was_put_off
            yield element, future.result()

    def _ended(self, timeout: Optional[float]) -> List[Future[Any]]:
        """Those that have, in the order they came; after a wait for one, None for any time."""
        assert self._queue is not None
        ended = []
        if timeout != 0:
            with contextlib.suppress(Empty):
                ended.append(self._queue.get(timeout=timeout))
        # Nobody else takes any.
        while not self._queue.empty():
            ended.append(self._queue.get())
        return sorted(ended, key=lambda future: self._pending[future].number)

    def _patience(self) -> Optional[float]:
        """Seconds until an element that was put off can be taken up again; None for no such."""
        if not self._put_off or self._resumed >= self._resumed_at_most():
            return None
        return max(self._put_off[0][0] - time.monotonic(), 0)

    def _resume(self) -> None:
        """Takes up what was put off and is due, in the order it came."""
        while self._put_off and self._put_off[0][0] <= time.monotonic():
            _, number, element = heapq.heappop(self._put_off)
            heapq.heappush(self._due, (number, element))
        while self._due and self._resumed < self._resumed_at_most():
            self._submit(heapq.heappop(self._due)[1])

    def _resumed_at_most(self) -> int:
        # So that what is put off again and again leaves threads for the others.
        return max(self.threads // 2, 1)


def timed(call: Callable[[], Any], lease: ContextManager[Any]) -> Done:
    """What becomes of a call in a pool thread; the lease ends with it."""
    start = time.perf_counter()
    try:
        with lease:
            result = call()
            ended = time.perf_counter()
            return Done(result, ended - start, ended)
    except SystemExit as error:
        # In a pool thread it would end nothing, and on the bundle's thread hang the worker.
        raise RuntimeError(f"a library called sys.exit({error.code!r})") from error


def _with_window_of(windowed: WindowedValue, output: Any) -> Any:
    if isinstance(output, TaggedOutput):
        return TaggedOutput(output.tag, windowed.with_value(output.value))
    return windowed.with_value(output)
