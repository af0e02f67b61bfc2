"""A `SessionConfig` -> one rembg session per process, proved to run where it was asked to.

`acquire` hands out the session of a configuration, made by `open_session` the first time anyone in
the process asks for it; instances and threads that ask meanwhile wait for it. `release` gives it
back; one that nobody has used for `IDLE_SECONDS` is let go.

`SessionConfig` refuses, with `ValueError`, models, providers and session options that don't exist;
it needs no onnxruntime. `open_session` raises `NoOnnxruntime` where there is none,
`ModelFileError` for a file that is not what it should be, and `ProviderNotInUse` when onnxruntime
would run the model elsewhere than asked.
"""

import difflib
import functools
import importlib.util
import json
import logging
import os
import threading
from dataclasses import dataclass, replace
from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Optional, Tuple

from . import catalogue, files, proof, providers
from .catalogue import Model
from .files import ModelFileError

IDLE_SECONDS = 60.0

# Attributes of onnxruntime.SessionOptions that are numbers, switches or enumerations.
SESSION_OPTIONS = (
    "intra_op_num_threads",
    "inter_op_num_threads",
    "graph_optimization_level",
    "execution_mode",
    "enable_cpu_mem_arena",
    "enable_mem_pattern",
    "enable_mem_reuse",
    "log_severity_level",
    "log_verbosity_level",
    "use_deterministic_compute",
)

_ENUMERATIONS = {
    "graph_optimization_level": "GraphOptimizationLevel",
    "execution_mode": "ExecutionMode",
}

_log = logging.getLogger(__name__)

__all__ = [
    "Loaded",
    "ModelFileError",
    "NoOnnxruntime",
    "ProviderNotInUse",
    "SessionConfig",
    "acquire",
    "open_session",
    "release",
    "require_onnxruntime",
]


class NoOnnxruntime(RuntimeError):
    """This machine has no onnxruntime to run a model with."""


class ProviderNotInUse(RuntimeError):
    """The model would run on another execution provider than the one asked for."""


@dataclass(frozen=True)
class SessionConfig:
    """What a session is made of. Small, hashable, picklable, checked when it is made.

    Attributes:
      model: a name of `catalogue.MODELS`, in any case; a label behind a colon is ignored.
      providers: one execution provider or several in order of preference, each a name in any case
        (`"CUDA"`, `"CUDAExecutionProvider"`) or a pair of a name and its options. The CPU at the
        end of a list is no permission to run there; `provider_fallback` is.
      model_path: the file of a custom model, or one to use in place of rembg's; a path on each
        worker, or a URI.
      session_options: attributes of `onnxruntime.SessionOptions` (`intra_op_num_threads`) and its
        config entries (names with a dot). On the CPU `intra_op_num_threads` is 1 unless told:
        pictures run side by side instead.
      model_dir: a folder or URI with model files, `DIR/MODEL/FILE` or `DIR/FILE`; None for rembg's
        home.
      offline: never download.
      provider_fallback: "cpu" to run on the CPU when no provider asked for can be used; rows and
        metrics then say so.
      allow_remote: let a model upload every picture to a service that bills for it.
    """

    model: str
    providers: Any = "CPU"
    model_path: Optional[str] = None
    session_options: Any = ()
    model_dir: Optional[str] = None
    offline: bool = False
    provider_fallback: Optional[str] = None
    allow_remote: bool = False

    def __post_init__(self) -> None:
        model = catalogue.find(self.model)
        object.__setattr__(self, "model", model.name)
        _check_model(model, self.model_path, self.allow_remote)
        object.__setattr__(self, "providers", _normalized(self.providers))
        options = dict(self.session_options)
        _check_session_options(options)
        object.__setattr__(self, "session_options", tuple(sorted(options.items())))
        if self.provider_fallback not in (None, "cpu"):
            raise ValueError(f"provider_fallback={self.provider_fallback!r} must be 'cpu' or None")

    @property
    def provider_names(self) -> Tuple[str, ...]:
        """onnxruntime's names, in order of preference."""
        return tuple(name for name, _ in self.providers)

    def runs_on_cpu(self) -> bool:
        return bool(self.provider_names[0] == providers.CPU.name)

    def default_threads(self) -> int:
        """How many pictures one process works on at once: its cores, or enough to feed a GPU."""
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        return (cores or 1) if self.runs_on_cpu() else max(4, 2 * (cores or 1))

    def matting(self, variant: Optional[str]) -> "SessionConfig":
        """The configuration of the ViTMatte that refines this model's masks."""
        name = f"vitmatte-{variant or 'small-distinctions-646'}"
        return replace(self, model=name, model_path=None)


