"""What onnxruntime says when a device is lost to this process -> `DeviceLost`.

After an error in a kernel or of the hardware every further call of CUDA's in the process fails,
whatever it is asked for: it "must be terminated and relaunched", as CUDA's list of errors has it.
HIP has CUDA's numbers; DirectX says that the device was removed, hangs or was reset.
"""

import re

_LOST = re.compile(
    r"\b(?:CUDA|HIP) (?:failure|error):? (?:46|214|220|226|70[029]|71[04-9]|721|80[5-9]|810|999)\b"
    r"|illegal memory access|unspecified launch failure|device-side assert|887A000[567]"
    r"|(?:cuda|hip)Error(?:IllegalAddress|Launch(?:Failure|Timeout|TimeOut)|Assert|ECC\w+)",
    re.IGNORECASE,
)

# Of onnxruntime's message, in ours.
_CHARACTERS = 300


class DeviceLost(RuntimeError):
    """This process can run no model on its device any more; another one may."""


def is_meant(error: Exception) -> bool:
    """Whether an error of onnxruntime's means it.

    >>> is_meant(RuntimeError("CUDA failure 700: an illegal memory access was encountered"))
    True
    >>> is_meant(RuntimeError("CUDA failure 2: out of memory"))
    False
    """
    return bool(_LOST.search(str(error)))


def check(error: Exception, name: str) -> None:
    """Raises `DeviceLost` in place of an error that means it; `name` is the picture's."""
    if not is_meant(error):
        return
    text = " ".join(str(error).split())
    raise DeviceLost(
        f"the GPU is lost to this process, which can do no more pictures; it was at "
        f"{name}. If it ends so again there, leave that picture out, or try another driver or "
        f"--provider. onnxruntime said: {text[:_CHARACTERS]}"
    ) from error
