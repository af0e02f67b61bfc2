"""Cascade: a mask that is suspect -> the mask of the next model, for the pictures that need it.

In: the reasons to doubt a model's masks of a picture. Out: those for which the next model is asked.
`Cascade` says which models these are; `ValueError` for models that can't stand in for each other.
"""

from dataclasses import dataclass
from typing import List, Optional, Sequence, Tuple

from .models import catalogue
from .pictures.suspect import REASONS, Suspicion
from .setting import check, documented, setting

# What can stand in for another model: it makes one mask, with one graph, of a picture alone.
MODELS = tuple(
    name for name, model in catalogue.MODELS.items() if model.has_map and not model.is_custom
)


@documented
@dataclass(frozen=True, kw_only=True)
class Cascade:
    """Which models are asked where a mask is suspect: the next one takes the place of the last."""

    cascade: Optional[Tuple[str, ...]] = setting(
        None,
        "models that are asked, in turn, for pictures whose mask is suspect; each is loaded beside "
        "the first; default: none",
        kind="choices",
        choices=MODELS,
    )
    cascade_on: Optional[Tuple[str, ...]] = setting(
        None,
        "the reasons of `suspect` for which they are; default: each",
        kind="choices",
        choices=tuple(REASONS),
    )

    def __post_init__(self) -> None:
        check(self)
        if self.cascade_on and not self.cascade:
            raise ValueError("cascade_on is given without cascade: name the models that are asked")

    def check(self, model: catalogue.Model, suspicion: Suspicion) -> None:
        """Raises `ValueError` where masks of the first model don't lead to another."""
        if not self.cascade:
            return
        if not model.has_map:
            raise ValueError(
                f"cascade is for models that make one mask with one graph, and {model.name!r} is "
                "none: leave one of the two out"
            )
        if not suspicion.suspect:
            raise ValueError("cascade asks other models where a mask is suspect: leave suspect on")
        if model.name in self.cascade or len(set(self.cascade)) < len(self.cascade):
            raise ValueError(
                f"cascade={','.join(self.cascade)} names a model twice, after {model.name!r}: name "
                "each once, and not the first"
            )

    def why(self, doubts: Optional[Sequence[str]]) -> List[str]:
        """The reasons for which the next model is asked.

        >>> Cascade(cascade=("u2net",), cascade_on=("soft", "cut")).why(["parts", "cut"])
        ['cut']
        """
        return [name for name in doubts or () if name in (self.cascade_on or REASONS)]
