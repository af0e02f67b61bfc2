"""Web: pictures of one keep-alive server, against `requests` in a pool of as many threads.

The server and the readers are processes of their own. `python web.py` answers every GET on loopback
with one JPEG, keeps connections open, prints its port, and ends with its standard input.
`python web.py HOW URL COUNT THREADS` reads URLs of it: HOW is `requests`, a session of that library
in a thread pool, or `rembg-beam`, the step that reads pictures.
"""

import asyncio
import concurrent.futures
import contextlib
import logging
import subprocess
import sys
from typing import Any, Callable, Dict, Iterator, List

import report
import requests
import sides
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


def web(bench: Bench) -> report.Section:
    """The table, and the ratio for its bar."""
    counts = QUICK if bench.quick else COUNTS
    with _server() as url:
        compared = {name: (_side(name, url), counts) for name in ("requests", "rembg-beam")}
        paces = sides.take(bench.repeats, compared)
    ratio = paces["rembg-beam"].against(paces["requests"])
    rows = [
        [name, report.rate(pace.seconds), f"{pace.against(paces['requests']).value:.2f}"]
        for name, pace in paces.items()
    ]
    lines = report.table(["", "pictures/s", "against `requests`"], rows)
    note = NOTE.format(counts.many - counts.few, BYTES, THREADS)
    return report.Section([*lines, "", note], {"web": ratio})


def _side(name: str, url: str) -> Side:
    command = [sides.PYTHON, __file__, name, url]
    return lambda number: sides.timed([*command, number, THREADS])


@contextlib.contextmanager
def _server() -> Iterator[str]:
    command = [sides.PYTHON, __file__]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout and process.stdin
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        process.stdin.close()


class _Answering(asyncio.Protocol):
    """One connection; requests may come in pieces."""

    answer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.received = b""

    def data_received(self, data: bytes) -> None:
        self.received += data
        *requests, self.received = self.received.split(b"\r\n\r\n")
        for _ in requests:
            self.transport.write(self.answer)  # type: ignore[attr-defined]


async def serve() -> None:
    head = f"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nContent-Length: {BYTES}\r\n\r\n"
    _Answering.answer = head.encode() + bytes(BYTES)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(_Answering, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


def by_requests(urls: List[str], threads: int) -> None:
    session = requests.Session()
    session.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=threads))

    def read(url: str) -> int:
        answer = session.get(url, timeout=30)
        answer.raise_for_status()
        return len(answer.content)

    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        assert len(list(pool.map(read, urls))) == len(urls)


def by_rembg_beam(urls: List[str], threads: int) -> None:
    import apache_beam as beam

    from rembg_beam.transforms import Source, WebOptions
    from rembg_beam.transforms.read import ReadPictures

    read = ReadPictures(threads=threads, web_options=WebOptions(allow_private_hosts=True))
    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        read_all = (
            pipeline
            | beam.Create(list(map(Source, urls)))
            | beam.ParDo(read)
            | beam.Map(_size)
            | beam.combiners.Count.Globally()
        )
        _ = read_all | beam.Map(_check, len(urls))


def _size(element: Any) -> int:
    return len(element[1].data)


def _check(read: int, expected: int) -> None:
    if read != expected:
        raise RuntimeError(f"{read} of {expected} were read")


HOW: Dict[str, Callable[[List[str], int], None]] = {
    "requests": by_requests,
    "rembg-beam": by_rembg_beam,
}


if __name__ == "__main__":
    if sys.argv[1:]:
        logging.disable(logging.WARNING)
        how, url, count, threads = sys.argv[1:]
        HOW[how]([f"{url}/{number}.jpg" for number in range(int(count))], int(threads))
    else:
        asyncio.run(serve())
