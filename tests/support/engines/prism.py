"""Beam's Prism: the command starts it, and is its worker."""

from typing import List

import psutil

from . import downloads


class Prism:
    """Nothing runs beside the command."""

    def __init__(self) -> None:
        self.flags = ["--runner=PrismRunner", f"--prism_location={downloads.prism()}"]

    def workers(self) -> List[psutil.Process]:
        return []

    def stop(self) -> None:
        pass
