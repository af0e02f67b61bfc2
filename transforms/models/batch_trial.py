"""A session -> which batches its graph takes, found out by running it.

In: a session for one picture at a time. Out: `Batches`, and the session that takes them. A batch
must give each picture, to the bit or nearly, what it gets alone. Nothing here fails: a graph that
takes no batches runs for one picture at a time, and a log says why.
"""

import logging
from typing import Any, Callable, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from . import batch_axis, catalogue, placement
from .batching import is_faint, stacked
from .config import SessionConfig
from .predicting import as_map_of
from .rembg_session import inner_sessions

# Of a mask's pixels, that a batch may give another level than a run alone, one above or below.
SHARE = 0.05

_PROBES = 3

_log = logging.getLogger(__name__)


class Batches(NamedTuple):
    """What a graph makes of batches.

    Attributes:
      sizes: those it takes, 1 among them.
      error: by how much the map of a picture differs at most from the one it has alone, 0 to 1.
      alone_exact: whether the one it has alone is, to the bit, that of the model's own graph.
    """

    sizes: Tuple[int, ...]
    error: float
    alone_exact: bool = True


def try_batches(config: SessionConfig, path: str, session: Any) -> Tuple[Batches, Any]:
    """The batches a model takes, and the session that takes them.

    Args:
      config: names the sizes to be tried.
      path: of the model's file.
      session: of that file; it is also the result where batches are not wanted or not taken.
    """
    none, sizes, model = Batches((1,), 0.0), config.batch_sizes(), catalogue.find(config.model)
    if len(sizes) == 1:
        return none, session
    try:
        opened = batch_axis.ensure(path)
        batching = session if opened == path else placement.place(config, (opened,)).session
        ((original,), (inner,)) = map(inner_sessions, (session, batching))
        other = None if inner is original else original
        found = probe(inner, sizes, original=other, as_map=as_map_of(model))
        if len(found.sizes) == 1:
            raise batch_axis.NoBatchAxis("its graph takes no batches, or gives other masks in them")
        if found.error and not model.has_map:
            raise batch_axis.NoBatchAxis("its batches are not bit-equal to single runs")
        return found, batching
    except Exception as reason:
        _log.warning("%s runs one picture at a time: %s", config.model, reason)
        return none, session


def probe(
    inner: Any,
    sizes: Sequence[int],
    *,
    original: Optional[Any] = None,
    as_map: Callable[[Any], Any] = np.asarray,
) -> Batches:
    """Runs a session at each size, smallest first, until one fails or gives other masks.

    A mask is another if a pixel differs by more than a level, or more than `SHARE` of them by one,
    or if the maps differ by more than `LEVELS`. The runs also let a provider choose its kernels
    before the first picture comes.

    Args:
      inner: the session.
      sizes: to be tried.
      original: the session of the graph that `inner`'s was made of, whose masks are the right ones.
      as_map: the first output -> the map that rembg stretches to a mask.
    """
    taken, error, alone_exact = [1], 0.0, True
    try:
        (given,) = inner.get_inputs()
        random, shape = np.random.default_rng(0), (1, *given.shape[1:])
        # Tensors with numbers about as large as those of pictures.
        pictures = [random.normal(0, 1, shape).astype(np.float32) for _ in range(_PROBES)]
        alone = [(original or inner).run(None, {given.name: picture}) for picture in pictures]
        for size in sorted({1, *sizes} if original else {*sizes} - {1}):
            feed = stacked([pictures[index % _PROBES] for index in range(size)], size)
            outputs = inner.run(None, {given.name: feed})
            found = _difference(outputs, alone, size, as_map)
            error, alone_exact = max(error, found), alone_exact and (size > 1 or found == 0)
            taken.append(size)
    except Exception as reason:
        _log.info("no batches beyond %d: %s", taken[-1], reason)
    return Batches(tuple(dict.fromkeys(taken)), error, alone_exact)


def _difference(outputs: List[Any], alone: List[List[Any]], size: int, as_map: Any) -> float:
    """Between the maps of a batch and those of single runs; `ValueError` if masks are others."""
    most = 0.0
    for place, output in enumerate(outputs):
        if output.shape[0] != size:
            raise ValueError(f"output {place} has {output.shape[0]} maps for {size} pictures")
    for index in range(size):
        one = as_map(outputs[0][index : index + 1])
        other = as_map(alone[index % _PROBES][0])
        if not np.array_equal(one, other):
            most = max(most, float(np.max(np.abs(one - other))))
            _compare(one, other)
    return most


def _compare(one: Any, other: Any) -> None:
    difference = np.abs(_levels(one) - _levels(other))
    share = np.count_nonzero(difference) / difference.size
    error = float(np.max(np.abs(one - other)))
    if difference.max() > 1 or share > SHARE or is_faint(other, error):
        raise ValueError(
            f"a picture's mask differs by {difference.max():.0f} levels at most, on "
            f"{share:.1%} of its pixels, from the one it has alone"
        )


def _levels(map: Any) -> Any:
    """A map stretched to 0 to 255, as rembg does it."""
    low, high = np.min(map), np.max(map)
    return np.floor((map - low) / max(high - low, np.finfo(np.float32).tiny) * 255)
