"""Reads URLs of one server. Run as `python web_reader.py HOW URL COUNT THREADS`: HOW is `requests`,
a session of that library in a thread pool, or `rembg-beam`, the step that reads pictures."""

import concurrent.futures
import logging
import sys
from typing import Any, Callable, Dict, List

import apache_beam as beam
import requests

from rembg_beam.transforms import Source, WebOptions
from rembg_beam.transforms.read import ReadPictures


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
    logging.disable(logging.WARNING)
    how, url, count, threads = sys.argv[1:]
    HOW[how]([f"{url}/{number}.jpg" for number in range(int(count))], int(threads))
