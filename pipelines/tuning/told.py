"""Told: trials -> lines for people, and a settings file.

In: trials, and what won. Out: text. Nothing can fail.
"""

from typing import Any, Dict, Mapping

import yaml

from .arms import MODE
from .search import Change, Trial, merged

_WIDTH = 54


def line(trial: Trial) -> str:
    """A row of the table.

    >>> from .interval import Ratio
    >>> line(Trial({"remove_threads": 4}, Ratio(1.1, 1.08, 1.12, 5), "taken"))
    'remove_threads=4 ... 1.10 (1.08 to 1.12)    5 rounds  taken'
    """
    what = shown(trial.change) or "all that was taken, against the settings as they were"
    if trial.error:
        return f"{what:{_WIDTH}}  {trial.verdict}: {' '.join(trial.error.split())[:200]}"
    if trial.ratio is None:
        return f"{what:{_WIDTH}}  {'too few rounds':33}  {trial.verdict}"
    rounds = f"{trial.ratio.rounds:3} rounds"
    return f"{what:{_WIDTH}}  {trial.ratio!s:20} {rounds}  {trial.verdict}"


def shown(change: Change) -> str:
    """A change, as short as can be.

    >>> shown({"session_option": {"intra_op_num_threads": 2}, "remove_threads": 3})
    'intra_op_num_threads=2, remove_threads=3'
    """
    found: Dict[str, Any] = {}
    for name, value in change.items():
        found |= value if isinstance(value, dict) else {name: value}
    found.pop(MODE, None)  # which goes without saying
    return ", ".join(f"{name}={value}" for name, value in found.items())


def settings_file(won: Change, kept: Mapping[str, Any], comment: str) -> str:
    """A YAML file of what won, on top of what a file said before."""
    document = merged(kept, won)
    head = f"# {comment}\n" if comment else ""
    return head + (yaml.safe_dump(document, sort_keys=False) if document else "")
