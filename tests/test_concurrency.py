"""The threaded DoFn: rows in equal rows out, whatever the runner does."""

import threading
import time
from functools import partial
from typing import Any, Iterable, List, Tuple

import apache_beam as beam
import pytest
from apache_beam.metrics import Metrics, MetricsFilter
from apache_beam.pvalue import TaggedOutput
from apache_beam.runners.common import DoFnSignature
from apache_beam.testing.test_pipeline import TestPipeline
from apache_beam.testing.test_stream import TestStream
from apache_beam.testing.util import assert_that, equal_to
from apache_beam.transforms import trigger, window
from apache_beam.utils.timestamp import Timestamp
from apache_beam.utils.windowed_value import PaneInfo, PaneInfoTiming, WindowedValue
from hypothesis import given, settings
from hypothesis import strategies as st

from rembg_beam.transforms.runtime import concurrency
from rembg_beam.transforms.runtime.concurrency import ConcurrentDoFn, Later, Took


class Twice(ConcurrentDoFn[int, int]):
    """Yields each number twice over; odd ones on a tag of their own."""

    def __init__(self, threads: int = 3, slow: Tuple[int, ...] = ()) -> None:
        super().__init__("twice", threads)
        self.slow = slow

    def work(self, element: int) -> int:
        time.sleep(0.02 if element in self.slow else 0)
        if element < 0:
            raise ValueError(f"{element} is negative")
        return element * 2

    def emit(self, element: int, result: int, took: Took) -> Iterable[Any]:
        Metrics.counter("test", "emitted").inc()
        yield TaggedOutput("odd", result) if element % 2 else result


def bundle(dofn: Twice, elements: Iterable[WindowedValue]) -> List[Any]:
    """What a bundle gives, as a runner would run it."""
    dofn.start_bundle()
    outputs: List[Any] = []
    for element in elements:
        outputs += dofn.process(element.value, element)
    return outputs + list(dofn.finish_bundle())


PANES = st.builds(
    PaneInfo,
    st.booleans(),
    st.booleans(),
    st.sampled_from([PaneInfoTiming.EARLY, PaneInfoTiming.ON_TIME, PaneInfoTiming.LATE]),
    st.integers(0, 9),
    st.integers(0, 9),
)
WINDOWED = st.builds(
    lambda value, at, pane: WindowedValue(
        value, Timestamp(at), [window.IntervalWindow(at - at % 10, at - at % 10 + 10)], pane
    ),
    st.integers(0, 99),
    st.integers(0, 99),
    PANES,
)


def test_the_signature_is_one_beam_takes() -> None:
    assert DoFnSignature(Twice()).process_method.defaults


@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.lists(WINDOWED, max_size=12), max_size=4),
    st.integers(1, 4),
    st.sets(st.integers(0, 99)),
)
def test_each_element_comes_out_once_with_its_window_timestamp_and_pane(
    bundles: List[List[WindowedValue]], threads: int, slow: Any
) -> None:
    dofn = Twice(threads, tuple(slow)[:3])
    for elements in bundles:
        outputs = bundle(dofn, elements)
        plain = [
            (output.tag, output.value) if isinstance(output, TaggedOutput) else (None, output)
            for output in outputs
        ]
        expected = [
            ("odd" if element.value % 2 else None, element.with_value(element.value * 2))
            for element in elements
        ]
        assert sorted(map(repr, plain)) == sorted(map(repr, expected))
        panes = [(value.value, value.timestamp, value.pane_info) for _, value in plain]
        wanted = [(value.value, value.timestamp, value.pane_info) for _, value in expected]
        assert sorted(map(repr, panes)) == sorted(map(repr, wanted))


class Patient(Twice):
    """Puts off each element so many times, by its last digit."""

    def __init__(self, threads: int, times: Tuple[int, ...], seconds: float = 0.001) -> None:
        super().__init__(threads)
        self.step = "patient"
        self.times = times
        self.later = seconds

    def work(self, element: int) -> Any:
        return self._work(element, self.times[element % 10])

    def _work(self, element: int, times: int) -> Any:
        if times:
            return Later(self.later, partial(self._work, element, times - 1))
        return element * 2


@settings(deadline=None, max_examples=30)
@given(
    st.lists(WINDOWED, max_size=30),
    st.integers(1, 4),
    st.lists(st.integers(0, 3), min_size=10, max_size=10),
)
def test_what_is_put_off_comes_out_once_too(
    elements: List[WindowedValue], threads: int, times: List[int]
) -> None:
    outputs = bundle(Patient(threads, tuple(times)), elements)
    plain = [each if isinstance(each, WindowedValue) else each.value for each in outputs]
    wanted = [element.with_value(element.value * 2) for element in elements]
    assert sorted(map(repr, plain)) == sorted(map(repr, wanted))


def test_what_is_put_off_holds_nobody_up() -> None:
    """More of it than there are threads and places, with a single thread."""
    dofn = Patient(1, (1, *[0] * 9), seconds=600)
    at = window.GlobalWindows.windowed_value
    later, now = range(0, 400, 10), range(1, 400, 10)
    dofn.start_bundle()
    outputs: List[Any] = []
    for number in (*later, *now):
        outputs += dofn.process(number, at(number))
    while dofn._pending:
        outputs += dofn._hand_on(block=True)
    assert [each.value.value for each in outputs] == [2 * number for number in now]
    assert [number for _, number, _ in sorted(dofn._put_off)] == list(range(1, 41))


class Asleep(Patient):
    """Gives what each element took, of a work of 40 ms and of a wait of 60, if it is put off."""

    def work(self, element: int) -> Any:
        time.sleep(0.04)
        return super().work(element)

    def emit(self, element: int, result: int, took: Took) -> Iterable[Any]:
        yield element, took


