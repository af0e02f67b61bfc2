"""Settings -> the job that they ask for, checked before anything starts.

In: settings. Out: `RemoveBackgrounds`. `check` raises `UsageError` for settings that no job can be
made of, and for inputs that match nothing.
"""

import os
import re
from typing import Any, List, Optional

from ..transforms import RemoveBackgrounds
from ..transforms.folder.earlier import manifests
from ..transforms.models import catalogue
from ..transforms.models import weights as model_files
from ..transforms.sources import lists, patterns
from ..transforms.sources.readers import reader
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
                raise ValueError(f"--input {pattern!r} is the output folder itself")
            if asks(pattern):
                patterns.check(pattern, exclude=settings.output)
        for uri in settings.input_list:
            if asks(uri):
                _check_list(uri)
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


# Settings that name files.
_FILES = ("input", "input_list", "output", "relative_to", "model_path", "model_dir")


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


def _check_list(uri: str) -> None:
    if uris.is_web(uri):
        raise ValueError(
            f"--input_list {uris.without_secrets(uri)!r}: a list may name URLs and not be one; "
            "download it"
        )
    if not lists.is_read_once(uri):  # else whoever reads it will check it
        try:
            reader(uri).check(uri)
        except (ValueError, OSError) as error:
            raise ValueError(f"--input_list {uris.without_secrets(uri)!r}: {error}") from error
