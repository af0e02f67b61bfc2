"""What servers pack unasked: undone within bounds, whatever it claims to be."""

import contextlib
import gzip
import random
import zlib
from typing import Any, Callable, Dict, List

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import web as servers
from support.web import fetcher
from urllib3.exceptions import DecodeError

from rembg_beam.transforms.store import limits
from rembg_beam.transforms.store.web import packing

URL = "http://host/a.jpg"


def raw(data: bytes) -> bytes:
    """Deflate without zlib's header, as some servers have it."""
    stream = zlib.compressobj(9, zlib.DEFLATED, -15)
    return stream.compress(data) + stream.flush()


def members(data: bytes) -> bytes:
    return b"".join(gzip.compress(data[at : at + 100]) for at in range(0, len(data), 100) or [0])


PACKERS: Dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "x-gzip": members,
    "deflate": zlib.compress,
    "Deflate": raw,
}


def in_chunks(data: bytes, size: int) -> Any:
    return iter([data[at : at + size] for at in range(0, len(data), size)])


def unpacked(data: bytes, coding: str, size: int = 1 << 16, max_bytes: Any = None) -> bytes:
    return b"".join(packing.unpacked(URL, in_chunks(data, size), coding, max_bytes))


@given(
    st.binary(max_size=500) | st.integers(0, 5000).map(bytes),
    st.lists(st.sampled_from(sorted(PACKERS)), max_size=packing.MOST_CODINGS),
    st.integers(1, 700),
)
def test_what_is_packed_comes_as_it_was(data: bytes, codings: List[str], size: int) -> None:
    packed = data
    for coding in codings:
        packed = PACKERS[coding](packed)
    assert unpacked(packed, ", ".join(codings), size) == data


@given(st.binary(min_size=1, max_size=500), st.sampled_from(sorted(PACKERS)), st.data())
def test_what_ends_early_is_no_picture(data: bytes, coding: str, more: Any) -> None:
    packed = PACKERS[coding](data) if coding != "x-gzip" else gzip.compress(data)
    end = more.draw(st.integers(1, len(packed) - 1))
    with pytest.raises(DecodeError, match="ends early"):
        unpacked(packed[:end], coding, 64)


@given(st.binary(max_size=300), st.sampled_from(["gzip", "deflate", "gzip, gzip"]))
def test_what_is_not_packed_is_told_from_it(data: bytes, coding: str) -> None:
    with contextlib.suppress(DecodeError):
        assert len(unpacked(data, coding, max_bytes=100_000)) <= 100_000


@pytest.mark.parametrize("coding", sorted(PACKERS))
def test_the_cap_is_exact(coding: str) -> None:
    data = random.Random(0).randbytes(70_000)
    assert unpacked(PACKERS[coding](data), coding, max_bytes=90_000) == data
    with pytest.raises(limits.TooLarge, match="max_bytes=60000"):
        unpacked(PACKERS[coding](bytes(60_001)), coding, max_bytes=60_000)
    assert unpacked(PACKERS[coding](bytes(60_000)), coding, max_bytes=60_000) == bytes(60_000)


@pytest.mark.parametrize(
    ("trailer", "size"), [(b"\0" * 5000, 64), (b"\0", 1 << 16), (b"<html>", 7), (b"x" * 9000, 1)]
)
def test_what_stands_behind_is_passed_over(trailer: bytes, size: int) -> None:
    for coding in ("gzip", "deflate"):
        assert unpacked(PACKERS[coding](b"picture") + trailer, coding, size) == b"picture"


@pytest.mark.parametrize("label", ["", "identity", "none", "utf-8", "binary", ", ,", "image/jpeg"])
def test_a_label_that_is_no_coding_is_passed_over(label: str) -> None:
    assert unpacked(b"picture", label) == b"picture"


def test_no_more_is_asked_for_than_the_cap_and_one() -> None:
    asked: List[int] = []

    def read(size: int) -> bytes:
        asked.append(size)
        return bytes(size)

    with pytest.raises(limits.TooLarge):
        list(limits.capped(URL, read, 100_000))
    assert sum(asked) == 100_001


@pytest.mark.parametrize("kind", sorted(servers.FOREVER))
def test_what_never_ends_is_left_soon(server: servers.Server, kind: str) -> None:
    """Long before the time that an answer has, and without holding it."""
    process = psutil.Process()
    held, worked = process.memory_info().rss, process.cpu_times().user
    fetching = fetcher()
    with pytest.raises(OSError, match=r"max_bytes=2000000|not as HTTP has it"):
        fetching.read(f"{server.url}/forever?{kind}", 2_000_000)
    assert fetching.attempts == 1
    assert process.memory_info().rss - held < 50_000_000
    assert process.cpu_times().user - worked < 5


@pytest.mark.parametrize(
    ("label", "says"),
    [
        ("br", "br was not asked for"),
        ("gzip, br", "br was not asked for"),
        ("zstd", "zstd was not asked for"),
        (", ".join(["gzip"] * 1000), "1000 in a row, and 5 at most"),
    ],
)
def test_what_is_not_undone_is_named(server: servers.Server, label: str, says: str) -> None:
    server.packed = b"packed"
    with pytest.raises(OSError, match="Content-Encoding can't be undone") as raised:
        fetcher().read(f"{server.url}/packed?{label.replace(' ', '%20')}", 2_000_000)
    assert says in str(raised.value)


def test_layers_of_nothing_are_capped_one_by_one(server: servers.Server) -> None:
    """Two kilobytes that stand for ten megabytes that stand for nothing."""
    blocks = b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + b"\x00\x00\x00\xff\xff" * 2_000_000
    server.packed = gzip.compress(gzip.compress(blocks, 1))
    with pytest.raises(limits.TooLarge, match="max_bytes=2000000"):
        fetcher().read(f"{server.url}/packed?gzip,gzip,gzip", 2_000_000)


def test_answers_that_tell_of_another_are_passed_over(server: servers.Server) -> None:
    got = fetcher().read(f"{server.url}/early-hints")
    assert (got.value, got.attempts) == (server.pictures["/a.jpg"], 1)


def test_another_transfer_encoding_is_refused(server: servers.Server) -> None:
    assert fetcher().read(f"{server.url}/transferred?Chunked").value == b"abc"
    with pytest.raises(OSError, match="Transfer-Encoding, gzip, chunked, was not asked for"):
        fetcher().read(f"{server.url}/transferred?gzip,%20chunked")


def test_a_connection_is_kept_after_what_was_packed(server: servers.Server) -> None:
    fetching = fetcher()
    for label, packed in (("gzip", gzip.compress(b"x")), ("deflate", zlib.compress(b"x") + b"y")):
        server.packed = packed
        for _ in range(2):
            assert fetching.read(f"{server.url}/packed?{label}").value == b"x"
    assert server.connections == 1
