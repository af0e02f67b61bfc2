"""Settings -> the pipeline's transforms.

    inputs, lists -> find -> one source per output -> not yet done -> RemoveBackground -> outcomes
                                                                            |-> Parquet rows
                                                                            `-> counts

`check` raises `UsageError` for settings that no pipeline can be built of, before anything starts;
`build` applies the transforms to a pipeline and returns its outcomes.
"""

import functools
import json
import os
from typing import Any, Optional, Sequence, Tuple

import apache_beam as beam

from ..transforms import RemoveOptions, Source, WriteManifest
from ..transforms.folder.earlier import FailedSources, manifests
from ..transforms.folder.existing import SkipExisting
from ..transforms.folder.summary import WriteSummary
from ..transforms.models import catalogue
from ..transforms.models import weights as model_files
from ..transforms.outcomes import FailedOutcomes
from ..transforms.pictures.cutout import part_suffixes
from ..transforms.pictures.prompts import CLOTH_CATEGORIES
from ..transforms.sources import lists, patterns
from ..transforms.sources.distinct import DistinctSources
from ..transforms.sources.find import FindPictures, ReadLists
from ..transforms.sources.lists import InputList
from ..transforms.store import uris
from .settings import Settings
from .status import UsageError


def check(settings: Settings) -> None:
    """Refuses settings that make no sense, and inputs that match nothing."""
    named = settings.input or settings.input_list
    if settings.retry_failed and named:
        raise UsageError(
            "--retry_failed takes its pictures from the output folder's manifests, not from "
            "--input or --input_list; without it, a run over those does whatever is not done"
        )
    if not named and not settings.retry_failed:
        raise UsageError("no input: name pictures by --input or --input_list")
    if not settings.output:
        raise UsageError("no output: name a folder for the cutouts by --output")
    if settings.retry_failed:
        _check_manifests(settings.output)
    if not settings.model:
        raise UsageError(f"no model: choose one by --model\n{_choices()}")
    try:
        settings.remove_background()
        _check_model_path(settings.model_path)
        for pattern in settings.input:
            if _is_same(pattern, settings.output):
                raise ValueError(f"--input {pattern!r} is the output folder itself")
            patterns.check(pattern, exclude=settings.output)
        for uri in settings.input_list:
            _check_list(uri)
    except (ValueError, OSError, model_files.ModelFileError) as error:
        raise UsageError(str(error)) from error


def build(
    pipeline: beam.Pipeline,
    settings: Settings,
    run: str,
    since: Optional[float] = None,
    given: Optional[Sequence[InputList]] = None,
) -> beam.PCollection:
    """Applies the transforms; the outcomes of all pictures.

    Args:
      pipeline, settings: what is built, and of what.
      run: the run's id.
      since: outputs written before are not done; what `record.remember` returned.
      given: the lists, as workers read them; default: where the settings say.
    """
    output, remove = str(settings.output), settings.remove_background()
    if given is None:
        given = [InputList(uri, uri) for uri in settings.input_list]
    patterns, bad_lines = _sources(pipeline, settings, given)
    distinct, clashing = patterns | "One source per output" >> DistinctSources(
        relative_to=settings.relative_to
    )
    to_do, done, existing = distinct, [], []
    if settings.on_existing != "overwrite":
        to_do, *others = distinct | "Leave what is done" >> _skip_existing(settings, since)
        done, existing = [others[0]], [others[1]]
    removed = to_do | "Remove backgrounds" >> remove
    refused = (
        (*bad_lines, clashing, *existing)
        | "All refused" >> beam.Flatten()
        | "Rows of the refused" >> FailedOutcomes(remove.columns())
    )
    outcomes = (removed, refused, *done) | "All outcomes" >> beam.Flatten()
    _ = outcomes | "Write the manifest" >> WriteManifest(output=output, run=run)
    _ = outcomes | "Write the summary" >> WriteSummary(output=output, run=run)
    return outcomes


def _sources(pipeline: beam.Pipeline, settings: Settings, given: Sequence[InputList]) -> Any:
    """The sources that the settings name, and what names none: bad lines, folders out of reach."""
    output = str(settings.output)
    if settings.retry_failed:
        return pipeline | "Those that failed" >> FailedSources(output), []
    found, unlisted = (
        pipeline
        | "Inputs" >> beam.Create(settings.input, reshuffle=False).with_output_types(str)
        | "Find pictures"
        >> beam.ParDo(
            FindPictures(names=settings.relative_to is None, exclude=output)
        ).with_outputs(FindPictures.FAILURES, main="found")
    )
    listed, bad_lines = (
        pipeline
        | "Lists" >> beam.Create(given, reshuffle=False).with_output_types(InputList)
        | "Read lists" >> beam.ParDo(ReadLists()).with_outputs(ReadLists.FAILURES, main="listed")
    )
    return (found, listed) | "All sources" >> beam.Flatten(), [unlisted, bad_lines]


def _skip_existing(settings: Settings, since: Optional[float]) -> SkipExisting:
    remove = settings.remove_background()
    masks = catalogue.find(str(settings.model)).masks
    every = part_suffixes(remove.options, masks)
    of_extras = tuple(f".{name}" for name in CLOTH_CATEGORIES) if masks else ()
    return SkipExisting(
        output=str(settings.output),
        suffix=remove.encoding.suffix,
        parts_of=functools.partial(_parts_of, remove.options, masks),
        parts=tuple(dict.fromkeys((*every, *of_extras, ""))),
        on_existing=settings.on_existing,
        columns=remove.columns(),
        since=since,
    )


def _parts_of(options: RemoveOptions, masks: Tuple[str, ...], source: Source) -> Tuple[str, ...]:
    """The parts that a source's output has; of one whose extras make no sense, any."""
    try:
        return part_suffixes(options.with_extras(json.loads(source.extras)), masks)
    except (ValueError, TypeError, AttributeError):
        return ("",)


def _choices() -> str:
    width = max(map(len, catalogue.MODELS))
    local = [model for model in catalogue.MODELS.values() if not model.is_remote]
    lines = [f"  {model.name:{width}}  {model.purpose}" for model in local]
    return "\n".join([*lines, "tiny lies in the package; rembg downloads the others on first use"])


def _is_same(pattern: str, output: str) -> bool:
    """Whether an input is the output folder, which is never an input."""
    return patterns.is_under(pattern, output) and patterns.is_under(output, pattern)


def _check_manifests(output: str) -> None:
    try:
        found = next(manifests(output), None)
    except (ValueError, OSError) as error:
        raise UsageError(str(error)) from error
    if found is None:
        raise UsageError(
            f"--retry_failed: {uris.without_secrets(output)!r} has no manifest of an earlier run; "
            "name the output folder of one, or pictures by --input"
        )


def _check_model_path(uri: Optional[str]) -> None:
    """A file that isn't here may be on the workers; a pipe is no model anywhere."""
    if uri is not None and uris.is_local(uri) and os.path.exists(uris.local_path(uri)):
        model_files.check_is_file(uris.local_path(uri), "--model_path")


def _check_list(uri: str) -> None:
    if uris.is_web(uri):
        raise ValueError(
            f"--input_list {uris.without_secrets(uri)!r}: a list may name URLs and not be one; "
            "download it"
        )
    if not lists.is_read_once(uri):  # else whoever reads it will check it
        try:
            lists.check(uri)
        except (ValueError, OSError) as error:
            raise ValueError(f"--input_list {uris.without_secrets(uri)!r}: {error}") from error