class Loaded(NamedTuple):
    """A session that is ready to work.

    Attributes:
      session: rembg's; for ViTMatte, onnxruntime's.
      provider: onnxruntime's name of the execution provider that does the work; None for a service.
      share: the part of the graph's nodes that the providers asked for have, 0 to 1.
    """

    session: Any
    provider: Optional[str]
    share: float


@dataclass
class _Shared:
    """A session of this process, and how many hold it."""

    lock: threading.Lock
    loaded: Any = None
    users: int = 0
    releases: int = 0


Opener = Callable[[SessionConfig], Loaded]

_shared: Dict[Tuple[SessionConfig, Opener], _Shared] = {}
_shared_lock = threading.Lock()


def open_session(config: SessionConfig) -> Loaded:
    """A new session; most want `acquire`."""
    require_onnxruntime()
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
        return _proved(replace(config, providers="CPU"))


def require_onnxruntime() -> None:
    """Raises `NoOnnxruntime` where rembg's import would end the process."""
    if importlib.util.find_spec("onnxruntime") is None:
        raise NoOnnxruntime(
            "no onnxruntime on this machine: install rembg-beam[cpu], rembg-beam[gpu] (NVIDIA) or "
            "rembg-beam[openvino] where the workers run, exactly one of them"
        )


def acquire(config: SessionConfig, opener: Opener = open_session) -> Loaded:
    """The process's session of a configuration; give it back with `release`."""
    with _shared_lock:
        shared = _shared.setdefault((config, opener), _Shared(threading.Lock()))
        shared.users += 1
    try:
        with shared.lock:
            if shared.loaded is None:
                shared.loaded = opener(config)
            return shared.loaded
    except BaseException:
        release(config, opener)
        raise


def release(config: SessionConfig, opener: Opener = open_session) -> None:
    """Gives a session back; the last to do so starts its `IDLE_SECONDS`."""
    with _shared_lock:
        shared = _shared[config, opener]
        shared.users -= 1
        shared.releases += 1
        if shared.users:
            return
        when_idle = (config, opener), shared, shared.releases
        timer = threading.Timer(IDLE_SECONDS, _let_go, when_idle)
        timer.daemon = True
        timer.start()


def _let_go(key: Tuple[SessionConfig, Opener], shared: _Shared, releases: int) -> None:
    with _shared_lock:
        if shared.users == 0 and shared.releases == releases and _shared.get(key) is shared:
            del _shared[key]


def _proved(config: SessionConfig) -> Loaded:
    """The session of a local model, if its nodes are where they were asked to be."""
    model = catalogue.find(config.model)
    paths = files.ensure(
        model,
        model_path=config.model_path,
        model_dir=config.model_dir,
        offline=config.offline,
    )
    unlisted = _unlisted(config)
    if len(unlisted) == len(config.provider_names):
        raise _not_in_use(config, paths[0], "none of them")
    session = _inference_session(config, paths[0]) if model.is_matting else None
    session = session or _rembg_session(config, paths)
    wanted = config.provider_names if config.runs_on_cpu() else _accelerators(config)
    counted = []
    for inner, path in zip(_inner_sessions(session), paths, strict=True):
        inner.disable_fallback()
        counted.append(proof.assignment(inner))
        if not proof.is_in_use(counted[-1], wanted):
            raise _not_in_use(config, path, _shown(counted[-1]))
    share = min(each.share(wanted) for each in counted)
    _log.info("%s runs on %s (%.0f %% of nodes)", model.name, counted[0].provider, 100 * share)
    return Loaded(session, counted[0].provider, share)


