"""Which picture goes to which shard: what follows from the sources, whatever was made before."""

import itertools
import tempfile
from typing import Any, List, Sequence, Set, Tuple

import pytest
from apache_beam.pvalue import TaggedOutput
from hypothesis import given, settings
from hypothesis import strategies as st

from rembg_beam.transforms import RemoveBackground, SessionConfig, Source, naming
from rembg_beam.transforms.elements import Failure
from rembg_beam.transforms.folder.existing import DONE, FAILURES, Choice
from rembg_beam.transforms.outcomes import RunColumns, failed
from rembg_beam.transforms.outputs import shards
from rembg_beam.transforms.outputs.options import DataSet
from rembg_beam.transforms.outputs.plan import Plan, Rules, Shard

COLUMNS = RunColumns("tiny")


def rules(folder: str, each: int, on_existing: str = "skip", retry: bool = False) -> Rules:
    remove = RemoveBackground(output=folder, session=SessionConfig("tiny"))
    dataset = DataSet(output_format="webdataset", samples_per_shard=each)
    return Rules.of(remove, dataset, Choice.of(remove, on_existing), retry)


def source(name: str, metadata: str = "{}") -> Source:
    return Source(f"/{name}", name, "{}", metadata, 0, naming.output_name(name, ""))


def planned(told: Rules, sources: Sequence[Source]) -> Tuple[List[Shard], List[Any]]:
    """The shards, and the rows and failures of the others."""
    with Plan(told) as plan:
        found = [each for one in sources for each in plan.add(one)] + list(plan)
    others = [each for each in found if isinstance(each, TaggedOutput)]
    lists = [each.value for each in others if each.tag == DONE]
    failures = [each.value for each in others if each.tag == FAILURES]
    return [each for each in found if isinstance(each, Shard)], [
        *itertools.chain.from_iterable(lists),
        *failures,
    ]


def make(folder: str, shard: Shard, run_id: str) -> None:
    """As a run that could read none of its pictures."""
    why = Failure("read", "FileNotFoundError", "gone")
    rows = [failed(each, why, COLUMNS) for each in shard.sources]
    shards.write(folder, shard.number, [], rows, run_id=run_id, format="webdataset")


PARTS = st.sampled_from(["a", "b", ".", "-", "/x", ".jpg", ".png"])
NAMES = st.sets(st.lists(PARTS, min_size=1, max_size=4).map("".join), min_size=1, max_size=25)


@settings(deadline=None, max_examples=25)
@given(NAMES, NAMES, st.integers(1, 6), st.data())
def test_a_run_that_goes_on_makes_the_shards_that_are_missing(
    names: Set[str], more: Set[str], each: int, data: st.DataObject
) -> None:
    sources = sorted({one.output_name: one for one in map(source, names)}.values())
    with tempfile.TemporaryDirectory() as folder:
        told = rules(folder, each)
        calm, settled = planned(told, sources)
        assert not settled and [shard.number for shard in calm] == list(range(len(calm)))
        assert sorted(one for shard in calm for one in shard.sources) == sources
        chosen = data.draw(st.sets(st.integers(0, len(calm) - 1)))
        made = [shard for shard in calm if shard.number in chosen]
        for shard in made:
            make(folder, shard, "r1")
        missing, settled = planned(told, data.draw(st.permutations(sources)))
        assert missing == [shard for shard in calm if shard not in made]
        assert sorted(row.uri for row in settled) == sorted(
            one.uri for shard in made for one in shard.sources
        )
        for shard in missing:
            make(folder, shard, "r2")
        both = {one.output_name: one for one in map(source, sorted({*names, *more}))}
        others, settled = planned(told, list(both.values()))
        assert len(settled) == len(sources)
        assert [shard.number for shard in others] == [len(calm) + n for n in range(len(others))]
        keys = [key for shard in [*calm, *others] for key in shard.keys]
        assert len(keys) == len(set(keys)) == len(both)


