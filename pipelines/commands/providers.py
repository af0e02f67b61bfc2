"""The command `rembg-beam providers`: which execution providers this machine has.

In: nothing. Out: a table; whether onnxruntime lists each provider, and whether it really runs the
bundled model, every heavy node of it. Fails only without onnxruntime.
"""

from typing import List, TextIO

from ...transforms.models import opening, providers
from ..doctor import models

_COLUMNS = ("provider", "onnxruntime's name", "listed", "works", "install", "platform")


def show(stdout: TextIO) -> None:
    """Prints the table, why a listed provider does not work, and what is wrong here."""
    opening.require_onnxruntime()
    import onnxruntime

    listed = onnxruntime.get_available_providers()
    problems: List[str] = []
    rows: List[List[str]] = [list(_COLUMNS)]
    for provider in providers.PROVIDERS:
        problem = models.problem(provider) if provider.name in listed else None
        works = ("no" if problem else "yes") if provider.name in listed else "-"
        here = "yes" if provider.name in listed else "no"
        row = [provider.label, provider.name, here, works, provider.package, provider.platform]
        rows.append(row)
        if problem:
            problems.append(f"{provider.label}: {problem}")
    widths = [max(len(row[column]) for row in rows) for column in range(len(_COLUMNS))]
    for row in rows:
        print("  ".join(map(str.ljust, row, widths)).rstrip(), file=stdout)
    print(f"installed: {', '.join(providers.installed()) or 'unknown'}", file=stdout)
    for line in [*problems, *(f"warning: {text}" for text in providers.side_by_side())]:
        print(line, file=stdout)
