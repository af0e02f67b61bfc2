"""A session -> which batches its graph takes, found out by running it.

In: a session for one picture at a time. Out: `Batches`, and the session that takes them. Batches
may add no more error than the provider has already: they are used if masks differ from those of
single runs by no more levels than single runs differ from the CPU, or than `LEVELS` where a
provider is nearer. Where the CPU itself runs the model it is `LEVELS`. Nothing here fails: a graph
that takes no batches runs for one picture at a time, and a log says why.
"""

import logging
from typing import Any, Callable, Dict, Mapping, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from . import batch_axis, placement
from .batching import LEVELS, stacked
from .config import SessionConfig
from .proof import Proof, Tried, level_shift
from .rembg_session import inner_sessions

_log = logging.getLogger(__name__)


class Batches(NamedTuple):
    """What a graph makes of batches.

    Attributes:
      sizes: those that are used, 1 among them.
      error: by how much the map of a picture differs at most from the one it has alone, 0 to 1.
      alone_exact: whether the one it has alone is, to the bit, that of the model's own graph.
      level_shift: levels by which a batch moves a mask at most.
      most: levels by which it may.
    """

    sizes: Tuple[int, ...]
    error: float = 0.0
    alone_exact: bool = True
    level_shift: Optional[float] = None
    most: float = LEVELS


class Measured(NamedTuple):
    """By how much the maps of a batch differ at most from those of single runs.

    Attributes:
      error: as the graph has them, 0 to 1.
      level_shift: as levels of a mask.
    """

    error: float
    level_shift: float


def try_batches(config: SessionConfig, path: str, proof: Proof) -> Tuple[Batches, Any]:
    """The batches a model takes, and the session that takes them.

    Args:
      config: names the sizes to be tried.
      path: of the graph.
      proof: has the session of that graph; it is also the result where batches are not wanted or
        not taken.
    """
    session, sizes = proof.session, config.batch_sizes()
    if len(sizes) == 1:
        return Batches((1,)), session
    try:
        opened = batch_axis.ensure(path)
        batching = session if opened == path else placement.place(config, (opened,)).session
        (inner,) = inner_sessions(batching)
        # A run for one picture is another where the graph is.
        sizes = sizes[1:] if batching is session else sizes
        measured = measure(inner, sizes, proof.tried, proof.as_map)
        if measured.keys() <= {1} or (1 in sizes and 1 not in measured):
            raise batch_axis.NoBatchAxis("its graph takes no batches")
        found = judge(measured, _most(config, proof))
        if len(found.sizes) == 1:
            raise batch_axis.NoBatchAxis(_why_none(measured, found.most))
    except Exception as reason:
        _log.warning("%s runs one picture at a time: %s", config.model, reason)
        return Batches((1,)), session
    shown = "; ".join(f"{size}: {each.level_shift:.3f}" for size, each in measured.items())
    used = ", ".join(map(str, found.sizes))
    _log.info(
        "%s runs in batches of %s; levels of 255 by which a batch of each size moves masks: %s; "
        "at most it may %.3f",
        *(config.model, used, shown, found.most),
    )
    return found, batching


def measure(
    inner: Any, sizes: Sequence[int], tried: Sequence[Tried], as_map: Callable[[Any], Any]
) -> Dict[int, Measured]:
    """By how much batches of each size differ from single runs, for the sizes that run at all.

    The largest comes first: what an arena grew for it has room for the others. The runs also let a
    provider choose its kernels before the first picture comes.

    Args:
      inner: the session.
      sizes: to be tried.
      tried: the single runs of the model's own graph.
      as_map: the first output -> the map that rembg stretches to a mask.
    """
    found = {}
    for size in sorted(sizes, reverse=True):
        try:
            found[size] = _measured(inner, size, tried, as_map)
        except Exception as reason:
            _log.info("no batches of %d: %s", size, reason)
    return found


def judge(measured: Mapping[int, Measured], most: float) -> Batches:
    """The sizes whose batches move masks by no more levels than `most`; if 0, by no bit.

    Where single runs of the opened graph do, which are size 1, no size is any good.
    """
    good = {size: each for size, each in measured.items() if _is_good(each, most)}
    if 1 in measured and 1 not in good:
        good = {}
    return Batches(
        sizes=(1, *sorted(good.keys() - {1})),
        error=max((each.error for each in good.values()), default=0.0),
        alone_exact=1 not in good or good[1].error == 0,
        level_shift=max((each.level_shift for each in good.values()), default=None),
        most=most,
    )


def _is_good(each: Measured, most: float) -> bool:
    return each.level_shift <= most if most else each.error == 0


def _measured(inner: Any, size: int, tried: Sequence[Tried], as_map: Any) -> Measured:
    """Of as many batches as show every picture."""
    ours, alone = [], []
    for first in range(0, len(tried), size):
        shown = [tried[(first + index) % len(tried)] for index in range(size)]
        feeds = {
            name: stacked([each.feeds[name] for each in shown], size) for name in shown[0].feeds
        }
        for place, output in enumerate(outputs := inner.run(None, feeds)):
            if output.shape[0] != size:
                raise ValueError(f"output {place} has {output.shape[0]} maps for {size} pictures")
        ours += [as_map(outputs[0][index : index + 1]) for index in range(size)]
        alone += [as_map(each.output) for each in shown]
    error = np.max([np.max(np.abs(one - other)) for one, other in zip(ours, alone, strict=True)])
    return Measured(float(error), level_shift(ours, alone))


def _why_none(measured: Mapping[int, Measured], most: float) -> str:
    if not most:
        return "its batches are not bit-equal to single runs"
    least = min(each.level_shift for each in measured.values())
    return (
        f"batches of its graph give other masks: they move by {least:.2f} levels of 255 and more, "
        f"and may by {most:.2f}"
    )


def _most(config: SessionConfig, proof: Proof) -> float:
    """Levels by which batches may move masks; 0 if they must be bit-equal."""
    if config.exact or not proof.model.has_map:
        return 0.0
    return LEVELS if config.is_reference() else max(LEVELS, proof.level_shift)
