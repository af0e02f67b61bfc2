"""Base: the settings as they were, on the sample -> what decides what is tried.

In: settings, Beam's options, and sources. Out: `Base`. Fails as opening an arm does.
"""

import time
from typing import List, NamedTuple, Sequence, Tuple

from ...transforms.elements import Failure, Source
from ...transforms.runtime import memory
from .. import beam_options, runners, warm
from ..settings import Parsed, Settings
from . import arms, factors

# Of a round, if the budget allows; and pictures in it for each thread, of which the last are worked
# on alone.
ROUND_SECONDS = 2.0
PICTURES_PER_THREAD = 4


class Base(NamedTuple):
    """The settings as they were, on the sample.

    Attributes:
      known: what decides what is tried.
      good: the pictures that can be cut out.
      why: of those that can't, each with the reason.
      rate: pictures a second.
    """

    known: factors.Known
    good: List[Source]
    why: List[Tuple[Source, Failure]]
    rate: float


def measured(given: Settings, parsed: Parsed, sources: Sequence[Source]) -> Base:
    """What the settings as they were do with the sample, or with as much of it as tells."""
    warm.load()
    with arms.Here(given) as here:
        for _ in here.done(sources[: here.threads]):
            pass
        done, seconds = _some(here, sources)
        good = [each for each in done if not isinstance(each.result, Failure)]
        why = [(each.source, each.result) for each in done if isinstance(each.result, Failure)]
        rate = len(done) / seconds
        reading = [each.facts["read_msecs"] / 1000 for each in good] or [0.0]
        share = sum(reading) / len(reading) / given.read_threads * rate
        known = _known(given, parsed, here, share)
    return Base(known, [each.source for each in good], why, rate)


def _some(here: arms.Here, sources: Sequence[Source]) -> Tuple[List[arms.Done], float]:
    """The pictures that are done in a few rounds' time, and the seconds that they took."""
    enough = here.threads * PICTURES_PER_THREAD
    done: List[arms.Done] = []
    start = time.perf_counter()
    for each in here.done(sources):
        done.append(each)
        if len(done) >= enough and time.perf_counter() - start > 3 * ROUND_SECONDS:
            break
    return done, time.perf_counter() - start


def _known(given: Settings, parsed: Parsed, here: arms.Here, share: float) -> factors.Known:
    import psutil
    from loky import cpu_count

    loaded, config = here.loaded, given.job().remove.config
    of_beam = vars(beam_options.parser().parse_known_args(parsed.beam)[0])
    takes = psutil.Process().memory_info().rss
    return factors.Known(
        given=({*parsed.origins} - {"provider"}) | {*of_beam},
        cores=int(cpu_count()),
        threads=here.threads,
        batch=loaded.batch,
        provider=loaded.provider or config.provider_names[0],
        has_options=bool(config.provider[0][1]),
        read_threads=given.read_threads,
        read_share=share,
        copies=int(memory.available() * factors.MEMORY_SHARE / takes),
        is_here=runners.chosen(beam_options.Options(parsed.beam)) == runners.HERE,
    )
