"""Rows with a picture's URI in, cutouts under a folder, their rows out: `RemoveBackground`."""

from typing import Any, Dict, Union

import apache_beam as beam

from .. import transforms
from ..pipelines.settings import RunOptions, built
from ..transforms.elements import FAILED, Outcome
from ..transforms.runtime.failures import FAILURES, failed_outcome
from ..transforms.setting import Setting, build, flat, settings_of
from ..transforms.sources.columns import Columns
from .config import ERROR_HANDLING, GOOD, checked, configured, error_output
from .rows import Rows

SETTINGS = {
    **flat(transforms.RemoveBackground),
    **flat(Columns),
    "cloth_category": settings_of(RunOptions)["cloth_category"],
}

_KEEP = Setting(
    "the columns of rows that come out, in this order; all unless told", kind="texts", default=()
)
_KEYS = {**SETTINGS, "keep_columns": _KEEP}


@configured(_KEYS, errors=True)
class RemoveBackground(beam.PTransform):
    """Removes the backgrounds of pictures, and writes the cutouts under a folder.

    In: rows with the URI of a picture in a column such as `uri`, or in one text column alone. Out:
    a row for each, with its status, the URIs of its cutout and what is known of it; all other
    columns of the input come out beside these. `keep_columns` chooses among them.
    """

    def __init__(self, **config: Any) -> None:
        super().__init__()
        self._failures = error_output(config.pop(ERROR_HANDLING, None))
        values = checked(transforms.RemoveBackground, _KEYS, config)
        self._keep = values.pop("keep_columns", None) or ()
        self._columns = build(Columns, values)
        self._remove = built(transforms.RemoveBackground, values)

    def expand(
        self, pictures: beam.PCollection
    ) -> Union[beam.PCollection, Dict[str, beam.PCollection]]:
        rows = Rows.of(pictures.element_type, self._columns, self._keep)
        outcomes = self._outcomes(pictures, rows)
        if self._failures is None:
            return outcomes | "Make rows" >> beam.Map(rows.row).with_output_types(rows.row_type())
        done, failed = outcomes | "Part failures" >> beam.Partition(_is_failed, 2)
        return {
            GOOD: done | "Make rows" >> beam.Map(rows.row).with_output_types(rows.row_type()),
            self._failures: failed
            | "Make rows of failures"
            >> beam.Map(rows.failed_row).with_output_types(rows.failed_row_type()),
        }

    def _outcomes(self, pictures: beam.PCollection, rows: Rows) -> beam.PCollection:
        sources, bad = pictures | "Take rows" >> beam.FlatMap(rows.taken).with_outputs(
            FAILURES, main="sources"
        )
        refused = bad | "Rows that name none" >> beam.Map(failed_outcome, self._remove.columns())
        removed = sources | "Remove backgrounds" >> self._remove
        return [removed, refused] | "All outcomes" >> beam.Flatten()


def _is_failed(outcome: Outcome, _: int) -> int:
    return int(outcome.status == FAILED)
