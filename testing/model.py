"""FakeModel: the `opener` of a transform under test, in place of a model.

In: a `SessionConfig` of any model. Out: a session whose masks a function makes of the pictures'
pixels, at once and always the same; rembg makes the cutouts of them as ever. Nothing is downloaded,
and onnxruntime needn't be installed. Whatever the function raises is a failure of that picture;
so is a mask of another size, a `ValueError`.
"""

import uuid
import weakref
from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

import numpy as np
from PIL import Image

from ..transforms.models import catalogue
from ..transforms.models.config import SessionConfig
from ..transforms.models.opening import Loaded
from ..transforms.models.rembg_import import import_rembg


class Call(NamedTuple):
    """A picture that the model was asked about.

    Attributes:
      size: width and height in pixels.
      arguments: for the model, of this picture, such as a `sam_prompt`.
    """

    size: Tuple[int, int]
    arguments: Mapping[str, Any]


class _Record(NamedTuple):
    """What happened to a model and its copies in this process."""

    calls: List[Call]
    opened: List[SessionConfig]


_records: Dict[str, _Record] = {}


def brightness(image: Image.Image) -> Image.Image:
    """A mask of a picture: what is white is foreground, what is black is background.

    >>> brightness(Image.new("RGB", (2, 1), "white")).tobytes()
    b'\\xff\\xff'
    """
    return image.convert("L")


class FakeModel:
    """Stands in for a model; give it as `opener`.

        model = FakeModel()
        outcomes = uris | RemoveBackground(output="cutouts", session="u2net", opener=model)

    It is pickled with the pipeline and used by many threads. What its copies in this process do is
    told here; of those in other processes nothing is known.

    Args:
      predict: an upright picture, an image of Pillow's, -> its mask, an image of mode L of the same
        size, or such an array, uint8 [height, width]. What it raises is the failure of that
        picture.
    """

    def __init__(self, predict: Callable[[Image.Image], Any] = brightness) -> None:
        self.predict = predict
        self._name = uuid.uuid4().hex
        _records[self._name] = _Record([], [])
        weakref.finalize(self, _records.pop, self._name, None)

    @property
    def calls(self) -> Sequence[Call]:
        """The pictures that it was asked about, in the order that threads came to them."""
        return tuple(self._record().calls)

    @property
    def opened(self) -> Sequence[SessionConfig]:
        """The configurations of the sessions that were made: one for each process and step."""
        return tuple(self._record().opened)

    def __call__(self, config: SessionConfig) -> Loaded:
        import_rembg(absent=("onnxruntime",))
        self._record().opened.append(config)
        masks = len(catalogue.find(config.model).masks) or 1
        return Loaded(_Session(self, masks), config.provider_names[0], share=1.0)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FakeModel) and other._name == self._name

    def __hash__(self) -> int:
        return hash(self._name)

    def _record(self) -> _Record:
        # A copy in another process finds none.
        return _records.setdefault(self._name, _Record([], []))

    def _masks(self, image: Image.Image, arguments: Mapping[str, Any], number: int) -> List[Any]:
        self._record().calls.append(Call(image.size, arguments))
        mask = _of_size(image, self.predict(image))
        return [mask] * number


def _of_size(image: Image.Image, mask: Any) -> Any:
    found = (mask.height, mask.width) if isinstance(mask, Image.Image) else np.shape(mask)
    if found != (image.height, image.width):
        raise ValueError(
            f"FakeModel's predict gave {type(mask).__name__} of shape {list(found)} for a picture "
            f"of [{image.height}, {image.width}], its height and width: give a mask of its size"
        )
    return mask


class _Session:
    """What rembg and the engine ask of a session."""

    def __init__(self, model: FakeModel, masks: int) -> None:
        self._model = model
        self._number = masks

    def predict(self, image: Image.Image, *_: Any, **arguments: Any) -> List[Any]:
        is_one = "cc" in arguments or "cloth_category" in arguments
        return self._model._masks(image, arguments, 1 if is_one else self._number)

    def run(
        self, names: Optional[Sequence[str]], feeds: Mapping[str, Any], run_options: Any = None
    ) -> List[Any]:
        """As ViTMatte's: the mask that it was given, the fourth channel, is its alpha."""
        (pixels,) = feeds.values()
        return [pixels[:, 3:4]]
