"""Web: pictures of one keep-alive server, against `requests` in a pool of as many threads."""

import contextlib
import subprocess
from typing import Iterator

import report
import sides
import turns
from sides import Bench, Counts, Side

BYTES = 60_000
THREADS = 16

# The difference counts: 5,000.
COUNTS = Counts(500, 5_500)
QUICK = Counts(2, 4)

NOTE = (
    "{:,} URLs of one server on loopback that keeps its connections open, JPEGs of {:,} bytes, {} "
    "threads: `requests` with one session in a thread pool, and the step that reads pictures in a "
    "Beam pipeline, with its checks of addresses, caps and time limits."
)


def measure(bench: Bench) -> report.Section:
    """The table, and the ratio for its bar."""
    counts = QUICK if bench.quick else COUNTS
    with _server() as url:
        compared = {name: (_side(name, url), counts) for name in ("requests", "rembg-beam")}
        paces = turns.take(bench.repeats, compared)
    ratio = paces["rembg-beam"].against(paces["requests"])
    rows = [
        [name, report.rate(pace.seconds), f"{pace.against(paces['requests']).value:.2f}"]
        for name, pace in paces.items()
    ]
    lines = report.table(["", "pictures/s", "against `requests`"], rows)
    note = NOTE.format(counts.many - counts.few, BYTES, THREADS)
    return report.Section([*lines, "", note], {"web": ratio})


def _side(name: str, url: str) -> Side:
    command = [sides.PYTHON, sides.HERE / "web_reader.py", name, url]
    return lambda number: sides.timed([*command, number, THREADS])


@contextlib.contextmanager
def _server() -> Iterator[str]:
    command = [sides.PYTHON, sides.HERE / "web_server.py", str(BYTES)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout and process.stdin
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        process.stdin.close()
