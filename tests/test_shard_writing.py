"""Shards: written whole, once, whoever else writes them and whatever dies on the way."""

import itertools
import json
import multiprocessing
import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Callable, Dict, List, Sequence, Tuple

import pyarrow.dataset
import pyarrow.parquet
import pytest
from support import gs

from rembg_beam.transforms import Cutout, Outcome, Part, RemoveBackground, Source
from rembg_beam.transforms.elements import Facts, Failure
from rembg_beam.transforms.folder import earlier, layout
from rembg_beam.transforms.folder.existing import Choice
from rembg_beam.transforms.outcomes import RunColumns, failed, written
from rembg_beam.transforms.outputs import shards, wids
from rembg_beam.transforms.outputs.columns import Types
from rembg_beam.transforms.outputs.finish import finish
from rembg_beam.transforms.outputs.options import DataSet
from rembg_beam.transforms.outputs.plan import Plan, Rules
from rembg_beam.transforms.outputs.samples import Fields, Sample
from rembg_beam.transforms.outputs.writers import ShardFiles, Spooled
from rembg_beam.transforms.store import stores
from rembg_beam.transforms.store.retrying import Backoff

QUICK = Backoff(first_seconds=0.01, longest_seconds=0.1)
RUN = RunColumns("tiny")

# Reached by two samples, of four or five blocks each.
TWO_FILES = 5_000


def row(name: str, output: str = "00000.tar", worker: str = "w") -> Outcome:
    cutout = Cutout(
        [Part("", b"")], "tiny", Facts(width=3, height=4, foreground=0.5, worker=worker)
    )
    return written(Source.of(f"in/{name}.jpg", name=f"{name}.jpg"), cutout, [output], RUN)


def sample(key: str, data: bytes = b"six") -> Sample:
    return Sample(key, None, [Part(".mask", b"m" + data), Part(".cutout", data)], row(key))


def spooled(
    spool: str, keys: Sequence[str] = "abc", data: bytes = b"six", number: int = 0, **more: Any
) -> List[Spooled]:
    files = ShardFiles(
        spool, number, "webdataset", Fields(Types()), more.get("shard_bytes", 1 << 30)
    )
    for key in keys:
        files.add(sample(key, data))
    return files.close()


def make(
    folder: str, data: bytes = b"six", run_id: str = "r1", number: int = 0, **more: Any
) -> List[Outcome]:
    """One shard of three samples."""
    with stores.spool(folder) as spool:
        files = spooled(spool, data=data, number=number, **more)
        rows = [row(key, files[0].file.name, data.decode()) for key in "abc"]
        return shards.write(
            folder, number, files, rows, run_id=run_id, format="webdataset", backoff=QUICK
        )


def state(folder: str) -> Dict[int, Tuple[List[str], List[str]]]:
    """Of each shard that is done what its cutouts hold, and what its rows say of it."""
    found = {}
    for shard in shards.done(folder):
        held = [stores.read(f"{folder}/{file.name}").data for file in shard.files]
        rows = earlier.rows(earlier.Manifest(shard.run_id, shard.rows_uri, shard.at))
        cutouts = [name for name in ("one", "two", "six") if any(name.encode() in h for h in held)]
        found[shard.number] = cutouts, sorted({each["worker"] for each in rows})
    return found


def test_a_shard_and_its_rows(tmp_path: Path) -> None:
    folder = str(tmp_path / "out")
    rows = make(folder)
    assert [each.name for each in rows] == ["a.jpg", "b.jpg", "c.jpg"]
    (shard,) = shards.done(folder)
    assert (shard.number, shard.run_id) == (0, "r1")
    assert [(file.name, file.samples) for file in shard.files] == [("00000.tar", 3)]
    assert shard.files[0].size == os.path.getsize(tmp_path / "out" / "00000.tar")
    assert list(shards.orphans(folder)) == []
    data = pyarrow.dataset.dataset(f"{folder}/_manifest", partitioning="hive").to_table()
    assert data["uri"].to_pylist() == ["in/a.jpg", "in/b.jpg", "in/c.jpg"]
    assert data["run"].to_pylist() == ["r1"] * 3
    assert not (tmp_path / "out" / ".rembg_beam_tmp").exists()


def test_a_shard_of_failures_has_rows_alone(tmp_path: Path) -> None:
    failure = failed(Source("a.jpg", "a.jpg"), Failure("read", "OSError", "gone"), RUN)
    shards.write(str(tmp_path), 3, [], [failure], run_id="r1", format="webdataset")
    (shard,) = shards.done(str(tmp_path))
    assert (shard.number, shard.files) == (3, ())


