"""A session -> by how many levels its masks differ from those the CPU makes of the model's file.

In: a session, proved to run where it was asked to, and the path of the model's own file. Out: what
the session makes of a few pictures, one at a time, and what that differs from the CPU's. A level is
one of 255, in a map that is stretched as rembg does it, before it is rounded. Maps are compared
where the model sees a subject: of a faint one, that is stretched many times, any rounding makes
another mask, and it says nothing of the others. Raises what onnxruntime raises, and `MasksMove`.
"""

import copy
import functools
import hashlib
import logging
from typing import Any, List, NamedTuple, Sequence

import numpy as np
from PIL import Image

from . import derived, providers
from .catalogue import Model
from .predicting import as_map_of
from .stand_in import Feeds

_log = logging.getLogger(__name__)

_SIDE = 512

_PICTURES = 4

# Of the widest range among the maps of several pictures: one of less says nothing.
_CLEAR = 0.5


class MasksMove(ValueError):
    """Half precision makes other masks than full precision does."""


class Tried(NamedTuple):
    """What a session made of one picture: what the graph was fed, and its first output."""

    feeds: Feeds
    output: Any


class Proof:
    """What the masks of a session are worth; nothing is run before it is asked for.

    Args:
      model: of the catalogue.
      session: rembg's; for ViTMatte, onnxruntime's.
      path: of the model's own file.
    """

    def __init__(self, model: Model, session: Any, path: str) -> None:
        self.model = model
        self.session = session
        self.path = path
        self.as_map = as_map_of(model)

    @functools.cached_property
    def tried(self) -> List[Tried]:
        """The pictures, one at a time."""
        return try_pictures(self.session)

    @functools.cached_property
    def level_shift(self) -> float:
        """Levels by which a mask differs from the CPU's at most."""
        theirs = _once_on_the_cpu(self.path, [each.feeds for each in self.tried])
        ours = [each.output for each in self.tried]
        return level_shift(list(map(self.as_map, ours)), list(map(self.as_map, theirs)))

    def require(self, most: float) -> None:
        """Raises `MasksMove` where masks differ by more levels than this."""
        if not self.level_shift <= most:
            raise MasksMove(
                f"precision='fp16' moves masks of {self.model.name!r} by up to "
                f"{self.level_shift:.2f} levels of 255 from those of fp32 on the CPU, on "
                f"{len(self.tried)} pictures, and max_level_shift is {most:g}: raise it, or leave "
                "precision at 'fp32'"
            )


def try_pictures(session: Any) -> List[Tried]:
    """What a session makes of `pictures`; of random numbers, where rembg has no session for it."""
    if not hasattr(session, "inner_session"):
        return [Tried(feeds, session.run(None, feeds)[0]) for feeds in _noise(session)]
    fed = copy.copy(session)
    fed.inner_session = _Fed(session.inner_session)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        for picture in pictures():
            fed.predict(picture)
    return list(fed.inner_session.tried)


def level_shift(maps: Sequence[Any], others: Sequence[Any]) -> float:
    """Levels by which maps differ from others at most; NaN if they hold such.

    >>> wide, faint = np.array([0.0, 0.5, 1.0]), np.array([0.0, 0.001, 0.001])
    >>> level_shift([wide + [0, 0.1, 0], faint + [0, 0, 0.001]], [wide, faint])
    25.5
    """
    ranges = [np.ptp(other) for other in others]
    least = _CLEAR * np.max(ranges)
    found = [
        np.max(np.abs(levels(one) - levels(other)))
        for one, other, range in zip(maps, others, ranges, strict=True)
        if not range < least
    ]
    return round(float(np.max(found)), 6)


def levels(map: Any) -> Any:
    """A map stretched to 0 to 255, as rembg does it, but not rounded."""
    low, high = np.min(map), np.max(map)
    return (map - low) / max(high - low, np.finfo(np.float32).tiny) * 255


def pictures() -> List[Image.Image]:
    """Pictures to try a model on: bright and dark subjects, the same ones always."""
    return [_picture(np.random.default_rng(seed), seed % 2 == 0) for seed in range(_PICTURES)]


def _picture(random: np.random.Generator, is_bright: bool) -> Image.Image:
    """A shaded shape with a wavy edge, sharp or soft, on a textured background; some noise."""
    y, x = np.mgrid[0:_SIDE, 0:_SIDE] / _SIDE - random.uniform(0.42, 0.58, (2, 1, 1))
    across, along = random.uniform(0.17, 0.3, 2)
    turned = (x + 1j * y) * np.exp(1j * random.uniform(0, np.pi))
    place = turned.real / across + 1j * turned.imag / along
    edge = 1 + 0.12 * np.sin(3 * np.angle(place)) + 0.06 * np.sin(7 * np.angle(place))
    cover = np.clip(random.uniform(4, 25) * (edge - np.abs(place)), 0, 1)[..., None]
    light = 1.1 - 0.5 * np.clip(np.abs(place + 0.4 + 0.4j), 0, 1.2)[..., None]
    dark, bright = (10, 90), (150, 250)
    subject = light * _texture(random, 7, *(bright if is_bright else dark))
    background = _texture(random, 5, *(dark if is_bright else bright))
    pixels = background * (1 - cover) + subject * cover + _texture(random, 80, -30, 30)
    pixels += random.normal(0, random.uniform(1, 12), pixels.shape)
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def _texture(random: np.random.Generator, cells: int, low: int, high: int) -> Any:
    """Random colours on a grid, with smooth ways between them."""
    colours = random.integers(0, high - low, (cells, cells, 3), np.uint8, endpoint=True)
    smooth = Image.fromarray(colours).resize((_SIDE, _SIDE), Image.Resampling.BICUBIC)
    return low + np.asarray(smooth, np.float64)


def _noise(inner: Any) -> List[Feeds]:
    (given,) = inner.get_inputs()
    random, shape = np.random.default_rng(0), (1, *given.shape[1:])
    return [{given.name: random.normal(0, 1, shape).astype(np.float32)} for _ in range(_PICTURES)]


class _Fed:
    """In place of a rembg session's `inner_session`: keeps what goes in and comes out."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        self.get_inputs = inner.get_inputs
        self.tried: List[Tried] = []

    def run(self, names: Any, feeds: Feeds, *more: Any) -> Any:
        outputs = self.inner.run(names, feeds, *more)
        self.tried.append(Tried(feeds, outputs[0]))
        return outputs


def _once_on_the_cpu(path: str, feeds: List[Feeds]) -> List[Any]:
    """The first output for each, computed once per machine, as far as rembg's home can keep it."""
    import onnxruntime

    fed = hashlib.sha256(b"".join(each.tobytes() for feed in feeds for each in feed.values()))
    kind = f"maps-{onnxruntime.__version__}-{fed.hexdigest()[:8]}"
    try:
        made = derived.once(path, kind, lambda: _on_the_cpu(path, feeds), _save)
        with open(made, "rb") as file:
            return list(np.load(file))
    except OSError as error:  # rembg's home can't be written to
        _log.info("the CPU's masks of %s are not kept: %s", path, error)
        return list(_on_the_cpu(path, feeds))


def _save(maps: Any, path: str) -> None:
    with open(path, "wb") as file:
        np.save(file, maps)


def _on_the_cpu(path: str, feeds: List[Feeds]) -> Any:
    """By a session on all cores, which takes memory as it needs it and gives it back."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.enable_cpu_mem_arena = options.enable_mem_pattern = False
    session = onnxruntime.InferenceSession(path, options, [providers.CPU.name])
    first = [session.get_outputs()[0].name]
    return np.stack([session.run(first, each)[0] for each in feeds])
