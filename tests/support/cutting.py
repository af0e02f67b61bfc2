"""One picture through the steps between its decoding and its encoding."""

import io
import json
from typing import Any, Union

import numpy as np
from PIL import Image

from rembg_beam.transforms import Cutout, RemBGDoFn, RemoveOptions, SessionConfig
from rembg_beam.transforms.elements import Facts
from rembg_beam.transforms.models import catalogue
from rembg_beam.transforms.models.predicting import predict
from rembg_beam.transforms.pictures.picture import Picture
from rembg_beam.transforms.pictures.shown import cut_out


def cut(
    picture: Union[Picture, Image.Image], session: Any, options: RemoveOptions, extras: str = "{}"
) -> Image.Image:
    """Our result, as rembg gives its own: an image of Pillow's."""
    given = Picture(picture) if isinstance(picture, Image.Image) else picture
    own = options.with_extras(json.loads(extras))
    masks, _ = predict(session, given, own.extras)
    result = cut_out(given, masks, own).pictures[""]
    return result if isinstance(result, Image.Image) else Image.fromarray(np.asarray(result))


def cutout_of(result: Any) -> Any:
    """The cutout of what `RemBGDoFn.work` gives, or the failure it is."""
    return getattr(result, "cutout", result)


def through(dofn: RemBGDoFn, data: Any) -> Any:
    """The cutout or failure that a DoFn, set up and torn down here, makes of a picture's bytes."""
    dofn.setup()
    try:
        return cutout_of(dofn.work(("key", data)))
    finally:
        dofn.teardown()


def through_tiny(data: Any, **more: Any) -> Cutout:
    """The cutout that a DoFn with the bundled model makes of a picture's bytes."""
    found = through(RemBGDoFn(SessionConfig("tiny"), **more), data)
    assert isinstance(found, Cutout), found
    return found


def untimed(facts: Facts) -> Facts:
    """The facts but for times."""
    return facts._replace(**{name: None for name in Facts._fields if name.endswith("_msecs")})


def assert_same(data: bytes, expected: Image.Image, *, levels: int = 0) -> None:
    """A file has the mode, size and pixels of a picture, each but for so many levels."""
    with Image.open(io.BytesIO(data)) as image:
        assert (image.mode, image.size) == (expected.mode, expected.size)
        difference = np.abs(np.asarray(image, int) - np.asarray(expected, int))
    assert difference.max(initial=0) <= levels


def rembgs_own() -> Any:
    """A session of the bundled model that is rembg's alone, nothing of ours in it."""
    import onnxruntime
    import rembg

    bundled = {"download_models": classmethod(lambda cls, *args, **more: catalogue.bundled_path())}
    own = type("Own", (rembg.sessions.sessions["u2netp"],), bundled)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return own("u2netp", options, providers=["CPUExecutionProvider"])
