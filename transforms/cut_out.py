"""CutOut: `(key, bytes)` -> `(key, bytes)`, in pipelines that read and write by themselves.

    (key, picture) -> remove -> (key, cutout)
                         \\
                          `---> (key, failure)

Nothing crosses a shuffle, and the step is fused with what stands before and after it. Everything a
worker could refuse because of a setting is refused here, while the pipeline is built, with
`ValueError`; so are settings with which a picture would become several, or none.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple, Tuple, TypeVar, Union

import apache_beam as beam

from .elements import Cutout
from .models import catalogue
from .pictures.given import BYTES
from .pictures.shown import ends
from .rembg_dofn import RemBGDoFn, RemoveSettings
from .setting import documented
from .store import uris

K = TypeVar("K")


class CutOuts(NamedTuple):
    """What `CutOut` gives: PCollections of pairs.

    Attributes:
      cutouts: each key with the bytes of its cutout.
      failures: each key with the `Failure` that says why it has none.
    """

    cutouts: beam.PCollection
    failures: beam.PCollection


@documented
@dataclass(kw_only=True, eq=False)
class CutOut(RemoveSettings, beam.PTransform):
    """Removes the backgrounds of pictures that a pipeline has read, and hands the cutouts back.

    The input's elements are pairs of a key and a picture's encoded bytes. The key is anything that
    belongs to the picture: its name, a row, a mapping; it comes out as it went in. Bounded or not:
    window, timestamp and pane of an element are those of what becomes of it.

        cutouts, failures = pairs | CutOut(session="tiny")

    Every pair comes out once, on one of the two. For models with several masks, and for arguments
    that differ from picture to picture, there is `RemBGDoFn`.
    """

    def __post_init__(self) -> None:
        beam.PTransform.__init__(self)
        super().__post_init__()
        made = ends(self.options, self.encoding, catalogue.find(self.config.model).masks)
        outputs = self.options.made()
        if outputs[1:]:
            raise ValueError(
                f"outputs={','.join(outputs)} are {len(made)} pictures of each, and CutOut gives "
                "one: take RemBGDoFn, or one output"
            )
        if made[1:]:
            raise ValueError(
                f"{self.config.model} makes {len(made)} cutouts of a picture, and CutOut gives "
                "one: take RemBGDoFn, stack_masks=True, or one cloth_category in extras"
            )
        if self.options.empty_mask == "skip":
            raise ValueError(
                "empty_mask='skip' would lose the pictures in which nothing is found: take 'fail', "
                "which gives them as failures, or RemBGDoFn"
            )

    def expand(self, pictures: beam.PCollection) -> Any:
        # Beam knows no hint for a tuple of PCollections: it is a `CutOuts`.
        cutouts, failures = (
            pictures
            | "Take pairs" >> beam.Map(_as_pair)
            | "Remove backgrounds"
            >> beam.ParDo(self.step()).with_outputs(RemBGDoFn.FAILURES, main="cutouts")
        )
        return CutOuts(cutouts | "Take their bytes" >> beam.Map(_with_bytes), failures)


def _as_pair(element: Tuple[K, Union[bytes, bytearray, memoryview]]) -> Tuple[K, bytes]:
    is_pair = isinstance(element, (tuple, list)) and len(element) == 2
    if is_pair and isinstance(element[1], BYTES):
        return element[0], bytes(element[1])
    shown = uris.without_secrets_in(repr(element))[:200]
    raise TypeError(f"CutOut got {shown}: its elements are pairs (key, bytes of a picture's file)")


def _with_bytes(pair: Tuple[K, Cutout]) -> Tuple[K, bytes]:
    key, cutout = pair
    (part,) = cutout.parts
    return key, part.data
