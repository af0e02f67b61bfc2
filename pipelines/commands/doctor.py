"""The command `rembg-beam doctor`: whether this machine can do what a run asks of it.

In: the model and the provider that must work. Out: a line for each thing looked at, ok, warning or
fault, with the way out; the exit status is 1 if there is a fault. Nothing of the user's is written,
and no network is used but to ask for credentials.
"""

import argparse
import json
import logging
from typing import List, TextIO

from ...transforms.models import catalogue, providers
from ...transforms.store import uris
from .. import logs
from ..doctor import every
from ..doctor.line import Level, Line
from ..status import FAILED_RUN, OK


def show(namespace: argparse.Namespace, stdout: TextIO) -> int:
    """Prints what is found; returns the exit status."""
    logs.to_stderr()
    logging.getLogger("rembg_beam").setLevel(logging.WARNING)  # each session says where it runs
    model, provider = catalogue.find(namespace.model).name, providers.find(namespace.provider)
    lines: List[Line] = []
    for line in every.examine(model, provider):
        lines.append(line)
        if not namespace.json:
            print(uris.without_secrets_in(_text(line)), file=stdout, flush=True)
    counts = {level.value: sum(line.level is level for line in lines) for level in Level}
    if namespace.json:
        document = {"counts": counts, "lines": [line._asdict() for line in lines]}
        text = json.dumps(document, indent=2, ensure_ascii=False)
        print(uris.without_secrets_in(text), file=stdout)
    else:
        print(", ".join(f"{count} {level}" for level, count in counts.items()), file=stdout)
    return FAILED_RUN if counts[Level.FAULT.value] else OK


def _text(line: Line) -> str:
    text = f"{line.level:8}{line.about}: {' '.join(line.found.split())}"
    return f"{text}\n{'':10}-> {line.way_out}" if line.way_out else text
