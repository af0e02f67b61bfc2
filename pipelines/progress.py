"""What a person sees while the pipeline runs, on stderr.

On a terminal a bar: pictures done of those found, failed, per second. Elsewhere, and where other
machines do the work, the log lines that the steps write now and then are enough.
"""

import logging
import sys
from collections import Counter
from typing import Dict

from ..transforms.elements import FAILED, STATUSES
from ..transforms.runtime import metrics, shared
from .status import UsageError

try:
    from tqdm import tqdm
except ValueError as error:  # it reads TQDM_MININTERVAL and its kin when it is imported
    raise UsageError(f"an environment variable TQDM_… makes no sense: {error}") from error


class Handler(logging.Handler):
    """Writes records to stderr, above the bar where there is one."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            tqdm.write(self.format(record), file=sys.stderr)
        except Exception:
            self.handleError(record)


def counts() -> Dict[str, int]:
    """What was counted so far, by this process and those it started; others are not heard of."""
    return dict(Counter(metrics.tally.snapshot()) + Counter(shared.total()))


class Bar:
    """A progress bar over what is counted; `update` it now and then, `close` it."""

    def __init__(self) -> None:
        hidden = not sys.stderr.isatty()
        self._bar = tqdm(unit=" pictures", disable=hidden, file=sys.stderr, dynamic_ncols=True)

    def update(self) -> None:
        found = counts()
        done = {status: found.get(f"outcomes_{status}", 0) for status in STATUSES}
        self._bar.total = found.get("find_pictures")
        self._bar.set_postfix({"failed": done[FAILED]} if done[FAILED] else {}, refresh=False)
        self._bar.n = sum(done.values())
        self._bar.refresh()

    def close(self) -> None:
        self._bar.close()
