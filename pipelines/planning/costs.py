"""What of a job grows with its pictures: bytes through shuffles, requests, rows.

In: numbers of pictures. Out: bytes, requests, seconds. The one table of these figures, on which
`docs/scale.md` and `rembg-beam plan` stand; `tests/test_scale.py` holds it against runs. Nothing
can fail.
"""

from typing import NamedTuple, Optional

from ...transforms.folder.manifest import ROWS_PER_FILE
from ...transforms.store.members import BLOCK_BYTES
from .prices import Prices


class Crossing(NamedTuple):
    """What crosses a shuffle: the step that asks for it, of what, for each of what, bytes."""

    step: str
    element: str
    each: str
    size: int


# For gs://my-bucket/photos/2026/000/0123456789abcdef.jpg; keys and Beam's own bytes included.
NAMED, DONE, ROW, TO_DO = "picture", "output that is there", "earlier row", "picture to be done"
CROSSINGS = (
    Crossing("Group those of one output", "its output's name, and the source", NAMED, 136),
    Crossing("Leave what is done", "the same", NAMED, 250),
    Crossing("Leave what is done", "a file of the listing", DONE, 201),
    Crossing("Last of each kind", "an earlier row", ROW, 438),
    Crossing("Leave what is done", "the last row of each kind", ROW, 452),
    Crossing("Spread them over the workers", "the source", TO_DO, 261),
    Crossing("Gather all rows", "its row, packed with 999 others", NAMED, 86),
)

# Of pictures in gs://my-bucket/photos/2026/00000.tar, called 0123456789abcdef.jpg, into shards.
INTO_SHARDS = (
    Crossing("Group those of one output", "its output's name, and the source", NAMED, 168),
    Crossing("Gather all sources", "the source, with others under the one key of all", NAMED, 156),
    Crossing("Spread them", "the source, with those of its shard", TO_DO, 196),
)


class Asked(NamedTuple):
    """Requests of a run from tar shards into tar shards.

    Attributes:
      reads, stats: of each shard that is read; one read for each 8 MB, by who finds its pictures.
      sent: of each shard that is made: its file and its rows; a file above 8 MB takes two.
      seen, read: of each that is made: whether it is there, and its rows, for the index.
    """

    reads: int = 1
    stats: int = 1
    sent: int = 2
    seen: int = 2
    read: int = 1


ASKED = Asked()

# Of a picture in a shard, assumed.
PICTURE_BYTES = 150_000

SAMPLES_PER_SHARD = 1000

# Of a Parquet file of ROWS_PER_FILE typical rows; CPU seconds to make it of what came through the
# shuffle, and to read it again for a resumed run. 2026-11-28, one core of an AMD EPYC.
ROW_BYTES = 68.0
WRITE_SECONDS = 0.55
READ_SECONDS = 2.5

# Assumed, not measured: for the answer to one request for a thousand names.
PAGE_SECONDS = 0.2
PAGE_NAMES = 1000

# Of a worker, in gigabytes.
DISK_GB = 100

# What a new bucket takes in a second, and how often that may double:
# cloud.google.com/storage/docs/request-rate.
BUCKET_WRITES, BUCKET_READS = 1000, 5000
DOUBLING_SECONDS = 20 * 60


class Requests(NamedTuple):
    """Requests to storage, as they are billed: those that write or list, and those that read."""

    writes: float
    reads: float

    def dollars(self, prices: Prices) -> float:
        return self.writes * prices.write_request + self.reads * prices.read_request


def shuffled(*each: str) -> int:
    """Bytes that cross shuffles for each of these."""
    return sum(crossing.size for crossing in CROSSINGS if crossing.each in each)


def manifest_files(pictures: float) -> int:
    """Files that the rows of so many take."""
    return int(-(-pictures // ROWS_PER_FILE))


def of_files(pictures: float, parts: float = 1) -> Requests:
    """Of a job from files to files, into an empty folder; `parts` are files made of a picture."""
    lists = pictures // PAGE_NAMES
    return Requests(parts * pictures + lists + manifest_files(pictures), pictures)


def of_shards(
    pictures: float,
    picture_bytes: Optional[float] = None,
    samples_per_shard: int = SAMPLES_PER_SHARD,
) -> Requests:
    """Of a job from shards to shards, into an empty folder."""
    shards = -(-pictures // samples_per_shard)
    blocks = -(-samples_per_shard * (picture_bytes or PICTURE_BYTES) // BLOCK_BYTES)
    # Those who find the pictures and those who read them are others; a large file takes two.
    reads = shards * (2 * blocks * ASKED.reads + 2 * ASKED.stats + ASKED.seen + ASKED.read)
    return Requests(shards * (ASKED.sent + 1), reads)
