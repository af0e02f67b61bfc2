"""What a graph gave for a picture, for whoever wants to know more than rembg's mask tells.

rembg stretches each map to its own minimum and maximum, so that a map whose peak is 0.001 becomes a
mask like any other. `watching` collects, in this thread, the runs that stand-ins of onnxruntime's
sessions note (`note`); `peak` tells the highest value of the map before it is stretched.
Nothing here fails.
"""

import contextlib
from contextvars import ContextVar
from typing import Any, Iterator, List, NamedTuple, Optional

import numpy as np


class Run(NamedTuple):
    """One run of a graph for one picture.

    Attributes:
      outputs: of the graph, arrays whose first axis is the batch, of one.
      exact: whether they are, to the bit, those of a run for this picture alone.
    """

    outputs: List[Any]
    exact: bool


_watched: ContextVar[Optional[List[Run]]] = ContextVar("rembg_beam_runs", default=None)


@contextlib.contextmanager
def watching() -> Iterator[List[Run]]:
    """The runs noted in this thread until the end of the `with`; an outer one sees them too."""
    outer = _watched.get()
    runs: List[Run] = []
    token = _watched.set(runs)
    try:
        yield runs
    finally:
        _watched.reset(token)
        if outer is not None:
            outer += runs


def note(run: Run) -> None:
    """Notes a run for those who watch this thread."""
    runs = _watched.get()
    if runs is not None:
        runs.append(run)


def peak(run: Run, *, logits: bool) -> float:
    """The highest value of a map, float32 [1, 1, height, width], as rembg has it before stretching.

    Args:
      logits: whether rembg puts the map through a sigmoid first.

    >>> peak(Run([np.array([[[[0.25, 0.5]]]])], True), logits=False)
    0.5
    """
    highest = np.max(run.outputs[0][:, 0])
    return float(sigmoid(highest) if logits else highest)


def sigmoid(values: Any) -> Any:
    """As the `predict` of rembg's BiRefNet sessions.

    >>> float(sigmoid(0.0))
    0.5
    """
    return 1 / (1 + np.exp(-values))
