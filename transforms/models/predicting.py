"""A picture and a rembg session -> masks, by rembg's own `predict`, and the runs of its graph.

rembg shrinks the picture to the graph's input, makes a tensor of it, runs the graph, stretches the
map to a mask and enlarges that to the picture's size. `members` are for a subclass of a session
class of rembg's: methods that do the first two and the last by `normalize` and `fast.resample`, and
leave all else to rembg; only those whose originals are known to do just that. A class with
`takes_pixels` also takes a picture that has `size` and `pixels` in place of an image of Pillow's,
and gives it arrays in place of images. One with `mask_of` stretches the map by `fast.stretch`, too.

rembg's `predict` returns masks alone, each stretched to its own minimum and maximum, so that a map
whose peak is 0.001 becomes a mask like any other. So, but for `mask_of`, it is called, for each
picture, on a copy of the session whose graph is a `Recording`. Nothing here fails but what rembg's
`predict` raises.
"""

import contextlib
import copy
import inspect
import re
from types import SimpleNamespace
from typing import Any, Callable, Dict, List, Mapping, Tuple

import numpy as np
from PIL import Image

from ..fast.normalize import normalize
from ..fast.resample import resize
from ..fast.stretch import extremes, stretch
from . import catalogue
from .stand_in import Run, StandIn

# How rembg's `predict` ends for a model with one mask, whatever came before.
_END = r"mask = mask\.resize\(img\.size, Image\.Resampling\.LANCZOS\)\s+return \[mask\]\s*$"
_ENDS = re.compile(_END)

# All that it does for one whose map needs nothing but to be stretched.
_STRETCHES = re.compile(
    r"\bort_outs = self\.inner_session\.run\(\s*None,\s*self\.normalize\([\s\d.,()img]*\),\s*\)\s+"
    r"pred = ort_outs\[0\]\[:, 0, :, :\]\s+"
    r"ma = np\.max\(pred\)\s+mi = np\.min\(pred\)\s+"
    r"pred = \(pred - mi\) / \(ma - mi\)\s+pred = np\.squeeze\(pred\)\s+"
    r"mask = Image\.fromarray\(\(pred(?:\.clip\(0, 1\))? \* 255\)"
    r"\.astype\(\"uint8\"\), mode=\"L\"\)\s+" + _END
)


class Recording(StandIn):
    """Stands in for the graph inside a rembg session, for one picture.

    Args:
      inner: what stands in for a session of onnxruntime's, or one of these.

    Attributes:
      runs: what the graph gave, in the order of its runs.
    """

    def __init__(self, inner: Any) -> None:
        super().__init__(inner)
        self.runs: List[Run] = []

    def run_one(self, *arguments: Any) -> Run:
        """As `StandIn.run_one`."""
        run = super().run_one(*arguments)
        self.runs.append(run)
        return run


def predict(
    session: Any, picture: Any, arguments: Mapping[str, Any]
) -> Tuple[List[Any], List[Run]]:
    """The masks of a picture, and the runs they were made of.

    Args:
      session: of rembg's; may be used by many threads.
      picture: has an `image` of Pillow's, `pixels` and a `size`.
      arguments: keyword arguments of `predict`.

    Returns:
      Masks of the picture's size, where a flat map gives zeros: uint8 [height, width], or images of
      mode L; and the runs of `inner_session`, none for a session without one.
    """
    if hasattr(session, "mask_of") and isinstance(session.inner_session, StandIn):
        mask, run = session.mask_of(picture)
        return [mask], [run]
    image = picture if getattr(session, "takes_pixels", False) else picture.image
    recorded, runs = _recorded(session)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        return recorded.predict(image, **arguments), runs


def _recorded(session: Any) -> Tuple[Any, List[Run]]:
    """A copy of a rembg session, or such a copy itself, and the list to which it adds the runs of
    its graph."""
    inner = getattr(session, "inner_session", None)
    if inner is None:
        return session, []
    if isinstance(inner, Recording):
        return session, inner.runs
    recorded = copy.copy(session)
    recorded.inner_session = Recording(inner)
    return recorded, recorded.inner_session.runs


