"""Factors: what is known of a run on this machine -> the changes of its settings that are tried.

In: `Known`. Out: changes, in the order they are tried, and what is left out, with the reason. What
the user sets is left as it is; so is what changes pixels by more than batches may, such as the
precision. Nothing can fail.
"""

import math
from typing import Any, Collection, Dict, Iterator, List, NamedTuple, Tuple

from ...transforms.models.providers import CPU
from .arms import BEAM, MODE, WORKERS
from .search import Change

# Of a process's memory, what its like may take of what is free.
MEMORY_SHARE = 0.7

# Beside what reading takes of all threads' time, it is no factor.
READ_SHARE = 0.1

MOST_IN_A_BATCH = 64

# By onnxruntime's name of a provider, options of its own, one after the other.
_PROVIDER_OPTIONS: Dict[str, Tuple[Dict[str, Any], ...]] = {
    "CUDAExecutionProvider": ({"cudnn_conv_algo_search": "EXHAUSTIVE"},),
    "OpenVINOExecutionProvider": ({"num_streams": "2"}, {"num_streams": "4"}),
}


class Known(NamedTuple):
    """What decides what is tried.

    Attributes:
      given: names of settings, and of Beam's options, that the user set.
      cores: that this process may use.
      threads: pictures in work at once.
      batch: pictures that the model runs at once at most.
      provider: onnxruntime's name of the one that is asked for first.
      has_options: whether the user gave it options of its own.
      read_threads: files read at once.
      read_share: of the time that pictures take, what reading holds up: its seconds, by its
        threads, of a picture's seconds at the rate that was seen.
      copies: processes for whose like there is memory.
      is_here: whether the run would run on this machine.
    """

    given: Collection[str]
    cores: int
    threads: int
    batch: int
    provider: str
    has_options: bool
    read_threads: int
    read_share: float
    copies: int
    is_here: bool


class Plan(NamedTuple):
    """What is tried, and of what is not, a line each."""

    changes: List[Change]
    left_out: List[str]


def plan(known: Known) -> Plan:
    """What is tried, in order."""
    found = Plan([], ["write_threads: nothing is written here"])
    for name, changes, why_not in _factors(known):
        if name in known.given:
            found.left_out.append(f"{name}: it is set")
        elif changes:
            found.changes.extend(changes)
        else:
            found.left_out.append(f"{name}: {why_not}")
    return found


def _factors(known: Known) -> Iterator[Tuple[str, List[Change], str]]:
    """Each setting with its changes, or why there are none."""
    yield "remove_threads", [{"remove_threads": n} for n in _around(known.threads)], ""
    name, why_not = "session_option", "it has no factors but on the CPU"
    yield name, _session_options(known) if known.provider == CPU.name else [], why_not
    yield "max_batch_size", _batches(known), "no other size"
    waits: List[Change] = [{"max_batch_wait_msecs": each} for each in (1.0, 20.0)]
    why_not = "pictures run one by one"
    yield "max_batch_wait_msecs", waits if known.batch > 1 else [], why_not
    yield "provider", _provider_options(known), "no options of it are known to matter"
    more = [{"read_threads": known.read_threads * 4}] if known.read_share > READ_SHARE else []
    why_not = f"reading holds up {known.read_share:.1%} of a picture's time"
    yield "read_threads", list(more), why_not
    yield WORKERS, *_processes(known)


def _around(number: int) -> List[int]:
    """Half as many, half as many more, twice as many.

    >>> _around(1), _around(2), _around(16)
    ([2], [1, 3, 4], [8, 24, 32])
    """
    half = max(number // 2, 1)
    return sorted({half, number + half, 2 * number} - {number})


def _session_options(known: Known) -> List[Change]:
    """Several threads for each picture, and fewer pictures at once; and what takes memory."""
    each = sorted({2, 4, known.cores} & set(range(2, known.cores + 1)))
    within: List[Change] = [
        {
            "session_option": {"intra_op_num_threads": n},
            "remove_threads": math.ceil(known.cores / n) + 1,
        }
        for n in each
        if "remove_threads" not in known.given
    ]
    return [*within, {"session_option": {"enable_mem_pattern": True}}]


def _batches(known: Known) -> List[Change]:
    if known.batch == 1:
        return [{"max_batch_size": 4}] if known.provider == CPU.name else []
    sizes = {known.batch // 2, min(known.batch * 2, MOST_IN_A_BATCH)} - {known.batch}
    return [{"max_batch_size": size} for size in sorted(sizes)]


def _provider_options(known: Known) -> List[Change]:
    if known.has_options:
        return []
    options = _PROVIDER_OPTIONS.get(known.provider, ())
    return [{"provider": [{known.provider: each}]} for each in options]


def _processes(known: Known) -> Tuple[List[Change], str]:
    if not known.is_here:
        return [], "the runner starts its own"
    most = known.cores if known.provider == CPU.name else 2
    numbers = sorted({2, most} & set(range(2, known.cores + 1)))
    fit = [number for number in numbers if number <= known.copies]
    threads = {} if "remove_threads" in known.given else {"remove_threads"}
    changes: List[Change] = [
        {
            BEAM: {MODE: "multi_processing", WORKERS: number},
            **{name: math.ceil(known.threads / number) for name in threads},
        }
        for number in fit
    ]
    return changes, "there is no memory for two" if numbers else "there is one core"