def test_the_same_again_is_the_same(tmp_path: Path) -> None:
    """As by a bundle that is run again: the rows of the first count."""
    folder = str(tmp_path)
    first = make(folder)
    there = (tmp_path / "00000.tar").read_bytes()
    assert make(folder) == first
    assert (tmp_path / "00000.tar").read_bytes() == there
    assert make(folder, run_id="r2")[0].name == "a.jpg"
    assert [(shard.number, shard.run_id) for shard in shards.done(folder)] == [(0, "r2")]


def test_what_another_made_counts(tmp_path: Path) -> None:
    folder = str(tmp_path)
    make(folder, b"one")
    for run_id in ("r1", "r0", "r2"):
        assert {each.worker for each in make(folder, b"two", run_id)} == {"one"}
    assert state(folder) == {0: (["one"], ["one"])}
    assert [file.name for file in shards.orphans(folder)] == []


def test_what_a_killed_run_left_is_written_over(tmp_path: Path) -> None:
    folder = str(tmp_path)
    make(folder, b"one", "r0")
    os.unlink(tmp_path / "_manifest" / "run=r0" / "shard-00000.parquet")
    assert [file.name for file in shards.orphans(folder)] == ["00000.tar"]
    assert list(shards.done(folder)) == []
    assert {each.worker for each in make(folder, b"two")} == {"two"}
    assert state(folder) == {0: (["two"], ["two"])}


@pytest.mark.parametrize("harm", ["absent", "short", "other", "garbled rows", "foreign rows"])
def test_what_is_harmed_is_not_done(tmp_path: Path, harm: str) -> None:
    folder = str(tmp_path)
    make(folder, b"one")
    tar, rows = tmp_path / "00000.tar", tmp_path / layout.shard_rows("r1", 0)
    if harm == "absent":
        tar.unlink()
    elif harm == "short":
        tar.write_bytes(tar.read_bytes()[:-1])
    elif harm == "other":
        data = tar.read_bytes().replace(b"one", b"two")
        tar.write_bytes(data)
        os.utime(tar, (rows.stat().st_mtime + 1,) * 2)
    elif harm == "garbled rows":
        rows.write_bytes(rows.read_bytes()[:-9])
    else:
        rows.write_bytes(b"")
    assert list(shards.done(folder)) == []
    assert harm == "absent" or "00000.tar" in {file.name for file in shards.orphans(folder)}
    assert {each.worker for each in make(folder, b"six")} == {"six"}
    assert state(folder) == {0: (["six"], ["six"])}


def test_of_two_runs_that_write_over_each_other_one_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second looked for rows before the first's were there."""
    folder = str(tmp_path)
    make(folder, b"one", "r1")
    monkeypatch.setattr(shards, "_made_by_another", lambda *_: (None, b""))
    with stores.spool(folder) as spool:
        rows = [row(key) for key in "xyz"]
        files = spooled(spool, "xyz")
        more = {"run_id": "r2", "format": "webdataset"}
        assert shards.write(folder, 0, files, rows, **more) == rows  # type: ignore
    for run_id in ("r1", "r2"):
        with pytest.raises(OSError, match="another run made shard 0 of other pictures"):
            finish(folder, "webdataset", [], run_id)
    idle = [f"{folder}/{layout.shard_rows('r1', 0)}"]
    finish(folder, "webdataset", idle, "r2")  # they were of no use when the run began
    assert [shard.run_id for shard in shards.done(folder)] == ["r2"]


def test_what_an_attempt_before_left_is_gone(tmp_path: Path) -> None:
    """Of a bundle that is run again, and makes fewer files of the same pictures."""
    folder = str(tmp_path)
    make(folder, shard_bytes=1)
    os.unlink(tmp_path / layout.shard_rows("r1", 0))
    make(folder)
    assert len(list(tmp_path.glob("*.tar"))) == 3
    (tmp_path / "00000_9.tar").write_bytes(b"the user's")
    finish(folder, "webdataset", [], "r1")
    assert sorted(path.name for path in tmp_path.glob("*.tar")) == ["00000.tar", "00000_9.tar"]


def test_another_file_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "00000.tar").write_bytes(b"the user's")
    with pytest.raises(FileExistsError, match=r"no run made this file.*00000\.tar"):
        make(str(tmp_path))
    assert (tmp_path / "00000.tar").read_bytes() == b"the user's"


def described(folder: str, change: Callable[[Dict[str, Any]], object]) -> None:
    """Changes what the rows of the first shard say of its files."""
    name = f"{folder}/{layout.shard_rows('r1', 0)}"
    table = pyarrow.parquet.read_table(name)
    about = json.loads(table.schema.metadata[b"rembg_beam.shard"])
    change(about)
    changed = {b"rembg_beam.shard": json.dumps(about).encode()}
    pyarrow.parquet.write_table(table.replace_schema_metadata(changed), name)


