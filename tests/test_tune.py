"""Tuning: its statistics, its search, what is tried, and the command."""

import contextlib
import math
import os
import random
import statistics
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Tuple

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from rembg_beam.pipelines import cli, settings
from rembg_beam.pipelines.tuning import arms, factors, interval, told
from rembg_beam.pipelines.tuning.factors import Known
from rembg_beam.pipelines.tuning.search import (
    FAILED,
    NO_GAIN,
    NOT_SURE,
    TAKEN,
    Change,
    Round,
    Search,
    compared,
)

SECONDS = st.floats(1e-3, 1e3)
PAIRS = st.lists(st.tuples(SECONDS, SECONDS), min_size=2, max_size=30)


@given(PAIRS)
def test_the_ratio_lies_between_those_of_the_pairs(pairs: List[Tuple[float, float]]) -> None:
    found = interval.ratio(pairs)
    each = [before / after for before, after in pairs]
    assert min(each) <= found.ratio * (1 + 1e-9) and found.ratio <= max(each) * (1 + 1e-9)
    assert found.low <= found.ratio <= found.high and found.rounds == len(pairs)
    assert math.isclose(math.log(found.ratio), statistics.fmean(map(math.log, each)), abs_tol=1e-9)


@given(PAIRS)
def test_whoever_is_measured_against_whom(pairs: List[Tuple[float, float]]) -> None:
    found, turned = interval.ratio(pairs), interval.ratio([(b, a) for a, b in pairs])
    assert math.isclose(found.ratio * turned.ratio, 1, rel_tol=1e-9)
    assert math.isclose(found.low * turned.high, 1, rel_tol=1e-6)
    assert math.isclose(found.spread, turned.spread, rel_tol=1e-6, abs_tol=1e-9)


@given(PAIRS, st.lists(st.floats(0.1, 10), min_size=30, max_size=30))
def test_a_machine_that_slows_down_slows_both(
    pairs: List[Tuple[float, float]], load: List[float]
) -> None:
    found = interval.ratio(pairs)
    slowed = interval.ratio([(a * by, b * by) for (a, b), by in zip(pairs, load, strict=False)])
    assert math.isclose(found.ratio, slowed.ratio, rel_tol=1e-6)
    assert math.isclose(found.high, slowed.high, rel_tol=1e-5)


@given(PAIRS)
@example([(529.0, 0.0078125), (0.0078125, 559.0)])
def test_the_same_again_makes_it_surer(pairs: List[Tuple[float, float]]) -> None:
    assert interval.ratio(pairs * 3).spread <= interval.ratio(pairs).spread + 1e-9


@pytest.mark.parametrize("rounds", [4, 8])
def test_it_holds_as_often_as_it_says(rounds: int) -> None:
    """With noise of 5 %, which is one or two percent of luck for 1,000 tries."""
    chance = random.Random(0)

    def seconds(rate: float) -> float:
        return math.exp(chance.gauss(0, 0.05)) / rate

    held = 0
    for _ in range(1_000):
        found = interval.ratio([(seconds(1.0), seconds(1.1)) for _ in range(rounds)])
        held += found.low <= 1.1 <= found.high
    assert 980 <= held <= 998


def test_too_little_is_refused() -> None:
    with pytest.raises(ValueError, match="1 pairs of rounds tell no spread"):
        interval.ratio([(1.0, 1.0)])
    with pytest.raises(ValueError, match="took no time"):
        interval.ratio([(1.0, 0.0), (1.0, 1.0)])


class Machine:
    """Arms on a clock of their own: what a change is worth is known, and time is noisy."""

    def __init__(self, worth: Callable[[Change], float], noise: float = 0.02) -> None:
        self.now = 0.0
        self.opened = 0
        self._worth = worth
        self._noise = noise
        self._chance = random.Random(1)

    def clock(self) -> float:
        return self.now

    @contextlib.contextmanager
    def open(self, change: Change) -> Iterator[Round]:
        rate = self._worth(change)
        self.opened += 1

        def round() -> float:
            load = 1.5 + math.sin(self.now / 40)  # others come and go
            seconds = load * math.exp(self._chance.gauss(0, self._noise)) / rate
            self.now += seconds
            return seconds

        yield round
        self.opened -= 1


