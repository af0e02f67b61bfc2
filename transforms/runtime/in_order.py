"""Steps in a row, whose results come in the order of their elements.

In: elements of the first step. Out: for each, when all before it are out, what is kept of the last
step's output, or the `(key, Failure)` of the step that stopped it. Steps work in their own pools,
as in a pipeline, and later elements go on while an early one takes its time; how many, the caller
says. What a step puts off waits without a thread. An exception of a step's work rises.

All methods are for the bundle's thread, on which steps count.
"""

import contextlib
import heapq
import time
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any, Callable, Deque, Iterator, List, Optional, Sequence, Tuple

from apache_beam.pvalue import TaggedOutput

from .concurrency import Done, Later, pool, timed
from .step import Step


@dataclass(eq=False)
class _Item:
    """An element on its way: the step it is in, when it came there, what it took there, and at last
    what is kept."""

    number: int
    element: Any
    arrived: float
    step: int = 0
    seconds: float = 0.0
    future: Optional["Future[Done]"] = None
    is_done: bool = False
    kept: Any = None


class InOrder:
    """See the module's docstring.

    Args:
      steps: each takes what the one before gives; they are set up.
      keep: makes what is kept of the last step's element and its output, as soon as it is there.
    """

    def __init__(self, steps: Sequence[Step[Any, Any]], keep: Callable[[Any, Any], Any]) -> None:
        self._steps = steps
        self._keep = keep
        self._count = 0
        self._items: Deque[_Item] = deque()
        self._ended: SimpleQueue[_Item] = SimpleQueue()
        self._put_off: List[Tuple[float, int, Callable[[], Any], _Item]] = []

    def put(self, element: Any) -> None:
        """Begins with one more element."""
        self._count += 1
        item = _Item(self._count, element, time.perf_counter())
        self._items.append(item)
        self._submit(item, partial(self._steps[0].work, element))

    def take(self, at_most: int) -> Iterator[Any]:
        """The results that are there, and those to wait for until no more than `at_most` elements
        are in flight."""
        while self._items:
            first = self._items[0]
            self._go_on(block=not first.is_done and len(self._items) > at_most)
            if first.is_done:
                yield self._items.popleft().kept
            elif len(self._items) <= at_most:
                return

    def cancel(self) -> None:
        """Forgets what is in flight; what has begun ends in its thread."""
        for item in self._items:
            if item.future is not None:
                item.future.cancel()
        self._items.clear()

    def _submit(self, item: _Item, call: Callable[[], Any]) -> None:
        step = self._steps[item.step]
        lease = step.lease(item.element)
        item.future = pool(step.step, step.threads).submit(timed, call, lease)
        item.future.add_done_callback(lambda _: self._ended.put(item))

    def _go_on(self, block: bool) -> None:
        """Takes each that has ended its step to the next; with `block`, after a wait for one."""
        while self._put_off and self._put_off[0][0] <= time.monotonic():
            _, _, again, item = heapq.heappop(self._put_off)
            self._submit(item, again)
        if block and self._ended.empty():
            due = self._put_off[0][0] - time.monotonic() if self._put_off else None
            with contextlib.suppress(Empty):
                self._step_on(self._ended.get(timeout=None if due is None else max(due, 0)))
        while not self._ended.empty():
            self._step_on(self._ended.get())

    def _step_on(self, item: _Item) -> None:
        assert item.future is not None
        done = item.future.result()
        result, took = done.result, done.took(item.arrived, item.seconds)
        item.seconds = took.seconds
        if isinstance(result, Later):
            at = time.monotonic() + result.seconds
            heapq.heappush(self._put_off, (at, item.number, result.again, item))
            return
        (output,) = self._steps[item.step].emit(item.element, result, took)
        if isinstance(output, TaggedOutput):
            item.kept, item.is_done = output.value, True
        elif item.step + 1 == len(self._steps):
            item.kept, item.is_done = self._keep(item.element, output), True
        else:
            item.element, item.step, item.seconds = output, item.step + 1, 0.0
            item.arrived = time.perf_counter()
            self._submit(item, partial(self._steps[item.step].work, output))
        if item.is_done:
            item.element = None
