"""A configuration and a model's files -> a rembg session of them, on the providers asked for.

rembg finds a session class by name in a list and asks it for its file, which for most is a download
and for custom ones lies in REMBG_HOME. A subclass in that list that answers with the paths at hand,
and whose loops around the graph are faster (`predicting`), is all it takes. Raises what rembg and
onnxruntime raise.
"""

import threading
from typing import Any, Dict, List, Tuple

from . import catalogue, predicting, providers
from .config import SessionConfig
from .rembg_import import import_rembg

# onnxruntime's session config entry, to be set to "1".
RECORD = "session.record_ep_graph_assignment_info"

# What a provider is told unless the user's options say otherwise. cuDNN's algorithms are chosen by
# rule: at once, and the same in every process, where a measurement of each shape takes seconds and
# ends otherwise from process to process. Memory grows by what is asked for: few sizes of batches
# run, the largest first.
_DEFAULTS = {
    "CUDAExecutionProvider": {
        "cudnn_conv_algo_search": "HEURISTIC",
        "arena_extend_strategy": "kSameAsRequested",
    }
}

_EXACT = {"CUDAExecutionProvider": {"use_tf32": "0"}}

_ENUMERATIONS = {
    "graph_optimization_level": "GraphOptimizationLevel",
    "execution_mode": "ExecutionMode",
}

_listing_lock = threading.Lock()


def new_session(config: SessionConfig, paths: Tuple[str, ...]) -> Any:
    """`rembg.new_session`; for ViTMatte, whose sessions are such, one of onnxruntime's.

    Args:
      config: of which the providers that onnxruntime doesn't list are left out: it would complain.
      paths: of the model's files; none for a service.
    """
    model = catalogue.find(config.model)
    rembg = import_rembg()
    if not paths:
        return rembg.new_session(model.session)
    if model.is_matting:
        return _inference_sessions(paths, _session_options(config), _usable(config))[0]
    classes = rembg.sessions.sessions_class
    base = next(found for found in classes if found.name() == model.session)
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


def inner_sessions(session: Any) -> List[Any]:
    """The onnxruntime sessions inside: one, SAM's encoder and decoder, or ViTMatte itself."""
    if hasattr(session, "get_providers"):
        return [session]
    inner = [getattr(session, name, None) for name in ("inner_session", "encoder", "decoder")]
    return [found for found in inner if found is not None]


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
    self.model_name = model_name
    self.encoder, self.decoder = _inference_sessions(
        self.download_models(), sess_opts, kwargs["providers"]
    )


def _inference_sessions(paths: Tuple[str, ...], options: Any, chosen: List[Any]) -> List[Any]:
    import onnxruntime

    return [onnxruntime.InferenceSession(path, options, chosen) for path in paths]


def _usable(config: SessionConfig) -> List[Any]:
    """The providers as onnxruntime takes them."""
    import onnxruntime

    listed = onnxruntime.get_available_providers()
    return [
        (name, told) if told else name
        for name, options in config.provider
        if name in listed
        for told in [_told(name, dict(options), config.exact)]
    ]


def _told(name: str, options: Dict[str, Any], exact: bool) -> Dict[str, Any]:
    """The options of a provider, the user's last."""
    return {**_DEFAULTS.get(name, {}), **(_EXACT.get(name, {}) if exact else {}), **options}


def _session_options(config: SessionConfig) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.add_session_config_entry(RECORD, "1")
    if config.provider_names[0] in (providers.CPU.name, *providers.BATCHING):
        options.intra_op_num_threads = 1
    if config.runs_on_cpu():
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
