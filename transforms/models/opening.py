"""A `SessionConfig` -> a live rembg session, proved to run where it was asked to.

In: a configuration. Out: `Loaded`, the session, the provider that does its work and the share of
its nodes there. `open_session` raises `NoOnnxruntime` on a machine without one, `ModelFileError`
for a file that is not what it should be, and `ProviderNotInUse` when onnxruntime would run the
model elsewhere than asked.
"""

import functools
import importlib.util
import logging
import threading
from dataclasses import replace
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Tuple

import numpy as np

from . import batch_axis, catalogue, environment, outputs, placement, predicting, providers, weights
from .batching import Batches, Batching, probe
from .config import SessionConfig
from .rembg_import import import_rembg
from .runs import sigmoid

_ENUMERATIONS = {
    "graph_optimization_level": "GraphOptimizationLevel",
    "execution_mode": "ExecutionMode",
}

_log = logging.getLogger(__name__)

_listing_lock = threading.Lock()


class NoOnnxruntime(RuntimeError):
    """This machine has no onnxruntime to run a model with."""


class ProviderNotInUse(RuntimeError):
    """The model would run on another execution provider than the one asked for."""


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
    config = _with_successors(config)
    if catalogue.find(config.model).is_remote:
        return Loaded(_rembg_session(config, ()), None, 1.0)
    try:
        return _proved(config)
    except ProviderNotInUse as error:
        if config.provider_fallback is None:
            raise
        _warn_once(f"running on the CPU, as provider_fallback allows: {error}")
        return _proved(replace(config, provider="CPU"))


def require_onnxruntime() -> None:
    """Raises `NoOnnxruntime` where rembg's import would end the process."""
    if importlib.util.find_spec("onnxruntime") is None:
        raise NoOnnxruntime(
            "no onnxruntime on this machine: install rembg-beam[cpu], rembg-beam[gpu] (NVIDIA) or "
            "rembg-beam[openvino] where the workers run, exactly one of them"
        )


def _proved(config: SessionConfig) -> Loaded:
    """The session of a local model, if its nodes are where they were asked to be."""
    model = catalogue.find(config.model)
    paths = weights.ensure(
        model,
        model_path=config.model_path,
        model_dir=config.model_dir,
        offline=config.offline,
    )
    loaded = _placed(config, paths)
    if len(paths) == 1:
        batches, session = _batches(config, paths[0], loaded)
        loaded = _with_stand_in(loaded._replace(session=session), config, batches)
    else:
        loaded.session.decoder = outputs.CheckedSam(loaded.session.decoder)
    loaded = loaded._replace(checksum=weights.checksum(model, paths))
    percent = 100 * loaded.share
    _log.info("%s runs on %s (%.0f %% of nodes)", model.name, loaded.provider, percent)
    return loaded


def _batches(config: SessionConfig, path: str, loaded: Loaded) -> Tuple[Batches, Any]:
    """The batches a model takes, and the session that takes them: the one at hand unless told."""
    none, sizes = Batches((1,), 0.0), config.batch_sizes()
    if len(sizes) == 1:
        return none, loaded.session
    try:
        opened = batch_axis.ensure(path)
        session = loaded.session if opened == path else _placed(config, (opened,)).session
        ((original,), (inner,)) = map(inner_sessions, (loaded.session, session))
        other = None if inner is original else original
        found = probe(inner, sizes, original=other, as_map=_as_map(config))
        if len(found.sizes) == 1:
            raise batch_axis.NoBatchAxis("its graph takes no batches, or gives other masks in them")
        if found.error and not catalogue.find(config.model).has_map:
            raise batch_axis.NoBatchAxis("its batches are not bit-equal to single runs")
        return found, session
    except Exception as reason:
        _log.warning("%s runs one picture at a time: %s", config.model, reason)
        return none, loaded.session


def _as_map(config: SessionConfig) -> Callable[[Any], Any]:
    return sigmoid if catalogue.find(config.model).gives_logits else np.asarray


def _with_stand_in(loaded: Loaded, config: SessionConfig, batches: Batches) -> Loaded:
    (inner,) = inner_sessions(loaded.session)
    size = batches.sizes[-1]
    stand_in = Batching(
        inner,
        max_size=size,
        wait_msecs=config.max_batch_wait_msecs,
        sizes=batches.sizes if config.has_fixed_sizes() else (),
        error=batches.error,
        alone_exact=batches.alone_exact,
        as_map=_as_map(config),
        check=outputs.checker(catalogue.find(config.model)),
    )
    if loaded.session is inner:
        return loaded._replace(session=stand_in, batch=size)
    loaded.session.inner_session = stand_in
    return loaded._replace(batch=size)


def _placed(config: SessionConfig, paths: Tuple[str, ...]) -> Loaded:
    """A session of these files, if its nodes are where they were asked to be."""
    model = catalogue.find(config.model)
    unlisted = _unlisted(config)
    if len(unlisted) == len(config.provider_names):
        raise _not_in_use(config, paths[0], "none of them")
    session = _inference_session(config, paths[0]) if model.is_matting else None
    session = session or _rembg_session(config, paths)
    wanted = config.provider_names if config.runs_on_cpu() else _accelerators(config)
    counted = []
    for inner, path in zip(inner_sessions(session), paths, strict=True):
        inner.disable_fallback()
        counted.append(placement.assignment(inner))
        if not placement.is_in_use(counted[-1], wanted):
            raise _not_in_use(config, path, _shown(counted[-1]))
    share = min(each.share(wanted) for each in counted)
    return Loaded(session, counted[0].provider, share)


