"""A picture, its masks and options -> what is made of them: each output's picture, to be encoded.

In: a picture and the masks of one run of the model. Out: `Result`, the outputs that the options ask
for, in order; of a model with several masks (the cloth model) all of one mask, then of the next.
Each is what it would be if it were asked for alone. An output is shown, then framed, then encoded:

    masks -> what it shows (`_SHOWN`) -> `frames` -> encode

Fails as `cutout` does.
"""

from dataclasses import replace
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

from .background import Background
from .cutout import Materials, Vitmatte, keeps_colours
from .encode import FORMATS, Encoding
from .frames import Frames, moves, transforms
from .geometry import Frame
from .options import RemoveOptions
from .picture import Picture
from .postprocessing import NOTHING, PostProcessing
from .requested import Output

# By what an output shows, the function that makes it of what is known of the picture.
_SHOWN: Dict[str, Callable[[Materials], Any]] = {
    "cutout": lambda materials: materials.cutout,
    "mask": lambda materials: materials.mask,
    "trimap": lambda materials: materials.trimap,
    "alpha": lambda materials: materials.alpha,
    "crop": lambda materials: materials.cutout,
}


class Made(NamedTuple):
    """An output of a picture, not encoded.

    Attributes:
      suffix: what tells it from its siblings, as `Part` has it.
      picture: uint8 [height, width] if it is grey, [height, width, 4] if not, or an image of
        Pillow's.
      output: what was asked for.
      frame: what it was put in; None if it is as large as the picture.
    """

    suffix: str
    picture: Any
    output: Output
    frame: Optional[Frame] = None


class Result(NamedTuple):
    """What became of a picture.

    Attributes:
      made: its outputs, in order.
      matting: how soft edges were made, "alpha_matting", "vitmatte" or "decontaminate"; None if
        they are the mask's.
    """

    made: Sequence[Made]
    matting: Optional[str]

    @property
    def pictures(self) -> Dict[str, Any]:
        """By their suffixes."""
        return {each.suffix: each.picture for each in self.made}

    @property
    def transform(self) -> Optional[List[float]]:
        """Of each output, six numbers; None if none was framed."""
        return transforms([each.frame for each in self.made])


class End(NamedTuple):
    """What the name of an output's file has behind its picture's.

    Attributes:
      part: what tells it from its siblings, "" for one alone.
      suffix: of its format, with the dot.
    """

    part: str
    suffix: str

    def __str__(self) -> str:
        return self.part + self.suffix


def ends(options: RemoveOptions, encoding: Encoding, mask_names: Sequence[str]) -> Tuple[End, ...]:
    """The ends of the names of a picture's files, in the order in which they are written.

    >>> [str(end) for end in ends(RemoveOptions(), Encoding(), ("upper", "lower"))]
    ['.upper.png', '.lower.png']
    >>> options = RemoveOptions(outputs=("cutout", "mask512.webp"))
    >>> [str(end) for end in ends(options, Encoding(), ())]
    ['.cutout.png', '.mask512.webp']
    """
    return tuple(
        End(mask + suffix, FORMATS[output.encoding(encoding).format].suffix)
        for mask in _mask_suffixes(options, mask_names)
        for output, suffix in _suffixes(options)
    )


def _suffixes(options: RemoveOptions) -> List[Tuple[Output, str]]:
    """The outputs, and what their names have for each; nothing if it is alone and wants nothing."""
    outputs = options.requested()
    return [(each, f".{each.name}" if outputs[1:] or each.suffix else "") for each in outputs]


def _mask_suffixes(options: RemoveOptions, mask_names: Sequence[str]) -> Tuple[str, ...]:
    if not mask_names or options.stack_masks:
        return ("",)
    category = options.extras.get("cc") or options.extras.get("cloth_category")
    return tuple(f".{name}" for name in ((category,) if category else mask_names))


def cut_out(
    picture: Picture,
    masks: Sequence[Any],
    options: RemoveOptions,
    *,
    mask_names: Sequence[str] = (),
    vitmatte: Optional[Vitmatte] = None,
    postprocessing: PostProcessing = NOTHING,
    background: Optional[Background] = None,
) -> Result:
    """What is made of a picture whose masks are known; plain outputs are as rembg makes them.

    Args:
      picture: of any mode, upright.
      masks: that the model found, of the picture's size: uint8 [height, width] or mode L.
      options: this picture's.
      mask_names: of a model with several masks, in the order of its `predict`.
      vitmatte: a variant of ViTMatte -> onnxruntime's session; None for rembg's own.
      postprocessing: what becomes of outputs beyond that; the masks are clean by now.
      background: behind cutouts, if there is one.
    """
    names, suffixes = _mask_suffixes(options, mask_names), _suffixes(options)
    groups = [masks] if names == ("",) else [[mask] for mask in masks]
    # Of several masks in one picture rembg's `putalpha` gives each part the last one.
    if background and keeps_colours(picture, options) and len(groups[0]) == 1:
        options = replace(options, putalpha=True)
    frames = Frames(picture, masks, options, postprocessing.framing, background)
    made, matting = [], []
    for name, group in zip(names, groups, strict=True):
        materials = Materials(
            picture, group, options, vitmatte, postprocessing.trimap, postprocessing.shadow
        )
        for output, suffix in suffixes:
            # What is put behind a cutout reaches beyond the picture: it goes into the frame there.
            if not output.is_grey and moves(output, options, postprocessing.framing):
                framed, frame = frames.of(output, materials.layer, materials.cast)
            else:
                framed, frame = frames.of(output, _SHOWN[output.shows](materials))
            made.append(Made(name + suffix, framed, output, frame))
        matting.append(materials.matting)
    return Result(made, matting[0])
