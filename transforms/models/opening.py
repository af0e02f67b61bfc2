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
from typing import Any, NamedTuple, Optional

from . import (
    batch_trial,
    catalogue,
    environment,
    outputs,
    placement,
    precision,
    providers,
    rembg_session,
    weights,
)
from .batch_trial import Batches
from .batching import AT_ONCE, Batching
from .config import SessionConfig
from .first_output import FirstOutput
from .placement import ProviderNotInUse
from .predicting import as_map_of
from .proof import Proof
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
      level_shift: levels of 255 by which its masks differ at most from those of the CPU and full
        precision; None where it wasn't compared.
      batch_shift: levels by which batches move them at most; None without batches.
    """

    session: Any
    provider: Optional[str]
    share: float
    batch: int = 1
    checksum: Optional[str] = None
    level_shift: Optional[float] = None
    batch_shift: Optional[float] = None


def open_session(config: SessionConfig) -> Loaded:
    """A new session; most want `acquire`."""
    require_onnxruntime()
    environment.check()
    if config.exact:
        environment.check_without_tf32(config.provider_names)
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
    checksum = weights.checksum(model, paths)
    graphs = paths if config.precision == "fp32" else (precision.half(paths[0]),)
    session, provider, share = placement.place(config, graphs)
    _log.info("%s runs on %s (%.0f %% of nodes)", model.name, provider, 100 * share)
    if len(paths) > 1:
        session.decoder = outputs.CheckedSam(session.decoder)
        return Loaded(session, provider, share, checksum=checksum)
    proof = Proof(model, session, paths[0])
    if config.precision != "fp32":
        proof.require(config.max_level_shift)
    batches, session = batch_trial.try_batches(config, graphs[0], proof)
    session = _with_batching(config, session, batches)
    shift = _level_shift(config, proof, batches)
    return Loaded(
        *(session, provider, share, batches.sizes[-1], checksum), shift, batches.level_shift
    )


def _level_shift(config: SessionConfig, proof: Proof, batches: Batches) -> Optional[float]:
    """Nothing is compared for the CPU itself, and where nothing follows from it."""
    decides = len(batches.sizes) > 1 or config.precision != "fp32"
    if config.is_reference() or not proof.model.has_map or not decides:
        return None
    name, shift = config.model, proof.level_shift
    _log.info("%s: masks differ by up to %.3f levels of 255 from those of the CPU", name, shift)
    return shift


def _with_batching(config: SessionConfig, session: Any, batches: Batches) -> Any:
    """The session with a `Batching` as its graph."""
    model = catalogue.find(config.model)
    (inner,) = rembg_session.inner_sessions(session)
    batching = Batching(
        inner,
        max_size=batches.sizes[-1],
        at_once=AT_ONCE if config.provider_names[0] in providers.BATCHING else None,
        wait_msecs=config.max_batch_wait_msecs,
        sizes=batches.sizes if config.has_fixed_sizes() else (),
        error=batches.error,
        most=batches.most,
        alone_exact=batches.alone_exact,
        as_map=as_map_of(model),
        check=outputs.checker(model),
    )
    first = FirstOutput(batching)
    if session is inner:
        return first
    session.inner_session = first
    return session


@functools.cache
def _warn_once(message: str) -> None:
    _log.warning("%s", message)
