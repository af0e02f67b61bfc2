"""A graph's first output alone, which is what rembg reads; the others where someone asks for them.

rembg asks a graph for all its outputs and reads one: of U²-Net's seven a batch of 16 has 46 MB on a
GPU, of which 6.6 are read. `FirstOutput` asks for that one, and gives a sequence that is as long as
rembg expects, and that runs the graph again for the others. Nothing here fails but what a run of
the graph raises.
"""

from collections.abc import Sequence
from typing import Any, Callable, List, Optional

from .stand_in import Feeds, Run, StandIn


class FirstOutput(StandIn):
    """Stands in for an `onnxruntime.InferenceSession`; safe to use from any thread.

    Once somebody has read another output than the first, all are asked for at once.

    Args:
      inner: the session, or what stands in for it.
    """

    def __init__(self, inner: Any) -> None:
        super().__init__(inner)
        self._names = [output.name for output in inner.get_outputs()]
        self._others_are_read = len(self._names) == 1

    def run_one(
        self, output_names: Any, input_feed: Feeds, run_options: Optional[Any] = None
    ) -> Run:
        """As `StandIn.run_one`; where all outputs are asked for, they are an `Outputs`."""
        if output_names is not None or self._others_are_read:
            return super().run_one(output_names, input_feed, run_options)

        def run_again() -> List[Any]:
            self._others_are_read = True
            return list(super(FirstOutput, self).run_one(None, input_feed, run_options).outputs)

        run = super().run_one(self._names[:1], input_feed, run_options)
        return run._replace(outputs=Outputs(run.outputs[0], len(self._names), run_again))


class Outputs(Sequence[Any]):
    """All outputs of a graph: the first, and those that a function makes when they are read.

    >>> outputs = Outputs("a", 3, lambda: ["A", "b", "c"])
    >>> len(outputs), outputs[0], outputs[-3], outputs[:1], outputs[-1], list(outputs)
    (3, 'a', 'a', ['a'], 'c', ['a', 'b', 'c'])
    """

    def __init__(self, first: Any, number: int, run_again: Callable[[], List[Any]]) -> None:
        self._found = [first]
        self._number = number
        self._run_again = run_again

    def __len__(self) -> int:
        return self._number

    def __getitem__(self, index: Any) -> Any:
        wanted = range(self._number)[index]
        if isinstance(index, slice):
            return [self[place] for place in wanted]
        if wanted and len(self._found) == 1:
            self._found += self._run_again()[1:]
        return self._found[wanted]
