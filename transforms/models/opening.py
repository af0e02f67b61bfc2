"""A `SessionConfig` -> a live rembg session, proved to run where it was asked to.

In: a configuration. Out: `Loaded`, the session, the provider that does its work and the share of
its nodes there. `open_session` raises `NoOnnxruntime` on a machine without one, `ModelFileError`
for a file that is not what it should be, and `ProviderNotInUse` when onnxruntime would run the
model elsewhere than asked.
"""

import functools
import importlib.util
import logging
from dataclasses import replace
from typing import Any, NamedTuple, Optional, Tuple

from . import (
    batch_trial,
    catalogue,
    environment,
    outputs,
    placement,
    providers,
    rembg_session,
    weights,
)
from .batching import AT_ONCE, Batching
from .config import SessionConfig
from .first_output import FirstOutput
from .placement import ProviderNotInUse
from .predicting import as_map_of
from .rembg_import import import_rembg

_log = logging.getLogger(__name__)


class NoOnnxruntime(RuntimeError):
    """This machine has no onnxruntime to run a model with."""


class Loaded(NamedTuple):
    """A session that is ready to work.

    Attributes:
      session: rembg's; for ViTMatte, onnxruntime's.
      provider: onnxruntime's name of the execution provider that does the work; None for a service.
      share: the part of the graph's nodes that the providers asked for have, 0 to 1.
      batch: pictures that it runs at once at most.
      checksum: of the model's file, or of its files with a `+` between them; None for a service.
    """

    session: Any
    provider: Optional[str]
    share: float
    batch: int = 1
    checksum: Optional[str] = None


def open_session(config: SessionConfig) -> Loaded:
    """A new session; most want `acquire`."""
    require_onnxruntime()
    environment.check()
    import_rembg()
    for warning in providers.side_by_side():
        _warn_once(warning)
    if catalogue.find(config.model).is_remote:
        return Loaded(rembg_session.new_session(config, ()), None, 1.0)
    try:
        return _open_local(config)
    except ProviderNotInUse as error:
        if config.provider_fallback is None:
            raise
        _warn_once(f"running on the CPU, as provider_fallback allows: {error}")
        return _open_local(replace(config, provider="CPU"))


def require_onnxruntime() -> None:
    """Raises `NoOnnxruntime` where rembg's import would end the process."""
    if importlib.util.find_spec("onnxruntime") is None:
        raise NoOnnxruntime(
            "no onnxruntime on this machine: install rembg-beam[cpu], rembg-beam[gpu] (NVIDIA) or "
            "rembg-beam[openvino] where the workers run, exactly one of them"
        )


def _open_local(config: SessionConfig) -> Loaded:
    """The session of a model that runs on this machine."""
    model = catalogue.find(config.model)
    paths = weights.ensure(
        model,
        model_path=config.model_path,
        model_dir=config.model_dir,
        offline=config.offline,
    )
    session, provider, share = placement.place(config, paths)
    batch = 1
    if len(paths) == 1:
        session, batch = _with_batching(config, paths[0], session)
    else:
        session.decoder = outputs.CheckedSam(session.decoder)
    _log.info("%s runs on %s (%.0f %% of nodes)", model.name, provider, 100 * share)
    return Loaded(session, provider, share, batch, weights.checksum(model, paths))


def _with_batching(config: SessionConfig, path: str, session: Any) -> Tuple[Any, int]:
    """The session with a `Batching` as its graph, and the most pictures that it runs at once."""
    batches, session = batch_trial.try_batches(config, path, session)
    model = catalogue.find(config.model)
    (inner,) = rembg_session.inner_sessions(session)
    batching = Batching(
        inner,
        max_size=batches.sizes[-1],
        at_once=AT_ONCE if config.provider_names[0] in providers.BATCHING else None,
        wait_msecs=config.max_batch_wait_msecs,
        sizes=batches.sizes if config.has_fixed_sizes() else (),
        error=batches.error,
        alone_exact=batches.alone_exact,
        as_map=as_map_of(model),
        check=outputs.checker(model),
    )
    first = FirstOutput(batching)
    if session is inner:
        return first, batching.max_size
    session.inner_session = first
    return session, batching.max_size


@functools.cache
def _warn_once(message: str) -> None:
    _log.warning("%s", message)