def _rembg_session(config: SessionConfig, paths: Tuple[str, ...]) -> Any:
    """`rembg.new_session`; the files of our choice go in through a class that is told them.

    rembg finds a session class by name in a list and asks it for its file, which for most is a
    download and for custom ones lies in REMBG_HOME. A subclass in that list that answers with the
    paths at hand is all it takes.
    """
    rembg = import_rembg()
    name = catalogue.find(config.model).session
    if not paths:
        return rembg.new_session(name)
    classes = rembg.sessions.sessions_class
    base = next(found for found in classes if found.name() == name)
    told = _told_its_files(base, paths)
    with _listing_lock:
        # It stays: removing it could make another thread's `new_session` skip its own.
        if all(found.name() != told.name() for found in classes):
            classes.append(told)
    return rembg.new_session(
        told.name(),
        sess_opts=_session_options(config),
        providers=_usable(config),
        model_path=paths[0],
    )


def _told_its_files(base: Any, paths: Tuple[str, ...]) -> Any:
    name = f"rembg_beam:{base.name()}:{paths[0]}"
    members: Dict[str, Any] = {
        "name": classmethod(lambda cls, *args, **kwargs: name),
        "download_models": classmethod(
            lambda cls, *args, **kwargs: paths if len(paths) > 1 else paths[0]
        ),
        # rembg's own word on a provider that is not in use (ours is an error); it also fails on
        # providers that have options.
        "_warn_on_provider_fallback": lambda self, requested: None,
        **predicting.members(base),
    }
    if len(paths) > 1:
        members["__init__"] = _make_encoder_and_decoder
    return type(base.__name__, (base,), members)


def _make_encoder_and_decoder(
    self: Any, model_name: str, sess_opts: Any, *args: Any, **kwargs: Any
) -> None:
    """`SamSession.__init__` with the providers it ignores."""
    import onnxruntime

    self.model_name = model_name
    encoder, decoder = self.download_models()
    self.encoder = onnxruntime.InferenceSession(encoder, sess_opts, kwargs["providers"])
    self.decoder = onnxruntime.InferenceSession(decoder, sess_opts, kwargs["providers"])


def _inference_session(config: SessionConfig, path: str) -> Any:
    import onnxruntime

    return onnxruntime.InferenceSession(path, _session_options(config), _usable(config))


def inner_sessions(session: Any) -> List[Any]:
    """The onnxruntime sessions inside: one, SAM's encoder and decoder, or ViTMatte itself."""
    if hasattr(session, "get_providers"):
        return [session]
    inner = [getattr(session, name, None) for name in ("inner_session", "encoder", "decoder")]
    return [found for found in inner if found is not None]


def _usable(config: SessionConfig) -> List[Any]:
    """The providers for onnxruntime; those this build doesn't list would only make it complain."""
    unlisted = _unlisted(config)
    return [
        (name, dict(options)) if options else name
        for name, options in config.provider
        if name not in unlisted
    ]


def _unlisted(config: SessionConfig) -> Tuple[str, ...]:
    import onnxruntime

    listed = onnxruntime.get_available_providers()
    wanted = config.provider_names if config.runs_on_cpu() else _accelerators(config)
    missing = tuple(name for name in wanted if name not in listed)
    return config.provider_names if len(missing) == len(wanted) else missing


def _accelerators(config: SessionConfig) -> Tuple[str, ...]:
    return tuple(name for name in config.provider_names if name != providers.CPU.name)


def _session_options(config: SessionConfig) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.add_session_config_entry(placement.RECORD, "1")
    if config.runs_on_cpu():
        options.intra_op_num_threads = 1
        # Its plan of a run's memory is kept beside the memory itself: a fifth more for no speed.
        options.enable_mem_pattern = False
    for name, value in config.session_option:
        if "." in name:
            options.add_session_config_entry(name, str(value))
        elif name in _ENUMERATIONS:
            setattr(options, name, getattr(getattr(onnxruntime, _ENUMERATIONS[name]), value))
        else:
            setattr(options, name, value)
    return options


def _with_successors(config: SessionConfig) -> SessionConfig:
    """ROCm's successor where this onnxruntime has no ROCm any more."""
    import onnxruntime

    listed = onnxruntime.get_available_providers()
    replaced = []
    for name, options in config.provider:
        successor = providers.SUCCESSORS.get(name)
        if successor and name not in listed and successor in listed:
            _warn_once(f"this onnxruntime has no {name} any more; its successor is {successor}")
            name = successor
        replaced.append((name, options))
    return replace(config, provider=replaced)


def _not_in_use(config: SessionConfig, path: str, in_use: str) -> ProviderNotInUse:
    wanted = [providers.find(name) for name in config.provider_names]
    asked = ", ".join(f"{provider.label} ({provider.name})" for provider in wanted)
    options = dict(config.provider[0][1])
    reason = placement.why(path, wanted[0].name, options) or "onnxruntime gave it no such node"
    return ProviderNotInUse(
        f"model {config.model!r} was asked to run on {asked}; in use: {in_use}. Why: {reason}. "
        f"{wanted[0].label} needs {wanted[0].package} on the worker ({wanted[0].platform}); "
        "provider_fallback='cpu' would let it run on the CPU"
    )


def _shown(counted: placement.Assignment) -> str:
    each = (
        f"{name} with {count} nodes, {counted.heavy.get(name, 0)} of them heavy"
        for name, count in sorted(counted.nodes.items())
    )
    return "; ".join(each)


@functools.cache
def _warn_once(message: str) -> None:
    _log.warning("%s", message)
