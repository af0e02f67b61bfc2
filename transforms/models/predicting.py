"""rembg's own `predict`, with the loops around the graph replaced by equal, faster ones.

rembg shrinks the picture to the graph's input, makes a tensor of it, runs the graph, stretches the
map to a mask and enlarges that to the picture's size. `members` are for a subclass of a session
class of rembg's: methods that do the first two and the last by `normalize` and `fast.resample`, and
leave all else to rembg; only those whose originals are known to do just that. A class with
`takes_pixels` also takes a picture that has `size` and `pixels` in place of an image of Pillow's.
Nothing here fails but what rembg's `predict` raises.
"""

import inspect
import re
from typing import Any, Dict, List, Tuple

import numpy as np
from PIL import Image

from ..fast.normalize import normalize
from ..fast.resample import resize
from .runs import watching

# How rembg's `predict` ends for a model with one mask, whatever came before.
_ENDS = re.compile(
    r"mask = mask\.resize\(img\.size, Image\.Resampling\.LANCZOS\)\s+return \[mask\]\s*$"
)


def members(base: Any) -> Dict[str, Any]:
    """Methods for a subclass of a session class of rembg's."""
    from rembg.sessions.base import BaseSession

    found: Dict[str, Any] = {}
    if base.normalize is BaseSession.normalize:
        found["normalize"] = _normalize
        if _ENDS.search(_source(base.predict)):
            found["predict"] = _predict_of(base)
            found["takes_pixels"] = True
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
    def predict(self: Any, img: Any, *args: Any, **kwargs: Any) -> List[Image.Image]:
        with watching() as runs:
            # rembg enlarges the mask to the size of what it is given: its own, nothing to do.
            (mask,) = base.predict(self, _OfTheMasksSize(img, runs), *args, **kwargs)
        return [Image.fromarray(resize(np.asarray(mask), img.size))]

    return predict


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
