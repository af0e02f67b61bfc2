"""Resume: what the settings, the listing and the rows say of a picture -> what a run does with it.

In: files of the output folder, and rows of earlier runs. Out: the action of the one rule of `RULES`
that holds; `docs/resuming.md` shows the same table. Nothing is read or written, but that links in
local paths are followed; nothing can fail.
"""

import enum
import itertools
import os
from typing import Iterator, List, NamedTuple, Optional, Sequence, Union

from .. import strict_json
from ..elements import Facts, Source
from ..store import uris
from ..store.listed import Listed


class OutputFile(NamedTuple):
    """A file in the output folder.

    Attributes:
      part: which part of a picture it is: what its name has behind the picture's.
      uri: where it lies.
      size: in bytes.
      modified: when it was written, by the store's clock; None if the store doesn't say.
    """

    part: str
    uri: str
    size: int
    modified: Optional[float]


class EarlierRow(NamedTuple):
    """What a run's row says of a picture.

    Attributes:
      run_id: of the run; sorts by time.
      at: when the row was written, by the store's clock; None if the store doesn't say.
      uri, extras: of the picture.
      error: the failure's class, None if it didn't fail.
      written: whether the run wrote its outputs.
      empty: whether there were none to write, since the mask was empty.
      facts: of its outputs, None if it had none.
    """

    run_id: str
    at: Optional[float]
    uri: str
    extras: str
    error: Optional[str]
    written: bool
    empty: bool
    facts: Optional[Facts]


class Action(enum.Enum):
    WRITE = "write it"
    SKIP = "skip it: it is done"
    FAIL_EXISTS = "fail it: its output is there"
    FAIL_ANOTHERS = "fail it: its output is another picture's"
    REFUSE_RUN = "refuse the run"


class Case(NamedTuple):
    """What decides.

    Attributes:
      settings: "other" if the folder was made with other settings than the run's, else "same".
      on_existing: of the run.
      files: how many of the picture's files are there.
      failed_last: whether its last row is a failure, or an empty mask.
      anothers: whether the last row of what was written there is another picture's, or has other
        extras.
    """

    settings: str
    on_existing: str
    files: str = "none"
    failed_last: str = "no"
    anothers: str = "no"


ON_EXISTING = ("skip", "overwrite", "fail")

# Of the columns of a `Case`.
VALUES = (("same", "other"), ON_EXISTING, ("none", "some", "all"), ("no", "yes"), ("no", "yes"))


class Rule(NamedTuple):
    """Values of each column of a `Case`, separated by commas, or any; and what is done then."""

    settings: str
    on_existing: str
    files: str
    failed_last: str
    anothers: str
    action: Action

    def cases(self) -> Iterator[Case]:
        """The cases that it holds for."""
        cells = [
            every if cell == "any" else cell.split(", ") for cell, every in zip(self[:-1], VALUES)
        ]
        return itertools.starmap(Case, itertools.product(*cells))


# For each case there is one rule.
RULES = (
    Rule("other", "skip, fail", "any", "any", "any", Action.REFUSE_RUN),
    Rule("any", "overwrite", "any", "any", "any", Action.WRITE),
    Rule("same", "fail", "none, some", "any", "any", Action.WRITE),
    Rule("same", "fail", "all", "any", "any", Action.FAIL_EXISTS),
    Rule("same", "skip", "none", "any", "any", Action.WRITE),
    Rule("same", "skip", "some, all", "yes", "any", Action.WRITE),
    Rule("same", "skip", "some, all", "no", "yes", Action.FAIL_ANOTHERS),
    Rule("same", "skip", "some", "no", "no", Action.WRITE),
    Rule("same", "skip", "all", "no", "no", Action.SKIP),
)

_ACTIONS = {case: rule.action for rule in RULES for case in rule.cases()}


def decide(case: Case) -> Action:
    """What the table says.

    >>> decide(Case("same", "skip", "all"))
    <Action.SKIP: 'skip it: it is done'>
    """
    return _ACTIONS[case]


class Decision(NamedTuple):
    """What is done, which files are there, and how another picture's differ from this one's."""

    action: Action
    files: List[OutputFile]
    difference: Optional[str]


def of_picture(
    source: Source,
    parts: Sequence[str],
    files: Sequence[OutputFile],
    rows: Sequence[EarlierRow],
    on_existing: str,
    since: Optional[float],
) -> Decision:
    """What a run does with a picture, in a folder that it was not refused.

    Args:
      source: the picture.
      parts: that its output has.
      files: of its output's name.
      rows: of its output's name, those left out that changed nothing there.
      on_existing: of the run.
      since: older files were made with other settings; None if none were.
    """
    if on_existing != "fail":
        files = [file for file in files if counts(file, since)]
    file_of = {file.part: file for file in files}
    found = [file_of[part] for part in parts if part in file_of]
    telling = _telling(rows, found) if found else []
    last = telling[-1] if telling else None
    failed_last = bool(last and not last.written and not difference(source, last))
    made = next((row for row in reversed(telling) if row.written), None)
    differs = difference(source, made) if made else None
    case = Case(
        "same",
        on_existing,
        files="none" if not found else "all" if len(found) == len(parts) else "some",
        failed_last="yes" if failed_last else "no",
        anothers="yes" if differs else "no",
    )
    return Decision(decide(case), found, differs)


def counts(file: Union[OutputFile, Listed], since: Optional[float]) -> bool:
    """Whether a run with these settings may have written the file."""
    if since is None or not file.size:
        return file.size > 0
    return file.modified is not None and file.modified > since


def _telling(rows: Sequence[EarlierRow], found: Sequence[OutputFile]) -> List[EarlierRow]:
    """The rows that may tell what made these files, the newest last.

    No file is newer than its row; and that a run found it done says nothing of who made it.
    """
    newest = max(file.modified or 0 for file in found)
    telling = [row for row in rows if row.at is None or newest <= row.at]
    telling = [row for row in telling if row.written or row.error or row.empty]
    return sorted(telling, key=lambda row: (row.run_id, row.at or 0))


def difference(source: Source, row: Union[EarlierRow, Source]) -> Optional[str]:
    """In what the picture of a row differs from this one; None if they are the same."""
    if source.uri != row.uri and _canonical(source.uri) != _canonical(row.uri):
        return f"was made of {row.uri!r}"
    if source.extras != row.extras and _parsed(source.extras) != _parsed(row.extras):
        return f"was made with the extras {row.extras}"
    return None


def _parsed(extras: str) -> object:
    try:
        return strict_json.loads(extras)
    except ValueError:  # the step that reads them will say so
        return extras


def _canonical(uri: str) -> str:
    shown = uris.without_secrets(uri)
    if not uris.is_local(shown):
        return shown
    try:
        return os.path.realpath(uris.local_path(shown))
    except ValueError:  # of another host; the step that reads it will say so
        return shown
