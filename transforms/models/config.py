"""What a session is made of: `SessionConfig`.

Small, picklable, checked when it is made, and made without onnxruntime: it refuses, with
`ValueError`, models, providers and session options that don't exist, naming the nearest that does.
"""

import json
from dataclasses import dataclass, replace
from typing import Any, Mapping, Optional, Tuple

from ..setting import REQUIRED, check, did_you_mean, documented, setting
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


@documented
@dataclass(frozen=True)
class SessionConfig:
    """What a session is made of. Small, hashable, picklable, checked when it is made."""

    model: str = setting(
        REQUIRED,
        f"one of {', '.join(catalogue.MODELS)}; rembg downloads all but tiny on first use",
        more="in any case; a label behind a colon is ignored",
    )
    provider: Any = setting(
        ("CPU",),
        "the execution provider: CPU, CUDA, ROCM, DirectML, OpenVINO, CoreML, Tensorrt, Azure; "
        'with options as CUDA={"device_id":1}; repeats, in order of preference; default CPU',
        more="in Python and files one or several, each a name in any case (`CUDA`, "
        "`CUDAExecutionProvider`) or a name with its options; the CPU at the end of a list is no "
        "permission to run there, `provider_fallback` is",
        kind="providers",
    )
    model_path: Optional[str] = setting(
        None,
        "the ONNX file of a custom model, or one in place of rembg's; a path or URI",
        more="a path is one on each worker",
        metavar="URI",
    )
    session_option: Any = setting(
        None,
        "NAME=VALUE for onnxruntime's SessionOptions (intra_op_num_threads=2) or its config "
        "entries; repeats",
        more="in Python and files a mapping; config entries are the names with a dot; on the CPU "
        "and GPUs `intra_op_num_threads` is 1 unless told, since pictures run side by side "
        "instead; on the CPU `enable_mem_pattern` is False, which takes less memory",
        kind="pairs",
        metavar="NAME=VALUE",
    )
    model_dir: Optional[str] = setting(
        None,
        "a folder or URI with model files, as `rembg-beam models fetch` fills it",
        more="`DIR/MODEL/FILE` or `DIR/FILE`; default: rembg's home",
        metavar="URI",
    )
    offline: bool = setting(False, "never download a model")
    provider_fallback: Optional[str] = setting(
        None,
        "run there when no --provider can be used, rather than fail",
        more="rows and metrics then say so",
        choices=("cpu",),
        rule="'cpu' or None",
    )
    allow_remote: bool = setting(
        False, "let a model upload every picture to a service that bills for it"
    )
    max_batch_size: Optional[int] = setting(
        None,
        "pictures the model runs for at once; default 1 on the CPU, which gains nothing by more, "
        "16 on a GPU, 4 there for large models; more takes the GPU's memory",
        minimum=1,
        maximum=MOST_IN_A_BATCH,
        rule=f"an integer from 1, for none, to {MOST_IN_A_BATCH}",
    )
    max_batch_wait_msecs: float = setting(
        5.0,
        "milliseconds that a batch which is not full waits for more pictures",
        minimum=0,
        maximum=1000,
    )
    exact: bool = setting(
        False,
        "as near the CPU's masks as the provider can: no TF32, and only batches that are bit-equal "
        "to single runs",
        more="on CUDA `use_tf32` is 0; TensorRT needs `NVIDIA_TF32_OVERRIDE=0` in the workers' "
        "environment; elsewhere, and on the CPU, it is about batches alone",
    )
    precision: str = setting(
        "fp32",
        "fp16 converts the model to half precision, for GPUs, if that moves no mask by more than "
        "--max_level_shift",
        more="once per machine, kept in rembg's home; for models with one mask; the checksum in "
        "the rows stays that of the model's own file",
        choices=("fp32", "fp16"),
    )
    max_level_shift: float = setting(
        4.0,
        "levels, of 255, by which half precision may move any pixel of a mask, where it is tried",
        more="4 are 1.6 % of opacity; TF32, which NVIDIA's cards compute in unless told otherwise, "
        "has as many bits",
        above=0,
    )

    def __post_init__(self) -> None:
        check(self)
        model = catalogue.find(self.model)
        object.__setattr__(self, "model", model.name)
        _check_model(model, self.model_path, self.allow_remote)
        object.__setattr__(self, "provider", _normalized(self.provider))
        options = dict(self.session_option or {})
        _check_session_options(options)
        object.__setattr__(self, "session_option", tuple(sorted(options.items())))
        _check_precision(model, self.precision)
        _check_exact(self.exact, self.precision, self.provider)

    @property
    def provider_names(self) -> Tuple[str, ...]:
        """onnxruntime's names, in order of preference."""
        return tuple(name for name, _ in self.provider)

    @property
    def wanted_names(self) -> Tuple[str, ...]:
        """Those that the model may run on: the CPU behind others is no permission to run there."""
        names = self.provider_names
        return names if self.runs_on_cpu() else tuple(n for n in names if n != providers.CPU.name)

    def runs_on_cpu(self) -> bool:
        return bool(self.provider_names[0] == providers.CPU.name)

    def is_reference(self) -> bool:
        """Whether its single runs are those that others are compared with: the CPU's own."""
        return self.runs_on_cpu() and self.precision == "fp32"

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

    def other(self, model: str) -> "SessionConfig":
        """The configuration of another model, run in the same way."""
        return replace(self, model=model, model_path=None)

    def matting(self, variant: Optional[str]) -> "SessionConfig":
        """The configuration of the ViTMatte that refines this model's masks, in full precision."""
        name = f"vitmatte-{variant or 'small-distinctions-646'}"
        return replace(self, model=name, model_path=None, precision="fp32")


