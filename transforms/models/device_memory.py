"""What onnxruntime says when a card's memory runs out -> `OutOfMemory`.

onnxruntime raises one class for many reasons, so its message tells: that of its allocator, whose
limit `gpu_mem_limit` is, of CUDA, of cuDNN and cuBLAS, which allocate for themselves, of HIP and of
DirectX. An allocator on the CPU says the same. cuDNN and cuBLAS say that they are not
initialized where there is no room for the handle that a second run at once needs.
"""

import re
from typing import Optional

_NO_ROOM = re.compile(
    r"Failed to allocate memory|is smaller than requested bytes|out of memory|OutOfMemory"
    r"|ALLOC(?:ATION)?_FAILED|CU(?:BLAS|DNN)_STATUS_NOT_INITIALIZED|ErrorMemoryAllocation"
    r"|CUDA failure 2:|CUDA error 2\b|8007000E",
    re.IGNORECASE,
)
_ASKED = re.compile(r"requested (?:buffer of size|bytes of) (\d+)")

# Of onnxruntime's message, in ours.
_CHARACTERS = 300


class OutOfMemory(RuntimeError):
    """A run of a graph that the provider has no memory for."""


class told:
    """Raises `OutOfMemory`, in a `with`, in place of an error of onnxruntime's that means it."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: Optional[BaseException], trace: object) -> None:
        if isinstance(error, Exception):
            text = " ".join(str(error).split())
            if _NO_ROOM.search(text):
                raise OutOfMemory(_message(text)) from error


def asked(text: str) -> Optional[int]:
    """The bytes that were asked for at once, where a message of onnxruntime's says so.

    >>> asked("Failed to allocate memory for requested buffer of size 939524096")
    939524096
    """
    found = _ASKED.search(text)
    return int(found[1]) if found else None


def _message(text: str) -> str:
    size = asked(text)
    more = f"{size:,} bytes more" if size is not None else "more memory"
    return (
        f"the model asked its provider for {more} than it has left, for one picture alone: take a "
        "smaller --model, raise the provider's gpu_mem_limit if it has one, or let fewer processes "
        f"share the card. onnxruntime said: {text[-_CHARACTERS:]}"
    )
