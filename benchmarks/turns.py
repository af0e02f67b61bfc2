"""Sides in turn, so that all see the same machine, and how they compare.

A ratio is the median of the ratios within each turn.
"""

from pathlib import Path
from typing import Dict, List, Mapping, NamedTuple, Tuple

import report
import sides
from sides import Cost, Counts, Side

# The name of a floor among other sides; what is left open is how many callers it has.
FLOOR = "floor of {}"


class Pace(NamedTuple):
    """What a picture costs on one side, in each turn."""

    costs: List[Cost]

    @property
    def seconds(self) -> float:
        """The median."""
        return report.figure(cost.seconds for cost in self.costs).value

    @property
    def cores(self) -> float:
        """How many were busy; the median."""
        return report.figure(cost.cpu / cost.seconds for cost in self.costs).value

    def against(self, other: "Pace") -> report.Figure:
        """How many times as fast it is as another side of the same turns."""
        pairs = zip(self.costs, other.costs, strict=True)
        return report.figure(theirs.seconds / ours.seconds for ours, theirs in pairs)


def take(repeats: int, compared: Mapping[str, Tuple[Side, Counts]]) -> Dict[str, Pace]:
    """Each side in turn, `repeats` times."""
    paces: Dict[str, Pace] = {name: Pace([]) for name in compared}
    for _ in range(repeats):
        for name, (side, counts) in compared.items():
            paces[name].costs.append(sides.per_picture(side, counts))
    return paces


def floors(graph: Path, counts: Counts) -> Dict[str, Tuple[Side, Counts]]:
    """The floor on the CPU in each of its arrangements, to be given to `take`."""
    return {
        FLOOR.format(callers): (sides.floor(graph, callers=callers), counts)
        for callers in sides.arrangements()
    }


def fastest_floor(paces: Mapping[str, Pace]) -> str:
    """The name of the fastest floor among what `take` returns."""
    names = [name for name in paces if name.startswith(FLOOR.format(""))]
    return min(names, key=lambda name: paces[name].seconds)
