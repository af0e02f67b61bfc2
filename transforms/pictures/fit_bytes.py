"""A picture in no more bytes than so many, at the highest quality that allows it.

In: what encodes it at a quality. Out: its bytes. Fails with `DoesNotFit`, which has the size at the
lowest quality, where that is too large.
"""

from typing import Callable


class DoesNotFit(ValueError):
    """At the lowest quality it is too large still.

    Args:
      size: bytes that it takes then.
    """

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.size = size


def fitted(encoded: Callable[[int], bytes], lowest: int, highest: int, most: int) -> bytes:
    """The file at the highest quality at which it has no more bytes than `most`.

    By bisection: of a hundred qualities eight are tried at most, and one where the highest fits.

    Args:
      encoded: makes the file at a quality; a higher one makes it no smaller.
      lowest, highest: the qualities, both among them.
      most: bytes.

    >>> fitted(bytes, 0, 100, 42) == bytes(42)
    True
    """
    data = encoded(highest)
    if len(data) <= most:
        return data
    fits = None
    while lowest < highest:  # what `highest` gives is too large
        quality = (lowest + highest) // 2
        data = encoded(quality)
        if len(data) <= most:
            fits, lowest = data, quality + 1
        else:
            highest = quality
    if fits is None:
        raise DoesNotFit(len(data))
    return fits