def _normalized(given: Any) -> Tuple[Tuple[str, Tuple[Tuple[str, Any], ...]], ...]:
    """Providers as pairs of onnxruntime's name and sorted options."""
    entries = [given] if isinstance(given, str) or _is_pair(given) else list(given)
    if not entries:
        raise ValueError("provider is empty; name at least one, such as 'CPU'")
    pairs = [entry if _is_pair(entry) else (entry, {}) for entry in entries]
    for name, _ in pairs:
        if not isinstance(name, str):
            raise ValueError(f"provider holds {name!r}; each is a name or a (name, options) pair")
    found = [(providers.find(name).name, tuple(sorted(dict(own).items()))) for name, own in pairs]
    names = [name for name, _ in found]
    if len(set(names)) < len(names):
        raise ValueError(f"provider names one twice: {', '.join(names)}")
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


def _check_precision(model: Model, precision: str) -> None:
    if precision != "fp32" and not model.has_map:
        raise ValueError(
            f"precision={precision!r} is for models that make one mask with one graph, and "
            f"{model.name!r} is none: leave it at 'fp32'"
        )


def _check_exact(exact: bool, precision: str, chosen: Any) -> None:
    if exact and precision != "fp32":
        raise ValueError(f"exact and precision={precision!r} exclude each other: leave one out")
    for name, options in chosen:
        if exact and str(dict(options).get("use_tf32", 0)) != "0":
            raise ValueError(f"exact and use_tf32 of {name} exclude each other: leave one out")


def _check_session_options(options: Mapping[str, Any]) -> None:
    for name, value in options.items():
        if "." not in name and name not in SESSION_OPTIONS:
            hint = did_you_mean(name, SESSION_OPTIONS)
            raise ValueError(
                f"unknown session option {name!r}{hint} They are {', '.join(SESSION_OPTIONS)}, and "
                "onnxruntime's config entries, whose names have a dot"
            )
        if not isinstance(value, (str, int, float)):
            raise ValueError(
                f"session option {name}={json.dumps(value)} must be a number, string or switch"
            )
