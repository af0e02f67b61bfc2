"""Spent: seconds over all rows -> what threads spent them on, and what set the pace.

In: `Seconds`. Out: parts of threads' time that add up, and a sentence. Nothing can fail.

A step has places for twice as many pictures as threads. Where it sets the pace all are taken, and a
picture waits for a thread about as long as one then works on it; so do those of earlier steps,
behind it. Elsewhere a thread is free at once. So the last step in a row at which pictures waited is
the one that set the pace.
"""

from typing import List, NamedTuple, Optional

# That pictures waited for a step which set the pace, at least: of its threads' time, and of that of
# all, since a thread that is free at once takes a moment, too.
_BUSY = 0.5
_SEEN = 0.03


class Seconds(NamedTuple):
    """Over all pictures; those of threads, of their waiting, and until one was free, as columns of
    `Outcome` have them; `untold` are those of `remove` in rows that don't tell the model's."""

    read: float
    remove: float
    write: float
    model: float
    model_waited: float
    memory_waited: float
    read_waited: float
    remove_waited: float
    write_waited: float
    untold: float


class Part(NamedTuple):
    """A part of threads' time: what on, seconds, and their share of it."""

    name: str
    seconds: float
    share: float


_READ, _OWN, _MODEL, _BATCH, _MEMORY, _UNTOLD, _WRITE = (
    "reading",
    "decoding, cutting out, encoding",
    "model",
    "waiting for a batch or the model's turn",
    "waiting for room in memory",
    "model and cutting out, not told apart",
    "writing",
)

_WAYS_OUT = {
    _READ: "Raise --read_threads, or bring the workers near the pictures.",
    _OWN: "More cores help, and outputs that are smaller or quicker to encode.",
    _MODEL: "Faster or more machines or a smaller model help; more threads don't.",
    _BATCH: "Raise --remove_threads, so that batches are full sooner.",
    _MEMORY: "Raise --max_memory, or take machines with more memory.",
    _WRITE: "Raise --write_threads, or bring the workers near the output.",
}


def parts(found: Seconds) -> List[Part]:
    """What threads spent their time on, in the order of a picture's way; the whole is 1.

    >>> [(each.name, each.share) for each in parts(Seconds(1, 8, 1, 5, 1, 0, 0, 9, 0, 0))][::3]
    [('reading', 0.1), ("waiting for a batch or the model's turn", 0.1), ('writing', 0.1)]
    """
    own = found.remove - found.untold - found.model - found.model_waited - found.memory_waited
    every = {
        _READ: found.read,
        _MEMORY: found.memory_waited,
        _OWN: max(own, 0.0),
        _BATCH: found.model_waited,
        _MODEL: found.model,
        _UNTOLD: found.untold,
        _WRITE: found.write,
    }
    whole = sum(every.values()) or 1.0
    return [Part(name, seconds, seconds / whole) for name, seconds in every.items()]


def pace(found: Seconds) -> Optional[str]:
    """What set the pace, and what helps; None where rows don't tell.

    >>> str(pace(Seconds(1, 8, 1, 5, 1, 0, 0, 9, 0, 0)))[:52]
    'Removing backgrounds set the pace, mostly the model.'
    """
    if found.untold or not found.remove:
        return None
    seen = _SEEN * (found.read + found.remove + found.write)
    if found.write_waited > max(_BUSY * found.write, seen):
        return f"Writing set the pace. {_WAYS_OUT[_WRITE]}"
    if found.remove_waited > max(_BUSY * found.remove, seen):
        of_removing = [each for each in parts(found) if each.name not in (_READ, _WRITE)]
        most = max(of_removing, key=lambda each: each.seconds).name
        shown = "the model" if most == _MODEL else most
        return f"Removing backgrounds set the pace, mostly {shown}. {_WAYS_OUT[most]}"
    if found.read_waited > max(_BUSY * found.read, seen):
        return f"Reading set the pace. {_WAYS_OUT[_READ]}"
    return "No step was short of threads: they waited for pictures, not pictures for them."