def test_rows_of_a_later_version(tmp_path: Path) -> None:
    folder = str(tmp_path)
    make(folder, b"one")
    described(folder, lambda about: about["files"][0].update(sha256="0" * 64))
    assert len(list(shards.done(folder))) == 1
    assert {each.worker for each in make(folder, b"two", "r2")} == {"one"}
    described(folder, lambda about: about["files"][0].pop("crc32c"))
    for function in (lambda: list(shards.done(folder)), lambda: make(folder, b"two", "r2")):
        with pytest.raises(ValueError, match="what this version does not know"):
            function()
    assert b"one" in (tmp_path / "00000.tar").read_bytes()


def test_rows_are_read_once_and_several_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = str(tmp_path)
    for number in range(3):
        make(folder, number=number)
    read, asked, together = stores.read, [], threading.Barrier(3, timeout=30)

    def counted(uri: str, *more: Any) -> stores.Read:
        asked.append(uri)
        together.wait()
        return read(uri, *more)

    monkeypatch.setattr(stores, "read", counted)
    remove = RemoveBackground(output=folder, session="tiny")
    dataset = DataSet(output_format="webdataset")
    with Plan(Rules.of(remove, dataset, Choice.of(remove, "skip"), False)) as plan:
        assert not list(plan)
    assert sorted(asked) == sorted({shard.rows_uri for shard in shards.done(folder)})


def test_a_folder_that_was_copied_is_done(tmp_path: Path) -> None:
    """Where times tell nothing any more, and files are read."""
    make(str(tmp_path), b"one")
    os.utime(tmp_path / "00000.tar", (2**31, 2**31))
    assert len(list(shards.done(str(tmp_path)))) == 1


def test_files_that_follow_each_other(tmp_path: Path) -> None:
    folder = str(tmp_path)
    make(folder, shard_bytes=1)
    (shard,) = shards.done(folder)
    names = [(file.name, file.samples) for file in shard.files]
    assert names == [("00000.tar", 1), ("00000_1.tar", 1), ("00000_2.tar", 1)]
    os.unlink(tmp_path / "00000_1.tar")
    assert list(shards.done(folder)) == []
    assert {file.name.rpartition("/")[2] for file in shards.orphans(folder)} == {
        *("00000.tar", "00000_2.tar", "shard-00000.parquet")
    }
    index = json.loads(wids.index([shard]))
    assert [(each["url"], each["nsamples"]) for each in index["shardlist"]] == names


@pytest.mark.parametrize("run_ids", [["r1"] * 4, ["r1", "r2", "r3", "r4"]])
@pytest.mark.parametrize("left", [False, True])
def test_many_at_once(tmp_path: Path, run_ids: List[str], left: bool) -> None:
    """In processes, of one shard with different bytes, on what a killed run left or on nothing."""
    folder = str(tmp_path / "out")
    if left:
        make(folder, b"six", "r0")
        os.unlink(tmp_path / "out" / layout.shard_rows("r0", 0))
    context = multiprocessing.get_context("fork")
    start = context.Barrier(len(run_ids))
    said = context.SimpleQueue()
    workers = [
        context.Process(target=_race, args=(start, said, folder, data, run_id))
        for run_id, data in zip(run_ids, [b"one", b"two", b"one", b"two"])
    ]
    for worker in workers:
        worker.start()
    rows = [said.get() for _ in workers]
    for worker in workers:
        worker.join()
    (held, named) = state(folder)[0]
    assert held == named and len(held) == 1
    assert not left or held != ["six"]
    assert all(each in (["one"], ["two"]) for each in rows)
    assert list(shards.orphans(folder)) == [] or set(run_ids) != {"r1"}


def _race(start: Any, said: Any, folder: str, data: bytes, run_id: str) -> None:
    start.wait()
    said.put(sorted({str(each.worker) for each in make(folder, data, run_id)}))


