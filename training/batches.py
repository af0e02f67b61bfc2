"""Batches of made pictures, from processes of their own.

Out: RGB uint8 [N, S, S, 3] and masks uint8 [N, S, S]. Batch k of a seed is always the same, in
whatever process it is made; batches come in their order.
"""

import itertools
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor

import cv2
import numpy as np

from training.colours import Array
from training.compose import picture, posed_picture


def make(
    seed: int, number: int, count: int, side: int, studio: int = 0, posed: int = 0
) -> tuple[Array, Array]:
    """Batch `number` of `seed`: `count` pictures, first `studio` in a studio, then `posed` ones."""
    cv2.setNumThreads(1)
    rng = np.random.default_rng([seed, number])
    made = [
        posed_picture(rng, side)
        if studio <= place < studio + posed
        else picture(rng, side, place < studio)
        for place in range(count)
    ]
    return np.stack([rgb for rgb, _ in made]), np.stack([mask for _, mask in made])


def batches(
    seed: int,
    count: int,
    sides: list[int],
    workers: int = 1,
    first: int = 0,
    studio: int = 0,
    posed: int = 0,
) -> Iterator[tuple[Array, Array]]:
    """A batch of `count` pictures for each of `sides` from the `first`, some made ahead."""
    with ProcessPoolExecutor(workers) as pool:
        numbers = itertools.islice(enumerate(sides), first, None)
        ahead = [
            pool.submit(make, seed, number, count, side, studio, posed)
            for number, side in itertools.islice(numbers, 4 * workers)
        ]
        while ahead:
            yield ahead.pop(0).result()
            for number, side in itertools.islice(numbers, 1):
                ahead.append(pool.submit(make, seed, number, count, side, studio, posed))


def fresh(seed: int, count: int, side: int, studio: bool) -> Iterator[tuple[Array, Array]]:
    """`count` pictures, one at a time: RGB [side, side, 3] and mask [side, side]."""
    for number in range(count):
        pictures, masks = make(seed, number, 1, side, studio)
        yield pictures[0], masks[0]
