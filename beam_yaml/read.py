"""Inputs, by name, in; a row for each picture out: `ReadSources`."""

from typing import Any, Dict, Tuple, Union

import apache_beam as beam
from apache_beam.typehints.row_type import RowTypeConstraint

from .. import transforms
from ..transforms.elements import Failure, Source, as_source
from ..transforms.setting import build, flat
from .config import ERROR_HANDLING, GOOD, checked, configured, error_output
from .rows import ERROR, told

SETTINGS = flat(transforms.ReadSources)

_FAILED = RowTypeConstraint.from_fields([("element", Source), *ERROR])


@configured(SETTINGS, errors=True)
class ReadSources(beam.PTransform):
    """Finds the pictures that inputs, lists and tables name.

    Out: rows that `RemoveBackground` takes. What names no picture, such as a row of a table without
    a URI, fails the pipeline, unless there is `error_handling`.
    """

    def __init__(self, **config: Any) -> None:
        super().__init__()
        self._failures = error_output(config.pop(ERROR_HANDLING, None))
        self._read = build(
            transforms.ReadSources, checked(transforms.ReadSources, SETTINGS, config)
        )

    def expand(self, start: Any) -> Union[beam.PCollection, Dict[str, beam.PCollection]]:
        found, failures = start | "Read" >> self._read
        sources = found | "Make rows" >> beam.Map(as_source).with_output_types(Source)
        if self._failures is None:
            _ = failures | "Nothing may fail" >> beam.Map(_refuse)
            return sources
        rows = failures | "Make rows of failures" >> beam.Map(_row).with_output_types(_FAILED)
        return {GOOD: sources, self._failures: rows}


def _row(given_up: Tuple[Source, Failure]) -> beam.Row:
    source, failure = given_up
    return beam.Row(element=source, **told(failure))


def _refuse(given_up: Tuple[Source, Failure]) -> None:
    source, failure = given_up
    raise ValueError(f"{source.uri}: {failure.error}: {failure.message}; {ERROR_HANDLING} takes it")
