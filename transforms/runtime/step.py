"""A step on a picture's way: a `ConcurrentDoFn` that counts, and whose failures come out on a tag.

In: elements of which a subclass knows the key, and what was learnt of the picture before. Out: what
it makes of each result, or `(key, Failure)` on the tag `FAILURES`, with all that was learnt, the
time that the step took, the time before it began, and the process that took it.
"""

import functools
import os
import socket
from typing import Any, Iterator, Tuple, TypeVar, Union

from apache_beam.pvalue import TaggedOutput

from ..elements import Facts, Failure, merged
from . import metrics, stdout
from .concurrency import ConcurrentDoFn, Took
from .failures import FAILURES

In = TypeVar("In")
Result = TypeVar("Result")


class Step(ConcurrentDoFn[In, Union[Result, Failure]]):
    """See the module's docstring; a subclass has `work`, `known` and `made`."""

    FAILURES = FAILURES

    def setup(self) -> None:
        stdout.unblock()

    def known(self, element: In) -> Tuple[Any, Facts]:
        """The element's key, and what earlier steps learnt."""
        raise NotImplementedError

    def made(self, key: Any, element: In, result: Result, facts: Facts) -> Tuple[int, Any]:
        """The bytes of a result, and what comes out; `facts` are those known, and the time."""
        raise NotImplementedError

    def emit(self, element: In, result: Union[Result, Failure], took: Took) -> Iterator[Any]:
        key, before = self.known(element)
        ours = taken(self.step, took)
        if isinstance(result, Failure):
            metrics.count_failure(self.step, seconds=took.seconds)
            facts = merged(before, result.facts, ours)
            yield TaggedOutput(FAILURES, (key, result._replace(facts=facts)))
            return
        size, output = self.made(key, element, result, merged(before, ours))
        metrics.count_step(self.step, size=size, seconds=took.seconds)
        yield output


def taken(step: str, took: Took) -> Facts:
    """What a step's work tells of itself: its times, and that this process did it."""
    msecs = {
        f"{step}_msecs": round(took.seconds * 1000),
        f"{step}_waited_msecs": round(took.waited * 1000),
    }
    return Facts(**msecs, worker=_worker(os.getpid()))  # type: ignore[arg-type]


@functools.cache
def _worker(process: int) -> str:
    return f"{socket.gethostname()}:{process}"
