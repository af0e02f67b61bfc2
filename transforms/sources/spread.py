"""Spread: sources -> the same, anywhere, but those of one block of a shard together and in order.

In and out: sources. Each goes to any worker; pictures that lie side by side in a shard go to one,
which reads them by few requests, and those of a row group are decoded once. Only sources are
shuffled; windows, timestamps and panes are kept. Nothing can fail.
"""

import hashlib
import random
from typing import Any, Iterator, List, Tuple

import apache_beam as beam
from apache_beam.transforms.util import ReshufflePerKey
from apache_beam.utils.windowed_value import WindowedValue

from .. import coders as coders
from ..elements import Source
from ..store import members

# Of one block or row group, put in order at once.
_HELD = 10_000

_KEY_BYTES = 4


class Spread(beam.PTransform):
    """See the module's docstring."""

    def expand(self, sources: beam.PCollection) -> beam.PCollection:
        keyed = Tuple[bytes, Source]
        return (
            sources
            | "Key by place" >> beam.Map(_keyed).with_output_types(keyed)
            | ReshufflePerKey().with_input_types(keyed).with_output_types(keyed)
            | "In order" >> beam.ParDo(InOrder())
        )


@beam.typehints.with_input_types(Tuple[bytes, Source])
@beam.typehints.with_output_types(Source)
class InOrder(beam.DoFn):
    """Puts what comes in a row with one key in the order in which it lies."""

    def start_bundle(self) -> None:
        self._key = b""
        self._held: List[Tuple[str, WindowedValue]] = []

    def process(
        self, keyed: Tuple[bytes, Source], windowed: Any = beam.DoFn.WindowedValueParam
    ) -> Iterator[Any]:
        key, source = keyed
        if self._held and (key != self._key or len(self._held) >= _HELD):
            yield from self.finish_bundle()
        place = members.order(source.uri)
        if place is None:
            yield source
            return
        self._key = key
        self._held.append((place, windowed.with_value(source)))

    def finish_bundle(self) -> Iterator[WindowedValue]:
        held, self._held = self._held, []
        for _, source in sorted(held, key=lambda each: each[0]):
            yield source


def _keyed(source: Source) -> Tuple[bytes, Source]:
    key = members.spread_key(source.uri)
    if key is None:
        return random.randbytes(_KEY_BYTES), source
    return hashlib.blake2b(key.encode(), digest_size=8).digest(), source
