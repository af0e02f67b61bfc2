"""How much of a picture's CPU is the model.

In: a configuration. Out: a session as `open_session` makes it, whose graphs note the CPU seconds of
the threads that run them. Where pictures are gathered into batches, or the work is a GPU's, that is
next to nothing. Fails as `open_session` does.
"""

import threading
import time
from typing import Any

from ...transforms.models.config import SessionConfig
from ...transforms.models.opening import Loaded, open_session
from ...transforms.models.stand_in import Run, StandIn

# Of a session of rembg's, where its graphs are.
_GRAPHS = ("inner_session", "encoder", "decoder")


class Timed(StandIn):
    """Stands in for an `onnxruntime.InferenceSession`; safe to use from any thread.

    Attributes:
      seconds: of CPU so far.
    """

    def __init__(self, inner: Any) -> None:
        super().__init__(inner)
        self.seconds = 0.0
        self._lock = threading.Lock()

    def run_one(self, *arguments: Any) -> Run:
        """As `StandIn.run_one`."""
        start = time.thread_time()
        try:
            return super().run_one(*arguments)
        finally:
            seconds = time.thread_time() - start
            with self._lock:
                self.seconds += seconds


def open_timed(config: SessionConfig) -> Loaded:
    """The session, its graphs timed; of ViTMatte, which has none such, as it is."""
    loaded = open_session(config)
    for name in _GRAPHS:
        inner = vars(loaded.session).get(name)
        if inner is not None:
            setattr(loaded.session, name, Timed(inner))
    return loaded


def model_seconds(loaded: Loaded) -> float:
    """CPU seconds that the graphs of such a session took so far."""
    graphs = (vars(loaded.session).get(name) for name in _GRAPHS)
    return sum(graph.seconds for graph in graphs if isinstance(graph, Timed))