def tried(machine: Machine, changes: List[Change], seconds: float) -> Tuple[Search, List[Any]]:
    search = Search(machine.open, changes, seconds, machine.clock)
    trials = list(search)
    assert machine.opened == 0
    return search, trials


def test_what_is_worth_it_is_taken_and_the_rest_measured_with_it() -> None:
    def worth(change: Change) -> float:
        return float(
            (1.2 if change.get("a") == 2 else 1.0)
            * (0.8 if change.get("b") else 1.0)
            * (1.1 if change.get("c") and change.get("a") == 2 else 1.0)
        )

    changes: List[Change] = [{"a": 1}, {"a": 2}, {"b": 1}, {"c": {"x": 1}}]
    search, trials = tried(Machine(worth), changes, 10_000)
    assert [trial.verdict for trial in trials] == [NO_GAIN, TAKEN, NO_GAIN, TAKEN, TAKEN]
    assert search.won == {"a": 2, "c": {"x": 1}} and search.confirmed
    together = trials[-1].ratio
    assert trials[-1].change == {} and together.low <= 1.2 * 1.1 <= together.high
    assert trials[0].ratio.spread <= 0.03 or trials[0].ratio.high < 1.02


def test_where_nothing_wins_nothing_is_taken() -> None:
    changes: List[Change] = [{"a": n} for n in range(400)]
    _, trials = tried(Machine(lambda _: 1.0, noise=0.03), changes, 1_000_000)
    verdicts = [trial.verdict for trial in trials[:400]]
    assert verdicts.count(TAKEN) <= 6 and verdicts.count(NOT_SURE) == 0
    search, _ = tried(Machine(lambda _: 1.0), changes[:20], 100_000)
    assert search.won == {} and search.confirmed is None


def test_it_ends_in_time_and_says_of_what_it_is_not_sure() -> None:
    machine = Machine(lambda _: 1.0, noise=0.3)
    _, trials = tried(machine, [{"a": n} for n in range(5)], 60)
    assert machine.now <= 60 + 5
    assert [trial.verdict for trial in trials] == [NOT_SURE] * 5
    _, trials = tried(Machine(lambda _: 1.0), [{"a": 1}], 3)
    assert trials[0].ratio is None and trials[0].verdict == NOT_SURE


def test_a_change_that_fails_stops_nothing() -> None:
    def worth(change: Change) -> float:
        if change.get("a") == 1:
            raise MemoryError("no room on the GPU")
        return 1.3 if change.get("a") == 2 else 1.0

    _, trials = tried(Machine(worth), [{"a": 1}, {"a": 2}], 1_000)
    assert [trial.verdict for trial in trials] == [FAILED, TAKEN, TAKEN]
    assert trials[0].error == "no room on the GPU" and "no room" in told.line(trials[0])


def test_what_helps_only_alone_is_not_written() -> None:
    """The last look is against the settings as they were."""
    looks = iter([1.0, 1.2, 1.0, 1.0])

    @contextlib.contextmanager
    def open_arm(_: Change) -> Iterator[Round]:
        rates = [next(looks)]

        def round() -> float:
            seconds = 1.0 / rates[0]
            counted.append(seconds)
            if len(counted) >= 8:
                rates[0] = 1.0
            return seconds

        yield round

    counted: List[float] = []
    search = Search(open_arm, [{"a": 1}], 1_000, lambda: float(len(counted)))
    assert [trial.verdict for trial in search] == [TAKEN, NO_GAIN]
    assert search.confirmed is False


def test_rounds_take_turns() -> None:
    turns: List[str] = []

    def arm(name: str) -> Round:
        def round() -> float:
            turns.append(name)
            return 1.0 + len(turns) * 0.1

        return round

    assert compared(arm("a"), arm("b"), 4, lambda: len(turns) / 2) is not None
    assert "".join(turns) == "abbaabba"


