"""A `SessionConfig` -> one rembg session per process.

`acquire` hands out the session of a configuration, made by `open_session` the first time anyone in
the process asks for it; instances and threads that ask meanwhile wait for it. `release` gives it
back; one that nobody has used for `IDLE_SECONDS` is let go.

`SessionConfig` refuses, with `ValueError`, models, providers and session options that don't exist;
it needs no onnxruntime. `open_session` raises `NoOnnxruntime` where there is none, and
`ProviderNotInUse` when onnxruntime would run the model elsewhere than asked.
"""

import difflib
import importlib.util
import json
import os
import threading
from dataclasses import dataclass
from typing import Any, Callable, Dict, List, Mapping, Optional, Tuple

from . import catalogue, providers

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


class NoOnnxruntime(RuntimeError):
    """This machine has no onnxruntime to run a model with."""


class ProviderNotInUse(RuntimeError):
    """The model would run on another execution provider than the one asked for."""


@dataclass(frozen=True)
class SessionConfig:
    """What a session is made of. Small, hashable, picklable.

    Attributes:
      model: one of `catalogue.MODELS`.
      providers: one execution provider or several in order of preference, each a name
        (`"CUDA"`, `"CUDAExecutionProvider"`) or a pair of a name and its options.
      model_path: the file of a custom model, or one to use in place of rembg's; a local path on
        each worker.
      session_options: attributes of `onnxruntime.SessionOptions` (`intra_op_num_threads`) and its
        config entries (names with a dot). On the CPU `intra_op_num_threads` is 1 unless told:
        pictures run side by side instead.
    """

    model: str
    providers: Any = "CPU"
    model_path: Optional[str] = None
    session_options: Any = ()

    def __post_init__(self) -> None:
        model = catalogue.find(self.model)
        if model.is_custom and not self.model_path:
            raise ValueError(f"model {model.name!r} needs a model_path, the ONNX file to run")
        if model.is_remote:
            raise ValueError(
                f"model {model.name!r} uploads every picture to a service that bills for it; "
                "rembg-beam runs local models only"
            )
        object.__setattr__(self, "providers", _normalized(self.providers))
        options = dict(self.session_options)
        _check_session_options(options)
        object.__setattr__(self, "session_options", tuple(sorted(options.items())))

    @property
    def provider_names(self) -> Tuple[str, ...]:
        """onnxruntime's names, in order of preference."""
        return tuple(name for name, _ in self.providers)

    def runs_on_cpu(self) -> bool:
        return self.provider_names[0] == providers.CPU.name

    def default_threads(self) -> int:
        """How many pictures one process works on at once: its cores, or enough to feed a GPU."""
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        return (cores or 1) if self.runs_on_cpu() else max(4, 2 * (cores or 1))


@dataclass
class _Shared:
    """A session of this process, and how many hold it."""

    lock: threading.Lock
    session: Any = None
    users: int = 0
    idle_since: int = 0


Opener = Callable[[SessionConfig], Any]

_shared: Dict[Tuple[SessionConfig, Opener], _Shared] = {}
_shared_lock = threading.Lock()


def open_session(config: SessionConfig) -> Any:
    """A new rembg session; most want `acquire`."""
    if importlib.util.find_spec("onnxruntime") is None:
        raise NoOnnxruntime(
            "no onnxruntime on this machine: install rembg-beam[cpu], rembg-beam[gpu] (NVIDIA) or "
            "rembg-beam[openvino] where the workers run, exactly one of them"
        )
    import rembg

    asked = [(name, dict(options)) if options else name for name, options in config.providers]
    session = _new_session(rembg, config, asked)
    _check_provider(session, config)
    return session


def acquire(config: SessionConfig, opener: Opener = open_session) -> Any:
    """The process's session of a configuration; give it back with `release`."""
    with _shared_lock:
        shared = _shared.setdefault((config, opener), _Shared(threading.Lock()))
        shared.users += 1
    try:
        with shared.lock:
            if shared.session is None:
                shared.session = opener(config)
            return shared.session
    except BaseException:
        release(config, opener)
        raise