@pytest.mark.parametrize("table", ["x.parquet#column=b&group={}&row={}", "x.tar#member=b&at={}+{}"])
def test_a_shard_takes_pictures_of_a_table_as_they_lie_there(tmp_path: Any, table: str) -> None:
    """Whatever their names are; each shard is read from one stretch of the table."""
    names = [f"{n * 7 % 20:02}" for n in range(20)]
    sources = [
        source(name)._replace(uri=table.format(n // 8, n) if "row" in table else table.format(n, 9))
        for n, name in enumerate(names)
    ]
    made, _ = planned(rules(str(tmp_path), 6), [*sources[::-1], source("alone")])
    assert [sorted(shard.sources) for shard in made[1:]] == [
        sorted(sources[first : first + 6]) for first in (5, 11, 17)
    ]
    assert made[0].sources[-1].name == "alone"
    for shard in made:
        assert list(shard.keys) == sorted(shard.keys) == [one.name for one in shard.sources]


def test_all_sources_have_a_say_in_the_columns(tmp_path: Any) -> None:
    folder = str(tmp_path)
    sources = [source("a", '{"n": 1}'), source("b", '{"n": 2.5}'), source("c", '{"x": null}')]
    first, second = planned(rules(folder, 2), sources)[0]
    assert first.fields == second.fields
    assert first.fields.types.stored() == {"n": "float", "x": "text"}
    make(folder, first, "r1")
    (left,), _ = planned(rules(folder, 2), sources[2:])
    assert left.fields == first.fields


@pytest.mark.parametrize("format", ["webdataset", "parquet"])
def test_samples_with_other_members_are_told(tmp_path: Any, caplog: Any, format: str) -> None:
    told = rules(str(tmp_path), 2)._replace(output_format=format)
    planned(told, [source("a"), source("b")._replace(extras='{"post_process_mask": true}')])
    assert not caplog.records
    planned(told, [source("a"), source("b")._replace(extras='{"only_mask": true}')])
    said = "gets samples with cutout.png, and others with mask.png, since pictures ask"
    assert (said in caplog.text) is (format == "webdataset")


HALF = '{"caption": "\\ud83d"}'


@pytest.mark.parametrize("metadata", ["", "[1]", "{", HALF, '{"\\udc00": 1}'])
def test_metadata_of_no_use_is_a_failure_of_its_picture(tmp_path: Any, metadata: str) -> None:
    sources = [source("a"), source("b", metadata)]
    (shard,), ((refused, failure),) = planned(rules(str(tmp_path), 9), sources)
    assert shard.sources == (sources[0],) and refused == sources[1]
    assert failure.error in ("ValueError", "JSONDecodeError") and failure.step == "find"


def test_failures_are_settled_unless_they_are_retried(tmp_path: Any) -> None:
    folder, sources = str(tmp_path), [source("a.jpg"), source("b.jpg")]
    (shard,), _ = planned(rules(folder, 9), sources)
    make(folder, shard, "r1")
    none, rows = planned(rules(folder, 9), sources)
    assert not none and [(row.status, row.message) for row in rows] == [("failed", "gone")] * 2
    (again,), rows = planned(rules(folder, 9, retry=True), sources[:1])
    assert again.number == 1 and again.keys == ("a",) and not rows
    other = sources[0]._replace(uri="/elsewhere/a.jpg")
    (again,), rows = planned(rules(folder, 9), [other])
    assert again.sources == (other,) and not rows


def test_shards_are_never_overwritten(tmp_path: Any) -> None:
    folder, sources = str(tmp_path), [source("a.jpg")]
    told = rules(folder, 9, on_existing="overwrite")
    (shard,), _ = planned(told, sources)
    make(folder, shard, "r1")
    with pytest.raises(ValueError, match=r"holds shards.*an output folder of its own"):
        planned(told, sources)