CPU = Known(
    given=frozenset(),
    cores=4,
    threads=4,
    batch=1,
    provider="CPUExecutionProvider",
    has_options=False,
    read_threads=16,
    read_share=0.01,
    copies=3,
    is_here=True,
)


def names(plan: factors.Plan) -> Dict[str, int]:
    found = [told.shown(change).partition("=")[0] for change in plan.changes]
    return {name: found.count(name) for name in found}


def test_what_is_tried_follows_from_the_machine() -> None:
    plan = factors.plan(CPU)
    assert [change["remove_threads"] for change in plan.changes[:3]] == [2, 6, 8]
    assert names(plan) == {
        **{"remove_threads": 3, "intra_op_num_threads": 2, "enable_mem_pattern": 1},
        **{"max_batch_size": 1, "direct_num_workers": 1},
    }
    gpu = CPU._replace(provider="CUDAExecutionProvider", batch=16, threads=64, read_share=0.3)
    assert names(factors.plan(gpu)) == {
        **{"remove_threads": 3, "max_batch_size": 2, "max_batch_wait_msecs": 2},
        **{"provider": 1, "read_threads": 1, "direct_num_workers": 1},
    }
    set_by_user = CPU._replace(given={"remove_threads", "session_option", "direct_num_workers"})
    plan = factors.plan(set_by_user)
    assert plan.changes == [{"max_batch_size": 4}]
    assert "remove_threads: it is set" in plan.left_out
    alone = CPU._replace(copies=1, is_here=False)
    assert "direct_num_workers: the runner starts its own" in factors.plan(alone).left_out


@pytest.mark.parametrize(
    "known",
    [CPU, CPU._replace(provider="CUDAExecutionProvider", batch=16, read_share=1.0)],
    ids=["cpu", "gpu"],
)
def test_all_that_is_tried_is_what_a_file_may_say(known: Known, tmp_path: Path) -> None:
    for change in factors.plan(known).changes:
        arms.changed(settings.Settings(model="tiny", output="out"), change).job()
        path = tmp_path / "tuned.yaml"
        path.write_text(told.settings_file(change, {"model": "tiny"}, "a comment"))
        read, beam, _ = settings._load(str(path))
        assert read.pop("model") == "tiny" and set(read) | set(beam and {"beam"}) == set(change)