def as_map_of(model: catalogue.Model) -> Callable[[Any], Any]:
    """What makes of a model's first output the map that rembg stretches to a mask.

    >>> float(as_map_of(catalogue.find("birefnet-general"))(0.0))
    0.5
    """
    return _sigmoid if model.gives_logits else np.asarray


def _sigmoid(values: Any) -> Any:
    """As the `predict` of rembg's BiRefNet sessions."""
    return 1 / (1 + np.exp(-values))


def peak(run: Run, model: catalogue.Model) -> float:
    """The highest value of a map, float32 [1, 1, height, width], as rembg has it before stretching.

    >>> peak(Run([np.array([[[[0.25, 0.5]]]])], True), catalogue.find("u2net"))
    0.5
    """
    _, highest = run.extremes or extremes(run.outputs[0][:, 0])
    return float(as_map_of(model)(highest))


def members(base: Any) -> Dict[str, Any]:
    """Methods for a subclass of a session class of rembg's."""
    from rembg.sessions.base import BaseSession

    found: Dict[str, Any] = {}
    if base.normalize is BaseSession.normalize:
        found["normalize"] = _normalize
        source = _source(base.predict)
        if _ENDS.search(source):
            found["predict"] = _predict_of(base)
            found["takes_pixels"] = True
        if _STRETCHES.search(source):
            found["mask_of"] = _mask_of(_normalization(base))
    return found


def _source(function: Any) -> str:
    try:
        return inspect.getsource(function)
    except OSError:  # rembg was installed without it
        return ""


def _normalize(
    self: Any, img: Any, mean: Any, std: Any, size: Any, *args: Any, **kwargs: Any
) -> Dict[str, Any]:
    pixels = resize(_pixels(img), size)
    return {self.inner_session.get_inputs()[0].name: normalize(pixels, mean, std)}


def _predict_of(base: Any) -> Any:
    def predict(self: Any, img: Any, *args: Any, **kwargs: Any) -> List[Any]:
        recorded, runs = _recorded(self)
        # rembg enlarges the mask to the size of what it is given: its own, nothing to do.
        (mask,) = base.predict(recorded, _OfTheMasksSize(img, runs), *args, **kwargs)
        enlarged = resize(np.asarray(mask), img.size)
        # Between an array and an image of Pillow's lie three copies, under Python's lock.
        return [enlarged if hasattr(img, "pixels") else Image.fromarray(enlarged)]

    return predict


def _normalization(base: Any) -> Tuple[Any, ...]:
    """What the `predict` of a session class of rembg's tells `normalize`, but for the picture."""
    told: List[Any] = []
    asked = SimpleNamespace(
        normalize=lambda img, *arguments: told.extend(arguments),
        inner_session=SimpleNamespace(run=lambda names, feeds: ()),
    )
    with contextlib.suppress(IndexError):  # there is no output
        base.predict(asked, None)
    return tuple(told)


def _mask_of(normalization: Tuple[Any, ...]) -> Any:
    def mask_of(self: Any, picture: Any) -> Tuple[Any, Run]:
        run = self.inner_session.run_one(None, self.normalize(picture, *normalization))
        return resize(stretch(run.outputs[0][0, 0], run.extremes), picture.size), run

    return mask_of


class _OfTheMasksSize:
    """A picture that says it has the size of the map the graph made of it."""

    def __init__(self, img: Any, runs: Any) -> None:
        self.pixels = _pixels(img)
        self._runs = runs

    @property
    def size(self) -> Tuple[int, int]:
        height, width = self._runs[-1].outputs[0].shape[-2:]
        return width, height


def _pixels(img: Any) -> Any:
    """uint8 [height, width, 3] of a Pillow image, or of anything that has them already."""
    if hasattr(img, "pixels"):
        return img.pixels
    return np.asarray(img if img.mode == "RGB" else img.convert("RGB"))
