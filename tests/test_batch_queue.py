"""Any schedule of calls: each gets what is its own, in bounded time, whatever happens to others."""

import random
import threading
import time
from typing import Any, Dict, List, Optional, Sequence

import numpy as np
import pytest

from rembg_beam.transforms.models.batching import Batching
from rembg_beam.transforms.models.device_memory import OutOfMemory

CALLERS, CALLS = 24, 153
SIZES = (1, 3, 6)

# What some pictures do to a run, by the remainders of their numbers, and the errors they get.
BAD, HUGE, INTERRUPTING = 7, 11, 13
OF = 17
KINDS = {BAD: ValueError, HUGE: OutOfMemory, INTERRUPTING: KeyboardInterrupt}


class Card:
    """Doubles its input after a while; has room for so many pictures, and may fail at any time."""

    def __init__(self, chance: random.Random, room: int) -> None:
        self.chance = chance
        self.room = room
        self.most = 0
        self._running: List[int] = []
        self._lock = threading.Lock()

    def run(self, names: Any, feeds: Any, options: Any = None) -> List[Any]:
        x = feeds["x"]
        kinds = {int(number) % OF for number in x[:, 0]}
        with self._lock:
            seconds = self.chance.choice([0, 0, 0.001, 0.004])
            fails = self.chance.random() < 0.05 and len(x) > 1
            self._running.append(len(x))
            self.most = max(self.most, len(self._running))
            is_full = sum(self._running) > self.room or HUGE in kinds
        try:
            time.sleep(seconds)
            if is_full:
                raise RuntimeError("Failed to allocate memory for requested buffer of size 1")
            if BAD in kinds or fails:
                raise ValueError("a bad picture")
            if INTERRUPTING in kinds:
                raise KeyboardInterrupt
            return [2 * x]
        finally:
            with self._lock:
                self._running.remove(len(x))


class Interruptible(threading.Condition):
    """Some waits end as Ctrl-C would end them."""

    def __init__(self, chance: random.Random) -> None:
        super().__init__()
        self.chance = chance
        self.share = 0.05

    def wait(self, timeout: Optional[float] = None) -> bool:
        if self.chance.random() < self.share:
            raise KeyboardInterrupt
        return super().wait(timeout)


def outcome(batching: Batching, number: int) -> Any:
    """What a picture gets, or the class of its error; its width is one of two."""
    try:
        (found,) = batching.run(None, {"x": np.full((1, 2 + number % 2), number, np.float32)})
    except BaseException as error:
        return type(error)
    assert found.shape == (1, 2 + number % 2) and (found == found[0, 0]).all()
    return found[0, 0].item()


def outcomes(batching: Batching, numbers: Sequence[int]) -> Dict[int, Any]:
    """Of each picture, by many threads, none of which may hang."""
    found: Dict[int, Any] = {}

    def work(own: Sequence[int]) -> None:
        for number in own:
            found[number] = outcome(batching, number)

    shares = [(numbers[first::CALLERS],) for first in range(CALLERS)]
    threads = [threading.Thread(target=work, args=share, daemon=True) for share in shares]
    for thread in threads:
        thread.start()
    end = time.monotonic() + 120
    for thread in threads:
        thread.join(max(0, end - time.monotonic()))
    assert not any(thread.is_alive() for thread in threads), "a thread hangs"
    return found


@pytest.mark.parametrize("at_once", [None, 1, 2])
@pytest.mark.parametrize(("room", "sizes"), [(2, SIZES), (99, ())])
def test_whatever_happens_each_gets_its_own_and_nobody_hangs(
    at_once: Any, room: int, sizes: Any
) -> None:
    chance = random.Random(f"{at_once} {room}")
    card = Card(chance, room)
    batching = Batching(card, max_size=SIZES[-1], at_once=at_once, wait_msecs=2, sizes=sizes)
    batching._queue._changed = interruptible = Interruptible(chance)
    numbers = list(range(CALLS))
    chance.shuffle(numbers)
    own = {number: KINDS.get(number % OF, 2 * number) for number in numbers}
    found = outcomes(batching, numbers)
    for number, result in found.items():
        # Its own thread may have been interrupted, or the one that ran its batch.
        assert result in (own[number], KeyboardInterrupt, RuntimeError), number
    assert sum(found[number] == own[number] for number in numbers) > CALLS / 4
    assert card.most <= (at_once or CALLERS)
    # Nothing stays behind.
    interruptible.share = 0.0
    plain = [number for number in numbers if number % OF not in KINDS]
    assert outcomes(batching, plain) == {number: own[number] for number in plain}
