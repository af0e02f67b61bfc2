"""Hosts that say wait: left alone until then by all their pictures, while others go on."""

import gc
import logging
import math
import os
import threading
import time
from typing import Any, Iterator, List

import pytest
from apache_beam.utils.windowed_value import WindowedValue
from support import web as servers
from support.web import Clock, Dialled, fetcher, patience, resolving_to

from rembg_beam.transforms import Source, WebOptions
from rembg_beam.transforms.read import ReadPictures
from rembg_beam.transforms.store import web
from rembg_beam.transforms.store.retrying import PutOff
from rembg_beam.transforms.store.web import fetcher as fetching
from rembg_beam.transforms.store.web import hosts
from rembg_beam.transforms.store.web.hosts import PATIENCE_SECONDS, Closed, Hosts


@pytest.fixture
def clock() -> Clock:
    return Clock()


def closed_for(known: Hosts, host: str) -> float:
    """Seconds for which a host is closed, infinity if it is given up; 0 if a request was made."""
    try:
        with known.slot(host):
            return 0.0
    except Closed as closed:
        return math.inf if closed.given_up else closed.seconds


def test_a_host_that_says_wait_is_left_alone_by_all(clock: Clock) -> None:
    known = Hosts(8, clock)
    known.says_wait("a", 60, "HTTP 429")
    assert [closed_for(known, "a") for _ in range(3)] == [60, 60, 60]
    assert closed_for(known, "b") == 0
    clock.sleep(59)
    assert closed_for(known, "a") == 1
    known.says_wait("a", 10, "HTTP 429")
    assert closed_for(known, "a") == 10
    known.says_wait("a", 5, "HTTP 429")
    assert closed_for(known, "a") == 10


