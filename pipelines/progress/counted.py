"""Counted: what a run has done so far, wherever it runs.

In: nothing, or the job that an engine was sent. Out: counts by the names of `runtime.metrics`. What
an engine doesn't tell is left out: not all tell counters while a job runs. Nothing here fails.
"""

import threading
import time
from collections import Counter
from typing import Any, Callable, Dict, Optional

from apache_beam.metrics import MetricsFilter

from ...transforms.runtime import metrics, shared

# Between two questions to an engine, each of which is a call to its service.
ENGINE_SECONDS = 10.0


def here() -> Dict[str, int]:
    """What this process and those it started have counted; others are not heard of."""
    return dict(Counter(metrics.tally.snapshot()) + Counter(shared.total()))


class Counts:
    """The counts of a run; asking never waits.

    Args:
      seconds: between two questions to the engine.
    """

    def __init__(self, seconds: float = ENGINE_SECONDS) -> None:
        self._result: Callable[[], Any] = lambda: None
        self._seconds = seconds
        self._told: Dict[str, int] = {}
        self._asking: Optional[threading.Thread] = None
        self._asked = time.monotonic()

    def follow(self, result: Callable[[], Any]) -> None:
        """From now on the engine is asked too, by the result it gave; None as long as it hasn't."""
        self._result = result

    def __call__(self) -> Dict[str, int]:
        """Of each count the larger: what we counted, or what the engine told last."""
        self._ask()
        ours, told = here(), self._told
        return {name: max(ours.get(name, 0), told.get(name, 0)) for name in {*ours, *told}}

    def _ask(self) -> None:
        """Asks the engine in a thread, unless it was just asked, or has not answered yet."""
        is_asking = self._asking is not None and self._asking.is_alive()
        if is_asking or time.monotonic() - self._asked < self._seconds:
            return
        result = self._result()
        if result is not None:
            self._asked = time.monotonic()
            self._asking = threading.Thread(target=self._hear, args=(result,), daemon=True)
            self._asking.start()

    def _hear(self, result: Any) -> None:
        try:
            self._told = of_engine(result)
        except Exception:  # each engine fails in ways of its own, and a run goes on without
            self._told = {}


def of_engine(result: Any) -> Dict[str, int]:
    """What an engine says now that its job has counted, over all steps."""
    if hasattr(result, "_metrics"):
        result._metrics = None  # Beam's portable result would give its first answer for ever
    found = result.metrics().query(MetricsFilter().with_namespace(metrics.NAMESPACE))
    counts: Counter[str] = Counter()
    for counter in found["counters"]:
        counts[counter.key.metric.name] += counter.committed or counter.attempted or 0
    return dict(counts)
