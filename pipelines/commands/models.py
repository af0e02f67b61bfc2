"""The commands `rembg-beam models` and `rembg-beam models fetch`.

In: names of models. Out: the catalogue as a table, or files copied to a folder or URI in the layout
that `--model_dir` reads. `fetch` fails with what keeps a file from being had or written.
"""

import os
from typing import Any, List, Optional, Sequence, TextIO

from ...transforms.models import catalogue
from ...transforms.models import weights as model_files
from ...transforms.models.catalogue import Model

_COLUMNS = ("model", "purpose", "input", "MB", "licence", "here", "checksum")

_FOOT = (
    "Sizes and licences are given where their makers or rembg state them. A licence is of the "
    "model as published; the files of rembg's releases carry none themselves."
)


def show(stdout: TextIO) -> None:
    """Prints the catalogue."""
    rows = [_COLUMNS, *(_row(model) for model in catalogue.MODELS.values())]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_COLUMNS))]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths))
        print("  ".join(cells).rstrip(), file=stdout)
    print(_FOOT, file=stdout)


def fetch(names: Sequence[str], to: str, model_dir: Optional[str], stdout: TextIO) -> None:
    """Copies the files of models to `to/MODEL/FILE`; downloads what is not on this machine."""
    from ...transforms.store import stores

    models = [catalogue.find(name) for name in names]
    for model in models:
        if not model.files:
            raise ValueError(f"model {model.name!r} has no files to fetch: {model.purpose}")
    for model in models:
        paths = model_files.ensure(model, model_dir=model_dir)
        for path, file in zip(paths, model.files):
            with open(path, "rb") as opened:
                name = f"{model.name}/{file.name}"
                written = stores.write(to, name, opened.read(), "application/octet-stream")
            print(written.uri, file=stdout)


def _row(model: Model) -> List[str]:
    here = model_files.present(model)
    return [
        model.name,
        model.purpose,
        f"{model.size[0]}x{model.size[1]}" if model.size else "-",
        _megabytes(model, here),
        model.licence or "not stated",
        _where(model, here),
        ", ".join(file.checksum for file in model.files if file.checksum) or "-",
    ]


def _megabytes(model: Model, here: Any) -> str:
    if here and len(here) == max(1, len(model.files)):
        return f"{sum(map(os.path.getsize, here)) / 1e6:.1f}"
    return f"{model.megabytes:.1f}" if model.megabytes else "not stated"


def _where(model: Model, here: Any) -> str:
    if model.name == catalogue.TINY:
        return "in the package"
    if model.is_custom:
        return "your file (--model_path)"
    if model.is_remote:
        return "nowhere (--allow_remote)"
    return "yes" if len(here) == len(model.files) else "no"
