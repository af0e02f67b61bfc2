"""Facts: what a row says of its picture -> columns of samples, and of the table beside files.

In: a row, the names of the facts that a data set has, and those of the picture's outputs. Out:
columns and their values, None for what the row doesn't say. Of the row's `transform` each output
that is framed, or has a size, has its own six numbers, `cutout_transform`. `facts_of_folder` fails
with `ValueError`.
"""

import logging
from typing import (
    TYPE_CHECKING,
    Any,
    Collection,
    Dict,
    List,
    Mapping,
    Optional,
    Sequence,
    Set,
    Tuple,
)

from ..pictures import subject
from ..pictures.frames import AS_IT_IS, moved
from ..sources.ours import FACTS, TRANSFORM

if TYPE_CHECKING:
    from ..remove_background import RemoveBackground

# What a table has beside those that were asked for.
_BESIDE = {"foreground": "float", "suspect": "texts"}

# Where there are no nulls: lists that may be empty are JSON, and others keep their lengths.
_WITHOUT_NULLS = {"texts": "text"}
_NONE: Dict[str, Any] = {"text": "", "int": 0, "float": 0.0, "ints": [0] * 4, "floats": [0.0] * 2}

_OTHERS = (
    "the samples in the folder %r have no %s, since the run that made the first ones had none: "
    "those of this run have none either, its rows do"
)
_LACKS = (
    "the samples in the folder {!r} have {}, which this run does not make: give it the settings "
    "that they were made with (facts, suspect, cascade), or an output folder of its own"
)

_log = logging.getLogger(__name__)


def facts_of_run(remove: "RemoveBackground") -> Tuple[str, ...]:
    """The facts that a run is asked for."""
    asked: Set[str] = {*subject.columns(remove.facts or ())}
    if remove.suspicion.suspect:
        asked.add("suspect")
    if remove.cascade.cascade:
        asked.add("cascade")
    transforms = moved(remove.options, remove.postprocessing.framing)
    known = tuple(name for name in FACTS if name in asked)
    return (*known, *(name + TRANSFORM for name in transforms))


def with_own_crops(asked: Sequence[str], parts: Sequence[str]) -> Tuple[str, ...]:
    """The same where pictures may ask for a crop by their own extras, as these parts tell.

    >>> with_own_crops(["box"], [".crop", ".cutout"])
    ('box', 'crop_transform')
    """
    crops = any(part.endswith(".crop") for part in parts)
    return tuple(dict.fromkeys([*asked, *[f"crop{TRANSFORM}"] * crops]))


def facts_of_folder(
    asked: Sequence[str], there: Sequence[Sequence[str]], folder: str
) -> Tuple[str, ...]:
    """The facts of a run's samples: those of the samples that are there, since all have the same.

    Args:
      asked: of the run.
      there: of each shard with samples.
      folder: for people.

    Raises:
      ValueError: for a fact that those samples have and the run does not make.
    """
    if not there:
        return tuple(asked)
    common = set(there[0]).intersection(*there)
    if lacks := sorted(common.difference(asked)):
        raise ValueError(_LACKS.format(folder, ", ".join(lacks)))
    if others := sorted(set(asked) - common):
        _log.warning(_OTHERS, folder, ", ".join(others))
    return tuple(name for name in asked if name in common)


def types(facts: Sequence[str], outputs: Sequence[str], nulls: bool = True) -> Dict[str, str]:
    """The type of each column, by name, as `columns` has types.

    >>> types(["suspect", "crop_transform"], ["mask", "upper_crop"], nulls=False)
    {'suspect': 'text', 'upper_crop_transform': 'floats'}
    """
    found = {name: FACTS[name] for name in facts if name in FACTS}
    if not nulls:
        found = {name: _WITHOUT_NULLS.get(type, type) for name, type in found.items()}
    transforms = {output: output.rpartition("_")[2] + TRANSFORM for output in outputs}
    return found | {o + TRANSFORM: "floats" for o, name in transforms.items() if name in facts}


def none_of(column: str, type: str) -> Any:
    """What stands for null where there are none.

    >>> none_of("box", "ints"), none_of("color", "text"), none_of("crop_transform", "floats")[2:]
    ([0, 0, 0, 0], '', [0.0, 0.0, 0.0, 0.0])
    """
    return [0.0] * 6 if column.endswith(TRANSFORM) else _NONE[type]


def of_row(row: Mapping[str, Any], outputs: Sequence[str]) -> Dict[str, Any]:
    """What a row says, by column.

    Args:
      row: by column; what it lacks is None.
      outputs: the names of the picture's outputs, in the row's order.

    >>> of_row({"area": 7, "transform": [0.5, 0, 0, 0, 0.5, 3]}, ["crop"])["crop_transform"]
    [0.5, 0, 0, 0, 0.5, 3]
    """
    numbers = _in_sixes(row.get("transform"), len(outputs))
    transforms = {name + TRANSFORM: six for name, six in zip(outputs, numbers)}
    return {**{name: row.get(name) for name in FACTS}, **transforms}


def for_table(row: Mapping[str, Any], outputs: Sequence[str]) -> Dict[str, Any]:
    """The same for a table, without nulls."""
    found = of_row(row, outputs if row.get("transform") else ())
    found["foreground"] = row.get("foreground")
    return {name: value for name, value in found.items() if value is not None}


def asked_for(told: Mapping[str, Any]) -> Set[str]:
    """Of what a row says for a table what it may have been asked for: no transform that is none.

    >>> sorted(asked_for({"area": 7, "mask_transform": [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]}))
    ['area']
    """
    return {name for name, value in told.items() if value != AS_IT_IS}


def of_table(asked: Collection[str]) -> Dict[str, str]:
    """The type of each column of a table, by name.

    >>> of_table({"area", "suspect", "foreground", "crop_transform"})
    {'foreground': 'float', 'suspect': 'texts', 'area': 'int', 'crop_transform': 'floats'}
    >>> of_table({"suspect", "foreground"})
    {}
    """
    found = {name: type for name, type in FACTS.items() if name in asked and name not in _BESIDE}
    beside = {name: type for name, type in _BESIDE.items() if found and name in asked}
    transforms = {name: "floats" for name in sorted(asked) if name.endswith(TRANSFORM)}
    return {**beside, **found, **transforms}


def _in_sixes(numbers: Optional[Sequence[float]], outputs: int) -> List[List[float]]:
    """Six numbers of each output, also of a picture none of whose outputs was framed."""
    every = list(numbers or AS_IT_IS * outputs)
    return [every[at : at + 6] for at in range(0, len(every), 6)]
