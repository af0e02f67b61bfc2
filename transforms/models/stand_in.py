"""What stands in for an `onnxruntime.InferenceSession`, with the same `run`."""

from typing import Any, Dict, NamedTuple, Optional, Sequence

Feeds = Dict[str, Any]


class Run(NamedTuple):
    """What a run of a graph gave for one picture.

    Attributes:
      outputs: of the graph, arrays whose first axis is the batch, of one.
      exact: whether they are, to the bit, those of a run for this picture alone.
    """

    outputs: Sequence[Any]
    exact: bool


class StandIn:
    """In place of an `onnxruntime.InferenceSession`: what it has not itself is the session's."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

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
        """The same, and whether it is exact."""
        if isinstance(self.inner, StandIn):
            return self.inner.run_one(output_names, input_feed, run_options)
        return Run(self.inner.run(output_names, input_feed, run_options), True)
