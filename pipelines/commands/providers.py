"""The command `rembg-beam providers`: which execution providers this machine has.

In: nothing. Out: a table; whether onnxruntime lists each provider, and whether it really runs the
bundled model, every heavy node of it. Fails only without onnxruntime.
"""

from typing import List, TextIO

from ...transforms.models import catalogue, opening, providers
from ...transforms.models.config import SessionConfig
from ...transforms.models.providers import Provider

_COLUMNS = ("provider", "onnxruntime's name", "listed", "works", "install", "platform")


def show(stdout: TextIO) -> None:
    """Prints the table, why a listed provider does not work, and what is wrong here."""
    opening.require_onnxruntime()
    import onnxruntime

    listed = onnxruntime.get_available_providers()
    problems: List[str] = []
    rows: List[List[str]] = [list(_COLUMNS)]
    for provider in providers.PROVIDERS:
        problem = _problem(provider) if provider.name in listed else ""
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


def _problem(provider: Provider) -> str:
    """Why the bundled model doesn't run on a provider; "" if it does."""
    try:
        config = SessionConfig(catalogue.TINY, provider.name, max_batch_size=1)
        loaded = opening.open_session(config)
        session = loaded.session.inner_session
        session.run(None, _zeros(session))
        return ""
    except Exception as error:
        return str(error)


def _zeros(session: object) -> object:
    import numpy as np

    inputs = session.get_inputs()  # type: ignore[attr-defined]
    return {inputs[0].name: np.zeros((1, 3, 320, 320), np.float32)}
