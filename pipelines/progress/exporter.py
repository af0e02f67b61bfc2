"""Exporter: what a run has counted, for Prometheus to fetch while it runs.

In: a port, and what gives the counts. Out: an HTTP server on it until `close`. Fails with
`UsageError` without prometheus-client, and for a port that can't be had.
"""

import contextlib
from typing import Any, Callable, Dict, Iterator

from ...transforms.elements import STATUSES
from ...transforms.runtime.metrics import NAMESPACE
from ..status import UsageError
from . import state

_STEPS = ("read", "remove", "write")
_OF_STEPS = {
    "pictures": "Pictures that a step finished.",
    "failures": "Pictures that a step gave up.",
    "bytes": "Bytes that a step produced.",
    "msecs": "Milliseconds that threads of a step took.",
}


@contextlib.contextmanager
def exported(port: int, counts: Callable[[], Dict[str, int]]) -> Iterator[None]:
    """Serves the counts at http://HOST:PORT/metrics inside; 0 for no port."""
    if not port:
        yield
        return
    try:
        import prometheus_client
    except ImportError as error:
        raise UsageError(
            "--metrics_port needs prometheus-client: pip install 'rembg-beam[prometheus]'"
        ) from error
    registry = prometheus_client.CollectorRegistry()
    registry.register(_Collector(counts))
    try:
        server, thread = prometheus_client.start_http_server(port, registry=registry)
    except OSError as error:
        raise UsageError(f"--metrics_port {port} can't be had: {error}") from error
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Collector:
    """Makes Prometheus's metrics of counts, each time they are fetched."""

    def __init__(self, counts: Callable[[], Dict[str, int]]) -> None:
        self._counts = counts

    def describe(self) -> Any:
        return []  # else the registry would collect at once

    def collect(self) -> Iterator[Any]:
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        found = self._counts()
        outcomes = CounterMetricFamily(
            f"{NAMESPACE}_outcomes", "Pictures that are done.", labels=["status"]
        )
        for status in STATUSES:
            outcomes.add_metric([status], found.get(f"outcomes_{status}", 0))
        yield outcomes
        for kind, text in _OF_STEPS.items():
            family = CounterMetricFamily(f"{NAMESPACE}_step_{kind}", text, labels=["step"])
            for step in _STEPS:
                family.add_metric([step], found.get(f"{step}_{kind}", 0))
            yield family
        names = f"{NAMESPACE}_found_pictures", "Pictures that inputs named, as far as found."
        yield GaugeMetricFamily(*names, value=found.get("find_pictures", 0))
        names = f"{NAMESPACE}_memory_bytes", "Of the process that started the run, and its own."
        yield GaugeMetricFamily(*names, value=state.memory())
