"""What stands in for an `onnxruntime.InferenceSession`, with the same `run`."""

import functools
import time
from typing import Any, Dict, NamedTuple, Optional, Sequence, Tuple

Feeds = Dict[str, Any]


class Run(NamedTuple):
    """What a run of a graph gave for one picture.

    Attributes:
      outputs: of the graph, arrays whose first axis is the batch, of one.
      exact: whether they are, to the bit, those of a run for this picture alone.
      seconds: that the graph was at work, of a batch for all of it.
      waited: seconds until then, and for what else the batch needs.
      extremes: the lowest and the highest number of the map, where it was checked for them.
    """

    outputs: Sequence[Any]
    exact: bool
    seconds: float = 0.0
    waited: float = 0.0
    extremes: Optional[Tuple[Any, Any]] = None


class StandIn:
    """In place of an `onnxruntime.InferenceSession`: what it has not itself is the session's."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def get_inputs(self) -> Sequence[Any]:
        """As the session's, asked once."""
        return self._inputs

    @functools.cached_property
    def _inputs(self) -> Sequence[Any]:
        return list(self.inner.get_inputs())

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
        """The same, whether it is exact, and what it took."""
        if isinstance(self.inner, StandIn):
            return self.inner.run_one(output_names, input_feed, run_options)
        start = time.perf_counter()
        outputs = self.inner.run(output_names, input_feed, run_options)
        return Run(outputs, True, time.perf_counter() - start)
