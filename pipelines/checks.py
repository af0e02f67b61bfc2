"""Settings -> the job that they ask for, checked before anything starts.

In: settings. Out: `RemoveBackgrounds`. `check` raises `UsageError` for settings that no job can be
made of, and for inputs that match nothing; `since` for an output folder that a run would refuse.
"""

import errno
import os
import re
from dataclasses import replace
from typing import Any, List, Optional

from ..transforms import RemoveBackgrounds
from ..transforms.folder import record
from ..transforms.folder.earlier import manifests
from ..transforms.models import catalogue
from ..transforms.models import weights as model_files
from ..transforms.sources import lists, patterns, readers
from ..transforms.sources.columns import Columns
from ..transforms.sources.find import Named
from ..transforms.store import uris
from .settings import Settings
from .status import UsageError


def check(settings: Settings, *, offline: bool = False) -> RemoveBackgrounds:
    """The job of these settings, which has inputs, and each of which matches something.

    Args:
      settings: what the command was told.
      offline: whether only what lies on this machine is looked at.
    """
    try:
        _check_what_is_needed(settings)

        def asks(uri: str) -> bool:
            return uris.is_local(uri) or not offline

        if settings.retry_failed and asks(settings.output) and not any(manifests(settings.output)):
            raise ValueError(
                f"--retry_failed: {uris.without_secrets(settings.output)!r} has no manifest of an "
                "earlier run; name the output folder of one, or pictures by --input"
            )
        if not settings.model:
            raise ValueError(f"no model: choose one by --model\n{_choices()}")
        made = settings.job()
        _check_model_path(settings.model_path)
        for pattern in settings.input:
            if _is_same(pattern, settings.output):
                raise ValueError(
                    f"--input {pattern!r} is the output folder itself, which is never an input: "
                    "name another folder by --output"
                )
        named = Named.of(settings.input, settings.input_list)
        for pattern in filter(asks, named.patterns):
            flag = "--input" if pattern in settings.input else "--input_list"
            if not (settings.watch and _may_be_filled(pattern)):
                _check_input(flag, pattern, settings.output, made.columns)
        for each in named.lists:
            if asks(each.uri):
                _check_list(each.uri)
        return made
    except (ValueError, OSError, model_files.ModelFileError) as error:
        raise UsageError(str(error)) from error


def _check_what_is_needed(settings: Settings) -> None:
    named = settings.input or settings.input_list
    if settings.retry_failed and named:
        raise ValueError(
            "--retry_failed takes its pictures from the output folder's manifests, not from "
            "--input or --input_list; without it, a run over those does whatever is not done"
        )
    if not named and not settings.retry_failed:
        raise ValueError("no input: name pictures by --input or --input_list")
    if not settings.output:
        raise ValueError("no output: name a folder for the cutouts by --output")


# Of tables and shards that one input names: so many that are wrong are refused before the run.
_LOOKED_AT = 3

# Settings that name files.
_FILES = ("input", "input_list", "output", "relative_to", "model_path", "model_dir", "background")


def absolute(given: Settings) -> Settings:
    """The settings with paths that mean the same to workers, which start in other folders."""
    here = os.getcwd()
    relative = [uri for uri in given.input if _is_relative(uri)]
    if relative and re.search(r"[*?\[]", here):
        raise UsageError(
            f"--input {relative[0]!r} lies in {here!r}, whose wildcards workers would take for its "
            "own: start the command in another folder, or without --runner"
        )
    found = {name: getattr(given, name) for name in _FILES}
    return Settings(**{**vars(given), **{name: _absolute(value) for name, value in found.items()}})


