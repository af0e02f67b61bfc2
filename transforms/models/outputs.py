"""What a graph gave for a picture -> nothing, or `BadOutput`: before rembg makes a mask of it.

rembg stretches a map to its own minimum and maximum. No number in it, an infinite one, or two whose
difference is too large for its type make all of the mask black without a word; another shape dies
far from its cause. Checked is the first output, the one that rembg looks at.
"""

import functools
from typing import Any, Callable, Sequence

import numpy as np

from .catalogue import Model
from .stand_in import Run, StandIn

# The least side of a map: rembg squeezes a side of one away.
_LEAST = 2

# Height and width of what rembg asks SAM's decoder for.
_OF_SAM = (684, 1024)


class BadOutput(ValueError):
    """A model gave for a picture what no mask can be made of."""


def checker(model: Model) -> Callable[[Sequence[Any]], None]:
    """A function that raises `BadOutput` for outputs that this model can't have."""
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


def _check_map(outputs: Sequence[Any]) -> None:
    _check_shape(outputs[0], 1)
    highest, lowest = np.max(outputs[0][:, 0]), np.min(outputs[0][:, 0])
    with np.errstate(over="ignore", invalid="ignore"):
        is_finite = np.isfinite(highest - lowest)
    if not is_finite:
        _refuse(f"its map goes from {lowest} to {highest}, which can't be stretched to a mask")


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
