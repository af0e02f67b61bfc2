"""Panes: rows without an end -> groups of them, each of which can be written.

In: an unbounded PCollection. Out: its elements in fixed windows of their own timestamps. A window's
elements come out together once the watermark has passed its end, and what comes after that, for
`LATENESS`, as it comes. `pane_name` tells all groups of a run apart, and gives one that is repeated
the same name. Elements that come still later are dropped by Beam.
"""

import datetime
from typing import Any

import apache_beam as beam
from apache_beam.transforms import trigger
from apache_beam.transforms.window import FixedWindows
from apache_beam.utils.timestamp import Timestamp
from apache_beam.utils.windowed_value import PaneInfo

SECONDS = 300.0

# A week, for which Pub/Sub keeps messages; an engine remembers that much of each window.
LATENESS = 7 * 24 * 3600

_BEGIN = Timestamp.of(0)
_END = Timestamp.from_rfc3339("9999-12-31T23:59:59Z")


class InWindows(beam.PTransform):
    """See the module's docstring.

    Args:
      seconds: of each window.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds

    def expand(self, elements: beam.PCollection) -> beam.PCollection:
        return elements | beam.WindowInto(
            FixedWindows(self.seconds),
            # Not after some time: an engine that ends would drop what waits for it.
            trigger=trigger.AfterWatermark(late=trigger.AfterCount(1)),
            accumulation_mode=trigger.AccumulationMode.DISCARDING,
            allowed_lateness=LATENESS,
        )


def pane_name(window: Any, pane: PaneInfo) -> str:
    """The start of a window in UTC, and which of its groups it is.

    >>> from apache_beam.transforms.window import IntervalWindow
    >>> pane_name(IntervalWindow(1795880100, 1795880400), PaneInfo(True, False, 1, 0, 0))
    '20261128T153500Z-00000'
    """
    start = min(max(window.start, _BEGIN), _END)  # of what has no time; calendars end, too
    begun = datetime.datetime.fromtimestamp(start.micros / 1_000_000, datetime.UTC)
    fraction = f"{begun.microsecond:06}".rstrip("0")
    return f"{begun:%Y%m%dT%H%M%S}{fraction and '.'}{fraction}Z-{pane.index:05d}"
