"""What a graph gave for a picture -> its map's extremes, or `BadOutput`: before rembg makes a mask.

rembg stretches a map to its own minimum and maximum. No number in it, an infinite one, or two whose
difference is too large for its type make all of the mask black without a word; another shape dies
far from its cause. Checked is the first output, the one that rembg looks at.
"""

import functools
from typing import Any, Callable, Optional, Sequence, Tuple

import numpy as np

from ..fast.stretch import extremes
from .catalogue import Model
from .stand_in import Run, StandIn

# The least side of a map: rembg squeezes a side of one away.
_LEAST = 2

# Height and width of what rembg asks SAM's decoder for.
_OF_SAM = (684, 1024)


class BadOutput(ValueError):
    """A model gave for a picture what no mask can be made of."""


Extremes = Tuple[Any, Any]
Check = Callable[[Sequence[Any]], Optional[Extremes]]


def checker(model: Model) -> Check:
    """A function that raises `BadOutput` for outputs that this model can't have.

    It returns the lowest and the highest number of a map that is to be stretched from one to the
    other, and None for other outputs.
    """
    if model.masks:
        # One class for each, and one for the background.
        return functools.partial(_check_classes, number=len(model.masks) + 1)
    # Infinite ones are sure for those that go through a sigmoid, or are cut off at 0 and 1.
    return _check_numbers_alone if model.gives_logits or model.is_matting else _check_map


class CheckedSam(StandIn):
    """Stands in for the `onnxruntime.InferenceSession` of SAM's decoder, and checks its outputs."""

    def run_one(self, *arguments: Any) -> Run:
        """As `StandIn.run_one`; raises `BadOutput`."""
        run = super().run_one(*arguments)
        outputs = run.outputs
        _check_shape(outputs[0], 1)
        if outputs[0].shape[2:] != _OF_SAM:
            _refuse(
                f"its masks are of {list(outputs[0].shape[2:])}, and must be of {list(_OF_SAM)}"
            )
        _check_numbers(outputs[0])
        return run


def _check_map(outputs: Sequence[Any]) -> Extremes:
    _check_shape(outputs[0], 1)
    lowest, highest = extremes(outputs[0][:, 0])
    # NaN is not less.
    if not float(highest) - float(lowest) <= _largest(outputs[0].dtype):
        _refuse(f"its map goes from {lowest} to {highest}, which can't be stretched to a mask")
    return lowest, highest


@functools.cache
def _largest(dtype: Any) -> float:
    """The largest number of a type of NumPy's."""
    return float((np.finfo if dtype.kind == "f" else np.iinfo)(dtype).max)


def _check_numbers_alone(outputs: Sequence[Any]) -> None:
    _check_shape(outputs[0], 1)
    _check_numbers(outputs[0][:, 0])


def _check_classes(outputs: Sequence[Any], number: int) -> None:
    _check_shape(outputs[0], number)
    _check_numbers(outputs[0])


def _check_shape(output: Any, channels: int) -> None:
    shape: Sequence[int] = getattr(output, "shape", ())
    is_right = len(shape) == 4 and shape[0] == 1 and shape[1] >= channels
    if not is_right or min(shape[2:]) < _LEAST or output.dtype.kind not in "fiu":
        _refuse(
            f"its output is {getattr(output, 'dtype', type(output).__name__)} of the shape "
            f"{list(shape)}, and must be numbers of [1, {channels}, height, width]"
        )


def _check_numbers(values: Any) -> None:
    if np.isnan(np.max(values)):
        _refuse("its output has values that are no numbers (NaN)")


def _refuse(why: str) -> None:
    raise BadOutput(
        f"{why}. The model's file is damaged or not one for this --model, or the provider or its "
        "precision doesn't suit it: try --provider CPU, or another file"
    )
