"""Rules for every runner: the output, the model's file, time limits. A run here asks these alone.

In: a `Plan`. Out: what is wrong, or None. Only files of this machine are looked at.
"""

import math
import os
import re
from typing import Optional

from apache_beam.options.pipeline_options import WorkerOptions

from ...transforms.models import catalogue, weights
from ...transforms.sources import patterns
from ...transforms.store import uris
from .plan import Plan, Rule

# pymatting compiles for most of a minute the first time. Matting takes ten seconds a megapixel, at
# times minutes: docs/models.md.
COMPILE_MINUTES = 1
MATTING_MINUTES_PER_MEGAPIXEL = 2

_WILDCARD = re.compile(r"[*?\[]")


def _web_output(plan: Plan) -> Optional[str]:
    output = plan.settings.output
    if not output or not uris.is_web(output):
        return None
    return f"{uris.without_secrets(output)!r} is an address of the web, which can't be written to"


def _output_in_input(plan: Plan) -> Optional[str]:
    output = plan.settings.output
    for pattern in plan.settings.input:
        if not output or uris.is_web(pattern) or uris.is_web(output):
            continue
        folder = _fixed(pattern)
        below = _is_folder(pattern) and patterns.is_under(output, folder)
        if below and not patterns.is_under(folder, output):
            return (
                f"{uris.without_secrets(output)!r} lies in the input "
                f"{uris.without_secrets(pattern)!r}: each run lists the cutouts too, and a run "
                "into another folder would take them for pictures"
            )
    return None


def _fixed(pattern: str) -> str:
    """The folder before a pattern's first wildcard."""
    before = _WILDCARD.split(pattern)[0]
    return before if before == pattern else before.rpartition("/")[0] or "."


def _is_folder(pattern: str) -> bool:
    """Whether it takes what lies deeper, too."""
    if "*" in pattern:
        return "**" in pattern
    return not uris.is_local(pattern) or os.path.isdir(uris.local_path(pattern))


def _no_model(plan: Plan) -> Optional[str]:
    """A custom image may hold any model: what isn't known is not said."""
    session, model = plan.session, plan.model
    if not session or not model or model.name == catalogue.TINY or session.model_path:
        return None
    files = ", ".join(file.name for file in model.files)
    folder = session.model_dir
    if folder and uris.is_local(folder) and _works_here(plan):
        there = (_is_in(uris.local_path(folder), model.name, file.name) for file in model.files)
        return None if all(there) else f"{folder!r} has not all of {files}"
    if not session.offline or folder or not model.files:
        return None
    if _works_here(plan) and len(weights.present(model)) < len(model.files):
        return f"{files} is not in {weights.home()!r}, and no download is allowed"
    if plan.environment_type == "DOCKER" and not plan.image:
        return f"Beam's own image has no {files}, and no download is allowed"
    return None


def _is_in(folder: str, model: str, file: str) -> bool:
    places = (os.path.join(folder, model, file), os.path.join(folder, file))
    return any(map(os.path.exists, places))


def _works_here(plan: Plan) -> bool:
    """Whether this machine's files are the workers'."""
    return plan.environment_type == "LOOPBACK"


# They wait for the end of a step's input before the next begins.
_FOR_INPUT_WITH_AN_END = ("fnapirunner", "directrunner", "sparkrunner")


def _no_stream(plan: Plan) -> Optional[str]:
    if not plan.settings.watch or plan.kind not in _FOR_INPUT_WITH_AN_END:
        return None
    return f"{plan.runner} is no engine for pictures that keep coming"


def _short_timeout(plan: Plan) -> Optional[str]:
    needed, what = _minutes(plan)
    timeout = plan.view(WorkerOptions).element_processing_timeout_minutes if needed else None
    if not timeout or timeout >= needed:
        return None
    return f"{timeout} min is less than a picture may take with {what}: {needed} min"


def _minutes(plan: Plan) -> tuple[int, str]:
    """How long a picture may take, in whole minutes, and what takes so long."""
    given = plan.settings
    if given.alpha_matting:
        megapixels = math.ceil(given.alpha_matting_max_pixels / 1e6)
        return COMPILE_MINUTES + MATTING_MINUTES_PER_MEGAPIXEL * megapixels, "--alpha_matting"
    if given.decontaminate or given.vitmatte:
        return 2 * COMPILE_MINUTES, "--decontaminate" if given.decontaminate else "--vitmatte"
    return 0, ""


RULES = (
    Rule(
        "web-output",
        "--output",
        _web_output,
        "name a folder, local or of a file system such as gs://",
    ),
    Rule(
        "output-in-input",
        "--output",
        _output_in_input,
        "name a folder beside the inputs",
        fails=False,
    ),
    Rule(
        "no-model",
        "--offline, --model_dir",
        _no_model,
        "fill a folder or URI by `rembg-beam models fetch`, and name it by --model_dir",
    ),
    Rule(
        "no-stream",
        "--watch",
        _no_stream,
        "add --runner PrismRunner, an engine for this machine that Beam fetches",
    ),
    Rule(
        "short-timeout",
        "--element_processing_timeout_minutes",
        _short_timeout,
        "raise it, or leave it out: workers are ended in the midst of a picture, and begin anew",
    ),
)