@pytest.fixture
def tune(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> Any:
    def tune(*arguments: object) -> Any:
        capfd.readouterr()
        status = cli.main(["tune", "--model", "tiny", *map(str, arguments)])
        return (status, *capfd.readouterr())

    return tune


FIXED = (
    *("--session_option", "intra_op_num_threads=1"),
    *("--max_batch_size", 1, "--direct_num_workers", 1),
)


def test_the_command(tune: Any, photos: Path, tmp_path: Path, tree: Any) -> None:
    (tmp_path / "base.yaml").write_text("only_mask: true\n")
    before = tree(tmp_path)
    more = ("--config", tmp_path / "base.yaml", "--to", tmp_path / "tuned.yaml")
    status, out, err = tune("--input", photos, "--budget", "2s", *FIXED, *more)
    assert status == 0, err
    assert "7 of 10 pictures: " in out and "left out: " in err and "NotAPicture" in err
    assert out.count("\nremove_threads=") == 3
    assert "not tried: session_option: it is set\n" in out
    assert tree(tmp_path) == sorted([*before, "tuned.yaml"])
    kept = yaml.safe_load((tmp_path / "tuned.yaml").read_text())
    assert kept["only_mask"] is True and set(kept) <= {"only_mask", "remove_threads"}
    given = ["--input", str(photos / "a.jpg"), "--output", str(tmp_path / "out"), "--model", "tiny"]
    assert cli.main(["run", "--config", str(tmp_path / "tuned.yaml"), *given]) == 0


def test_ctrl_c_and_a_file_that_can_not_be_written(
    tune: Any, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = ("--input", photos / "a.jpg", "--budget", "0.1s", *FIXED, "--to")
    status, _, err = tune(*given, "/dev/full")
    assert status == 1 and "--to '/dev/full' can't be written: " in err
    lines = iter(["remove_threads=1"])

    def line(_: object) -> str:
        if (found := next(lines, None)) is None:
            raise KeyboardInterrupt
        return found

    monkeypatch.setattr(told, "line", line)
    status, out, _ = tune(*given, tmp_path / "tuned.yaml")
    assert status == 130 and not (tmp_path / "tuned.yaml").exists()
    assert out.endswith(
        "remove_threads=1\ninterrupted; until then nothing was taken, and no file is written\n"
    )


def test_wrong_use(tune: Any, photos: Path, tmp_path: Path) -> None:
    status, _, err = tune("--input", photos, "--budget", "soon")
    assert status == 2 and "--budget: 'soon' must be a time, such as 30s, 5m or 1h" in err
    status, _, err = tune("--input", photos, "--budget", "0m")
    assert status == 2 and "--budget 0m: it must be above 0" in err
    status, _, err = tune("--input", photos, "--pictures", 0)
    assert status == 2 and "--pictures 0: it must be 1 or more" in err
    status, _, err = tune("--input", "bq://project.data.table")
    assert status == 2 and "'bq://project.data.table': BigQuery is read by a job" in err
    status, _, err = tune("--input", tmp_path / "none")
    assert status == 2 and "matches no file" in err
    for to in (tmp_path / "none" / "a.yaml", tmp_path, f"{tmp_path}/none/", photos / "a.jpg/x", ""):
        status, _, err = tune("--input", photos, "--to", to)
        assert status == 2 and f"--to {str(to)!r} can't be written: name a file" in err
    status, _, err = tune("--input", photos / "text.jpg")
    assert status == 1 and "no picture of the sample could be cut out" in err
    status, _, err = tune("--input", photos, "--provider", "CUDA")
    assert status == 1 and "nothing was measured: model 'tiny' was asked to run on CUDA" in err


def test_what_is_set_stays_though_it_is_the_default(tune: Any, photos: Path) -> None:
    given = ("--input", photos / "a.jpg", "--budget", "0.1s", *FIXED)
    _, out, _ = tune(*given, "--read_threads", settings.Settings().read_threads)
    assert "not tried: read_threads: it is set\n" in out


def test_a_file_that_can_be_read_once_is_carried_over(
    tune: Any, photos: Path, tmp_path: Path
) -> None:
    descriptor, writing = os.pipe()
    os.write(writing, b"only-mask: true\n")
    os.close(writing)
    more = ("--config", f"/dev/fd/{descriptor}", "--to", tmp_path / "tuned.yaml")
    status, _, err = tune("--input", photos / "a.jpg", "--budget", "0.1s", *FIXED, *more)
    os.close(descriptor)
    assert status == 0, err
    assert yaml.safe_load((tmp_path / "tuned.yaml").read_text())["only_mask"] is True


def test_a_name_does_not_speak_to_the_terminal(tune: Any, photos: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a\x1b[31m.jpg").write_bytes((photos / "text.jpg").read_bytes())
    status, _, err = tune("--input", tmp_path / "in")
    assert status == 1 and "\x1b" not in err and "a\\x1b[31m.jpg (NotAPicture)" in err


@pytest.mark.long
def test_processes_of_their_own(photos: Path) -> None:
    from rembg_beam.transforms.elements import Source

    given = settings.Settings(model="tiny", output="out")
    sources = [Source(str(photos / name)) for name in ("a.jpg", "a.png", "cmyk.jpg")] * 4
    change = {"beam": {arms.MODE: "multi_processing", arms.WORKERS: 2}, "remove_threads": 1}
    with arms.opened(given, sources, change) as round:
        assert round() > 0 and 0 < round() < 60
    missing = arms.changed(given, {"model_path": "/no/such.onnx", "model": "u2net"})
    with pytest.raises(RuntimeError, match=r"/no/such\.onnx"), arms._several(missing, sources, 2):
        pass
