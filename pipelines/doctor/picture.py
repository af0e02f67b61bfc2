"""Picture: one picture, through a whole job in a temporary folder, which is removed.

In: the model and the provider. Out: a line; a fault where the model isn't here, since none is
downloaded, where the job fails, or where no cutout is there.
"""

import os
import shlex
import tempfile
import time
from typing import Iterator

from ...transforms.models import catalogue, weights
from ...transforms.models.providers import CPU, Provider
from .line import Line, fault, ok

SIDE = 640


def examine(model: str = "tiny", provider: Provider = CPU) -> Iterator[Line]:
    """A picture, read, cut out and written by Beam's in-process runner."""
    about = "a picture"
    if len(weights.present(catalogue.find(model))) < len(catalogue.find(model).files):
        yield _not_here(about, model)
        return
    try:
        with tempfile.TemporaryDirectory(prefix="rembg-beam-") as folder:
            start = time.perf_counter()
            row = _row(folder, model, provider)
            seconds = time.perf_counter() - start
    except Exception as error:
        from .. import logs

        way_out = "see docs/failures.md, and `rembg-beam providers`"
        yield fault(about, f"the job fails: {logs.cause(error)}", way_out)
        return
    if row["status"] != "written":
        yield fault(about, f"{row['error']}: {row['message']}", "see docs/failures.md")
        return
    ran_on = row["provider"]
    yield ok(about, f"read, cut out by {model} on {ran_on} and written in {seconds:.1f} s")


def _not_here(about: str, model: str) -> Line:
    names = ", ".join(file.name for file in catalogue.find(model).files)
    home = os.path.join(weights.home(), "models")
    return fault(
        about,
        f"the model {model} is not here yet, and doctor downloads none: {names} is not in {home!r}",
        f"`rembg-beam models fetch {model} --to {shlex.quote(home)}`, and ask again; a run "
        "downloads it when it is first used",
    )


def _row(folder: str, model: str, provider: Provider) -> "dict[str, object]":
    """The row of a picture that is made here."""
    import apache_beam as beam
    import pyarrow.dataset

    from ...transforms import RemoveBackground, RemoveBackgrounds, SessionConfig
    from ...transforms.models import proof

    source, output = os.path.join(folder, "a.jpg"), os.path.join(folder, "out")
    proof.pictures()[0].resize((SIDE, SIDE)).save(source)
    session = SessionConfig(model, provider.name, offline=True)
    remove = RemoveBackground(output=output, session=session)
    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        _ = pipeline | RemoveBackgrounds(remove=remove, input=[source], local_join=True)
    (row,) = (
        pyarrow.dataset.dataset(os.path.join(output, "_manifest"), partitioning="hive")
        .to_table()
        .to_pylist()
    )
    if row["status"] == "written" and not all(os.path.getsize(path) for path in row["outputs"]):
        raise OSError(f"{row['outputs']} is empty")
    return dict(row)
