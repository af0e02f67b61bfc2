"""Engines that the command starts and ends: nothing runs beside it."""

from typing import List

import psutil

from . import downloads


class Local:
    """An engine of these flags."""

    def __init__(self, *flags: str) -> None:
        self.flags = list(flags)

    def workers(self) -> List[psutil.Process]:
        return []

    def stop(self) -> None:
        pass


def multi_processing() -> Local:
    """Beam's own, with two worker processes."""
    mode = "--direct_running_mode=multi_processing"
    return Local("--runner=FnApiRunner", mode, "--direct_num_workers=2")


def prism() -> Local:
    """Beam's Prism, whose worker is the command."""
    return Local("--runner=PrismRunner", f"--prism_location={downloads.prism()}")