def test_what_an_element_waits_for_a_thread_or_put_off_is_no_work() -> None:
    dofn = Asleep(1, (0, 1, *[0] * 8), seconds=0.06)
    at = window.GlobalWindows.windowed_value
    start = time.perf_counter()
    took = dict(each.value for each in bundle(dofn, [at(0), at(1), at(2)]))
    whole = time.perf_counter() - start
    assert all(each.seconds > 0.035 for each in took.values()), took
    assert sum(each.seconds for each in took.values()) < whole
    assert took[1].waited > 0.09, "put off, after the first had the thread"
    assert took[2].waited > 0.07, "the first two had it"
    assert 0 <= took[0].waited < took[1].waited


def test_no_more_is_put_off_than_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(concurrency, "LATER_PER_THREAD", 3)
    dofn = Patient(2, (1,) * 10, seconds=0.005)
    at = window.GlobalWindows.windowed_value
    dofn.start_bundle()
    count = 0
    for number in range(0, 100, 2):
        count += len(list(dofn.process(number, at(number))))
        held = len(dofn._pending) + len(dofn._put_off) + len(dofn._due)
        assert held <= 2 * 3 + 2 * concurrency.PENDING_PER_THREAD + 1
    assert count + len(list(dofn.finish_bundle())) == 50


def test_a_failed_bundle_puts_off_nothing_to_the_next() -> None:
    dofn = Patient(2, (1,) * 10, seconds=60)
    at = window.GlobalWindows.windowed_value
    dofn.start_bundle()
    list(dofn.process(2, at(2)))
    while not dofn._put_off:
        list(dofn._hand_on(block=True))
    dofn.times, dofn.later = (0,) * 10, 0
    assert [output.value for output in bundle(dofn, [at(8)])] == [16]


def test_a_failed_bundle_leaves_nothing_to_the_next() -> None:
    dofn = Twice(threads=2)
    at = window.GlobalWindows.windowed_value
    with pytest.raises(ValueError, match="-1 is negative"):
        bundle(dofn, [at(2), at(-1), at(4), at(6)])
    assert [output.value for output in bundle(dofn, [at(8)])] == [16]


def test_results_are_handed_on_before_the_bundle_ends() -> None:
    dofn = Twice(threads=1)
    at = window.GlobalWindows.windowed_value
    dofn.start_bundle()
    outputs: List[Any] = []
    for number in range(0, 40, 2):
        outputs += dofn.process(number, at(number))
    assert len(outputs) >= 20 - concurrency.PENDING_PER_THREAD
    assert len(outputs) + len(list(dofn.finish_bundle())) == 20


def test_no_more_is_pending_than_the_threads_can_take() -> None:
    class Watched(Twice):
        most = 0
        now = 0
        lock = threading.Lock()
        three = threading.Barrier(3)

        def work(self, element: int) -> int:
            with self.lock:
                Watched.now += 1
                Watched.most = max(Watched.most, Watched.now)
            if element < 3:
                self.three.wait(timeout=30)
            time.sleep(0.005)
            with self.lock:
                Watched.now -= 1
            return element

    dofn = Watched(threads=3)
    dofn.step = "watched"
    at = window.GlobalWindows.windowed_value
    dofn.start_bundle()
    for number in range(20):
        list(dofn.process(number, at(number)))
        assert len(dofn._pending) <= 3 * concurrency.PENDING_PER_THREAD
    list(dofn.finish_bundle())
    assert Watched.most == 3


def test_instances_share_one_pool() -> None:
    assert concurrency.pool("shared", 2) is concurrency.pool("shared", 2)
    assert concurrency.pool("shared", 2) is not concurrency.pool("other", 2)


def test_what_emit_counts_is_counted() -> None:
    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        _ = pipeline | beam.Create(range(40)) | beam.ParDo(Twice()).with_outputs("odd", main="even")
    counted = pipeline.result.metrics().query(MetricsFilter().with_name("emitted"))
    assert [counter.committed for counter in counted["counters"]] == [40]


def test_an_unbounded_input_in_windows() -> None:
    stream = TestStream()
    for second in range(0, 40, 2):
        stream.advance_watermark_to(second)
        stream.add_elements([window.TimestampedValue(second, second)])
    stream.advance_watermark_to_infinity()
    options = beam.options.pipeline_options.PipelineOptions(streaming=True)
    with TestPipeline(options=options) as pipeline:
        sums = (
            pipeline
            | stream
            | beam.WindowInto(
                window.FixedWindows(10),
                trigger=trigger.AfterWatermark(),
                accumulation_mode=trigger.AccumulationMode.DISCARDING,
            )
            | beam.ParDo(Twice(slow=(4, 14)))
            | beam.CombineGlobally(sum).without_defaults()
        )
        assert_that(sums, equal_to([2 * sum(range(at, at + 10, 2)) for at in range(0, 40, 10)]))


def test_an_element_in_several_windows_is_worked_on_once() -> None:
    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        counts = (
            pipeline
            | beam.Create([window.TimestampedValue(2, 5)])
            | beam.Map(lambda timestamped: timestamped)
            | beam.WindowInto(window.SlidingWindows(10, 5))
            | beam.ParDo(Twice())
            | beam.combiners.Count.Globally().without_defaults()
        )
        assert_that(counts, equal_to([1, 1]))
    counted = pipeline.result.metrics().query(MetricsFilter().with_name("emitted"))
    assert [counter.committed for counter in counted["counters"]] == [1]
