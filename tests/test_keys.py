"""Keys of samples."""

import hashlib
import itertools
import tarfile
from collections import defaultdict
from pathlib import Path
from typing import Dict, List, Set

import datasets
import pytest
import webdataset
from hypothesis import given
from hypothesis import strategies as st

from rembg_beam.transforms import naming
from rembg_beam.transforms.outputs import keys

PARTS = ["a", "b", "-", ".", "/", "A", ".jpg", ".png", "-ca978112", "-0123456789", "é", "_", "__"]
NAMES = st.lists(st.sampled_from(PARTS), min_size=1, max_size=6).map("".join)


def keys_of(names: Set[str]) -> List[str]:
    by_stem: Dict[str, List[str]] = defaultdict(list)
    for name in names:
        by_stem[keys.stem(name)].append(name)
    return [key for stem, named in by_stem.items() for key in keys.keys(stem, named).values()]


@given(st.sets(NAMES, max_size=30))
def test_keys_have_no_dots_and_no_two_are_the_same(names: Set[str]) -> None:
    found = keys_of(names)
    assert len(set(found)) == len(found) == len(names)
    assert all(key and "." not in key for key in found)
    assert not any(part.startswith("__") for key in found for part in key.split("/"))


def test_loaders_find_every_sample(tmp_path: Path) -> None:
    every = itertools.chain.from_iterable(
        itertools.product(["__", "_", "a", ".", "/"], repeat=length) for length in range(1, 5)
    )
    names = {naming.output_name("".join(parts) + ".jpg", "") for parts in every}
    assert {"__a__.jpg", "__a/__.jpg", "a/__a.jpg"} <= names
    wanted = sorted(keys_of(names))
    shard = str(tmp_path / "0.tar")
    with tarfile.open(shard, "w") as archive:
        for key in wanted:
            archive.addfile(tarfile.TarInfo(f"{key}.txt"))
    found = webdataset.WebDataset(shard, shardshuffle=False)
    assert [sample["__key__"] for sample in found] == wanted
    loaded = datasets.load_dataset("webdataset", data_files=shard, split="train", streaming=True)
    assert [sample["__key__"] for sample in loaded] == wanted


def test_a_stem_that_looks_like_a_key_gets_a_digest_of_its_own() -> None:
    a, b = (hashlib.sha256(name.encode()).hexdigest()[:8] for name in ("x.jpg", "x.png"))
    found = keys_of({"x.jpg", "x.png", f"x-{a}.jpg"})
    assert sorted(found)[0] != f"x-{a}" and len(set(found)) == 3
    assert {f"x-{a}", f"x-{b}"} < set(found)


def test_digests_are_longer_where_they_would_be_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    first: Dict[str, List[str]] = defaultdict(list)
    for number in range(200):
        first[hashlib.sha256(f"a.{number}".encode()).hexdigest()[0]].append(f"a.{number}")
    names = max(first.values(), key=len)
    monkeypatch.setattr(keys, "DIGITS", 1)
    found = keys.keys("a", names)
    assert len(set(found.values())) == len(names) > 2
    assert {len(key) for key in found.values()} in ({4}, {5})  # a-XX, a-XXX