def test_a_long_wait_is_told_once(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    known = Hosts(8, clock)
    with caplog.at_level(logging.INFO):
        for _ in range(8):
            known.says_wait("a", 60, "HTTP 429")
            known.says_wait("b", 1, "HTTP 429")
    assert caplog.messages == ["a says wait for 60 s: its pictures come later"]


def test_one_request_goes_first_when_the_time_has_come(clock: Clock) -> None:
    known = Hosts(8, clock)
    known.says_wait("a", 60, "HTTP 429")
    clock.sleep(60)
    with known.slot("a"):
        assert closed_for(known, "a") == hosts.LOOK_SECONDS
    for _ in range(5):  # of ten seconds each
        with known.slot("a"):
            assert closed_for(known, "a") == hosts.LOOK_SECONDS
    with known.slot("a"), known.slot("a"):
        pass


def test_a_first_request_that_is_not_answered_keeps_nobody(clock: Clock) -> None:
    known = Hosts(8, clock)
    known.says_wait("a", 60, "HTTP 429")
    clock.sleep(60)
    with known.slot("a"):
        clock.sleep(hosts.TRIAL_SECONDS)
        assert closed_for(known, "a") == 0


def test_an_answer_to_an_earlier_request_opens_nothing(clock: Clock) -> None:
    known = Hosts(8, clock)
    with known.slot("a"):
        clock.sleep(1)
        known.says_wait("a", 60, "HTTP 429")
    assert closed_for(known, "a") == 60


def test_who_waited_for_a_slot_sees_what_was_said_meanwhile(clock: Clock) -> None:
    known = Hosts(1, clock)
    taken = known.slot("a")
    taken.__enter__()
    seen: List[float] = []
    waiting = threading.Thread(target=lambda: seen.append(closed_for(known, "a")))
    waiting.start()
    while not known._free["a"]._cond._waiters:  # type: ignore[attr-defined]
        time.sleep(0.001)
    known.says_wait("a", 60, "HTTP 429")
    taken.__exit__(None, None, None)
    waiting.join()
    assert seen == [60]
    gc.collect()  # the error, with what was on the stack
    assert not known._free


@pytest.mark.parametrize(
    ("seconds", "gives", "rounds"),
    [(60, 0, 6), (60, 1, 6), (60, 5, 26), (60, 6, None), (1, 0, 301), (1, 1, None), (301, 0, 1)],
)
def test_a_host_is_waited_for_up_to_a_bound(
    clock: Clock, seconds: float, gives: int, rounds: Any
) -> None:
    """The round after which it is given up; None for a host that gives enough."""
    known = Hosts(8, clock)
    for number in range(1, 1000):
        closed = known.says_wait("a", seconds, "HTTP 429")
        if closed is not None:
            assert number == rounds and closed.given_up and closed.seconds == seconds
            break
        clock.sleep(seconds)
        for _ in range(gives):
            with known.slot("a"):
                pass
    else:
        assert rounds is None


def test_a_host_that_was_given_up_is_tried_when_its_time_has_come(clock: Clock) -> None:
    known = Hosts(8, clock)
    known.says_wait("a", 86400, "HTTP 429")
    assert closed_for(known, "a") == math.inf
    clock.sleep(86400)
    with known.slot("a"):
        assert closed_for(known, "a") == hosts.LOOK_SECONDS
    assert closed_for(known, "a") == 0
    known.says_wait("a", 30, "HTTP 429")
    assert closed_for(known, "a") == math.inf


class Reached:
    """A fetcher of many hosts, all of them one server of this machine."""

    def __init__(self, server: servers.Server, clock: Clock) -> None:
        self.server = server
        self.fetcher = fetcher(
            WebOptions(),
            resolver=resolving_to("8.8.8.8"),
            dial=Dialled(server),
            backoff=patience(clock, first_seconds=0.001),
        )

    def read(self, host: str) -> Any:
        return self.fetcher.read(f"http://{host}/a.jpg", 1_000_000)

    def asked(self, host: str) -> int:
        return self.server.hosts.count(host)


@pytest.fixture
def reached(server: servers.Server, clock: Clock) -> Reached:
    return Reached(server, clock)


@pytest.mark.parametrize("status", [408, 429, 500, 503])
def test_retry_after_is_honoured(reached: Reached, clock: Clock, status: int) -> None:
    got = reached.fetcher.read(f"http://a.example/busy/{status}?7", 1_000_000)
    assert (got.value, got.attempts) == (reached.server.pictures["/a.jpg"], 2)
    assert clock.waits == [7]


def test_too_many_requests_is_a_wait_of_its_own(reached: Reached, clock: Clock) -> None:
    assert reached.fetcher.read("http://a.example/busy/429?0", 1_000_000).attempts == 2
    assert clock.waits == [1]


def test_a_wait_that_is_too_long_fails_at_once_for_all(reached: Reached, clock: Clock) -> None:
    reached.server.busy["a.example"] = (math.inf, "86400")
    for attempts in (1, 0, 0):
        with pytest.raises(web.HostBusy, match=r"a\.example wants .* 86400 s") as raised:
            reached.read("a.example")
        assert reached.fetcher.attempts == attempts
        assert "HTTP 429 Too Many Requests" in str(raised.value)
        assert "--connections_per_host" in str(raised.value)
    assert (clock.waits, reached.asked("a.example")) == ([], 1)
    assert reached.read("b.example").attempts == 1
    reached.server.busy.clear()
    clock.sleep(86400)
    assert reached.read("a.example").attempts == 1


def test_a_host_that_never_stops_is_given_up(reached: Reached, clock: Clock) -> None:
    """However many pictures are wanted of it: each costs four requests, until it is."""
    reached.server.busy["a.example"] = (math.inf, "60")
    errors = []
    for _ in range(100):
        with pytest.raises(OSError, match=r"429 Too Many Requests.*run the same command") as raised:
            reached.read("a.example")
        errors.append(type(raised.value))
    assert errors == [OSError, *[web.HostBusy] * 99]
    assert reached.asked("a.example") == PATIENCE_SECONDS / 60 + 1
    assert sum(clock.waits) <= PATIENCE_SECONDS


def test_a_host_that_breaks_after_a_wait_is_asked_as_any_other(
    reached: Reached, clock: Clock
) -> None:
    """Its pictures fail one after the other, each after four attempts, without further waits."""
    reached.fetcher.read("http://a.example/busy/429?60")
    clock.waits.clear()
    for _ in range(20):
        with pytest.raises(ConnectionError):
            reached.fetcher.read("http://a.example/nonsense")
    assert reached.asked("a.example") == 2 + 20 * 4
    assert sum(clock.waits) < 1


def test_where_a_redirect_leads_is_left_alone_too(reached: Reached, clock: Clock) -> None:
    reached.server.busy["b.example"] = (math.inf, "60")
    url = "http://a.example/moved/302?http://b.example/a.jpg"
    with pytest.raises(PutOff) as put_off:
        reached.fetcher.read_or_put_off(url, None, 0)
    assert (put_off.value.seconds, put_off.value.attempts) == (60, 1)
    with pytest.raises(PutOff) as put_off:
        reached.fetcher.read_or_put_off(url, None, 1)
    assert (put_off.value.seconds, put_off.value.attempts) == (60, 1)
    assert reached.asked("b.example") == 1
    assert reached.read("a.example").attempts == 1
    reached.server.busy.clear()
    clock.sleep(60)
    assert reached.fetcher.read_or_put_off(url, None, 1).attempts == 2


def test_attempts_go_on_where_they_were_put_off(reached: Reached, clock: Clock) -> None:
    url, made, waits = "http://a.example/status?503", 0, []
    for expected in (1, 2, 3):
        with pytest.raises(PutOff) as put_off:
            reached.fetcher.read_or_put_off(url, None, made)
        made = put_off.value.attempts
        waits.append(put_off.value.seconds)
        assert made == expected
    with pytest.raises(OSError, match="503"):
        reached.fetcher.read_or_put_off(url, None, made)
    assert reached.fetcher.attempts == 4
    assert all(0 <= each <= 0.001 * 2**n for n, each in enumerate(waits))
    assert clock.waits == []


OPTIONS = WebOptions(web_user_agent="many hosts")


@pytest.fixture
def of_process(server: servers.Server) -> Iterator[None]:
    """The process's fetcher of these options reaches the server by every name."""
    key = (os.getpid(), OPTIONS)
    fetching._fetchers[key] = web.Fetcher(
        OPTIONS, resolver=resolving_to("8.8.8.8"), dial=Dialled(server)
    )
    yield
    del fetching._fetchers[key]


@pytest.mark.usefixtures("of_process")
def test_sixteen_busy_hosts_hold_no_thread(server: servers.Server) -> None:
    """Of sixteen: the pictures of another host are all read while sixteen hosts say wait."""
    busy = [f"busy{n}.example" for n in range(16)]
    server.busy.update(dict.fromkeys(busy, (math.inf, "200")))
    quick = [f"http://quick.example/a.jpg?{n}" for n in range(60)]
    reading = _reading()
    outputs = _taken(reading, [f"http://{host}/a.jpg?{n}" for n in range(6) for host in busy])
    outputs += _taken(reading, quick)
    while reading._pending:
        outputs += reading._hand_on(block=True)
    assert sorted(output.value[0].uri for output in outputs) == sorted(quick)
    assert len(reading._put_off) == 6 * 16
    assert all(1 <= server.hosts.count(host) <= 6 for host in busy)


@pytest.mark.usefixtures("of_process")
def test_what_was_put_off_is_read_when_its_time_has_come(server: servers.Server) -> None:
    until = time.monotonic() + 1
    server.busy["busy.example"] = (until, "1")
    reading = _reading()
    outputs = _taken(reading, [f"http://busy.example/a.jpg?{n}" for n in range(20)])
    outputs += reading.finish_bundle()
    assert time.monotonic() >= until
    assert {output.value[1].data for output in outputs} == {server.pictures["/a.jpg"]}
    attempts = [output.value[1].facts.read_attempts for output in outputs]
    assert len(attempts) == 20 and set(attempts) <= {1, 2}
    assert server.hosts.count("busy.example") == sum(attempts)


@pytest.mark.usefixtures("of_process")
def test_the_pictures_of_a_host_that_is_given_up_are_failed_rows(server: servers.Server) -> None:
    server.busy["busy.example"] = (math.inf, "3600")
    reading = _reading()
    outputs = _taken(reading, [f"http://busy.example/a.jpg?{n}" for n in range(200)])
    outputs += reading.finish_bundle()
    assert len(outputs) == 200
    assert {output.value.value[1].error for output in outputs} == {"HostBusy"}
    assert server.hosts.count("busy.example") <= OPTIONS.connections_per_host


def _reading() -> ReadPictures:
    """The step, in a bundle."""
    reading = ReadPictures(threads=16, web_options=OPTIONS)
    reading.setup()
    reading.start_bundle()
    return reading


def _taken(reading: ReadPictures, names: List[str]) -> List[Any]:
    """What comes out while a bundle's elements are taken."""
    outputs: List[Any] = []
    for name in names:
        source = Source(name)
        outputs += reading.process(source, WindowedValue(source, 0, ()))
    return outputs