def _absolute(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [_absolute(one) for one in value]
    return os.path.join(os.getcwd(), value) if _is_relative(value) else value


def _is_relative(uri: Optional[str]) -> bool:
    return bool(uri) and uri != lists.STDIN and uris.scheme(str(uri)) is None


def check_can_be_written(output: str) -> None:
    """Raises `OSError` or `ValueError` for an output folder that can't be made or written to, as
    far as that is seen without writing: of one on this machine."""
    if not uris.is_local(output):
        return
    path = os.path.abspath(uris.local_path(output))
    while not os.path.lexists(path):
        path = os.path.dirname(path)
    if not os.path.isdir(path):
        raise ValueError(f"{path!r} is no folder; name another by --output")
    if not os.access(path, os.W_OK | os.X_OK):
        rule = "this user may not write there; change its permissions, or name another by --output"
        raise PermissionError(errno.EACCES, rule, path)


def since(job: RemoveBackgrounds) -> Optional[float]:
    """Since when outputs count; refuses a folder that a run would refuse, and writes nothing."""
    output = job.remove.output
    try:
        check_can_be_written(output)
        found = record.compare(job.remove, job.on_existing, job.dataset.recorded())
        return record.since(output, found)
    except record.OtherSettings as error:
        raise UsageError(str(error)) from error
    except (OSError, ValueError) as error:
        shown = uris.without_secrets(output)
        raise UsageError(f"--output {shown!r} can't be written to: {error}") from error


def of_now(job: RemoveBackgrounds) -> RemoveBackgrounds:
    """The job of what is there now; of one that watches, inputs that match nothing yet are none."""
    if not job.watch:
        return job
    there = [uri for uri in job.input if any(patterns.find_timed(uri, exclude=job.remove.output))]
    return replace(job, watch=None, input=there)


def local_paths(given: Settings) -> List[str]:
    """What is to be read or written, and lies on this machine, where other workers don't see it."""
    listed = [uri for uri in given.input_list if not lists.is_read_once(uri)]
    named = (*given.input, *listed, given.output)
    return [uri for uri in named if uri and uris.is_local(uri)]


def _choices() -> str:
    width = max(map(len, catalogue.MODELS))
    local = [model for model in catalogue.MODELS.values() if not model.is_remote]
    lines = [f"  {model.name:{width}}  {model.purpose}" for model in local]
    return "\n".join([*lines, "tiny lies in the package; rembg downloads the others on first use"])


def _is_same(pattern: str, output: str) -> bool:
    """Whether an input is the output folder, which is never an input."""
    return patterns.is_under(pattern, output) and patterns.is_under(output, pattern)


def _check_model_path(uri: Optional[str]) -> None:
    """A file that isn't here may be on the workers; a pipe is no model anywhere."""
    if uri is not None and uris.is_local(uri) and os.path.exists(uris.local_path(uri)):
        model_files.check_is_file(uris.local_path(uri), "--model_path")


def _check_input(flag: str, pattern: str, output: str, columns: Columns) -> None:
    """What is named is there; of tables and shards one of the first begins as it should. One that
    is empty, damaged or can't be opened is no more than a failed row beside others."""
    try:
        first = patterns.first(pattern, exclude=output)
    except OSError as error:
        raise ValueError(
            f"{flag} {uris.without_secrets(pattern)!r} can't be read: {error}"
        ) from error
    if first is None:
        return
    found = (each.uri for each in patterns.find(pattern, exclude=output))
    absent: List[ValueError] = []
    wrong: List[ValueError] = []
    for uri in found if uris.is_local(pattern) else [first]:
        if readers.container_reader(uri) is None:
            return
        try:
            readers.check(uri, columns)
            return
        except (ValueError, OSError) as error:
            is_absent = isinstance(error, (lists.NamesNothing, FileNotFoundError, PermissionError))
            refusal = ValueError(f"{flag} {uris.without_secrets(uri)!r}: {error}")
            (absent if is_absent else wrong).append(refusal)
            if len(wrong) == _LOOKED_AT:
                break
    raise (wrong or absent)[0]


def _may_be_filled(pattern: str) -> bool:
    """Whether an input may match later what it doesn't now."""
    if uris.is_local(pattern):
        return os.path.isdir(uris.local_path(pattern)) or bool(re.search(r"[*?\[]", pattern))
    return not uris.is_web(pattern)


def _check_list(uri: str) -> None:
    if not lists.is_read_once(uri):  # else whoever reads it will check it
        try:
            readers.reader(uri).check(uri)
        except (ValueError, OSError) as error:
            raise ValueError(f"--input_list {uris.without_secrets(uri)!r}: {error}") from error
