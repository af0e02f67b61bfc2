"""Two emulated NVIDIA GPUs, for the tests marked `gpu` where there is none.

onnxruntime lists CUDA and TensorRT, computes on the CPU and says that they did. As on a card,
numbers are rounded on their way through (to 14 bits; TF32 has 10), a third device is refused in
CUDA's words, and so is a run that needs more than `gpu_mem_limit`.
"""

import contextlib
from typing import Any, Dict, Iterator, List, NamedTuple, Sequence, Tuple, Union

import numpy as np
import onnxruntime
import pytest
from onnxruntime.capi.onnxruntime_pybind11_state import RuntimeException

CPU = "CPUExecutionProvider"
EMULATED = ("TensorrtExecutionProvider", "CUDAExecutionProvider")
DEVICES = 2

# Of a graph's run, for each byte of its inputs.
BYTES = 40

DROPPED_BITS = 9

Given = Union[str, Tuple[str, Dict[str, Any]]]


@contextlib.contextmanager
def emulated() -> Iterator[None]:
    """The card, as long as this lasts."""
    listed = [*EMULATED, *onnxruntime.get_available_providers()]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(onnxruntime, "InferenceSession", EmulatedSession)
        patch.setattr(onnxruntime, "get_available_providers", lambda: listed)
        yield


class Nodes(NamedTuple):
    """As much of onnxruntime's `EpAssignedSubgraph` as is looked at."""

    ep_name: str
    nodes: List[Any]

    def get_nodes(self) -> List[Any]:
        return self.nodes


class EmulatedSession(onnxruntime.InferenceSession):
    """An `onnxruntime.InferenceSession` on the card, if that is the provider asked for."""

    def __init__(
        self,
        path: str,
        sess_options: Any = None,
        providers: Sequence[Given] = (CPU,),
        **more: Any,
    ) -> None:
        first = providers[0]
        self.on, self.options = (first, {}) if isinstance(first, str) else first
        if self.on in EMULATED and int(self.options.get("device_id", 0)) >= DEVICES:
            if not more.get("enable_fallback", 1):
                raise RuntimeError("CUDA failure 101: invalid device ordinal ; GPU=0 ; expr=cuda")
            self.on = CPU
        super().__init__(path, sess_options, providers=[CPU])

    def get_providers(self) -> List[str]:
        return list(dict.fromkeys([self.on, CPU]))

    def get_provider_graph_assignment_info(self) -> List[Nodes]:
        found = super().get_provider_graph_assignment_info()
        return [Nodes(self.on, list(subgraph.get_nodes())) for subgraph in found]

    def run(self, names: Any, feeds: Any, options: Any = None) -> Any:
        if self.on not in EMULATED:
            return super().run(names, feeds, options)
        needed = BYTES * sum(value.nbytes for value in feeds.values())
        if needed > int(self.options.get("gpu_mem_limit", needed)):
            raise RuntimeException(
                "[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : Non-zero status code returned while "
                "running Conv node. Name:'Conv_0' Status Message: bfc_arena.cc:376 "
                f"Failed to allocate memory for requested buffer of size {needed}"
            )
        return super().run(names, {name: _rounded(value) for name, value in feeds.items()}, options)


def _rounded(values: Any) -> Any:
    """float32 with fewer bits in its mantissa; others as they are."""
    if values.dtype != np.float32:
        return values
    half = np.uint32(1 << (DROPPED_BITS - 1))
    bits = (np.ascontiguousarray(values).view(np.uint32) + half) >> DROPPED_BITS << DROPPED_BITS
    return bits.astype(np.uint32).view(np.float32)
