"""Masking: a picture -> its masks, by the model, or by the next one where they are suspect.

In: a decoded picture, its options, and models with their sessions. Out: `Predicted`, the masks as
they are used, cleaned up, with what is known of them. Fails with what the model raises.
"""

import time
from typing import Any, Callable, Dict, Iterable, List, NamedTuple, Optional, Sequence, Tuple

from .cascade import Cascade
from .elements import Facts
from .models import catalogue
from .models.opening import Loaded
from .models.predicting import peak, predict
from .models.stand_in import Run
from .pictures import subject, suspect
from .pictures.cleanup import MaskCleanup, cleaned
from .pictures.masks import foreground_share, visible
from .pictures.options import RemoveOptions
from .pictures.picture import Picture
from .pictures.suspect import Suspicion

# In place of a provider's name, for a model that is a service.
REMOTE = "remote"


class Model(NamedTuple):
    """A model: what is known of it, and its session."""

    known: catalogue.Model
    loaded: Loaded


class Predicted(NamedTuple):
    """What a model made of a picture.

    Attributes:
      model: whose masks they are.
      masks: of the picture's size, uint8 [height, width] or mode L.
      facts: that are known by then.
      map_size: height and width of the map that the masks were made of; None without one.
      measures: of the masks, if they are doubted or counted.
    """

    model: catalogue.Model
    masks: List[Any]
    facts: Facts
    map_size: Optional[Tuple[int, int]]
    measures: Optional[suspect.Measures]


class Masking(NamedTuple):
    """How masks are made.

    Attributes:
      suspicion: from where on they are suspect, as the model made them.
      cleanup: what is put right in them then.
      facts: those asked for of each subject, of `subject.CHOICES`.
      cascade: models that are asked where masks are suspect.
    """

    suspicion: Suspicion
    cleanup: MaskCleanup
    facts: Sequence[str]
    cascade: Cascade

    def predicted(
        self,
        picture: Picture,
        options: RemoveOptions,
        first: Model,
        other: Callable[[str], Model],
    ) -> Predicted:
        """What the first model makes of a picture, or where its masks are suspect the next one.

        Args:
          picture: of any mode, upright.
          options: this picture's.
          first: the model that is asked of each picture.
          other: another model, by its name.
        """
        found = self._masked(first, picture, options, Facts())
        why: List[str] = []
        for name in self.cascade.cascade or ():
            doubts = self.cascade.why(found.facts.suspect)
            if not doubts:
                break
            why, found = doubts, self._masked(other(name), picture, options, found.facts)
            found = found._replace(facts=found.facts._replace(cascade_model=name))
        more: Dict[str, Any] = {"cascade": why} if self.cascade.cascade else {}
        masks = cleaned(found.masks, picture, self.cleanup, found.map_size)
        more["foreground"] = foreground_share(masks)
        if self.facts:
            seen = visible(picture, masks, options)
            measures = found.measures if seen is found.masks else self._counted(picture, seen)
            more |= subject.facts(picture, seen, self.facts, measures and measures.parts)
        return found._replace(masks=masks, facts=found.facts._replace(**more))

    def _masked(
        self, model: Model, picture: Picture, options: RemoveOptions, before: Facts
    ) -> Predicted:
        known, loaded = model
        start = time.perf_counter()
        masks, runs = predict(loaded.session, picture, options.extras)
        # Of a session whose graph isn't seen, as SAM's or a service.
        whole = Run((), True, time.perf_counter() - start)
        has_map = bool(runs) and known.has_map
        map_size = runs[-1].outputs[0].shape[-2:] if has_map else None
        doubted = self.suspicion.suspect
        measures = suspect.measured(picture, masks) if doubted else self._counted(picture, masks)
        width, height = picture.size
        facts = Facts(
            width=width,
            height=height,
            animated=picture.animated,
            model_checksum=loaded.checksum,
            provider=loaded.provider or REMOTE,
            batched=not all(run.exact for run in runs),
            level_shift=loaded.level_shift,
            batch_shift=loaded.batch_shift,
            peak=peak(runs[-1], known) if has_map else None,
            suspect=suspect.doubts(measures, self.suspicion) if doubted and measures else None,
            model_waited_msecs=before.model_waited_msecs,
            model_msecs=before.model_msecs,
        )
        return Predicted(known, masks, spent(facts, runs or [whole]), map_size, measures)

    def _counted(self, picture: Picture, masks: Sequence[Any]) -> Optional[suspect.Measures]:
        """What the masks measure, if their parts are asked for."""
        is_asked = {"parts", subject.ALL} & {*self.facts}
        return suspect.measured(picture, masks) if is_asked else None


def spent(facts: Facts, runs: Sequence[Run]) -> Facts:
    """Facts to whose time of models that of these runs is added."""
    if not runs:
        return facts
    return facts._replace(
        model_waited_msecs=(facts.model_waited_msecs or 0) + _msecs(run.waited for run in runs),
        model_msecs=(facts.model_msecs or 0) + _msecs(run.seconds for run in runs),
    )


def _msecs(seconds: Iterable[float]) -> int:
    return round(1000 * sum(seconds))
