"""Page: what a report says -> one HTML file that needs nothing else, and the same as JSON.

In: `Facts`. Out: the page's text, below `MAX_BYTES`: where it would be more, fewer pictures are
shown, and the page says how many. Texts of users' are escaped. Fails with `ImportError` without
jinja2.
"""

import dataclasses
import json
import posixpath
from typing import Any, Dict, List, NamedTuple, Optional, Sequence

from ...transforms.pictures.suspect import REASONS
from ..progress.state import clock
from . import charts, spent
from .chosen import Chosen, key_of
from .numbers import Numbers, folder_of
from .retry import Retry
from .thumbnails import Pair

MAX_BYTES = 10_000_000

# Of the page without pictures, at most about.
_TEXT_BYTES = 1_000_000

ODD = "odd"

# What pictures are shown as.
WORST, AT_RANDOM = "worst", "random"

_MEANINGS = {**REASONS, ODD: "its share of foreground is unlike its folder's"}

# Of folders, those with the most failed and suspect pictures.
_FOLDERS = 30


class Facts(NamedTuple):
    """What a report says.

    Attributes:
      output: the folder, without credentials.
      run: the id of its last run.
      seconds: that the last run took; None if the store doesn't say.
      run_total: pictures that the last run had.
      dollars: what it cost; None if that isn't known.
      versions: of packages, as the run noted them.
      licences: of the models, by name.
      numbers: of all rows.
      chosen: rows that are shown.
      retry: what tries failed pictures again; None where none is shown.
    """

    output: str
    run: str
    seconds: Optional[float]
    run_total: int
    dollars: Optional[float]
    versions: Dict[str, str]
    licences: Dict[str, str]
    numbers: Numbers
    chosen: Chosen
    retry: Optional[Retry] = None


class Card(NamedTuple):
    """A picture that is shown.

    Attributes:
      name: of its file.
      folder: that its name lies in, "." for none.
      status: of its row.
      reasons: to doubt its mask.
      foreground: its share.
      msecs: of a thread, for the background.
      size: in pixels.
      pair: before and after.
      groups: what it was chosen as: of `WORST`, `AT_RANDOM`; none of a failure without a mask.
      why: the error's class and message of a failure, else "".
    """

    name: str
    folder: str
    status: str
    reasons: List[str]
    foreground: float
    msecs: int
    size: str
    pair: Pair
    groups: List[str]
    why: str


def shown(chosen: Chosen) -> List[Dict[str, Any]]:
    """The rows whose pictures are shown, each once, the worst first."""
    every = {key_of(row): row for row in [*chosen.at_random, *chosen.worst]}
    worst = [key_of(row) for row in chosen.worst]
    return [every[key] for key in dict.fromkeys([*worst, *every])]


def html(facts: Facts, rows: Sequence[Dict[str, Any]], pairs: Sequence[Pair]) -> str:
    """The page.

    Args:
      facts: what it says.
      rows: whose pictures are shown, as `shown` gives them.
      pairs: their pictures.
    """
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader(__package__ or "", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    groups = _groups(facts.chosen)
    cards = _fitting([_card(row, pair, facts, groups) for row, pair in zip(rows, pairs)])
    failures = [row for every in facts.chosen.failures.values() for row in every]
    failed = [row for row in failures if key_of(row) not in groups]
    return environment.get_template("page.html.j2").render(
        facts=facts,
        numbers=facts.numbers,
        cards=[*cards, *(_card(row, Pair("", ""), facts, groups) for row in failed)],
        chosen={name: sum(name in card.groups for card in cards) for name in (WORST, AT_RANDOM)},
        left_out=len(rows) - len(cards),
        charts=[
            (each, charts.histogram(each, "var(--accent)"))
            for each in facts.numbers.histograms
            if any(each.counts)
        ],
        folders=_folders(facts.numbers),
        parts=[each for each in spent.parts(facts.numbers.steps) if each.seconds],
        pace=spent.pace(facts.numbers.steps),
        meanings=_MEANINGS,
        took=took,
        size=size,
    )


def document(facts: Facts) -> str:
    """The same as JSON."""
    numbers = dataclasses.asdict(facts.numbers)
    steps = facts.numbers.steps
    numbers |= {"steps": steps._asdict(), "pace": spent.pace(steps)}
    numbers["spent"] = {each.name: each.seconds for each in spent.parts(steps)}
    numbers["histograms"] = [each._asdict() for each in facts.numbers.histograms]
    chosen = {
        "worst": [_brief(row) for row in facts.chosen.worst],
        "failures": {
            error: [_brief(row) for row in rows] for error, rows in facts.chosen.failures.items()
        },
    }
    own = {
        name: getattr(facts, name)
        for name in ("output", "run", "seconds", "dollars", "versions", "licences")
    }
    own["retry"] = facts.retry and facts.retry.command
    whole = {**own, "total": facts.numbers.total, **numbers, **chosen}
    return json.dumps(whole, indent=2, ensure_ascii=False)


def took(seconds: float) -> str:
    """
    >>> took(0.4), took(75)
    ('0.4 s', '1:15')
    """
    return f"{seconds:.1f} s" if seconds < 60 else clock(seconds)


def size(count: float) -> str:
    """
    >>> size(812), size(2_400_000)
    ('812 B', '2.4 MB')
    """
    for limit, unit in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if count >= limit:
            return f"{count / limit:.1f} {unit}"
    return f"{count:.0f} B"


def _fitting(cards: List[Card]) -> List[Card]:
    """As many as keep the page below its size; those at random first, as they stand for all."""
    room, fitting = MAX_BYTES - _TEXT_BYTES, 0
    order = sorted(range(len(cards)), key=lambda place: AT_RANDOM not in cards[place].groups)
    for place in order:
        room -= len(cards[place].pair.before) + len(cards[place].pair.after)
        if room < 0:
            break
        fitting += 1
    return [cards[place] for place in sorted(order[:fitting])]


def _groups(chosen: Chosen) -> Dict[str, List[str]]:
    """What each row was chosen as; one that is among both is in both."""
    found: Dict[str, List[str]] = {}
    for group, rows in ((WORST, chosen.worst), (AT_RANDOM, chosen.at_random)):
        for row in rows:
            found.setdefault(key_of(row), []).append(group)
    return found


def _card(row: Dict[str, Any], pair: Pair, facts: Facts, groups: Dict[str, List[str]]) -> Card:
    odd = [ODD] if key_of(row) in facts.chosen.odd else []
    name = row["name"] or posixpath.basename(row["uri"])
    return Card(
        name=posixpath.basename(name),
        folder=folder_of(row["name"], row["uri"]) or ".",
        status=row["status"],
        reasons=[*(row.get("suspect") or []), *odd],
        foreground=row["foreground"] or 0.0,
        msecs=row["remove_msecs"] or 0,
        size=f"{row['width']} x {row['height']}",
        pair=pair,
        groups=groups.get(key_of(row), []),
        why=f"{row['error']}: {row['message']}" if row["error"] else "",
    )


def _folders(numbers: Numbers) -> List[Any]:
    return sorted(numbers.folders, key=lambda each: (-each[2] - each[3], each[0]))[:_FOLDERS]


def _brief(row: Dict[str, Any]) -> Dict[str, Any]:
    names = (
        "uri",
        "name",
        "status",
        "outputs",
        "suspect",
        "foreground",
        "step",
        "error",
        "message",
    )
    return {name: row.get(name) for name in names}