def release(config: SessionConfig, opener: Opener = open_session) -> None:
    """Gives a session back; the last to do so starts its `IDLE_SECONDS`."""
    with _shared_lock:
        shared = _shared[config, opener]
        shared.users -= 1
        shared.idle_since += 1
        if shared.users:
            return
        timer = threading.Timer(
            IDLE_SECONDS, _let_go, ((config, opener), shared, shared.idle_since)
        )
        timer.daemon = True
        timer.start()


def provider_in_use(session: Any) -> str:
    """onnxruntime's name of the provider that runs the session's graph."""
    return str(_inner_sessions(session)[0].get_providers()[0])


def _let_go(key: Tuple[SessionConfig, Opener], shared: _Shared, idle_since: int) -> None:
    with _shared_lock:
        if shared.users == 0 and shared.idle_since == idle_since and _shared.get(key) is shared:
            del _shared[key]


def _new_session(rembg: Any, config: SessionConfig, asked: List[Any]) -> Any:
    """`rembg.new_session`; a file of our choice goes in through a session class told its file.

    rembg finds a session class by name in a list and asks it for its file, which for all but the
    custom ones is a download and for those lies in REMBG_HOME. A subclass that answers with the
    path at hand, listed while the session is made, is all it takes.
    """
    options = _session_options(config)
    path = catalogue.bundled_path() if config.model == catalogue.TINY else config.model_path
    name = catalogue.find(config.model).session
    if path is None:
        return rembg.new_session(name, sess_opts=options, providers=asked)
    if not os.path.isfile(path):
        raise FileNotFoundError(f"model {config.model!r}: there is no file {path!r} on this worker")
    classes = rembg.sessions.sessions_class
    base = next(found for found in classes if found.name() == name)
    told = _told_its_file(base, f"rembg_beam:{config.model}:{path}", path)
    classes.append(told)
    try:
        return rembg.new_session(told.name(), sess_opts=options, providers=asked, model_path=path)
    finally:
        classes.remove(told)


def _told_its_file(base: Any, name: str, path: str) -> Any:
    members = {
        "name": classmethod(lambda cls, *args, **kwargs: name),
        "download_models": classmethod(lambda cls, *args, **kwargs: path),
    }
    return type(base.__name__, (base,), members)


def _session_options(config: SessionConfig) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
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


def _inner_sessions(session: Any) -> List[Any]:
    """The onnxruntime sessions inside a rembg session: one, or SAM's encoder and decoder."""
    inner = [getattr(session, name, None) for name in ("inner_session", "encoder", "decoder")]
    return [found for found in inner if found is not None]


def _check_provider(session: Any, config: SessionConfig) -> None:
    for inner in _inner_sessions(session):
        inner.disable_fallback()
        in_use = inner.get_providers()
        if in_use[0] not in config.provider_names:
            wanted = providers.find(config.provider_names[0])
            raise ProviderNotInUse(
                f"model {config.model!r} was asked to run on {wanted.label} ({wanted.name}) and "
                f"would run on {in_use[0]}. {wanted.label} needs {wanted.package} "
                f"({wanted.platform}) on the worker"
            )


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


def _check_session_options(options: Mapping[str, Any]) -> None:
    for name, value in options.items():
        if "." not in name and name not in SESSION_OPTIONS:
            near = difflib.get_close_matches(name, SESSION_OPTIONS, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise ValueError(
                f"unknown session option {name!r}{hint} They are {', '.join(SESSION_OPTIONS)}, and "
                "onnxruntime's config entries, whose names have a dot"
            )
        try:
            hash(value), json.dumps(value)
        except TypeError:
            raise ValueError(f"session option {name}={value!r} must be a number, string or bool")
