"""One budget for all pictures in flight: bounded, and nothing waits for ever."""

import gc
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, List, Tuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import kinds

from rembg_beam.transforms import (
    Engine,
    Framing,
    PostProcessing,
    RemoveBackground,
    RemoveOptions,
    SessionConfig,
)
from rembg_beam.transforms.runtime import memory
from rembg_beam.transforms.runtime.memory import READ, RESULT, WORK, Budget

KINDS = st.sampled_from([READ, WORK, RESULT])


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(KINDS, st.integers(0, 150)), max_size=30), st.integers(1, 8))
def test_the_budget_holds_but_for_what_is_alone(
    pictures: List[Tuple[str, int]], threads: int
) -> None:
    budget = Budget(100)
    excess: List[Any] = []

    def work(picture: Tuple[str, int]) -> None:
        kind, size = picture
        with budget.hold(kind, size, wait=kind != RESULT):
            held = budget.held()
            alone = budget._leases[kind] == 1
            if kind == READ and held[READ] > 25 and not alone and size:
                excess.append(held)
            time.sleep(0.0005)

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, pictures))
    assert not excess
    assert not any(budget.held().values())


def test_two_that_fit_together_only_by_turns() -> None:
    budget = Budget(100)
    first = budget.hold(WORK, 70)
    entered = threading.Event()
    waited = [first.waited]

    def second() -> None:
        waited.append(budget.hold(WORK, 40).waited)
        entered.set()

    thread = threading.Thread(target=second)
    thread.start()
    assert not entered.wait(0.05)
    first.release()
    assert entered.wait(60)
    thread.join()
    assert waited[0] == 0 and 0.04 < waited[1] < 5


def test_what_is_larger_than_the_budget_is_admitted_alone() -> None:
    budget = Budget(100)
    with budget.hold(WORK, 1000), budget.hold(READ, 1000), budget.hold(RESULT, 7, wait=False):
        assert budget.held() == {WORK: 1000, READ: 1000, RESULT: 7}
    assert not any(budget.held().values())


def test_a_lease_is_given_back_once_resized_and_when_it_is_forgotten() -> None:
    budget = Budget(100)
    lease = budget.hold(READ, 10)
    lease.resize(15)
    assert budget.held() == {READ: 15}
    lease.release()
    lease.release()
    lease.resize(99)
    assert budget.held() == {READ: 0}
    budget.hold(READ, 20)
    gc.collect()
    assert budget.held() == {READ: 0}


def test_the_smallest_limit_asked_for_holds_while_there_are_pictures() -> None:
    memory.forget()
    assert memory.budget().limit == memory.default_limit()
    assert memory.budget(50).limit == 50
    with memory.budget().hold(WORK, 1):
        assert memory.budget(70) is memory.budget(None)
        assert memory.budget(60).limit == 50
    assert memory.budget(70).limit == 70


def test_a_containers_limit_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limit = tmp_path / "memory.max"
    monkeypatch.setattr(memory, "_CONTAINER_LIMITS", (str(limit), "/no/such"))
    whole = memory.available()
    for text, expected in (("max\n", whole), ("1000000\n", 1_000_000)):
        limit.write_text(text)
        assert memory.available() == expected


def test_a_run_stays_within_its_budget_and_ends(tmp_path: Path, run: Any) -> None:
    """Pictures of which hardly two fit at once, and one that is too large by itself."""
    sizes = [(300, 200), (700, 500), (1500, 1000)] * 8
    for index, size in enumerate(sizes):
        data = kinds.saved(kinds.rgb(*size, seed=index), "JPEG")
        (tmp_path / f"{index}.jpg").write_bytes(data)
    limit = 2 * 700 * 500 * 28
    most: List[int] = []
    hold = Budget.hold

    def watched(self: Budget, kind: str, size: int, *, wait: bool = True) -> Any:
        lease = hold(self, kind, size, wait=wait)
        most.append(self.held().get(WORK, 0))
        return lease

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Budget, "hold", watched)
        transform = RemoveBackground(
            output=str(tmp_path / "out"),
            session=SessionConfig("tiny"),
            max_memory=limit,
            remove_threads=6,
        )
        uris = [str(tmp_path / f"{index}.jpg") for index in range(len(sizes))]
        outcomes = run(uris, transform)
    assert [outcome.status for outcome in outcomes] == ["written"] * len(sizes)
    assert max(most) == 1500 * 1000 * 28, "the large one alone"
    gc.collect()
    assert not any(memory.budget().held().values())


def test_more_is_reckoned_where_more_is_needed() -> None:
    def reckoned(model: str = "tiny", more: Any = None, **options: Any) -> int:
        engine = Engine(SessionConfig(model), **(more or {}))
        return engine._bytes((1000, 1000), RemoveOptions(**options))

    plain = reckoned()
    assert plain == 28_000_000
    assert plain < reckoned(putalpha=True) < reckoned(decontaminate=True)
    assert reckoned(decontaminate=True) < reckoned(alpha_matting=True)
    bounded: Any = {"alpha_matting": True, "alpha_matting_max_pixels": 999_999}
    assert reckoned(**bounded) == reckoned(decontaminate=True)
    assert plain < reckoned("u2net_cloth_seg") < reckoned("sam")
    behind = {"postprocessing": PostProcessing(framing=Framing(background="beach.jpg"))}
    assert reckoned(more=behind) >= 47_000_000, "measured"
    assert reckoned(more={"facts": ("all",)}) >= 32_000_000, "measured"