class Turns:
    """Lets two threads call functions by turns, in a given order; then as they come."""

    def __init__(self, order: Sequence[int]) -> None:
        self.order = list(order)
        self.changed = threading.Condition()
        self.thread = threading.local()

    def run(self, number: int, function: Callable[..., Any], *arguments: Any) -> Any:
        self.thread.number = number
        try:
            return function(*arguments)
        finally:
            with self.changed:
                self.order = [each for each in self.order if each != number]
                self.changed.notify_all()

    def of(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def called(*arguments: Any, **more: Any) -> Any:
            with self.changed:
                self.changed.wait_for(lambda: self.order[:1] in ([], [self.thread.number]))
                del self.order[:1]
                self.changed.notify_all()
                return function(*arguments, **more)

        return called


@pytest.mark.parametrize(
    "run_ids", [("r1", "r1"), ("r1", "r2"), pytest.param(("r2", "r1"), marks=pytest.mark.long)]
)
def test_two_at_once_in_every_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_ids: Tuple[str, str]
) -> None:
    """Of the steps in which they write over what a killed run left."""
    functions = {name: getattr(stores, name) for name in ("upload", "write", "remove")}
    orders = itertools.combinations(range(8), 4)  # 70, of which every third
    for number, ones in enumerate(itertools.islice(orders, 0, None, 3)):
        folder = str(tmp_path / str(number))
        make(folder, b"six", "r0")
        os.unlink(f"{folder}/{layout.shard_rows('r0', 0)}")
        turns = Turns([int(step in ones) for step in range(8)])
        with monkeypatch.context() as patch, ThreadPoolExecutor(2) as pool:
            for name, function in functions.items():
                patch.setattr(stores, name, turns.of(function))
            pairs = enumerate(zip((b"one", b"two"), run_ids))
            made = [pool.submit(turns.run, n, make, folder, *pair) for n, pair in pairs]
            rows = [each.result(60) for each in made]
        ((held, named),) = state(folder).values()
        assert held == named and held in (["one"], ["two"]), ones
        # Of two runs one may have ended before the other wrote over its files.
        left = {file.name.partition("/")[0] for file in shards.orphans(folder)}
        assert left <= {f"run={run_id}" for run_id in run_ids}
        assert not left or run_ids[0] != run_ids[1], ones
        assert any({each.worker for each in given} == set(held) for given in rows)


def _die_at(step: int, said: Any, folder: str) -> None:
    """Makes a shard in a process that kills itself before one of its steps on the disk."""
    left = [step]

    def dying(function: Callable[..., Any]) -> Callable[..., Any]:
        def called(*arguments: Any, **more: Any) -> Any:
            if not left[0]:
                os.kill(os.getpid(), signal.SIGKILL)
            left[0] -= 1
            return function(*arguments, **more)

        return called

    for name in ("link", "replace", "unlink", "fsync", "mkdir"):
        setattr(os, name, dying(getattr(os, name)))
    make(folder, b"two", shard_bytes=TWO_FILES)
    said.put(True)


@pytest.mark.long
@pytest.mark.parametrize("before", ["nothing", "orphan"])
def test_killed_at_any_step(tmp_path: Path, before: str) -> None:
    """What is left is done, and whole, or made by the next."""
    context = multiprocessing.get_context("fork")
    ends = []
    said = context.SimpleQueue()
    for step in itertools.count():
        folder = str(tmp_path / str(step))
        if before == "orphan":
            make(folder, b"one", "r0")
            os.unlink(f"{folder}/{layout.shard_rows('r0', 0)}")
        process = context.Process(target=_die_at, args=(step, said, folder))
        process.start()
        process.join()
        ends.append(state(folder))
        if not said.empty():
            break
        assert process.exitcode == -signal.SIGKILL
        make(folder, b"six", "r3", shard_bytes=TWO_FILES)
        ((held, named),) = state(folder).values()
        assert held == named, step
        assert not list(shards.orphans(folder)), step
        assert not os.path.exists(f"{folder}/.rembg_beam_tmp")
    assert ends[0] == {} and ends[-1] == {0: (["two"], ["two"])}
    assert all(each in ({}, ends[-1]) for each in ends)


@pytest.mark.parametrize("data", [b"six", b"x" * (9 << 20)], ids=len)
def test_what_a_shard_costs(proxy: gs.Proxy, data: bytes) -> None:
    make("gs://b/out", data)
    counts = proxy.counts()
    writes = {"write": 2} if len(data) < 9 else {"session": 1, "send": 1, "write": 1}
    assert counts == {**writes, "stat": 1}
    proxy.clear()
    assert len(list(shards.done("gs://b/out"))) == 1
    assert proxy.counts() == {"list": 2, "read": 1}


def test_races_on_gs(emulator: gs.Emulator, proxy: gs.Proxy) -> None:
    for number in range(6):
        if number % 2:
            make("gs://b/out", b"six", "r0", number)
            stores.remove(f"gs://b/out/{layout.shard_rows('r0', number)}")
        with ThreadPoolExecutor(4) as pool:
            asked = zip([b"one", b"two"] * 2, ["r1"] * 4, [number] * 4)
            list(pool.map(lambda each: make("gs://b/out", *each), asked))
        held, named = state("gs://b/out")[number]
        assert held == named and len(held) == 1
    assert not list(shards.orphans("gs://b/out"))
    wrong = emulator.get("gs://b/out/00000.tar")
    emulator.put("gs://b/out/00000.tar", wrong[:-1] + b"x")  # as many bytes, others
    assert sorted(state("gs://b/out")) == [1, 2, 3, 4, 5]
