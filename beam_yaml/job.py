"""A whole job as one step, as the command runs it: `RemoveBackgrounds`."""

from typing import Any

import apache_beam as beam

from .. import transforms
from ..pipelines.settings import RunOptions, built
from ..transforms.elements import Outcome, Source
from ..transforms.setting import flat
from .config import checked, configured
from .rows import columns_of, outcome_of

# All but what says how the command ends, and what it tells meanwhile.
_OF_THE_COMMAND = ("max_failures", "progress", "metrics_port")
SETTINGS = {name: each for name, each in flat(RunOptions).items() if name not in _OF_THE_COMMAND}


@configured(SETTINGS)
class RemoveBackgrounds(beam.PTransform):
    """Removes the backgrounds of all pictures of a job, as the command `rembg-beam run` does.

    In: nothing but what `input` and `input_list` name; or, without these, texts or rows of columns
    that sources have, bounded or not. What is done is left out, and rows are written under the
    output folder. Out: a row for each picture.
    """

    _yaml_requires_inputs = False

    def __init__(self, **config: Any) -> None:
        super().__init__()
        values = checked(transforms.RemoveBackgrounds, SETTINGS, config)
        self._job = built(transforms.RemoveBackgrounds, values)

    def expand(self, start: Any) -> beam.PCollection:
        if isinstance(start, beam.PCollection):
            _check(start.element_type)
        outcomes = start | "Job" >> self._job
        return outcomes | "Make rows" >> beam.Map(outcome_of).with_output_types(Outcome)


def _check(element_type: Any) -> None:
    """Raises `ValueError` for rows with columns that would be lost."""
    lost = [name for name in columns_of(element_type) if name not in Source._fields]
    if lost:
        raise ValueError(
            f"RemoveBackgrounds has no place for the input's columns {', '.join(lost)}: put them "
            "into `metadata`, as a text in JSON, or take RemoveBackground, which keeps them"
        )
