"""Rows of `RemoveBackground` in, a Parquet data set under the output folder: `WriteManifest`."""

from typing import Any

import apache_beam as beam
from apache_beam.typehints.row_type import RowTypeConstraint

from .. import transforms
from ..transforms.elements import Outcome
from ..transforms.setting import flat
from .config import checked, configured
from .rows import columns_of, outcome_of

SETTINGS = flat(transforms.WriteManifest)

_ROW = RowTypeConstraint.from_fields([("uri", str)])


@configured(SETTINGS)
class WriteManifest(beam.PTransform):
    """Writes the rows of `RemoveBackground` as Parquet, under the folder of its cutouts.

    In: its rows, of each output that it has; those without an end are written by windows. Columns
    of the user are among theirs as `metadata`. Out: a row for each file, with its `uri`.
    """

    def __init__(self, **config: Any) -> None:
        super().__init__()
        self._write = transforms.WriteManifest(
            **checked(transforms.WriteManifest, SETTINGS, config)
        )

    def expand(self, outcomes: beam.PCollection) -> beam.PCollection:
        _check(outcomes.element_type)
        return (
            outcomes
            | "Take outcomes" >> beam.Map(outcome_of).with_output_types(Outcome)
            | "Write" >> self._write
            | "Make rows" >> beam.Map(_row).with_output_types(_ROW)
        )


def _row(uri: str) -> beam.Row:
    return beam.Row(uri=uri)


def _check(element_type: Any) -> None:
    """Raises `ValueError` for rows that lack columns of an outcome."""
    names = columns_of(element_type)
    lacking = [name for name in Outcome._fields if names and name not in names]
    if lacking:
        raise ValueError(
            f"the input lacks the columns {', '.join(lacking)}; give WriteManifest all columns "
            "that RemoveBackground makes"
        )