def _rembg_session(config: SessionConfig, paths: Tuple[str, ...]) -> Any:
    """`rembg.new_session`; the files of our choice go in through a class that is told them.

    rembg finds a session class by name in a list and asks it for its file, which for most is a
    download and for custom ones lies in REMBG_HOME. A subclass in that list that answers with the
    paths at hand is all it takes.
    """
    import rembg

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


_listing_lock = threading.Lock()


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


def _inner_sessions(session: Any) -> List[Any]:
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
        for name, options in config.providers
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
    options.add_session_config_entry(proof.RECORD, "1")
    if config.runs_on_cpu():
        options.intra_op_num_threads = 1
    for name, value in config.session_options:
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
    for name, options in config.providers:
        successor = providers.SUCCESSORS.get(name)
        if successor and name not in listed and successor in listed:
            _warn_once(f"this onnxruntime has no {name} any more; its successor is {successor}")
            name = successor
        replaced.append((name, options))
    return replace(config, providers=replaced)


def _not_in_use(config: SessionConfig, path: str, in_use: str) -> ProviderNotInUse:
    wanted = [providers.find(name) for name in config.provider_names]
    asked = ", ".join(f"{provider.label} ({provider.name})" for provider in wanted)
    options = dict(config.providers[0][1])
    reason = proof.why(path, wanted[0].name, options) or "onnxruntime gave it no such node"
    return ProviderNotInUse(
        f"model {config.model!r} was asked to run on {asked}; in use: {in_use}. Why: {reason}. "
        f"{wanted[0].label} needs {wanted[0].package} on the worker ({wanted[0].platform}); "
        "provider_fallback='cpu' would let it run on the CPU"
    )


def _shown(counted: proof.Assignment) -> str:
    each = (
        f"{name} with {count} nodes, {counted.heavy.get(name, 0)} of them heavy"
        for name, count in sorted(counted.nodes.items())
    )
    return "; ".join(each)


@functools.cache
def _warn_once(message: str) -> None:
    _log.warning("%s", message)


def _normalized(given: Any) -> Tuple[Tuple[str, Tuple[Tuple[str, Any], ...]], ...]:
    """Providers as pairs of onnxruntime's name and sorted options."""
    entries = [given] if isinstance(given, str) or _is_pair(given) else list(given)
    if not entries:
        raise ValueError("providers is empty; name at least one, such as 'CPU'")
    pairs = [entry if _is_pair(entry) else (entry, {}) for entry in entries]
    for name, _ in pairs:
        if not isinstance(name, str):
            raise ValueError(f"providers holds {name!r}; each is a name or a (name, options) pair")
    found = [(providers.find(name).name, tuple(sorted(dict(own).items()))) for name, own in pairs]
    names = [name for name, _ in found]
    if len(set(names)) < len(names):
        raise ValueError(f"providers names one twice: {', '.join(names)}")
    return tuple(found)


def _is_pair(given: Any) -> bool:
    return (
        isinstance(given, (tuple, list))
        and len(given) == 2
        and isinstance(given[0], str)
        and not isinstance(given[1], str)
    )


def _check_model(model: Model, model_path: Optional[str], allow_remote: bool) -> None:
    if model.is_custom and not model_path:
        raise ValueError(f"model {model.name!r} needs a model_path, the ONNX file to run")
    if model_path and len(model.files) > 1:
        raise ValueError(f"model {model.name!r} has several files: give their folder as model_dir")
    if model.is_remote and not allow_remote:
        raise ValueError(
            f"model {model.name!r} uploads every picture to a service that bills for it; say "
            "allow_remote=True (--allow_remote) if that is what you want"
        )


def _check_session_options(options: Mapping[str, Any]) -> None:
    for name, value in options.items():
        if "." not in name and name not in SESSION_OPTIONS:
            near = difflib.get_close_matches(name, SESSION_OPTIONS, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else "."
            raise ValueError(
                f"unknown session option {name!r}{hint} They are {', '.join(SESSION_OPTIONS)}, and "
                "onnxruntime's config entries, whose names have a dot"
            )
        if not isinstance(value, (str, int, float)):
            raise ValueError(
                f"session option {name}={json.dumps(value)} must be a number, string or switch"
            )
