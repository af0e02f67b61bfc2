"""What a session is made of: `SessionConfig`.

Small, picklable, checked when it is made, and made without onnxruntime: it refuses, with
`ValueError`, models, providers and session options that don't exist, naming the nearest that does.
"""

import difflib
import json
from dataclasses import dataclass, replace
from typing import Any, Mapping, Optional, Tuple

from . import catalogue, providers
from .catalogue import Model

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

# More gain nothing on any GPU seen so far, and take its memory.
MOST_IN_A_BATCH = 64


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
        pictures run side by side instead; and `enable_mem_pattern` is False, which takes less
        memory.
      model_dir: a folder or URI with model files, `DIR/MODEL/FILE` or `DIR/FILE`; None for rembg's
        home.
      offline: never download.
      provider_fallback: "cpu" to run on the CPU when no provider asked for can be used; rows and
        metrics then say so.
      allow_remote: let a model upload every picture to a service that bills for it.
      max_batch_size: pictures that the graph is run for at once; None for what suits the provider:
        1 on the CPU, which gains nothing by batches, 16 on a GPU, 4 there for models with large
        inputs. More costs the provider's memory for as many pictures' activations.
      max_batch_wait_msecs: how long a batch that is not full waits for more pictures.
    """

    model: str
    providers: Any = "CPU"
    model_path: Optional[str] = None
    session_options: Any = ()
    model_dir: Optional[str] = None
    offline: bool = False
    provider_fallback: Optional[str] = None
    allow_remote: bool = False
    max_batch_size: Optional[int] = None
    max_batch_wait_msecs: float = 5.0

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
        _check_batches(self.max_batch_size, self.max_batch_wait_msecs)

    @property
    def provider_names(self) -> Tuple[str, ...]:
        """onnxruntime's names, in order of preference."""
        return tuple(name for name, _ in self.providers)

    def runs_on_cpu(self) -> bool:
        return bool(self.provider_names[0] == providers.CPU.name)

    def batch_sizes(self) -> Tuple[int, ...]:
        """The sizes of batches, 1 first; few, because a GPU pays for each that is new to it."""
        most = self.max_batch_size or self._default_batch_size()
        return tuple(sorted({1, max(1, most // 4), max(1, most // 2), most}))

    def has_fixed_sizes(self) -> bool:
        """Whether batches are padded to one of `batch_sizes`."""
        return not self.runs_on_cpu()

    def _default_batch_size(self) -> int:
        size = catalogue.find(self.model).size
        if self.provider_names[0] not in providers.BATCHING or size is None:
            return 1
        return 16 if max(size) <= 512 else 4

    def matting(self, variant: Optional[str]) -> "SessionConfig":
        """The configuration of the ViTMatte that refines this model's masks."""
        name = f"vitmatte-{variant or 'small-distinctions-646'}"
        return replace(self, model=name, model_path=None)


def _check_batches(size: Optional[int], wait_msecs: float) -> None:
    if size is not None and (not isinstance(size, int) or not 1 <= size <= MOST_IN_A_BATCH):
        raise ValueError(
            f"max_batch_size={size!r} must be an integer from 1, for none, to {MOST_IN_A_BATCH}"
        )
    if not isinstance(wait_msecs, (int, float)) or not 0 <= wait_msecs <= 1000:
        raise ValueError(f"max_batch_wait_msecs={wait_msecs!r} must be a number from 0 to 1000")


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
