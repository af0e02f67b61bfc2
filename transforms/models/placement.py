"""A session whose graph's nodes, as is proved, sit on the execution provider asked for.

In: a configuration and a model's files. Out: `Placed`, or `ProviderNotInUse` when onnxruntime would
run the model elsewhere than asked.

`InferenceSession.get_providers()` lists what was registered, not what does the work: the plain
wheel names Azure while every node is on the CPU. onnxruntime (1.24 or later) records which
provider each node was assigned to, if `rembg_session.RECORD` says so; `assignment` counts
them. Shape arithmetic is best left on the CPU and proves nothing; a convolution or a matrix product
there is the GPU job that runs on the CPU.
"""

import contextlib
import os
import re
import tempfile
from collections import Counter
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Tuple

from . import libraries, providers, rembg_session
from .config import SessionConfig

# Where nearly all of a network's arithmetic is.
HEAVY = frozenset(
    [
        *("Conv", "ConvTranspose", "ConvInteger", "FusedConv", "NhwcConv", "NhwcFusedConv"),
        *("QLinearConv", "DeformConv", "MatMul", "FusedMatMul", "MatMulInteger", "QLinearMatMul"),
        *("MatMulNBits", "Gemm", "FusedGemm", "QGemm", "Einsum", "Attention", "MultiHeadAttention"),
        *("LSTM", "GRU", "RNN"),
    ]
)

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")

# Of a line of onnxruntime's log: when, how grave, which logger and where.
_PREFIX = re.compile(r"^\S+ \S+ \[[VIWEF]:onnxruntime:[^\]]*\] ")


class ProviderNotInUse(RuntimeError):
    """The model would run on another execution provider than the one asked for."""


class Placed(NamedTuple):
    """A session that runs where it was asked to.

    Attributes:
      session: rembg's; for ViTMatte, onnxruntime's.
      provider: onnxruntime's name of the execution provider that does the work.
      share: the part of the graph's nodes that the providers asked for have, 0 to 1.
    """

    session: Any
    provider: str
    share: float


class Assignment(NamedTuple):
    """How many nodes each provider was given, by onnxruntime's names.

    Attributes:
      nodes: all of them.
      heavy: those of them that are in `HEAVY`.
    """

    nodes: Dict[str, int]
    heavy: Dict[str, int]

    @property
    def provider(self) -> str:
        """The one that does the work."""
        counts = self.heavy or self.nodes
        return max(counts, key=lambda name: counts[name])

    def share(self, names: Tuple[str, ...]) -> float:
        """The part of all nodes that these providers have, 0 to 1."""
        total = sum(self.nodes.values())
        return sum(self.nodes.get(name, 0) for name in names) / total if total else 0.0

    def strays(self, names: Tuple[str, ...]) -> int:
        """Heavy nodes on other providers than these."""
        return sum(count for name, count in self.heavy.items() if name not in names)


def place(config: SessionConfig, paths: Tuple[str, ...]) -> Placed:
    """A new session of a model's files."""
    import onnxruntime

    wanted = config.wanted_names
    if not set(wanted) & set(onnxruntime.get_available_providers()):
        raise _not_in_use(config, paths[0], "none of them")
    libraries.load(wanted)
    session = rembg_session.new_session(config, paths)
    counted = []
    for inner, path in zip(rembg_session.inner_sessions(session), paths, strict=True):
        inner.disable_fallback()
        counted.append(assignment(inner))
        if not is_in_use(counted[-1], wanted):
            raise _not_in_use(config, path, _shown(counted[-1]))
    return Placed(session, counted[0].provider, min(each.share(wanted) for each in counted))


def assignment(inner: Any) -> Assignment:
    """The nodes of an `onnxruntime.InferenceSession` that was made with `rembg_session.RECORD`."""
    nodes: Counter[str] = Counter()
    heavy: Counter[str] = Counter()
    for subgraph in inner.get_provider_graph_assignment_info():
        for node in subgraph.get_nodes():
            nodes[subgraph.ep_name] += 1
            heavy[subgraph.ep_name] += node.op_type in HEAVY
    return Assignment(dict(nodes), dict(+heavy))


def is_in_use(counted: Assignment, names: Tuple[str, ...]) -> bool:
    """Whether these providers have nodes, and all the heavy ones."""
    return counted.share(names) > 0 and counted.strays(names) == 0


def _not_in_use(config: SessionConfig, path: str, in_use: str) -> ProviderNotInUse:
    wanted = [providers.find(name) for name in config.provider_names]
    options = dict(config.provider[0][1])
    asked = ", ".join(f"{provider.label} ({provider.name})" for provider in wanted)
    asked += "".join(f" {name}={value}" for name, value in options.items())
    reason = _why(path, wanted[0].name, options) or "onnxruntime gave it no such node"
    return ProviderNotInUse(
        f"model {config.model!r} was asked to run on {asked}; in use: {in_use}. Why: {reason}. "
        f"{wanted[0].label} needs `pip install '{wanted[0].package}'` on the worker "
        f"({wanted[0].platform}), without another onnxruntime beside it; provider_fallback='cpu' "
        "(--provider_fallback cpu) would let it run on the CPU"
    )


def _shown(counted: Assignment) -> str:
    each = (
        f"{name} with {count} nodes, {counted.heavy.get(name, 0)} of them heavy"
        for name, count in sorted(counted.nodes.items())
    )
    return "; ".join(each)


def _why(path: str, name: str, options: Dict[str, Any]) -> Optional[str]:
    """What onnxruntime says when it is given one provider and no way out; None if nothing."""
    import onnxruntime

    if name not in onnxruntime.get_available_providers():
        listed = ", ".join(onnxruntime.get_available_providers())
        return f"onnxruntime {onnxruntime.__version__} as installed here lists only {listed}"
    if lacking := libraries.without_driver(name):
        return lacking
    chatty = onnxruntime.SessionOptions()
    chatty.log_severity_level = 2
    raised = []
    with _captured_stderr() as lines:
        try:
            onnxruntime.InferenceSession(path, chatty, [(name, options)], enable_fallback=0)
        except Exception as error:
            raised.append(str(error))
    # An error of the log names the library that was not found; what is raised may not.
    errors = [line for line in lines if "[E:onnxruntime" in line]
    said = [*errors, *raised, *lines[-1:]]
    return plain(said[0]) if said else None


def plain(text: str) -> str:
    """What onnxruntime wrote for a terminal, as a sentence's part: in one line, without colours.

    >>> plain("\\x1b[0;93m2026-11-28 10:57 [W:onnxruntime:, a.cc:1 F] no such\\n library\\x1b[m")
    'no such library'
    """
    text = " ".join(_COLOUR.sub("", text).split())
    return _PREFIX.sub("", text)


@contextlib.contextmanager
def _captured_stderr() -> Iterator[List[str]]:
    """The lines that C++ writes to file descriptor 2; for the moment of a failure only."""
    lines: List[str] = []
    saved = os.dup(2)
    with tempfile.TemporaryFile() as file:
        os.dup2(file.fileno(), 2)
        try:
            yield lines
        finally:
            os.dup2(saved, 2)
            os.close(saved)
            file.seek(0)
            text = file.read().decode("utf-8", "replace")
            lines += [line for line in text.splitlines() if plain(line)]
