"""Watch: inputs -> their pictures as they come, without an end.

In: a pipeline. Out: a `Source`, by the time it was found, for each file of the inputs that is new
or was written anew since they were looked at last; at first for all. Kept are 8 bytes for each file
that is there, so that what grows is the folder alone. An input that matches nothing yet is waited
for. A local file that was written a moment ago may still be copied: the next look takes it. The
first look fails as `patterns.find` does otherwise; a later one that the store fails is logged, and
the next one has what it missed.
"""

import hashlib
import logging
import os
import time
from typing import Any, Dict, Iterator, Optional, Sequence, Tuple

import apache_beam as beam
from apache_beam.coders import BytesCoder
from apache_beam.transforms.periodicsequence import PeriodicImpulse
from apache_beam.transforms.userstate import ReadModifyWriteStateSpec

from .. import coders as coders
from ..elements import Source
from ..store import uris
from . import patterns

# Of a file and the time it was written.
_DIGEST_BYTES = 8

# More than any file system rounds times to.
SETTLE_SECONDS = 3.0

# Digests of what was there when an input was looked at last.
_SEEN = beam.DoFn.StateParam(ReadModifyWriteStateSpec("seen", BytesCoder()))

_log = logging.getLogger(__name__)


class Watch(beam.PTransform):
    """See the module's docstring.

    Args:
      inputs: see `patterns.find`.
      seconds: between two looks.
      relative_to: the folder that names are relative to; None for names that follow from inputs.
      exclude: the output folder, which is no input.
    """

    def __init__(
        self,
        inputs: Sequence[str],
        seconds: float,
        *,
        relative_to: Optional[str],
        exclude: Optional[str],
    ) -> None:
        super().__init__()
        self.inputs = [os.path.abspath(uri) if uris.scheme(uri) is None else uri for uri in inputs]
        self.seconds = seconds
        self.relative_to = relative_to
        self.exclude = exclude

    def expand(self, start: Any) -> beam.PCollection:
        from apache_beam.runners.portability.fn_api_runner import FnApiRunner

        if isinstance(start.pipeline.runner, FnApiRunner):
            _log.warning(
                "watch: FnApiRunner is no engine for pictures that keep coming, and waits for the "
                "last one for ever; take PrismRunner, Flink or Dataflow"
            )
        keyed = Tuple[str, float]
        return (
            start
            | "Now and then" >> PeriodicImpulse(fire_interval=self.seconds)
            | "Each input" >> beam.FlatMap(_each, self.inputs).with_output_types(keyed)
            | "Find what is new"
            >> beam.ParDo(FindNew(self.relative_to, self.exclude, SETTLE_SECONDS))
        )


def _each(at: Any, inputs: Sequence[str]) -> Iterator[Tuple[str, float]]:
    for uri in inputs:
        yield uri, float(at)


@beam.typehints.with_input_types(Tuple[str, float])
@beam.typehints.with_output_types(Source)
class FindNew(beam.DoFn):
    """The pictures of an input that were not there, so, when it was looked at last.

    Args:
      relative_to, exclude: see `Watch`.
      settle: seconds for which a local file must not have been written.
    """

    def __init__(
        self, relative_to: Optional[str], exclude: Optional[str], settle: float = 0.0
    ) -> None:
        self.relative_to = relative_to
        self.exclude = exclude
        self.settle = settle

    def setup(self) -> None:
        self._looked: Dict[str, float] = {}

    def process(self, keyed: Tuple[str, float], seen: Any = _SEEN) -> Iterator[Source]:
        pattern, at = keyed
        if at < self._looked.get(pattern, 0.0):  # of looks that are late the last is enough
            return
        began, before = time.time(), seen.read()
        known, now = set(_split(before or b"")), set[bytes]()
        try:
            for source, modified in patterns.find_timed(pattern, exclude=self.exclude):
                if self._may_grow(source.uri, modified):
                    continue
                digest = _digest(source.uri, modified)
                now.add(digest)
                if digest not in known:
                    yield source if self.relative_to is None else Source(source.uri)
        except OSError as error:
            if before is None:
                raise
            shown = uris.without_secrets(pattern)
            _log.warning("%s can't be looked at, the next look will tell: %s", shown, error)
            now |= known
        if before is None or now != known:
            seen.write(b"".join(sorted(now)))
        self._looked[pattern] = began

    def _may_grow(self, uri: str, modified: Optional[float]) -> bool:
        """Whether a file may not be whole yet; those of other stores appear when they are."""
        if modified is None or not uris.is_local(uri):
            return False
        return abs(time.time() - modified) < self.settle  # else it is of another clock


def _digest(uri: str, modified: Optional[float]) -> bytes:
    return hashlib.blake2b(
        f"{modified} {uri}".encode("utf-8", "surrogatepass"), digest_size=_DIGEST_BYTES
    ).digest()


def _split(digests: bytes) -> Iterator[bytes]:
    for start in range(0, len(digests), _DIGEST_BYTES):
        yield digests[start : start + _DIGEST_BYTES]
