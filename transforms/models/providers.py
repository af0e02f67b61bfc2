"""The execution providers: the names people use, onnxruntime's own, and what to install.

`find` takes either name in any case and raises `ValueError` for one that is neither.
`side_by_side` tells of several flavours of onnxruntime in one environment, which overwrite each
other's files: the classic cause of a GPU job on the CPU.
"""

import importlib.metadata
from typing import List, NamedTuple, Tuple

from ..setting import did_you_mean


class Provider(NamedTuple):
    """One row of the table.

    Attributes:
      label: the short name, as `--provider` takes it.
      name: onnxruntime's name of the execution provider.
      package: what to install for it.
      platform: where that package exists.
    """

    label: str
    name: str
    package: str
    platform: str


PROVIDERS: Tuple[Provider, ...] = (
    Provider("CPU", "CPUExecutionProvider", "rembg-beam[cpu]", "everywhere"),
    Provider("CUDA", "CUDAExecutionProvider", "rembg-beam[gpu]", "Linux, Windows; NVIDIA"),
    Provider("DirectML", "DmlExecutionProvider", "onnxruntime-directml", "Windows"),
    Provider("OpenVINO", "OpenVINOExecutionProvider", "rembg-beam[openvino]", "Linux, Windows"),
    Provider("CoreML", "CoreMLExecutionProvider", "rembg-beam[cpu]", "macOS"),
    Provider(
        "Tensorrt",
        "TensorrtExecutionProvider",
        "rembg-beam[tensorrt]",
        "Linux, Windows; NVIDIA",
    ),
    Provider("Azure", "AzureExecutionProvider", "rembg-beam[cpu]", "everywhere"),
    Provider("MIGraphX", "MIGraphXExecutionProvider", "onnxruntime-migraphx", "Linux; AMD"),
)

CPU = PROVIDERS[0]

# Names of providers that onnxruntime dropped (ROCm: in 1.23), and of those that took over.
ALIASES = {"rocm": "migraphx", "rocmexecutionprovider": "migraphx"}

# GPUs, which a single picture does not fill.
BATCHING = (
    *("CUDAExecutionProvider", "TensorrtExecutionProvider", "DmlExecutionProvider"),
    "MIGraphXExecutionProvider",
)

FLAVOURS = (
    "onnxruntime",
    "onnxruntime-gpu",
    "onnxruntime-openvino",
    "onnxruntime-directml",
    "onnxruntime-rocm",
    "onnxruntime-migraphx",
    "onnxruntime-qnn",
    "onnxruntime-silicon",
)

_BY_NAME = {
    name.lower(): provider for provider in PROVIDERS for name in (provider.label, provider.name)
}


def find(name: str) -> Provider:
    """The provider of a name, in any case.

    >>> find("directml").name
    'DmlExecutionProvider'
    """
    key = name.strip().lower()
    key = ALIASES.get(key, key)
    if key in _BY_NAME:
        return _BY_NAME[key]
    hint = did_you_mean(key, _BY_NAME, shown=lambda near: repr(_BY_NAME[near].label))
    labels = ", ".join(provider.label for provider in PROVIDERS)
    raise ValueError(f"unknown provider {name!r}{hint} The providers are: {labels}")


def installed() -> List[str]:
    """The flavours of onnxruntime that this environment has, with their versions."""
    found = []
    for flavour in FLAVOURS:
        try:
            found.append(f"{flavour} {importlib.metadata.version(flavour)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def side_by_side() -> List[str]:
    """A warning if there are several, else nothing."""
    found = installed()
    if len(found) < 2:
        return []
    return [
        f"{' and '.join(found)} are installed side by side; they share their files, and the one "
        "installed last may have taken the other's providers away: uninstall all, then install one"
    ]
