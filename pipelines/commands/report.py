"""The command `rembg-beam report`: what became of an output folder's pictures, on one page.

In: an output folder on any storage. Out: an HTML file that needs nothing else, and beside it the
same as JSON; on stdout where they are, and the numbers in a line. The exit status is 1 where a
`--fail_if` holds. Fails where there are no rows, the file can't be written, or credentials are
needed and there are none.
"""

import argparse
import importlib.util
import math
import os
import posixpath
from typing import Any, Dict, Optional, Sequence, TextIO

from apache_beam.options.pipeline_options import PipelineOptions

from ...transforms.folder import earlier, summary
from ...transforms.models import catalogue
from ...transforms.store import stores, uris
from .. import access, logs, runners
from ..preflight import credentials
from ..report import chosen, limits, page, retry, rows, thumbnails
from ..report.numbers import Gathered, Numbers
from ..report.page import Facts
from ..settings import Settings
from ..status import FAILED_RUN, OK, UsageError


def show(namespace: argparse.Namespace, stdout: TextIO) -> int:
    """Writes the report of a folder; returns the exit status."""
    logs.to_stderr()
    _require("jinja2", "pygal")
    asked = [limits.parse(text) for text in namespace.fail_if or []]
    to, price = namespace.to, namespace.dollars_per_hour
    _check_to(to)
    if price is not None and not 0 <= price < math.inf:
        raise UsageError(f"--dollars_per_hour {price}: it must be 0 or more")
    options = PipelineOptions(["--no_auth"] if namespace.no_auth else [])
    access.prepare(runners.HERE, options, Settings(input=[to], output=namespace.output))
    facts = _facts(namespace.output, price)
    shown = page.shown(facts.chosen)
    small = thumbnails.pairs(shown, _closed(options, shown))
    _write(to, page.html(facts, shown, small), "text/html")
    beside = f"{posixpath.splitext(to)[0]}.json"
    _write(beside, page.document(facts), "application/json")
    print(_line(facts.numbers), file=stdout)
    print(f"report: {uris.without_secrets(to)} and {uris.without_secrets(beside)}", file=stdout)
    broken = [said for limit in asked if (said := limits.broken(limit, facts.numbers))]
    for said in broken:
        logs.say(f"--fail_if {said}")
    return FAILED_RUN if broken else OK


def _check_to(to: str) -> None:
    if to.endswith(".json"):
        raise UsageError(
            f"--to {to!r}: that is the page, and JSON will lie beside it; end it in .html"
        )
    if not posixpath.basename(to) or os.path.isdir(to):
        raise UsageError(f"--to {to!r} is no file: name the page, such as report.html")


def _closed(options: PipelineOptions, shown: Sequence[Dict[str, Any]]) -> Dict[str, str]:
    """Schemes that this machine has no access to, and why: Beam would try for minutes."""
    try:
        credentials.check(runners.HERE, options, Settings(input=[row["uri"] for row in shown]))
    except UsageError as error:
        logs.say(f"pictures are left out: {error}")
        return {"gs": "not read: this machine has no credentials of Google Cloud"}
    return {}


def _facts(output: str, dollars_per_hour: Optional[float]) -> Facts:
    gathered, failures = Gathered(), chosen.Failures()
    for batch in rows.last(output):
        gathered.add(batch)
        failures.add(batch)
    kept = gathered.kept()
    numbers = gathered.numbers(kept)
    run = max(each.run_id for each in earlier.manifests(output))
    seconds = summary.seconds(output, run)
    shown = chosen.choose(kept, failures)
    failed = next(iter(shown.failures.values()), [])
    priced = seconds is not None and dollars_per_hour is not None
    return Facts(
        output=uris.without_secrets(output),
        run=run,
        seconds=seconds,
        run_total=_total(output, run),
        dollars=seconds * dollars_per_hour / 3600 if priced else None,  # type: ignore[operator]
        versions=summary.versions(output, run),
        licences=_licences(numbers),
        numbers=numbers,
        chosen=shown,
        retry=retry.command(output, failed[0]) if failed else None,
    )


def _total(output: str, run: str) -> int:
    """Pictures of a run, none if it has no counts."""
    try:
        return summary.read(output, run).total
    except (OSError, ValueError):
        return 0


def _licences(numbers: Numbers) -> Dict[str, str]:
    found: Dict[str, str] = {}
    for model, *_ in numbers.models:
        if known := catalogue.MODELS.get(model):
            found[model] = known.licence or "not stated"
    return found


def _write(to: str, text: str, mime_type: str) -> None:
    folder, _, name = to.rpartition("/")
    stores.write(folder or (os.sep if to.startswith("/") else "."), name, text.encode(), mime_type)


def _line(numbers: Numbers) -> str:
    counts = [f"{count} {name}" for name, count in limits.counts(numbers).items()]
    if numbers.suspect_unknown:
        counts.append(f"of {numbers.suspect_unknown} it is not known whether they are suspect")
    return ", ".join(counts)


def _require(*names: str) -> None:
    missing = [name for name in names if importlib.util.find_spec(name) is None]
    if missing:
        raise UsageError(
            f"a report needs {' and '.join(missing)}: pip install 'rembg-beam[report]'"
        )
