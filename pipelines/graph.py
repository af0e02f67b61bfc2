"""Settings -> the pipeline's transforms.

    inputs, lists -> find -> one source per output -> RemoveBackground -> outcomes
                                                                            |-> Parquet rows
                                                                            `-> counts

`check` raises `UsageError` for settings that no pipeline can be built of, before anything starts;
`build` applies the transforms to a pipeline and returns its outcomes.
"""

from typing import Optional

import apache_beam as beam
from apache_beam.io.filesystems import FileSystems

from ..transforms import Source, WriteManifest, uris
from ..transforms.distinct import DistinctSources
from ..transforms.find import ReadLists, find_pictures
from ..transforms.models import catalogue
from ..transforms.outcomes import FailedOutcomes
from ..transforms.storage import sources
from ..transforms.summary import WriteSummary
from .beam_options import UsageError
from .settings import Settings


def check(settings: Settings) -> None:
    """Refuses settings that make no sense, and inputs that match nothing."""
    if not settings.input and not settings.input_list:
        raise UsageError("no input: name pictures by --input or --input_list")
    if not settings.output:
        raise UsageError("no output: name a folder for the cutouts by --output")
    if not settings.model:
        raise UsageError(f"no model: choose one by --model\n{_choices()}")
    try:
        settings.remove_background()
        for pattern in settings.input:
            if _is_same(pattern, settings.output):
                raise ValueError(f"--input {pattern!r} is the output folder itself")
            sources.check(pattern, exclude=settings.output)
        for uri in settings.input_list:
            _check_list(uri)
    except (ValueError, OSError) as error:
        raise UsageError(str(error)) from error


def build(
    pipeline: beam.Pipeline, settings: Settings, run: str, temporary: Optional[str] = None
) -> beam.PCollection:
    """Applies the transforms; the outcomes of all pictures. `temporary` is for `WriteManifest`."""
    output, model = str(settings.output), str(settings.model)
    found = (
        pipeline
        | "Inputs" >> beam.Create(settings.input, reshuffle=False).with_output_types(str)
        | "Find pictures"
        >> beam.FlatMap(
            find_pictures, relative_to=settings.relative_to, exclude=output
        ).with_output_types(Source)
    )
    listed, bad_lines = (
        pipeline
        | "Lists" >> beam.Create(settings.input_list, reshuffle=False).with_output_types(str)
        | "Read lists" >> beam.ParDo(ReadLists()).with_outputs(ReadLists.FAILURES, main="listed")
    )
    distinct, clashing = (
        (found, listed)
        | "All sources" >> beam.Flatten()
        | "One source per output" >> DistinctSources(relative_to=settings.relative_to)
    )
    removed = distinct | "Remove backgrounds" >> settings.remove_background()
    refused = (
        (bad_lines, clashing)
        | "All refused" >> beam.Flatten()
        | "Rows of the refused" >> FailedOutcomes(model)
    )
    outcomes = (removed, refused) | "All outcomes" >> beam.Flatten()
    manifest = WriteManifest(output=output, run=run, temporary=temporary)
    _ = outcomes | "Write the manifest" >> manifest
    _ = outcomes | "Write the summary" >> WriteSummary(output=output, run=run)
    return outcomes


def _choices() -> str:
    width = max(map(len, catalogue.MODELS))
    local = [model for model in catalogue.MODELS.values() if not model.is_remote]
    lines = [f"  {model.name:{width}}  {model.purpose}" for model in local]
    return "\n".join([*lines, "tiny lies in the package; rembg downloads the others on first use"])


def _is_same(pattern: str, output: str) -> bool:
    """Whether an input is the output folder, which is never an input."""
    return sources.is_under(pattern, output) and sources.is_under(output, pattern)


def _check_list(uri: str) -> None:
    path = uris.local_path(uri) if uris.is_local(uri) else uri
    if not FileSystems.exists(path):
        raise ValueError(f"--input_list {uri!r}: there is no such file")
    with FileSystems.open(path) as file:
        if not any(line.strip() for line in iter(file.readline, b"")):
            raise ValueError(f"--input_list {uri!r}: it names no picture")
