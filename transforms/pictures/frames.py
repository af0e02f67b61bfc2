"""Frames: a picture's outputs -> each in its frame, before its background.

In: what an output shows, at the picture's size. Out: its pixels, uint8, as `resampling` makes them,
and its `Frame`; None of one that stays as it is. With an output that shows a crop, `Framing` is of
that alone; without, of all outputs alike. `check_framing` raises `ValueError` for settings that
make no sense together, and `Frames.of` for a picture that is several stacked ones.
"""

import functools
from dataclasses import replace
from typing import Any, List, Optional, Sequence, Tuple

import numpy as np
from PIL import Image

from ..fast.plain import PlainCutout
from ..store import uris
from .background import Background
from .framing import Framing, frame_of, most_pixels
from .geometry import Frame, subject_box
from .masks import visible
from .options import RemoveOptions
from .picture import Picture
from .requested import Output
from .resampling import as_pixels, framed, framed_apart, framed_trimap
from .shadow import Cast, over

_WHOLE = Framing()

# The transform of an output that is as large as its picture.
AS_IT_IS = Frame((1.0, 1.0), (0.0, 0.0), (0, 0)).transform

# Bytes in work for a pixel that is enlarged: its channels as floating-point numbers, and as bytes;
# and for one that only gets a background, which may be enlarged itself. Measured.
_FRAMED, _BEHIND = 40, 20


class Frames:
    """Puts the outputs of a picture into their frames.

    Args:
      picture: whose they are.
      masks: of it, uint8 [height, width] or mode L.
      options: this picture's.
      framing: of all pictures.
      background: behind cutouts; None for none.
    """

    def __init__(
        self,
        picture: Picture,
        masks: Sequence[Any],
        options: RemoveOptions,
        framing: Framing,
        background: Optional[Background] = None,
    ) -> None:
        self._size = picture.size
        self._options = options
        self._framing = framing
        self._background = background
        # Under transparency, where nothing is put behind it.
        self._keeps_colours = options.putalpha and not background and options.bgcolor is None
        crops = framing.crop or _has_crop(options)
        self._subject = subject_box(visible(picture, masks, options)) if crops else None

    def of(
        self, output: Output, shown: Any, cast: Optional[Cast] = None
    ) -> Tuple[Any, Optional[Frame]]:
        """An output's picture, and the frame it was put in.

        Args:
          output: what is asked for.
          shown: what it shows.
          cast: the shadow to put below a cutout in its frame; None for none.
        """
        framing = framing_of(output, self._options, self._framing)
        frame = None
        if moves(output, self._options, self._framing):
            frame = self._frame(output, framing, shown)
            if output.shows == "trimap":
                return framed_trimap(as_pixels(shown), frame), frame
            pixels = shown if isinstance(shown, PlainCutout) else as_pixels(shown)
            if self._keeps_colours and not output.is_grey:
                return framed_apart(pixels, frame), frame
            shown = framed(pixels, frame)
            if not output.is_grey:
                shown = self._laid(shown, frame, cast)
        if self._background and not output.is_grey:
            shown = self._background.behind(as_pixels(shown))
        return shown, frame

    def _laid(self, cutout: Any, frame: Frame, cast: Optional[Cast]) -> Any:
        """A cutout that is framed over its shadow, and both over `bgcolor`."""
        image, color = Image.fromarray(cutout), self._options.bgcolor
        if cast:
            image = over(framed(cast.opacity, frame.around(cast.beyond)), image)
        if color is not None:
            image = Image.alpha_composite(Image.new("RGBA", image.size, color), image)
        return np.asarray(image)

    def _frame(self, output: Output, framing: Framing, shown: Any) -> Frame:
        height, width = as_pixels(shown).shape[:2] if hasattr(shown, "mode") else shown.shape[:2]
        if framing.moves and (width, height) != self._size:
            raise ValueError(
                f"masks that are stacked, one above the other, can't be framed: {width}x{height} "
                f"of a picture of {self._size[0]}x{self._size[1]}; leave out stack_masks"
            )
        return frame_of((width, height), self._subject, framing, longest=output.resize)


def moved(options: RemoveOptions, framing: Framing) -> List[str]:
    """The names of the outputs that are of other pixels than their pictures.

    >>> moved(RemoveOptions(), Framing()), moved(RemoveOptions(outputs=("crop", "mask")), Framing())
    ([], ['crop'])
    """
    return [output.name for output in options.requested() if moves(output, options, framing)]


def moves(output: Output, options: RemoveOptions, framing: Framing) -> bool:
    """Whether an output is of other pixels than its picture."""
    return bool(output.resize or framing_of(output, options, framing).moves)


def framing_of(output: Output, options: RemoveOptions, framing: Framing) -> Framing:
    """How an output is framed: a crop to its subject; beside a crop the others not at all."""
    if output.shows == "crop":
        return _cropped(framing)
    return _WHOLE if _has_crop(options) else framing


@functools.lru_cache(maxsize=16)
def _cropped(framing: Framing) -> Framing:
    return replace(framing, crop="subject")


def transforms(frames: Sequence[Optional[Frame]]) -> Optional[List[float]]:
    """The transforms of a picture's outputs, six numbers each; None if none was framed.

    >>> transforms([None, Frame((0.5, 0.5), (0.0, 3.0), (8, 8))])
    [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.5, 0.0, 0.0, 0.0, 0.5, 3.0]
    """
    if not any(frames):
        return None
    return [number for frame in frames for number in (frame.transform if frame else AS_IT_IS)]


def bytes_of(size: Tuple[int, int], options: RemoveOptions, framing: Framing) -> int:
    """About what the largest frame of a picture of (width, height) takes in work.

    >>> bytes_of((10, 10), RemoveOptions(), Framing(background="beach.jpg"))
    2000
    """
    most = 0
    for output in options.requested():
        own = framing_of(output, options, framing)
        is_moved, behind = own.moves or output.resize, framing.background and not output.is_grey
        if each := _FRAMED if is_moved else _BEHIND if behind else 0:
            most = max(most, each * most_pixels(size, own, longest=output.resize))
    return most


def check_framing(options: RemoveOptions, framing: Framing) -> None:
    """Raises `ValueError` for framing that does nothing, or that the options contradict."""
    crops = framing.crop or _has_crop(options)
    if framing.margin and not crops:
        raise ValueError(
            f"margin={framing.margin!r} is one around the subject: add crop='subject', or crop to "
            "outputs"
        )
    if options.stack_masks and (framing.moves or crops):
        raise ValueError("stack_masks gives one picture of several masks, which can't be framed")
    if not framing.background:
        return
    if options.bgcolor is not None:
        raise ValueError("background and bgcolor are both put behind cutouts: leave one out")
    if all(output.is_grey for output in options.requested()):
        raise ValueError(
            f"background={uris.without_secrets(framing.background)!r} is put behind cutouts, and "
            f"outputs={','.join(options.made())} has none"
        )


def _has_crop(options: RemoveOptions) -> bool:
    return any(output.shows == "crop" for output in options.requested())
