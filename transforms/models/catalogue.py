"""The models there are: every session class rembg has, and the bundled one.

`MODELS` is written down rather than asked of rembg, because importing rembg needs onnxruntime and
naming a model must not; a test holds it equal to rembg's own list. `find` raises `ValueError` for
a name that is none of them.
"""

import difflib
import os
from typing import Dict, NamedTuple, Optional, Tuple

TINY = "tiny"


class Model(NamedTuple):
    """One entry.

    Attributes:
      name: as rembg and `--model` have it.
      purpose: what it cuts out.
      size: width and height in pixels that a picture is resized to.
      session: rembg's name of the session class that runs it.
      is_custom: whether it needs a `model_path`.
      is_remote: whether pictures are uploaded to a service, which bills for them.
    """

    name: str
    purpose: str
    size: Optional[Tuple[int, int]]
    session: str
    is_custom: bool = False
    is_remote: bool = False


def _model(name: str, purpose: str, size: int, **more: bool) -> Model:
    return Model(name, purpose, (size, size), name, **more)


_ALL = (
    _model("u2net", "general purpose", 320),
    _model("u2netp", "general purpose, a lighter u2net", 320),
    _model("u2net_human_seg", "people", 320),
    _model("u2net_cloth_seg", "clothes: upper body, lower body, full body", 768),
    _model("silueta", "general purpose, u2net in 43 MB", 320),
    _model("isnet-general-use", "general purpose, finer edges", 1024),
    _model("isnet-anime", "anime characters", 1024),
    Model("sam", "whatever a prompt points at (Segment Anything)", (1024, 684), "sam"),
    _model("birefnet-general", "general purpose, large", 1024),
    _model("birefnet-general-lite", "general purpose, lighter", 1024),
    _model("birefnet-general-fp16", "general purpose, half precision", 1024),
    _model("birefnet-portrait", "portraits of people", 1024),
    _model("birefnet-dis", "fine structures (dichotomous segmentation)", 1024),
    _model("birefnet-hrsod", "salient objects in high resolution", 1024),
    _model("birefnet-cod", "camouflaged objects", 1024),
    _model("birefnet-massive", "general purpose, trained on a massive data set", 1024),
    _model("bria-rmbg", "general purpose (commercial use needs a licence of BRIA)", 1024),
    _model("u2net_custom", "a U2-Net of your own", 320, is_custom=True),
    _model("dis_custom", "an IS-Net (DIS) of your own", 1024, is_custom=True),
    _model("ben_custom", "a BEN of your own", 1024, is_custom=True),
    Model("withoutbg", "remote service", None, "withoutbg", is_remote=True),
    Model("atlascloud", "remote service", None, "atlascloud", is_remote=True),
    Model(TINY, "bundled, for trying things out", (320, 320), "u2netp"),
)

MODELS: Dict[str, Model] = {model.name: model for model in _ALL}


def find(name: str) -> Model:
    """The model of a name.

    >>> find("u2nett")
    Traceback (most recent call last):
    ...
    ValueError: unknown model 'u2nett'; did you mean 'u2net'? The models are: u2net, u2netp, ...
    """
    if name in MODELS:
        return MODELS[name]
    near = difflib.get_close_matches(name, MODELS, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else "."
    raise ValueError(f"unknown model {name!r}{hint} The models are: {', '.join(MODELS)}")


def bundled_path() -> str:
    """The file of the bundled model, inside the package."""
    return os.path.join(os.path.dirname(__file__), "tiny.onnx")
