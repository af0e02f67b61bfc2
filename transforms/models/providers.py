"""The execution providers: the names people use, onnxruntime's own, and what to install.

`find` takes either name in any case and raises `ValueError` for one that is neither.
"""

import difflib
from typing import NamedTuple, Tuple


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
    Provider(
        "ROCM",
        "ROCMExecutionProvider",
        "onnxruntime-rocm (up to onnxruntime 1.22)",
        "Linux; AMD",
    ),
    Provider("DirectML", "DmlExecutionProvider", "onnxruntime-directml", "Windows"),
    Provider("OpenVINO", "OpenVINOExecutionProvider", "rembg-beam[openvino]", "Linux, Windows"),
    Provider("CoreML", "CoreMLExecutionProvider", "rembg-beam[cpu]", "macOS"),
    Provider(
        "Tensorrt",
        "TensorrtExecutionProvider",
        "rembg-beam[gpu] and TensorRT",
        "Linux, Windows; NVIDIA",
    ),
    Provider("Azure", "AzureExecutionProvider", "rembg-beam[cpu]", "everywhere"),
    Provider("MIGraphX", "MIGraphXExecutionProvider", "onnxruntime-migraphx", "Linux; AMD"),
)

CPU = PROVIDERS[0]

_BY_NAME = {
    name.lower(): provider for provider in PROVIDERS for name in (provider.label, provider.name)
}


def find(name: str) -> Provider:
    """The provider of a name, in any case.

    >>> find("directml").name
    'DmlExecutionProvider'
    """
    key = name.strip().lower()
    if key in _BY_NAME:
        return _BY_NAME[key]
    near = difflib.get_close_matches(key, _BY_NAME, n=1)
    hint = f"; did you mean {_BY_NAME[near[0]].label!r}?" if near else "."
    labels = ", ".join(provider.label for provider in PROVIDERS)
    raise ValueError(f"unknown provider {name!r}{hint} The providers are: {labels}")
