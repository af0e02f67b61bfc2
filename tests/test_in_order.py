"""Steps in a row, whose results come in the order of their elements."""

import time
from typing import Any, Dict, Iterator, List, Tuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rembg_beam.transforms.elements import Facts, Failure
from rembg_beam.transforms.runtime import metrics
from rembg_beam.transforms.runtime.concurrency import Later
from rembg_beam.transforms.runtime.in_order import InOrder
from rembg_beam.transforms.runtime.step import Step


class Plus(Step[Any, Any]):
    """Adds to a number; some fail, take their time, or are put off."""

    def __init__(self, step: str, threads: int, more: int, odd: Dict[int, str]) -> None:
        super().__init__(step, threads)
        self.more = more
        self.odd = odd
        self.at_work: List[int] = []

    def work(self, element: Tuple[int, int]) -> Any:
        key, value = element
        self.at_work.append(key)
        kind = self.odd.get(key)
        if kind == "slow":
            time.sleep(0.01)
        if kind == "breaks":
            raise RuntimeError(f"{key} breaks")
        if kind == "fails":
            return Failure(self.step, "ValueError", f"{key} fails", Facts(width=key))
        return Later(0.01, lambda: value + self.more) if kind == "later" else value + self.more

    def known(self, element: Tuple[int, int]) -> Tuple[int, Facts]:
        return element[0], Facts(height=element[1])

    def made(self, key: int, element: Any, result: int, facts: Facts) -> Tuple[int, Any]:
        return 1, (key, result)


ODD = st.dictionaries(st.integers(0, 19), st.sampled_from(["slow", "fails", "later"]))


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 20), ODD, ODD, st.integers(0, 9))
def test_results_come_in_order(
    number: int, first: Dict[int, str], second: Dict[int, str], at_most: int
) -> None:
    metrics.tally.clear()
    steps = [Plus("read", 3, 10, first), Plus("remove", 2, 100, second)]
    in_order = InOrder(steps, lambda element, output: (element, output))
    found: List[Any] = []
    for each in range(number):
        in_order.put((each, each))
        found += in_order.take(at_most)
        assert each + 1 - len(found) <= at_most
    found += in_order.take(0)
    assert len(found) == number
    for each, (before, after) in enumerate(found):
        failed = next(
            (s for s, odd in zip("12", (first, second), strict=True) if odd.get(each) == "fails"),
            "",
        )
        if failed:
            assert before == each and after.message == f"{each} fails"
            assert after.facts.height == each + (10 if failed == "2" else 0)
            assert after.facts.worker and after.facts.width == each
        else:
            assert (before, after) == ((each, each + 10), (each, each + 110))
    counts = metrics.tally.snapshot()
    failures = sum(first.get(each) == "fails" for each in range(number))
    assert counts.get("read_failures", 0) == failures
    assert counts.get("read_pictures", 0) == number - failures


def test_what_waits_holds_no_thread_and_later_ones_go_on() -> None:
    odd = {0: "later", 1: "slow"}
    step = Plus("write", 1, 1, odd)
    in_order = InOrder([step], lambda element, output: output)

    def results() -> Iterator[Any]:
        for each in range(4):
            in_order.put((each, each))
        yield from in_order.take(0)

    assert list(results()) == [(0, 1), (1, 2), (2, 3), (3, 4)]
    assert step.at_work == [0, 1, 2, 3]


def test_an_exception_of_a_step_rises_and_the_rest_is_forgotten() -> None:
    step = Plus("write", 1, 1, {1: "breaks", 2: "slow"})
    in_order = InOrder([step], lambda element, output: output)
    for each in range(9):
        in_order.put((each, each))
    with pytest.raises(RuntimeError, match="1 breaks"):
        list(in_order.take(0))
    in_order.cancel()
    assert list(in_order.take(0)) == [] and len(step.at_work) < 9
